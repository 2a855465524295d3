"""What a review or a comment says: a sentiment in [−1, 1], the words that it comes from, and opinions of aspects.

A lexicon with rules, English and Chinese, nothing to load and nothing to ask: words have a worth, which negation turns,
adverbs strengthen or weaken, "but" shifts to what follows, a wish or a question takes back. The form goes back to
Hutto and Gilbert (2014, VADER) and Taboada et al. (2011, SO-CAL); which opinion is of which aspect follows the nearest
mention in the same clause (Hu and Liu 2004). The sentiment is tanh(scale · Σ / √(4 + words of opinion)). A pure
function of the text and of ``words.version``. Cost: some 3 µs a word.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final, NamedTuple

from palate.feedback.words import HAN, Lexicon, aspects, chinese, english, han_words, rule_words, signs, simplified

CHARS: Final = 2_000
"""Of a text that are read."""
NEUTRAL: Final = 0.1
"""A sentiment this near 0 is none."""
_TURNED: Final = -0.7
_STRONG, _WEAK = 1.3, 0.7
_BEFORE_BUT, _AFTER_BUT = 0.6, 1.3
_CONCEDED: Final = 0.6
_WISHED: Final = 0.4
_ASKED: Final = 0.5
_SHOUTED: Final = 1.2
_EXCLAIMED: Final = 0.12
_TOO: Final = -1.5
_REACH: Final = 4
"""Words over which a negation reaches."""
_WISH_REACH: Final = 5
_ASPECT_REACH: Final = 7


class Spoken(NamedTuple):
    """A word of opinion: as the lexicon has it; worth: after all rules; place: of its token; clause: its number."""

    word: str
    worth: float
    place: int
    clause: int


class View(NamedTuple):
    """An opinion of an aspect (its place in ``words.aspects``), in [−1, 1], and the words that it comes from."""

    aspect: int
    sentiment: float
    words: tuple[str, ...]


class Opinion(NamedTuple):
    """sentiment in [−1, 1], 0 where nothing is said; words: (word, worth after the rules), the heaviest first."""

    sentiment: float
    words: tuple[tuple[str, float], ...]
    views: tuple[View, ...]


NOTHING: Final = Opinion(0.0, (), ())
_REPEATED = re.compile(r"(\w)\1{2,}")


@cache
def _tokens() -> re.Pattern[str]:
    """Tokens, by name of the group: sign, han, word, end (of a sentence), pause."""
    marks = sorted((s for s in signs() if not s.isalpha()), key=len, reverse=True)
    worded = "|".join(sorted((re.escape(s) for s in signs() if s.isalpha()), key=len, reverse=True))
    return re.compile(
        f"(?P<sign>{'|'.join(map(re.escape, marks))}|\\b(?:{worded})\\b)|(?P<han>[{HAN}]+)"
        f"|(?P<word>[^\\W_{HAN}]+(?:['-][^\\W_{HAN}]+)*)|(?P<end>[.!?。！？;；…\\n]+)|(?P<pause>[,，、:：()（）\"“”—–]+|--)"
    )


def _han(run: str) -> list[str]:
    """Chinese words: at each place the longest known one, else one character."""
    words, longest = han_words()
    out: list[str] = []
    place = 0
    while place < len(run):
        size = min(longest.get(run[place], 1), len(run) - place)
        while size > 1 and run[place : place + size] not in words:
            size -= 1
        out.append(run[place : place + size])
        place += size
    return out


@lru_cache(maxsize=65_536)
def _known(word: str) -> str:
    """The entry of the English lexicon that a lower-case word is a form of, '' for none."""
    worth = english().worth
    if word in worth:
        return word
    if not word.isascii() or len(word) < 4 or word in rule_words():
        return ""
    shorter = _REPEATED.sub(r"\1", word)
    if shorter != word:
        return _known(shorter) or _known(_REPEATED.sub(r"\1\1", word))
    for ending, instead in _FORMS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: -len(ending)]
            for tail in instead:
                if stem + tail in worth:
                    return stem + tail
            if len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in worth:
                return stem[:-1]
    return ""


_FORMS: Final = (
    ("iest", ("y",)), ("ies", ("y",)), ("ied", ("y",)), ("ier", ("y",)), ("ily", ("y",)), ("est", ("", "e")),
    ("ing", ("", "e")), ("ed", ("", "e")), ("es", ("", "e")), ("er", ("", "e")), ("ly", ("", "le", "e")), ("s", ("",)),
    ("d", ("",)),
)  # fmt: skip


@dataclass(slots=True)
class _Reading:
    """A text on its way through the rules."""

    spoken: list[Spoken] = field(default_factory=list[Spoken])
    mentions: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])  # aspect, place, clause
    english: int = 0
    chinese: int = 0


def words_of(text: str) -> list[tuple[str, str]]:
    """(kind, token) in order. Kinds: ``sign``, ``han``, ``word`` (lower case), ``shout``, ``end``, ``pause``."""
    text = text[:CHARS].replace("’", "'")
    shouting = text.isupper()
    found: list[tuple[str, str]] = []
    for match in _tokens().finditer(text):
        kind, token = str(match.lastgroup), match[0]
        if kind == "word":
            shout = len(token) > 2 and not shouting and token.isupper()
            found.append(("shout" if shout else "word", token.lower()))
        elif kind == "han":
            found += [("han", word) for word in _han(token.translate(simplified()))]
        else:
            found.append((kind, token))
    return found


def _phrase(tokens: list[tuple[str, str]], at: int, book: Lexicon) -> int:
    """How many tokens of the longest phrase of the lexicon that begins at ``at``; 0 for none."""
    most = min(book.longest, len(tokens) - at)
    best, said = 0, tokens[at][1]
    for n in range(1, most):
        kind, token = tokens[at + n]
        if kind not in ("word", "shout"):
            break
        said += " " + token
        if said in book.worth:
            best = n + 1
    return best


def read_words(text: str) -> _Reading:
    """The words of opinion of a text, with what the rules make of them, and the aspects that it mentions."""
    out = _Reading()
    tokens = words_of(text)
    told = aspects()
    spoken = out.spoken
    place, clause = 0, 0
    sentence = negated = wished = skip = 0
    boost, weight = 1.0, 1.0
    conceded = False
    begins = _beginnings()
    while place < len(tokens):
        kind, token = tokens[place]
        here = place
        place += 1
        if kind == "end" or kind == "pause":
            clause += 1
            negated = wished = 0
            boost = 1.0
            if conceded:
                conceded, weight = False, 1.0
            if kind == "end":
                marks = token.count("!") + token.count("！")
                factor = 1.0 + _EXCLAIMED * min(3, marks)
                if "?" in token or "？" in token:
                    factor = _ASKED
                if factor != 1.0:
                    spoken[sentence:] = [one._replace(worth=one.worth * factor) for one in spoken[sentence:]]
                sentence, weight = len(spoken), 1.0
            continue
        han = kind == "han"
        book = chinese() if han else english()
        if han:
            out.chinese += 1
            key, size = token, 1
        else:
            out.english += 1
            size = _phrase(tokens, here, book) if token in begins else 0
            if size:
                key = " ".join(word for _, word in tokens[here : here + size])
                place = here + size
            else:
                key, size = (token, 1) if kind == "sign" else (_known(token) or token, 1)
        aspect = told.of.get(token, -1) if size == 1 else -1
        if aspect < 0 and size == 1 and not han and token.endswith("s"):
            aspect = told.of.get(token[:-1], -1)
        if aspect < 0:
            aspect = told.implied.get(key, -1)
        if aspect >= 0:
            out.mentions.append((aspect, here, clause))
        if token in book.contrast and size == 1 and not (han and len(token) == 1 and negated):
            spoken[sentence:] = [one._replace(worth=one.worth * _BEFORE_BUT) for one in spoken[sentence:]]
            clause += 1
            negated, boost, weight, conceded = 0, 1.0, _AFTER_BUT, False
            continue
        if token in book.concession and size == 1:
            conceded, weight = True, _CONCEDED
            continue
        worth = book.worth.get(key, 0.0)
        if boost == _TOO and token in book.too:
            worth, boost = _TOO, 1.0
        if worth and not (size == 1 and token in book.negators):
            value = worth * weight * (abs(boost) if boost != _TOO else _STRONG)
            if kind == "shout":
                value *= _SHOUTED
            if negated and kind != "sign":
                value *= _TURNED
                negated = 0
            if wished and value > 0:
                value *= _WISHED
            spoken.append(Spoken(key, value, here, clause))
            boost, skip = 1.0, 0
        elif token in book.negators:
            negated = 0 if han and negated else _REACH + 1
            if worth:
                spoken.append(Spoken(key, worth * weight * abs(boost), here, clause))
                boost = 1.0
        elif token in book.stronger:
            boost = _TOO if token in ("too", "太", "overly") and not negated else _STRONG
            skip = 0
        elif token in book.weaker:
            boost, skip = _WEAK, 0
        elif token in book.wishes:
            wished = _WISH_REACH + 1
        else:
            skip += 1
            if skip > 1:
                boost, skip = 1.0, 0
        negated, wished = max(0, negated - 1), max(0, wished - 1)
    return out


@cache
def _beginnings() -> frozenset[str]:
    return frozenset(phrase.split()[0] for phrase in english().worth if " " in phrase)


@lru_cache(maxsize=1024)
def read(text: str) -> Opinion:
    """What ``text`` says. Only its first ``CHARS`` characters are read; those of ``first`` make the better key."""
    found = read_words(text)
    if not found.spoken:
        return NOTHING
    book = chinese() if found.chinese > found.english else english()
    total = sum(one.worth for one in found.spoken)
    sentiment = _graded(total, len(found.spoken), book)
    heaviest = sorted(found.spoken, key=lambda one: (-abs(one.worth), one.place))
    words = tuple((one.word, round(one.worth, 2)) for one in heaviest[:8])
    return Opinion(sentiment, words, _views(found, book))


def understand(text: str) -> Opinion:
    """``read`` of what of a text is read."""
    return read(text[:CHARS])


def _graded(total: float, n: int, book: Lexicon) -> float:
    return round(math.tanh(book.scale * total / math.sqrt(4 + n)), 4)


def _views(found: _Reading, book: Lexicon) -> tuple[View, ...]:
    """Each word of opinion goes to the nearest mention of an aspect in its clause, within reach."""
    parts: dict[int, list[Spoken]] = {}
    for one in found.spoken:
        near = [
            (abs(place - one.place), at)
            for at, (_, place, clause) in enumerate(found.mentions)
            if clause == one.clause and abs(place - one.place) <= _ASPECT_REACH
        ]
        if near:
            parts.setdefault(found.mentions[min(near)[1]][0], []).append(one)
    out: list[View] = []
    for aspect, some in sorted(parts.items()):
        sentiment = _graded(sum(one.worth for one in some), len(some), book)
        if abs(sentiment) >= NEUTRAL:
            out.append(View(aspect, sentiment, tuple(one.word for one in some)[:4]))
    return tuple(out)
