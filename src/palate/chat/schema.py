"""What a catalogue can be asked for, learnt from its items: fields, ranges, values, titles. Nothing is declared.

Everything an utterance may end up as comes from here, so that no wish names a field, value or item that isn't there.
What items say steers nothing: a value or a title that begins like a phrase of the talk (``no horror``, ``start
over``) can't be meant without quotation marks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from palate.chat.glossary import GROUP_OF, GROUPS
from palate.chat.words import ALSO, LONGEST, MAKERS, ROLES, Phrase, normal, plain, singular, tokens
from palate.content.text import TITLE_FIELDS, title
from palate.types import F64, FieldValue

_STEERING = frozenset(
    {*("neg", "less", "nottoo", "more", "only", "want", "like", "lt", "lte", "gt", "gte", "before", "after", "between"),
     *("undo", "reset", "fine", "drop", "hide", "seen", "than")}
)  # fmt: skip
_ENDING = frozenset({"neg", "less", "undo", "reset", "fine", "drop", "hide"})
_MOST_VALUES = 20_000
_MOST_CHARS = 48
_MOST_TITLES = 200_000
_HALF = 0.5


@dataclass(slots=True)
class Numeric:
    """A field of numbers, or of dates as ISO texts (``dates``). thirds: its terciles; whole: no fractions."""

    name: str
    role: str
    low: float
    high: float
    thirds: tuple[float, float]
    whole: bool
    dates: bool = False
    scale: float = 1.0

    def number(self, value: float) -> float | int:
        """``value``, in the role's unit, as the field holds it."""
        here = value / self.scale
        return int(here) if float(here).is_integer() else round(here, 4)


@dataclass(slots=True)
class Value:
    """A value of a field, as items hold it, and how many do."""

    field: str
    value: str
    count: int


@dataclass(slots=True)
class Schema:
    """numeric, roles: by name and by role. surfaces: what is said → values. titles: what is said → item ids."""

    numeric: dict[str, Numeric] = field(default_factory=dict[str, Numeric])
    categories: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    roles: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    surfaces: dict[Phrase, list[Value]] = field(default_factory=dict[Phrase, list[Value]])
    titles: dict[Phrase, list[str]] = field(default_factory=dict[Phrase, list[str]])
    words: dict[str, list[Phrase]] = field(default_factory=dict[str, list[Phrase]])
    exact: dict[Phrase, list[str]] = field(default_factory=dict[Phrase, list[str]])
    lists: set[str] = field(default_factory=set[str])
    items: int = 0

    def of_role(self, role: str) -> Numeric | None:
        """The numeric field that plays ``role``."""
        return next((self.numeric[name] for name in self.roles.get(role, ()) if name in self.numeric), None)

    def values(self) -> list[Value]:
        """Every value, the commonest first."""
        found = [Value(name, value, n) for name, counts in self.categories.items() for value, n in counts.items()]
        return sorted(found, key=lambda one: (-one.count, one.field, one.value))


def surface(text: str) -> Phrase:
    """What is compared of a value or a title: its words without accents, in the singular."""
    return tuple(singular(word) for word in tokens(plain(normal(text))))


@lru_cache(4096)
def role_of(name: str) -> str:
    """The role of a field by its name, or ''."""
    words = tokens(normal(name.replace("_", " ").replace("-", " ")))
    split = tuple(singular(word) for word in words)
    for role, phrases in ROLES.items():
        named = [tokens(phrase) for phrase in phrases]
        if split in named or words in named:
            return role
    for role, phrases in ROLES.items():
        if role not in ("size", "rating") and any(tokens(p) == (word,) for p in phrases for word in split):
            return role
    return ""


def _unit(name: str, role: str) -> float:
    lower = name.lower()
    if role == "duration":
        return 60.0 if "hour" in lower else 1 / 60 if "sec" in lower else 1.0
    return 1000.0 if role == "weight" and ("kg" in lower or "kilo" in lower) else 1.0


def learn(items: Iterable[tuple[str, Mapping[str, FieldValue]]]) -> Schema:
    """The schema of (id, fields) pairs. Cost: about 20 µs an item."""
    numbers: dict[str, list[float]] = {}
    dates: dict[str, list[str]] = {}
    counts: dict[str, Counter[str]] = {}
    schema = Schema()
    for item, fields in items:
        schema.items += 1
        for name, value in fields.items():
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                numbers.setdefault(name, []).append(float(value))
            elif name.lower() in TITLE_FIELDS:
                continue
            elif isinstance(value, str) and len(value) >= 10 and value[:4].isdigit() and value[4] == "-":
                dates.setdefault(name, []).append(value[:10])
            else:
                if isinstance(value, list):
                    schema.lists.add(name)
                for one in value if isinstance(value, list) else (value,):
                    if 0 < len(one) <= _MOST_CHARS and "://" not in one:
                        counts.setdefault(name, Counter())[one] += 1
        if schema.items <= _MOST_TITLES and (name := title(fields)):
            _entitle(schema, name, item)
    _numbers(schema, numbers, dates)
    for name, found in counts.items():
        if sum(found.values()) >= 1.2 * len(found) or role_of(name):  # a field whose every value is another names items
            schema.categories[name] = Counter(dict(found.most_common(_MOST_VALUES)))
            _play(schema, name)
    _surfaces(schema)
    return schema


