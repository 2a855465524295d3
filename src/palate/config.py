"""One frozen ``Settings``: defaults < ``palate.toml`` < environment (``PALATE_SECTION__KEY``) < arguments.

Unknown keys and wrong types are errors that name the key. Every default works with no configuration.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

import msgspec

from palate.errors import ConfigError

Scene = Literal["shop", "video", "news", "social"]
Tier = Literal["full", "cheap"]
Ranker = Literal["auto", "linear", "trees", "blend", "forest", "boosting", "logistic", "svm"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


TOWERS = ("factors",)
"""The towers that a training can fit (``palate.towers``)."""
_MANY = 2**50
"""As good as no bound: what may be any size above nothing."""


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value:g}; it must lie between {low:g} and {high:g}")


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


class LanguageSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """encoder: ``usem3`` or ``hashing``. text_fields / tag_fields: empty means found by rule (see content)."""

    encoder: str = "usem3"
    text_fields: tuple[str, ...] = ()
    tag_fields: tuple[str, ...] = ()
    max_chars: int = 512
    threads: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("language.max_chars", self.max_chars, 1, 1_000_000)
        _check_range("language.threads", self.threads, 1, 1024)


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


class PolicySettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """diversity: MMR trade-off in [0, 1), 0 is off. explore: one labelled exploration slot in ``recommend``."""

    rank: str = "greedy"
    recommend: str = "greedy"
    explore: bool = True
    diversity: float = 0.0
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name in ("rank", "recommend"):
            if getattr(self, name) not in ("greedy", "plackett_luce"):
                raise ValueError(f"policy.{name} is {getattr(self, name)!r}; use 'greedy' or 'plackett_luce'")
        _check_range("policy.diversity", self.diversity, 0.0, 0.999)
        _check_range("policy.temperature", self.temperature, 1e-6, 1e6)


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

    tier: ``cheap`` fits what has a closed form, a linear blend and a small forest on fewer decisions (``train.tiers``).
    ranker: what is tried beside the prior and the best single feature; ``auto``: linear, trees and both together.
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
    ease_items: int = 6000
    towers: tuple[str, ...] = TOWERS
    seed: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("train.decisions", self.decisions, 20, 10_000_000)
        _check_range("train.candidates", self.candidates, 2, 10_000)
        for name in ("valid_share", "window_share"):
            _check_range(f"train.{name}", getattr(self, name), 0.01, 0.99)
        for name, low, high in (("trees", 1, 10_000), ("leaves", 2, 1024), ("ease_items", 2, 50_000)):
            _check_range(f"train.{name}", getattr(self, name), low, high)
        for name in sorted({*self.towers} - {*TOWERS}):
            raise ValueError(f"train.towers names {name!r}; there are {', '.join(TOWERS)}")
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


class Settings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of one directory."""

    scene: Scene | None = None
    weights: dict[str, float] = {}
    limits: Limits = Limits()
    state: StateSettings = StateSettings()
    language: LanguageSettings = LanguageSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    policy: PolicySettings = PolicySettings()
    decisions: DecisionSettings = DecisionSettings()
    train: TrainSettings = TrainSettings()
    serve: ServeSettings = ServeSettings()
    durability: Literal["durable", "fast"] = "durable"
    seen: Literal["auto", "drop", "keep"] = "auto"

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, weight in self.weights.items():
            _check_range(f"weights.{name}", weight, -1000.0, 1000.0)

    def weight(self, kind: str) -> float:
        """Weight of interaction type ``kind``."""
        found = self.weights.get(kind)
        return found if found is not None else DEFAULT_WEIGHTS.get(kind, 1.0)

    def all_weights(self) -> dict[str, float]:
        """The weights that hold, defaults included; types that aren't named weigh 1."""
        return {**DEFAULT_WEIGHTS, **self.weights}


_CHOICES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("scene",): get_args(Scene),
    ("durability",): ("durable", "fast"),
    ("seen",): ("auto", "drop", "keep"),
    ("train", "tier"): get_args(Tier),
    ("train", "ranker"): get_args(Ranker),
}


