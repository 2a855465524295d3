"""Layers of settings: read from a file or a variable, laid over one another, and which of them said what."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from palate.errors import ConfigError


def read(file: Path) -> dict[str, Any]:
    """What a TOML file says. Errors: ``ConfigError`` where it can't be read or isn't TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.") from None


def source(layers: list[tuple[str, Mapping[str, Any]]], path: tuple[str, ...]) -> str:
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


def nested(path: list[str], value: Any) -> dict[str, Any]:
    """``value`` under the keys of ``path``, the first one outside."""
    return {path[0]: value} if len(path) == 1 else {path[0]: nested(path[1:], value)}


def parse(text: str) -> Any:
    """A TOML value where it is one (``3``, ``true``, ``["a"]``), else the text itself."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def merge(into: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Lay ``new`` over ``into``, key by key at every depth."""
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping):
            merge(old, value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value  # pyright: ignore[reportUnknownArgumentType]
