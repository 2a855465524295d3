"""The words of opinion, English and Chinese, and the aspects that texts speak of: data files, read when needed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
"""Raised with any change of rules that gives a text another sentiment; the data files count by their content."""
HAN: Final = "\u3400-\u9fff\u3005\u3007"
_HERE = Path(__file__).parent
_FILES = ("english.toml", "chinese.toml", "aspects.toml", "learnt.json")
RULES = ("negators", "stronger", "weaker", "contrast", "concession", "wishes", "too")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Of one language. worth: word or phrase → −4 … 4, 0 for what only looks like an opinion; longest: tokens of a
    phrase, characters of a Chinese word. scale: what turns a sum of worths into a sentiment. The rest: see
    ``opinion``."""

    worth: dict[str, float]
    longest: int
    scale: float
    negators: frozenset[str]
    stronger: frozenset[str]
    weaker: frozenset[str]
    contrast: frozenset[str]
    concession: frozenset[str]
    wishes: frozenset[str]
    too: frozenset[str]


@dataclass(frozen=True, slots=True)
class Aspects:
    """names: English; chinese: their Chinese names. of, implied: word → place in ``names``."""

    names: tuple[str, ...]
    chinese: tuple[str, ...]
    of: dict[str, int]
    implied: dict[str, int]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / name).read_text(encoding="utf-8"))


def _lexicon(name: str) -> Lexicon:
    data = _read(f"{name}.toml")
    worth = {word: float(value) for value, words in data["worth"].items() for word in words.split()}
    phrases = {phrase: float(value) for value, some in data.get("phrases", {}).items() for phrase in some}
    signs = {sign: float(value) for value, some in data.get("signs", {}).items() for sign in some}
    learnt = json.loads((_HERE / "learnt.json").read_text(encoding="utf-8"))[name]
    whole = worth | phrases | signs | {word: float(value) for word, value in learnt["worth"].items()}
    longest = max(len(phrase.split()) for phrase in phrases) if phrases else max(map(len, whole))
    rules = [frozenset(data["rules"].get(rule, "").split()) for rule in RULES]
    return Lexicon(whole, longest, float(learnt["scale"]), *rules)


@cache
def english() -> Lexicon:
    return _lexicon("english")


@cache
def chinese() -> Lexicon:
    return _lexicon("chinese")


@cache
def rule_words() -> frozenset[str]:
    """The English words of rules."""
    return frozenset[str]().union(*(getattr(english(), rule) for rule in RULES))


@cache
def signs() -> frozenset[str]:
    """Emoticons and emoji, which are of no language; their worth stands in the English lexicon."""
    return frozenset(sign for some in _read("english.toml")["signs"].values() for sign in some)


@cache
def simplified() -> dict[int, str]:
    """Traditional characters to simplified ones, of the words above."""
    table = _read("chinese.toml")["traditional"]
    return {ord(old): new for old, new in zip(table["from"], table["to"], strict=True)}


@cache
def aspects() -> Aspects:
    data = _read("aspects.toml")
    of = {word: place for place, one in enumerate(data.values()) for word in one["words"].split()}
    implied = {
        word.replace("-", " ") if word.replace("-", " ") in english().worth else word: place
        for place, one in enumerate(data.values())
        for word in one["implied"].split()
    }
    return Aspects(tuple(data), tuple(one["chinese"] for one in data.values()), of, implied)


@cache
def han_words() -> tuple[frozenset[str], dict[str, int]]:
    """Every Chinese word that is told apart, and by first character the length of the longest."""
    book = chinese()
    named = [word for word in (*aspects().of, *aspects().implied) if not word.isascii()]
    whole = frozenset(book.worth).union(named, *(getattr(book, rule) for rule in RULES))
    longest: dict[str, int] = {}
    for word in whole:
        longest[word[0]] = max(len(word), longest.get(word[0], 1))
    return whole, longest


@cache
def version() -> str:
    """Of all of it: what was understood with another one may be understood otherwise."""
    whole = hashlib.sha256(b"".join((_HERE / name).read_bytes() for name in _FILES))
    return f"{VERSION}:{whole.hexdigest()[:12]}"
