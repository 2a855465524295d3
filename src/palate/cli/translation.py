"""English sentences in the language in use: what the engine, the data sets and the doctor say, and the help texts.

They are English where they are made, because the service, the library and ``--json`` speak it too; the command line
translates them when it shows them. ``palate.cli.chinese`` maps templates to Chinese: ``{name}`` stands for anything,
and ``{error}``, ``{reason}`` and ``{sentence}`` for a sentence that is translated itself. What has no entry stays
English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from typer import rich_utils

import palate
from palate.cli.chinese import SENTENCES
from palate.cli.chinese_help import HELP
from palate.cli.messages import language, say

NESTED = frozenset({"error", "reason", "sentence"})
BLANK = re.compile(r"\{(\w+)\}")


def local(text: str) -> str:
    """``text`` in the language in use, where the catalogue knows it."""
    return text if language() == "en" else _chinese(text)


def both(text: str) -> tuple[str, str]:
    """``text`` in English and Chinese."""
    return text, _chinese(text)


def _chinese(text: str) -> str:
    bare = text.lstrip()
    indent = text[: len(text) - len(bare)]
    if bare in SENTENCES:
        return indent + SENTENCES[bare]
    for pattern, target in _patterns():
        found = pattern.fullmatch(bare)
        if found is not None:
            values = {name: _chinese(value) if name in NESTED else value for name, value in found.groupdict().items()}
            return indent + BLANK.sub(lambda blank: values[blank[1]], target)  # noqa: B023
    return text


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The templates with blanks, in the order of the catalogue."""
    return [(_pattern(english), chinese) for english, chinese in SENTENCES.items() if BLANK.search(english)]


def _pattern(template: str) -> re.Pattern[str]:
    parts = BLANK.split(template)
    pieces = [re.escape(part) if at % 2 == 0 else f"(?P<{part}>.+?)" for at, part in enumerate(parts)]
    return re.compile("".join(pieces), re.DOTALL)


# ------------------------------------------------------------------------------------------------ words


@cache
def _words() -> dict[str, dict[str, str]]:
    """The dashboard's catalogue: features, types of events and kinds of models have one name everywhere."""
    file = Path(palate.__file__).parent / "serve" / "dashboard" / "static" / "catalogue.js"
    text = file.read_text(encoding="utf-8")
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


def word(kind: str, name: str) -> str:
    """What people call ``name``, a ``feature``, a ``type`` of events, a ``kind`` of models, or what ``degraded``.

    A name of your own, such as that of a context field, is its own word.
    """
    found = _words().get(f"{kind}.{name}")
    return name.replace("_", " ") if found is None else found[language()]


# ------------------------------------------------------------------------------------------------- help

_FRAME = {
    "ARGUMENTS_PANEL_TITLE": ("Arguments", "参数"),
    "OPTIONS_PANEL_TITLE": ("Options", "选项"),
    "COMMANDS_PANEL_TITLE": ("Commands", "命令"),
    "DEFAULT_STRING": ("[default: {}]", "[默认：{}]"),
    "REQUIRED_LONG_STRING": ("[required]", "[必填]"),
}


def paragraphs(text: str) -> list[str]:
    """A help text in paragraphs, each on one line."""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def help_text(text: str) -> str:
    """A help text in the language in use, paragraph by paragraph."""
    return text if language() == "en" else "\n\n".join(HELP.get(part, part) for part in paragraphs(text))


def translate_help(command: Any) -> None:
    """Put the help of a command and of all below it into the language in use. ``command``: Typer's, made afresh."""
    for name, (english, chinese) in _FRAME.items():
        setattr(rich_utils, name, english if language() == "en" else chinese)
    if language() == "zh":
        _translate(command)


def _translate(command: Any) -> None:
    command.help = help_text(command.help or "")
    parameters: Iterable[Any] = command.params
    for parameter in parameters:
        if getattr(parameter, "help", None):
            parameter.help = help_text(parameter.help)
    english_usage, english_option = command.get_usage, command.get_help_option

    def usage(context: Any) -> str:
        return english_usage(context).replace("Usage: ", say("usage"), 1)

    def option(context: Any) -> Any:
        found = english_option(context)
        if found is not None:
            found.help = help_text(found.help)
        return found

    command.get_usage, command.get_help_option = usage, option
    for inner in getattr(command, "commands", {}).values():
        _translate(inner)
