"""The shapes of a conversation on the wire."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from palate.requests import given_request
from palate.types import FieldValue, Ranking
from palate.wishes import Wish

Act = Literal["wish", "undo", "reset", "question", "smalltalk", "answer", "unclear"]


class ChatRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One turn of a conversation. Whoever says neither ``user`` nor ``session`` can't be answered; ``language`` is that
    of the words by default; ``stream`` sends server-sent events instead of one object."""

    text: str
    user: str | None = None
    session: str | None = None
    k: int = 10
    language: Literal["en", "zh"] | None = None
    context: dict[str, FieldValue] = {}
    stream: bool = False


class Said(msgspec.Struct):
    """A wish, and the words for it in the answer's language."""

    text: str
    wish: Wish


class Question(msgspec.Struct):
    """What is asked back; the next turn may name a choice, or its number."""

    text: str
    choices: list[str]


class ChatAnswer(msgspec.Struct):
    """The answer to one turn. understood: what is new; removed: what ended; wishes: what holds now. missing: what no
    field of this catalogue says; absent: words for values that no item has; unknown: what wasn't understood. ranking:
    none where nothing was asked for. degraded: what wasn't at its best, the ranking's own included. ai_generated:
    whether a language model said the words again more plainly before they were read; the reply is Palate's own."""

    reply: str
    language: Literal["en", "zh"]
    act: Act
    understood: list[Said]
    removed: list[str]
    missing: list[str]
    absent: list[str]
    unknown: list[str]
    question: Question | None
    wishes: list[Said]
    ranking: Ranking | None
    titles: dict[str, str]
    degraded: list[str]
    as_of: int
    ai_generated: bool = False
    ms: float = 0.0


def chat_request(**options: Any) -> ChatRequest:
    """A request from keyword arguments. Errors: ``InvalidInput`` naming the argument."""
    return given_request(ChatRequest, options)