def _play(schema: Schema, name: str) -> None:
    role = role_of(name)
    if role:
        schema.roles.setdefault(role, []).append(name)


def _numbers(schema: Schema, numbers: dict[str, list[float]], dates: dict[str, list[str]]) -> None:
    for name, found in numbers.items():
        values: F64 = np.array(found)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        role = role_of(name)
        low, high = np.quantile(values, [1 / 3, 2 / 3], method="lower").tolist()
        whole = bool(np.all(values == np.floor(values)))
        schema.numeric[name] = Numeric(
            name, role, float(values.min()), float(values.max()), (low, high), whole, scale=_unit(name, role)
        )
        _play(schema, name)
    for name, stamps in dates.items():
        years = np.array([float(stamp[:4]) for stamp in stamps])
        low, high = np.quantile(years, [1 / 3, 2 / 3], method="lower").tolist()
        schema.numeric[name] = Numeric(name, "year", years.min(), years.max(), (low, high), True, True)
        schema.roles.setdefault("year", []).append(name)


def steering(phrase: Phrase) -> bool:
    """Whether a phrase begins as the talk itself does, or ends a wish: such a value is never found by itself."""
    heads = [phrase[:n] for n in range(1, min(len(phrase), LONGEST) + 1)]
    if any(ALSO.get(head, frozenset()) & _STEERING for head in heads) or ALSO.get(phrase) is not None:
        return True
    inner = (phrase[at : at + n] for at in range(1, len(phrase)) for n in range(1, min(len(phrase) - at, LONGEST) + 1))
    return any(ALSO.get(part, frozenset()) & _ENDING for part in inner)


def _entitle(schema: Schema, name: str, item: str) -> None:
    phrase = surface(name)
    keys = {phrase}
    if len(phrase) > 1 and phrase[0] in ("the", "a", "an"):
        keys.add(phrase[1:])
    if len(phrase) > 1 and phrase[-1].isdigit() and len(phrase[-1]) == 4:
        keys.add(phrase[:-1])
    schema.exact.setdefault(tokens(plain(normal(name))), []).append(item)
    for key in keys:
        if key:
            schema.titles.setdefault(key, []).append(item)
    for word in set(phrase):
        schema.words.setdefault(word, []).append(phrase)


def _surfaces(schema: Schema) -> None:
    by_group: dict[int, list[Value]] = {}
    people: dict[str, list[Value]] = {}
    for one in schema.values():
        phrase = surface(one.value)
        if not phrase:
            continue
        if not steering(phrase) and not _code(phrase):
            schema.surfaces.setdefault(phrase, []).append(one)
            if len(phrase) > 1 and all(word.isascii() for word in phrase):
                schema.surfaces.setdefault(("".join(phrase),), []).append(one)
        group = GROUP_OF.get(phrase, GROUP_OF.get(tokens(normal(one.value))))
        if group is not None and _fits(GROUPS[group][0], role_of(one.field)):
            by_group.setdefault(group, []).append(one)
        if role_of(one.field) in MAKERS and len(phrase) > 1 and len(phrase[-1]) >= 4:
            people.setdefault(tokens(plain(normal(one.value)))[-1], []).append(one)
    for group, values in by_group.items():
        for phrase in GROUPS[group][1]:
            key = tuple(singular(word) for word in phrase)
            for form in () if _code(phrase) else {phrase, key}:
                known = schema.surfaces.setdefault(form, [])
                known += [one for one in values if one not in known]
    for name, values in people.items():
        if len({one.value for one in values}) == 1 and (name,) not in schema.surfaces:
            schema.surfaces[name,] = values


def _code(phrase: Phrase) -> bool:
    """``it``, ``de``: codes of languages, and words of everyday talk."""
    return len(phrase) == 1 and phrase[0].isascii() and len(phrase[0]) <= 2


def _fits(group: str, role: str) -> bool:
    """A word for a language is no value of a genre; words without a role of their own fit anywhere."""
    kinds = ("language", "color", "country", "material")
    return role not in kinds if group not in kinds else role in (group, "")
