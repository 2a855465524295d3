"""Wishes: what somebody said in so many words that they want, kept in a field of theirs until they take it back.

``fields: {"wishes": [...]}`` of a user event, one JSON text each. They are ordinary state: in the log, in the profile,
exported and erased with the person. The line obeys those with a ``filter``; the others move scores (``company``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

FIELD = "wishes"
MEMORY = "chat"
"""The field with what a conversation has to remember beside the wishes: an open question, what an undo restores."""
PROFILING = "profiling"
"""A field that is False where somebody doesn't want to be profiled. An event that sets it, to whatever, deletes what is
known of the person; while it is False nothing that they do is taken (``state.State.opted_out``)."""
MOST = 40


class Wish(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """One wish, with exactly one of: ``filter`` (hard, the language of filters); ``more`` and ``less``, a tag
    (``genre:Drama``) or words; ``like`` and ``unlike``, an item. said: the words it comes from; turn: of the talk."""

    filter: dict[str, Any] | None = None
    more: str = ""
    less: str = ""
    like: str = ""
    unlike: str = ""
    said: str = ""
    turn: int = 0

    @property
    def kind(self) -> str:
        """``filter``, ``more``, ``less``, ``like``, ``unlike``, or '' for one that says nothing."""
        if self.filter is not None:
            return "filter"
        return next((name for name in ("more", "less", "like", "unlike") if getattr(self, name)), "")


_decode = msgspec.json.Decoder(Wish).decode


def read(value: object) -> tuple[list[Wish], int]:
    """The wishes of a field's value, the last ``MOST``, and how many of its texts can't be read."""
    texts = cast("list[Any]", value) if isinstance(value, list) else [value] if isinstance(value, str) else []
    found: list[Wish] = []
    bad = 0
    for text in texts[-MOST:]:
        try:
            wish = _decode(text)
        except (msgspec.MsgspecError, UnicodeError, TypeError, RecursionError):
            bad += 1
            continue
        if wish.kind:
            found.append(wish)
        else:
            bad += 1
    return found, bad


def write(wishes: Sequence[Wish]) -> list[str]:
    """The field's value; the inverse of ``read``."""
    return [msgspec.json.encode(wish).decode() for wish in wishes[-MOST:]]