def load(
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of ``directory`` (its ``palate.toml``, if any), the environment and ``overrides``.

    Errors: ``ConfigError`` naming the file or variable, the setting, and for an unknown one what may have been meant.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if directory is not None and os.path.lexists(directory / "palate.toml"):
        layers.append((str(directory / "palate.toml"), _read(directory / "palate.toml")))
    env = os.environ if environ is None else environ
    for name, text in sorted(env.items()):
        if name.startswith("PALATE_") and name not in ("PALATE_CACHE_DIR", "PALATE_API_KEY", "PALATE_URL"):
            keys = name.removeprefix("PALATE_").lower().split("__")
            layers.append((f"the environment variable {name}", _nested(keys, _parse(text))))
    layers.append(("the arguments", overrides or {}))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        _merge(merged, layer)
    unknown = _unknown(merged, Settings, ())
    if unknown is not None:
        raise ConfigError(f"{_source(layers, unknown)}: {'.'.join(unknown)} is no setting; {_meant(unknown)}")
    try:
        return msgspec.convert(merged, Settings, strict=True)
    except msgspec.ValidationError as error:
        path, sentence = _mistake(str(error), merged)
        raise ConfigError(f"{_source(layers, path)}: {sentence}.") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from None


def _unknown(values: Mapping[str, Any], kind: type[msgspec.Struct], above: tuple[str, ...]) -> tuple[str, ...] | None:
    """The path of the first key that ``kind`` has no field for."""
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in values.items():
        path = (*above, str(key))
        if key not in known:
            return path
        section = known[key]
        if isinstance(section, type) and issubclass(section, msgspec.Struct) and isinstance(value, Mapping):
            found = _unknown(cast("Mapping[str, Any]", value), section, path)
            if found is not None:
                return found
    return None


def _meant(path: tuple[str, ...]) -> str:
    """What may have been meant by an unknown key, as the end of a sentence."""
    known = _names(Settings, "")
    beside = [name for name in known if name.rpartition(".")[0] == ".".join(path[:-1])]
    near = difflib.get_close_matches(".".join(path), beside, 1, 0.75)
    near = near or [name for name in known if name.rpartition(".")[2] == path[-1]]
    near = near or [name for name in known if difflib.get_close_matches(path[-1], [name.rpartition(".")[2]], 1, 0.8)]
    if near:
        return f"did you mean {near[0]}?"
    where = f"[{'.'.join(path[:-1])}]" if path[1:] else "the top"
    return f"known at {where}: {', '.join(name.rpartition('.')[2] for name in beside)}."


def _names(kind: type[msgspec.Struct], above: str) -> list[str]:
    """Every setting's and section's full name."""
    found: list[str] = []
    for field in msgspec.structs.fields(kind):
        found.append(above + field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += _names(field.type, f"{above}{field.name}.")
    return found


def _mistake(error: str, merged: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The path of the setting that msgspec complains of, and the complaint with that path in front."""
    said, _, place = error.partition(" - at `$")
    path = tuple(part for part in re.split(r"[.\[]", place.rstrip("`")) if part and part.rstrip("]").isidentifier())
    if path == ("weights",) and isinstance(merged["weights"], Mapping):
        weights = cast("Mapping[str, Any]", merged["weights"])
        wrong = [
            name for name, value in weights.items() if isinstance(value, bool) or not isinstance(value, int | float)
        ]
        path = (*path, *wrong[:1])
    named = re.match(r"(\S+) is ", said)  # a section's own check names the setting itself
    if named is not None and named[1].startswith(".".join(path)):
        return tuple(named[1].split(".", 1)), said
    if path in _CHOICES:
        said = f"{said}; use {', '.join(_CHOICES[path])}"
    return path, f"{'.'.join(path)}: {said[:1].lower()}{said[1:]}" if path else said


def _source(layers: list[tuple[str, Mapping[str, Any]]], path: tuple[str, ...]) -> str:
    """Which of ``layers`` has the last word on ``path``."""
    for name, layer in reversed(layers):
        value: Any = layer
        for key in path:
            if not isinstance(value, Mapping):
                break
            value = cast("Mapping[str, Any]", value).get(key, layers)
            if value is layers:
                break
        if value is not layers:
            return name
    return layers[-1][0]


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    return {path[0]: value} if len(path) == 1 else {path[0]: _nested(path[1:], value)}


def _parse(text: str) -> Any:
    """A TOML value where it is one (``3``, ``true``, ``["a"]``), else the text itself."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            _merge(old, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value  # pyright: ignore[reportUnknownArgumentType]
