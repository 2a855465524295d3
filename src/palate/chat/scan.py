"""An utterance in parts: phrases of the talk, numbers, values, titles, and what is none of these."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field

from palate.chat.glossary import GROUP_OF, GROUPS
from palate.chat.numbers import DECADES, ONES, TENS, Number, number_at
from palate.chat.schema import Schema, Value, steering
from palate.chat.words import (
    ADJECTIVE_OF,
    ALSO,
    CUE_OF,
    LONGEST,
    ROLE_OF,
    TOKEN,
    Phrase,
    plain,
    singular,
)

_CLOSING = {'"': '"', "《": "》", "<": ">"}
_TO = re.compile(r"\s*(?:to|through|till|until|-|–|—|~|到|至|and|和)\s*")
_JOINED = re.compile(r"\s*(?:to|through|till|until|-|–|—|~|到|至)\s*")
_ALIKE = re.compile(r"[^,;。，；]*?(?:类似|差不多|一样|相似)")
_OR = ("or", "或")
_STARTS = frozenset(
    [*ONES, *TENS, *DECADES, "hundred", "thousand", "couple", "a", "an", "half", "the", "early", "late", "mid"]
)
_HANS = frozenset("零〇一二两三四五六七八九十百千半上")
_MIN_BARE = 5
_CUTOFF = 0.82


@dataclass(slots=True)
class Part:
    """kind: ``cue`` (name: which), ``adjective`` (role, sign), ``role``, ``number``, ``value``, ``gloss`` (a general
    word that no value answers to), ``title`` (items), ``punct`` (name: ``hard``, ``soft`` or ``list``), ``other``."""

    kind: str
    text: str
    at: int
    name: str = ""
    sign: int = 0
    number: Number | None = None
    values: list[Value] = field(default_factory=list[Value])
    items: list[str] = field(default_factory=list[str])
    also: frozenset[str] = frozenset()
    quoted: bool = False


def scan(text: str, schema: Schema) -> list[Part]:
    """The parts of a normal text, in order. Cost: O(tokens), some 10 µs each."""
    return _Scanner(text, schema).run()


def near_title(words: Phrase, schema: Schema) -> list[str]:
    """Items whose title is nearly these words, [] where none is: a letter or two amiss."""
    pool = {title for word in words for title in schema.words.get(word, ())[:200]}
    if not pool and len(words) == 1:
        close = difflib.get_close_matches(words[0], schema.words.keys(), 3, 0.8) if len(schema.words) < 30_000 else []
        pool = {title for word in close for title in schema.words[word] if len(title) == 1}
    joined = {" ".join(title): title for title in pool if abs(len(title) - len(words)) <= 1}
    found = difflib.get_close_matches(" ".join(words), joined.keys(), 1, _CUTOFF)
    if not found and len(only := [title for title in pool if set(words) <= set(title)]) == 1:
        return schema.titles[only[0]]
    return schema.titles.get(joined[found[0]], []) if found else []


def near_values(words: Phrase, schema: Schema) -> list[Value]:
    """Values whose words are nearly these, [] where none is."""
    if not words or len("".join(words)) < 4 or not words[0].isascii():
        return []
    spoken = " ".join(words)
    pool = {
        " ".join(phrase): phrase
        for phrase in schema.surfaces
        if len(phrase) == len(words) and phrase[0][:1] == words[0][:1]
    }
    found = difflib.get_close_matches(spoken, pool.keys(), 1, _CUTOFF)
    return schema.surfaces[pool[found[0]]] if found else []


class _Scanner:
    def __init__(self, text: str, schema: Schema) -> None:
        self.text = text
        self.schema = schema
        found = [(one.group(), one.start(), one.end()) for one in TOKEN.finditer(text)]
        self.tokens = [
            (piece, start, end) for piece, start, end in found if not (piece == "-" and _inside(text, start))
        ]
        self.words = [singular(plain(piece)) for piece, _, _ in self.tokens]
        self.parts: list[Part] = []
        self.expect = ""  # ``title`` after "like", ``maybe`` after "I like"

    def run(self) -> list[Part]:
        at = 0
        while at < len(self.tokens):
            at = self._step(at)
        return self.parts

    def _step(self, at: int) -> int:
        piece, start, _ = self.tokens[at]
        if piece in _CLOSING and (end := self._quoted(at)):
            return end
        if self.expect == "title" and (end := self._title(at)):
            return end
        if end := self._number(at):
            return end
        if not piece[0].isalnum() and piece not in ("$", "€", "£", "&", "<", ">", "≤", "≥", "+"):
            name = (
                "list"
                if piece in "、/"
                else "soft"
                if piece in ",，"
                else "hard"
                if piece in ".;!?。；！？…\n:"
                else ""
            )
            if name:
                self._add(Part("punct", piece, start, name))
                self.expect = ""
            return at + 1
        return self._phrase(at)

    def _add(self, part: Part) -> None:
        self.parts.append(part)

    def _quoted(self, at: int) -> int:
        """What stands in quotation marks or 《》 is a title, else a value, else words."""
        close = _CLOSING[self.tokens[at][0]]
        for end in range(at + 1, len(self.tokens)):
            if self.tokens[end][0] == close:
                words = tuple(word for word in self.words[at + 1 : end] if word[0].isalnum())
                inner = self.text[self.tokens[at][2] : self.tokens[end][1]].strip()
                items = self._named(words, at, end + 1) or near_title(words, self.schema)
                values = [] if items else self.schema.surfaces.get(words, []) or [
                    Value(name, value, n) for name, held in self.schema.categories.items()
                    for value, n in held.items() if value.lower() == inner
                ]  # fmt: skip
                kind = "title" if items else "value" if values else "other"
                self._add(Part(kind, inner, self.tokens[at][1], items=items, values=values, quoted=True))
                self.expect = ""
                return end + 1
        return 0

    def _title(self, at: int) -> int:
        """The longest title that begins here; one across a comma only where nothing before the comma is one."""
        spans: list[tuple[int, Phrase, bool]] = []
        words: list[str] = []
        crossed = False
        for end in range(at, min(len(self.tokens), at + 2 * LONGEST)):
            piece = self.tokens[end][0]
            if piece[0].isalnum():
                words.append(self.words[end])
                spans.append((end + 1, tuple(words), crossed))
            elif piece in ".;!?。；！？":
                break
            elif piece in ",，、":
                crossed = True
        for across in (False, True):
            for end, phrase, crossing in reversed(spans):
                if crossing is across and (items := self._named(phrase, at, end)):
                    self._add(Part("title", self._words(at, end), self.tokens[at][1], items=items))
                    self.expect = ""
                    return end
        return 0

    def _named(self, phrase: Phrase, at: int, end: int) -> list[str]:
        """Items by title: "aliens" is Aliens where there is one, and Alien only where there is not."""
        raw = tuple(plain(piece) for piece, _, _ in self.tokens[at:end] if piece[0].isalnum())
        return self.schema.exact.get(raw) or self.schema.titles.get(phrase, [])

    def _number(self, at: int) -> int:
        piece, start, _ = self.tokens[at]
        if not (piece[0].isdigit() or piece in _STARTS or piece[0] in _HANS or piece in "$€£'"):
            return 0
        found = number_at(self.text, start)
        if found is None or not self._counts(found, piece):
            return 0
        before = self.parts[-1] if self.parts else None
        spoken = before is not None and "between" in before.also
        joint = (_TO if spoken else _JOINED).match(self.text, found.end)
        if joint:
            second = number_at(self.text, joint.end())
            if (
                second is not None and second.low > found.low - 1e-9 and "duration" not in (found.role, second.role)
            ) or (second is not None and second.role == found.role):
                role = second.role or found.role
                scale = 60.0 if role == "duration" and not found.role and second.low > found.low * 20 else 1.0
                found = Number(found.low * scale, second.high, role, second.end)
        self._add(Part("number", self.text[start : found.end].strip(), start, number=found))
        self.expect = ""
        end = at
        while end < len(self.tokens) and self.tokens[end][1] < found.end:
            end += 1
        return end

    def _counts(self, found: Number, piece: str) -> bool:
        """Words such as "one" or "a" only count with a unit."""
        if piece[0].isdigit() or found.role:
            return True
        return found.low >= 10

    def _phrase(self, at: int) -> int:
        raw = [piece for piece, _, _ in self.tokens[at : at + LONGEST]]
        while raw and not all(piece[0].isalnum() or len(raw) == 1 for piece in raw):
            raw.pop()
        best: tuple[int, int, Part] | None = None
        for n in range(len(raw), 0, -1):
            phrase, single = tuple(raw[:n]), tuple(self.words[at : at + n])
            rank = n * 10
            start, spoken = self.tokens[at][1], self._words(at, at + n)
            options: list[tuple[int, Part]] = []
            cue = CUE_OF.get(phrase)
            if cue is not None and not (n > 1 and phrase[0] in _OR and cue.startswith("post_") and not self._counted()):
                options.append((rank + (5 if cue != "stop" else 0), Part("cue", spoken, start, cue, also=ALSO[phrase])))
            if phrase in ADJECTIVE_OF:
                role, sign = ADJECTIVE_OF[phrase]
                options.append((rank + 4, Part("adjective", spoken, start, role, sign)))
            values = self.schema.surfaces.get(single) or self.schema.surfaces.get(phrase)
            if values:
                options.append((rank + 3, Part("value", spoken, start, values=values)))
            elif (group := GROUP_OF.get(phrase, GROUP_OF.get(single))) is not None and (
                GROUPS[group][0] and not (phrase[0].isascii() and len(phrase[0]) < 3 and n == 1)
            ):
                options.append((rank + 2, Part("gloss", spoken, start, GROUPS[group][0])))
            if phrase in ROLE_OF or single in ROLE_OF:
                options.append((rank + 1, Part("role", spoken, start, ROLE_OF.get(phrase, ROLE_OF.get(single, "")))))
            for value, part in options:
                if best is None or value > best[0]:
                    best = value, n, part
        if (
            self.expect == "maybe"
            and (best is None or best[2].kind == "other" or best[2].name == "stop")
            and self._title(at)
        ):
            return self._end_of_title(at)
        if best is None:
            self._add(Part("other", self.tokens[at][0], self.tokens[at][1]))
            return at + 1
        _, n, part = best
        self._expected(part, at + n)
        self._add(part)
        return at + n

    def _counted(self) -> bool:
        """Whether a number stands right before, but for what qualifies it: only then "or newer" is its other side."""
        for part in reversed(self.parts):
            if part.kind != "cue":
                return part.kind == "number"
        return False

    def _end_of_title(self, at: int) -> int:
        return at + len(TOKEN.findall(self.parts[-1].text))

    def _expected(self, part: Part, end: int) -> None:
        """What may come after a phrase."""
        if part.kind == "cue" and part.name in ("and",) and part.text in ("和", "跟", "与"):
            rest = self.text[self.tokens[end][1] :] if end < len(self.tokens) else ""
            if _ALIKE.match(rest):
                part.name = "like"
        if part.kind == "cue" and part.name in ("like", "than", "seen", "hide", "how"):
            self.expect = "title"
        elif part.kind == "cue" and part.name == "more":
            self.expect = "maybe"
        elif not (part.kind == "cue" and part.name in ("stop", "want")):
            self.expect = ""

    def _words(self, at: int, end: int) -> str:
        return self.text[self.tokens[at][1] : self.tokens[end - 1][2]]


def _inside(text: str, at: int) -> bool:
    """Whether a hyphen joins two words."""
    return 0 < at < len(text) - 1 and text[at - 1].isalpha() and text[at + 1].isalpha()


def bare_title(parts: list[Part], schema: Schema) -> list[str]:
    """Items whose title is all that a clause says but for words that carry nothing."""
    words: list[str] = []
    for part in parts:
        if part.kind == "other" or (part.kind == "cue" and part.name == "stop" and words):
            words += [singular(plain(piece)) for piece in TOKEN.findall(part.text)]
        elif part.kind != "cue" or part.name not in ("stop", "want"):
            return []
    phrase = tuple(words)
    if not phrase or steering(phrase) or (len(phrase) == 1 and len(phrase[0]) < _MIN_BARE):
        return []
    return schema.titles.get(phrase, [])
