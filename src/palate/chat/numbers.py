"""Numbers in words and digits, English and Chinese, with their units; decades and years."""

from __future__ import annotations

import re
from typing import NamedTuple

from palate.chat.words import UNITS


def _counted(words: str, first: int, step: int) -> dict[str, int]:
    return {word: step * n for n, word in enumerate(words.split(), first)}


ONES = _counted(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
    0,
    1,
)
TENS = _counted("twenty thirty forty fifty sixty seventy eighty ninety", 2, 10)
DECADES = _counted("twenties thirties forties fifties sixties seventies eighties nineties", 2, 10)
_HAN = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_STEPS = {"十": 10, "百": 100, "千": 1000}
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_WORD = "|".join([*ONES, *TENS, "hundred", "thousand", "million", "couple"])
_PLAIN = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_HANS = "[零〇一二两三四五六七八九十百千]+"

_YEARS = re.compile(
    r"(?P<decade>(?:early |late |mid[- ])?(?:the )?(?:(?:19|20)\d0|'?\d0)'?s\b)"
    rf"|(?P<words>\b(?:{'|'.join(DECADES)})\b)"
    r"|(?P<zh>(?:上世纪|二十世纪)?(?P<zd>(?:19|20)?\d0|[一二三四五六七八九][十零〇]|一九[一二三四五六七八九]零)年代)"
    r"|(?P<year>(?:1[89]|20)\d\d)(?P<nian>\s*年)?(?![\d.]|\s*(?:%s)(?![a-z年]))"
    % "|".join(re.escape(u) for u in UNITS if u not in ("h", "g", "分"))
    + r"|(?P<zhyear>[一二][九〇零][零〇一二三四五六七八九]{2})年"
)
_DURATION = re.compile(
    r"(?P<h>\d+)\s*(?:h|hours?|hrs?|小时)\s*(?:and\s*)?(?P<m>\d+)\s*(?:m\b|mins?\b|minutes?\b|分钟|分)?"
    r"|(?P<half>half an hour|半小时|半个小时|半个钟头)"
    rf"|(?P<lead>an|a|one|{_WORD}|\d+) hours?(?: |-)and(?: |-)a(?: |-)half"
    rf"|(?P<lead2>{_WORD}|\d+)(?: |-)and(?: |-)a(?: |-)half(?: |-)hours?"
    rf"|(?P<zh>{_HANS}|\d+)(?:个)?半(?:个)?(?:小时|钟头)"
    rf"|(?P<zh2>{_HANS}|\d+)(?:个)?(?:小时|钟头)半"
    r"|(?P<one>an hour)\b"
)
_NUMBER = re.compile(
    rf"(?P<before>[$€£¥])?\s*(?:(?P<digits>{_PLAIN})\s*(?P<times>million|thousand|k\b|万)?"
    rf"|(?P<words>\b(?:a (?:hundred|thousand|couple of)|(?:{_WORD})(?:[ -](?:and )?(?:{_WORD}))*)\b)"
    rf"|(?P<han>{_HANS})(?=(?:个)?(?:{_UNIT})|点|以|年))"
    rf"\s*(?:-\s*)?(?P<unit>(?:个)?(?:{_UNIT}))?(?![a-z])"
)


class Number(NamedTuple):
    """low, high: equal but for a span such as a decade. role: by its unit, ``year``, or ''. end: where it stops."""

    low: float
    high: float
    role: str
    end: int

    @property
    def span(self) -> bool:
        """Whether it stands for a whole stretch, as a decade does."""
        return self.high != self.low


def han_number(text: str) -> float:
    """一百二十 → 120; 一九九五 → 1995."""
    if not any(c in _STEPS for c in text):
        return float("".join(str(_HAN[c]) for c in text))
    total, last = 0, 1 if text[0] in _STEPS else 0
    for c in text:
        if c in _STEPS:
            total += (last or 1) * _STEPS[c]
            last = 0
        else:
            last = _HAN[c]
    return float(total + last)


def words_number(text: str) -> float:
    """ "two hundred and fifty" → 250."""
    total, last = 0, 0
    for word in re.split(r"[ -]+", text):
        if word in ONES or word in TENS:
            last += ONES.get(word, TENS.get(word, 0))
        elif word == "couple":
            last = 2
        elif word == "hundred":
            last = max(1, last) * 100
        elif word in ("thousand", "million"):
            total, last = total + max(1, last) * (1000 if word == "thousand" else 1_000_000), 0
    return float(total + last)


def _any(text: str) -> float:
    if text in ("a", "an"):
        return 1.0
    return (
        float(text)
        if text.isdigit()
        else han_number(text)
        if text[0] in _HAN or text[0] in _STEPS
        else words_number(text)
    )


def _decade(text: str) -> float | None:
    if text and text[0] in _HAN:
        text = str(int(han_number(text.replace("零", "〇")) if "十" in text else han_number(text)))
    digits = re.sub(r"\D", "", text)
    if len(digits) == 4:
        return float(digits)
    if len(digits) == 2:
        return 1900.0 + int(digits) if int(digits) >= 30 else 2000.0 + int(digits)
    return None


def number_at(text: str, start: int) -> Number | None:
    """The number that begins at ``start``, the longest reading of it; None where there is none."""
    found = _DURATION.match(text, start)
    if found:
        if found["h"]:
            minutes = 60 * float(found["h"]) + float(found["m"])
        elif found["half"]:
            minutes = 30.0
        elif found["one"]:
            minutes = 60.0
        else:
            minutes = 60 * _any(found["lead"] or found["lead2"] or found["zh"] or found["zh2"]) + 30
        return Number(minutes, minutes, "duration", found.end())
    found = _YEARS.match(text, start)
    if found:
        if found["decade"] or found["zd"] or found["words"]:
            first = 1900.0 + DECADES[found["words"]] if found["words"] else _decade(found["decade"] or found["zd"])
            if first is not None:
                end = first + 99 if found["decade"] and first % 100 == 0 and first < 2000 else first + 9
                return Number(first, end, "year", found.end())
        elif found["year"] or found["zhyear"]:
            year = float(found["year"]) if found["year"] else han_number(found["zhyear"])
            end = found.end()
            return Number(year, year, "year" if found["nian"] or found["zhyear"] else "year?", end)
    found = _NUMBER.match(text, start)
    if not found or found.end() == start:
        return None
    if found["digits"]:
        value = float(found["digits"].replace(",", ""))
        value *= {"million": 1e6, "thousand": 1e3, "k": 1e3, "万": 1e4}.get(found["times"] or "", 1.0)
    else:
        value = words_number(found["words"]) if found["words"] else han_number(found["han"])
    unit = found["unit"] or found["before"] or ""
    unit = unit if unit in UNITS else unit.removeprefix("个")
    role, scale = UNITS.get(unit, ("", 1.0))
    return Number(value * scale, value * scale, role, found.end())
