"""A person in words, from what their profile says: by template, and what a model's text must keep to.

``facts_of`` draws from a profile what may be said: tags liked, those lately more so, titles, topics they write well of.
No id, no field of the person, nothing they wrote. ``fault`` is why a text isn't taken: it may name only titles and tags
that were given, no number that wasn't, nothing the person has muted, and nothing of what is nobody's business
(``portrayal.toml``), and each sentence names one of the facts. A text that fails isn't mended: the template stands.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from palate.feedback.summary import chinese_names
from palate.language.screen import TAG_CELLS, TAG_WORDS, name_like
from palate.summary import Kept, Language, Summary
from palate.types import UserProfile

CHARS = 600
TAGS, TITLES = 4, 3
_TOPIC = "topic:"
_CJK = re.compile(r"[\u3400-\u9fff]")
_STRANGE = re.compile(r"[<>{}\[\]|`*_#@\\/$%^=+~]|https?:|www\.")
_NUMBERS = re.compile(r"\d+")
_CALLED = re.compile(r"[\"“”‘’]([^\"“”‘’]{2,}?)[\"“”‘’]|《([^》]*)》|「([^」]*)」")
_STARTS = re.compile(r"(?:^|[.!?。！？;:]\s*)[\"“‘(]?\s*([A-Z][\w'’]*)")
_CAPITAL = re.compile(r"\b[A-Z][\w'’]*")
_WORD = re.compile(r"[A-Za-z]{2,}|[\u3400-\u9fff]")
_SENTENCE = re.compile(r"[^.!?。！？]+[.!?。！？]*")
_NAME = "\x01"
_PLAIN = 2
"""Words, or Chinese characters, of a sentence that are no names: fewer are a list."""


class Facts(NamedTuple):
    """What may be said of somebody. tags: values liked, most first; rising: those lately more so; titles: newest first,
    each once; praised: aspects that they write well of, by name; muted: what they don't want, never to be said."""

    tags: tuple[str, ...]
    rising: tuple[str, ...]
    titles: tuple[str, ...]
    praised: tuple[str, ...]
    muted: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.tags or self.titles)


def facts_of(profile: UserProfile) -> Facts:
    """What a profile lets be said. Names that look like words to a model (``language.screen``) are no names."""
    muted = tuple(dict.fromkeys(_value(tag) for tag in profile.muted))
    unwanted = {one.casefold() for one in muted}
    weighed = profile.tags or profile.long_term
    tags = [_value(one.tag) for one in weighed if one.weight > 0 and not one.tag.startswith(_TOPIC)]
    rising = [_value(one.tag) for one in profile.tags if one.trend == "rising" and not one.tag.startswith(_TOPIC)]
    titles = [one.title for one in profile.history if one.title and one.title != one.item and _kind(one.type)]
    praised = [one.aspect for one in profile.opinions if one.good > one.bad]

    def good(names: Sequence[str], most: int, cells: int = TAG_CELLS, words: int = TAG_WORDS) -> tuple[str, ...]:
        kept = [one for one in dict.fromkeys(names) if one.casefold() not in unwanted and name_like(one, cells, words)]
        return tuple(kept[:most])

    liked = good(tags, TAGS)
    return Facts(
        liked, tuple(one for one in good(rising, TAGS) if one in liked)[:2], good(titles, TITLES, 72, 10),
        tuple(praised[:2]), muted,
    )  # fmt: skip


def _value(tag: str) -> str:
    return tag.split(":", 1)[-1]


def _kind(name: str) -> bool:
    return name not in ("hide", "dislike")


def language_of(profile: UserProfile) -> Language:
    """The person's own: what a field of theirs says, else that of the titles they had."""
    for name in ("language", "lang", "locale"):
        said = str(profile.fields.get(name, "")).casefold()
        if said:
            return "zh" if said.startswith(("zh", "中", "chinese")) else "en"
    letters = [one for entry in profile.history[:20] for one in entry.title or "" if one.isalpha()]
    return "zh" if letters and sum(bool(_CJK.match(one)) for one in letters) > 0.3 * len(letters) else "en"


# ------------------------------------------------------------------------------------------ template


def by_template(facts: Facts, language: Language) -> str:
    """``facts`` in two or three sentences, '' where there is nothing to say."""
    return _chinese(facts) if language == "zh" else _english(facts)


