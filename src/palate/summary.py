"""Somebody in words: what a profile says of a person in a few sentences, and the field in which such a text is kept.

A text that a generator wrote is an ordinary field of the person (``FIELD``), one JSON text: it is in the log, exported
and erased with the person, and gone with an opt-out, like everything that is said of them. ``palate language
summarise --people`` writes it; where there is none, or it is out of date, the profile says the same by template
(``portrayal``).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

FIELD = "in_words"
Language = Literal["en", "zh"]
GROWN = 0.2
"""Share of new interactions, and at least ``GROWN_LEAST`` of them, after which a text is to be written anew."""
GROWN_LEAST = 5


class Summary(msgspec.Struct):
    """What somebody likes, in words. ai_generated: ``model`` wrote it, asked by ``prompt``, and it was held against
    what the profile says; else it is a template. made: event time, ms; behind: interactions since. tried: a model's
    text is there or was refused, and needs no other yet."""

    text: str
    language: Language
    ai_generated: bool = False
    model: str = ""
    prompt: str = ""
    made: int = 0
    behind: int = 0
    tried: bool = False


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """What the field holds. text: '' where a model's was refused. events: interactions that it knew; wishes:
    ``digest_of`` those that it knew."""

    text: str
    language: Language
    model: str
    prompt: str
    made: int
    events: int
    wishes: str

    def fits(self, wishes: str) -> bool:
        """Whether the person wants what they wanted then: else the text could say what they have taken back."""
        return self.wishes == wishes

    def grown(self, events: int) -> bool:
        """Whether so much has been done since that it is to be written anew."""
        return events - self.events >= max(GROWN_LEAST, GROWN * self.events)


_decode = msgspec.json.Decoder(Kept).decode


def read(value: object) -> Kept | None:
    """What a field's value says; None where it is no such text."""
    try:
        return _decode(value) if isinstance(value, str) else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def write(kept: Kept) -> str:
    """The field's value; the inverse of ``read``."""
    return msgspec.json.encode(kept).decode()


def digest_of(wishes: object) -> str:
    """What stands for the wishes in force, as the field ``wishes`` has them."""
    return blake2b(msgspec.json.encode(wishes), digest_size=6).hexdigest()
