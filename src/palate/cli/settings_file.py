"""``palate.toml`` with other values for some settings, everything else in it left as it was written."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palate.errors import ConfigError

NAME = "palate.toml"
_HEADER = re.compile(r"\s*\[+\s*([^\[\]]*?)\s*\]+\s*(#.*)?$")


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """``text`` with ``values`` by full name (``train.leaves``) in place, comments and order kept.

    Errors: ``ConfigError`` where the file is written in a way that this can't change safely.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        _put(lines, section, key, value)
    changed = "".join(lines)
    expected = _parsed(text)
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        expected.setdefault(section, {})[key] = value
    if _parsed(changed) != expected:
        wanted = ", ".join(f"{name} = {_literal(value)}" for name, value in values.items())
        raise ConfigError(f"palate.toml is written in a way that can't be changed by itself; set by hand: {wanted}.")
    return changed


def write(path: Path, text: str) -> None:
    """Replace the file whole, or leave it as it is. Errors: ``OSError``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> str:
    """The text of the file, '' where there is none. Errors: ``OSError``."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _put(lines: list[str], section: str, key: str, value: Any) -> None:
    """Replace the value of ``key`` where the section names it, else add it at the head of the section."""
    begin = next((at for at, line in enumerate(lines) if (found := _HEADER.match(line)) and found[1] == section), None)
    new = f"{key} = {_literal(value)}"
    if begin is None:
        if lines and lines[-1].strip():
            lines.append("\n")
        lines += [f"[{section}]\n", f"{new}\n"]
        return
    for at in range(begin + 1, len(lines)):
        if _HEADER.match(lines[at]):
            break
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[at]):
            end = next((n for n in range(at + 1, len(lines) + 1) if _whole("".join(lines[at:n]))), at + 1)
            comment = re.search(r"\s+#[^\"'\]]*$", lines[at].rstrip("\n")) if end == at + 1 else None
            lines[at:end] = [f"{new}{comment[0] if comment else ''}\n"]
            return
    lines.insert(begin + 1, f"{new}\n")


def _whole(text: str) -> bool:
    """Whether ``text`` is TOML by itself: a value may go on over several lines."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"  # pyright: ignore[reportUnknownArgumentType]
    return repr(value)