def _english(facts: Facts) -> str:
    said: list[str] = []
    if facts.tags:
        said.append(f"Often chooses {_and(facts.tags)}.")
    if facts.rising and facts.rising != facts.tags:
        said.append(f"Lately more {_and(facts.rising)}.")
    if facts.titles:
        said.append(f"The last were {_and(facts.titles)}.")
    if facts.praised:
        said.append(f"Writes well of {_and(facts.praised)}.")
    return " ".join(said)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _chinese(facts: Facts) -> str:
    said: list[str] = []
    if facts.tags:
        said.append(f"常选{'、'.join(facts.tags)}。")
    if facts.rising and facts.rising != facts.tags:
        said.append(f"近来更多选{'、'.join(facts.rising)}。")
    if facts.titles:
        said.append(f"最近的有{''.join(f'《{one}》' for one in facts.titles)}。")
    if facts.praised:
        said.append(f"写过好评的方面：{'、'.join(chinese_names(list(facts.praised)))}。")
    return "".join(said)


def shown(profile: UserProfile, kept: Kept | None, wishes: str) -> Summary | None:
    """What a profile shows: the model's text where it is still true to what the person wants, else the template; None
    where there is nothing to say."""
    facts = facts_of(profile)
    if not facts:
        return None
    if kept is not None and kept.fits(wishes):
        behind = max(0, profile.interactions - kept.events)
        tried = not kept.grown(profile.interactions)
        if kept.text:
            return Summary(kept.text, kept.language, True, kept.model, kept.prompt, kept.made, behind, tried)
        language = language_of(profile)
        return Summary(by_template(facts, language), language, False, kept.model, kept.prompt, kept.made, behind, tried)
    language = language_of(profile)
    return Summary(by_template(facts, language), language)


# --------------------------------------------------------------------------------------------- check


def fault(text: str, facts: Facts, language: Language) -> str:
    """Why a model's text about somebody isn't taken, '' where it is: ``strange``, ``number``, ``name`` (one that wasn't
    given), ``muted``, ``private``, ``empty`` (a sentence without any of the facts, or no sentence), ``language``."""
    if not text or len(text) > CHARS or not text.isprintable():
        return "strange"
    praised = (*facts.praised, *chinese_names(list(facts.praised)))
    given = sorted((*facts.tags, *facts.titles, *praised), key=len, reverse=True)
    rest = text
    for name in given:
        rest = _boundless(name).sub(_NAME, rest)
    if _STRANGE.search(rest):
        return "strange"
    if _NUMBERS.search(rest):
        return "number"
    if any(_boundless(name).search(text) for name in facts.muted):
        return "muted"
    if _private(rest, language):
        return "private"
    called = [next(filter(None, match.groups()), "") for match in _CALLED.finditer(rest)]
    if any(one.strip(f"{_NAME} ,.、，。") for one in called):
        return "name"
    words = _words()
    first = {match.start(1) for match in _STARTS.finditer(rest) if match[1].casefold() in words.begin}
    if any(match.start() not in first for match in _CAPITAL.finditer(rest)):
        return "name"
    said = [one for one in _SENTENCE.findall(rest) if one.strip(" .!?。！？")]
    if any(_NAME not in one or len(_WORD.findall(one)) < _PLAIN for one in said):
        return "empty"
    letters = [one for one in rest if one.isalpha()]
    wide = sum(bool(_CJK.match(one)) for one in letters)
    return "language" if (wide > 0 if language == "en" else 2 * wide < len(letters)) else ""


@lru_cache(4096)
def _boundless(name: str) -> re.Pattern[str]:
    before = "(?<![A-Za-z0-9])" if name[:1].isascii() and name[:1].isalnum() else ""
    behind = "(?:e?s)?(?![A-Za-z0-9])" if name[-1:].isascii() and name[-1:].isalnum() else ""
    return re.compile(before + re.escape(name) + behind, re.IGNORECASE)


def _private(rest: str, language: Language) -> bool:
    words = _words()
    return bool(words.english.search(rest) or (language == "zh" and words.chinese.search(rest)))


class _Words(NamedTuple):
    """english, chinese: what is never said; begin: what an English sentence may begin with: any other word could be a
    name."""

    english: re.Pattern[str]
    chinese: re.Pattern[str]
    begin: frozenset[str]


@cache
def _words() -> _Words:
    read = tomllib.loads((Path(__file__).parent / "portrayal.toml").read_text(encoding="utf-8"))
    english, chinese, begin = (
        read[one][key].split() for one, key in (("en", "never"), ("zh", "never"), ("en", "begin"))
    )
    whole = "|".join(re.escape(word) + ("" if word.endswith("*") else r"\b") for word in english).replace(r"\*", "")
    return _Words(
        re.compile(rf"\b(?:{whole})", re.IGNORECASE), re.compile("|".join(map(re.escape, chinese))), frozenset(begin)
    )
