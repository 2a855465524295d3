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
from typing import Any, cast, get_args

import msgspec

from palate.errors import ConfigError
from palate.settings import (
    DEFAULT_WEIGHTS,
    TOWERS,
    DecisionSettings,
    FeatureSettings,
    GeneratorSettings,
    LanguageSettings,
    Limits,
    PolicySettings,
    PrivacySettings,
    Ranker,
    Reduce,
    RerankSettings,
    RetentionSettings,
    RetrieveSettings,
    Scene,
    ServeSettings,
    Settings,
    StateSettings,
    Tier,
    TrainSettings,
)
from palate.settings_online import OnlineSettings

__all__ = [
    "DEFAULT_WEIGHTS",
    "TOWERS",
    "DecisionSettings",
    "FeatureSettings",
    "GeneratorSettings",
    "LanguageSettings",
    "Limits",
    "OnlineSettings",
    "PolicySettings",
    "PrivacySettings",
    "Ranker",
    "Reduce",
    "RerankSettings",
    "RetentionSettings",
    "RetrieveSettings",
    "Scene",
    "ServeSettings",
    "Settings",
    "StateSettings",
    "Tier",
    "TrainSettings",
    "load",
]

_NO_SETTINGS = ("PALATE_CACHE_DIR", "PALATE_API_KEY", "PALATE_URL", "PALATE_TEST_GGUF")
_CHOICES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("scene",): get_args(Scene),
    ("durability",): ("durable", "fast"),
    ("seen",): ("auto", "drop", "keep"),
    ("language", "generator", "kind"): ("none", "openai", "gguf"),
    ("language", "reduce"): get_args(Reduce),
    ("language", "rerank", "gate"): ("learnt", "rule"),
    ("online", "correct"): ("off", "auto"),
    ("train", "people"): ("trees", "forest", "svm", "logistic", "off"),
    ("train", "tier"): get_args(Tier),
    ("train", "reader"): ("plain", "auto"),
    ("train", "ranker"): get_args(Ranker),
}


def load(
    directory: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Read the settings of ``directory`` (its ``palate.toml``, if any), the environment and ``overrides``.

    file: read in the place of that ``palate.toml``.

    Errors: ``ConfigError`` naming the file or variable, the setting, and for an unknown one what may have been meant.
    """
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None:
        layers.append((str(file), _read(file)))
    elif directory is not None and os.path.lexists(directory / "palate.toml"):
        layers.append((str(directory / "palate.toml"), _read(directory / "palate.toml")))
    env = os.environ if environ is None else environ
    for name, text in sorted(env.items()):
        if name.startswith("PALATE_") and name not in _NO_SETTINGS:
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
        return tuple(named[1].split(".", 1 if named[1].startswith("weights.") else -1)), said
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
