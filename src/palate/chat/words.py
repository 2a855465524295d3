"""The vocabulary of a conversation, English and Chinese: what steers, in no field of trade in particular.

Phrases are lists of tokens (``tokens``): English words and single Han characters. Where two match, the longer one wins.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from pathlib import Path
from typing import Any, Final

Phrase = tuple[str, ...]
HAN = "\u3400-\u9fff\u3005\u3007"
TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?|[^\w\s]|_")


def normal(text: str) -> str:
    """NFKC, lower case, straight quotation marks, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    return " ".join(text.translate(str.maketrans("’‘“”「」『』", '\'\'""""""')).split())


def tokens(text: str) -> Phrase:
    """The tokens of a normal text, punctuation left out."""
    return tuple(found for found in TOKEN.findall(text) if found[0].isalnum())


def plain(text: str) -> str:
    """Without accents: "amélie" is typed "amelie"."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


_DATA: Final[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))

CUES: Final[dict[str, list[str]]] = _DATA["cues"]
"""Kind → phrases. What stands under ``stop`` carries nothing by itself."""

ROLES: Final[dict[str, list[str]]] = _DATA["roles"]
"""What a field may be, by the names that it has in catalogues and in talk."""

MAKERS: Final = ("director", "author", "artist", "brand", "actor")
"""What ``by somebody`` may mean."""

ADJECTIVES: Final[dict[str, tuple[str, int]]] = {
    phrase: (role, sign)
    for side, sign in (("low", -1), ("high", 1))
    for role, phrases in _DATA["adjectives"][side].items()
    for phrase in phrases
}
"""Phrase → role and direction."""

UNITS: Final[dict[str, tuple[str, float]]] = {
    name: (unit["role"], float(unit["scale"])) for unit in _DATA["units"] for name in unit["names"]
}
"""Unit → role, and how much of the role's own unit (minutes, grams, whatever the price is in) it is."""


def _table() -> dict[Phrase, str]:
    found: dict[Phrase, str] = {}
    for kind, phrases in CUES.items():
        for phrase in phrases:
            found.setdefault(tokens(phrase) or (phrase,), kind)
    return found


CUE_OF: Final = _table()
ALSO: Final[dict[Phrase, frozenset[str]]] = {}
"""Every kind that a phrase has, where it has several."""
for _kind, _phrases in CUES.items():
    for _phrase in _phrases:
        _key = tokens(_phrase) or (_phrase,)
        ALSO[_key] = ALSO.get(_key, frozenset()) | {_kind}
ROLE_OF: Final = {tokens(p): role for role, ps in ROLES.items() for p in ps}
ADJECTIVE_OF: Final = {tokens(p): found for p, found in ADJECTIVES.items()}
LONGEST: Final = 8

_IRREGULAR = {"movies": "movie", "series": "series", "news": "news", "comedies": "comedy"}


def singular(word: str) -> str:
    """English plurals to the singular, roughly; other words as they are."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isascii() or len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word[:-2] if word.endswith("'s") else word
    if word.endswith("'s"):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes")) else word[:-1]
