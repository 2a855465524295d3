"""From the parts of an utterance to what it asks for, clause by clause, without any model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from palate.chat.bounds import Bounds
from palate.chat.scan import Part, bare_title, near_title, near_values, scan
from palate.chat.schema import Schema, Value
from palate.chat.words import MAKERS, TOKEN, normal, plain, singular
from palate.content.text import item_tags
from palate.types import FieldValue
from palate.wishes import Wish

Fields = Callable[[str], dict[str, FieldValue]]
_POLAR = ("neg", "less", "nottoo", "more", "only", "want")
_TALK = ("hello", "thanks", "who", "bye", "help", "show")
_TURN = (*_POLAR, "like", "undo", "reset", "drop", "hide", "seen", "lt", "lte", "gt", "gte", "before", "after", "since",
         "between", "from")  # fmt: skip
_KINDS = {"number", "adjective"}


@dataclass(slots=True)
class Choice:
    """A way to read something: what is shown, and the wish that it would be."""

    label: str
    wish: Wish


@dataclass(slots=True)
class Parse:
    """What an utterance asks for. drops: (field, value or '') of wishes to be taken back; missing: roles that no field
    plays; absent: words for values that no item has; unknown: what wasn't understood; facts: (item, role) asked about;
    question: what has to be asked back, with choices; helped: whether a generator said it again in plainer words."""

    language: str
    wishes: list[Wish] = field(default_factory=list[Wish])
    drops: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    acts: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    absent: list[str] = field(default_factory=list[str])
    unknown: list[str] = field(default_factory=list[str])
    events: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    facts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    question: str = ""
    choices: list[Choice] = field(default_factory=list[Choice])
    helped: bool = False

    @property
    def says(self) -> bool:
        """Whether anything at all was understood as a wish, its end, an event, or what the catalogue lacks."""
        return bool(self.wishes or self.drops or self.events or self.missing or self.absent or self.choices
                    or "undo" in self.acts or "reset" in self.acts)  # fmt: skip


def language_of(text: str) -> str:
    """``zh`` where there are Han characters and they aren't only in quoted titles, else ``en``."""
    han = sum(1 for token in TOKEN.findall(text) if "\u3400" <= token[0] <= "\u9fff")
    return "zh" if han >= 1 else "en"


def parse(text: str, schema: Schema, fields: Fields, helper: Helper | None = None) -> Parse:
    """The parse of an utterance. fields: of an item, for comparisons. Cost: about a millisecond."""
    return _Parser(schema, fields, helper or Helper()).run(normal(text))


class Helper:
    """What the parser asks of whoever knows more: meaning, words of the catalogue, the time, what was shown last."""

    year: float = 2100.0
    shown: Sequence[str] = ()

    def meant(self, words: str) -> list[tuple[Value, float]]:
        """Values by how near their meaning is to ``words``, the nearest first, and how near."""
        return []

    def occurs(self, words: str) -> bool:
        """Whether the items' texts have these words."""
        return False

    def label(self, item: str) -> str:
        """What to call an item where titles are alike."""
        return item


def clauses(parts: list[Part]) -> list[tuple[list[Part], bool]]:
    """The clauses of an utterance, and whether each goes on with the mode of the one before (a list)."""
    out: list[tuple[list[Part], bool]] = []
    now: list[Part] = []
    goes_on = False
    for at, part in enumerate(parts):
        rest = [one for one in parts[at + 1 :] if not (one.kind == "cue" and one.name == "stop")]
        following = rest[0] if rest else None
        cut = part.kind == "punct" or (part.kind == "cue" and part.name == "but")
        new = False
        if part.kind == "cue" and part.name == "and" and following is not None and now:
            new = following.kind in _KINDS and any(one.kind in _KINDS for one in now)
            new = new or (following.kind == "cue" and following.name in _TURN)
            cut = new
        if not cut:
            now.append(part)
            continue
        if now:
            out.append((now, goes_on))
        now = []
        goes_on = part.kind == "punct" and (part.name == "list" or (part.name == "soft" and _lists(parts[at + 1 :])))
    if now:
        out.append((now, goes_on))
    return out


def _lists(rest: list[Part]) -> bool:
    """Whether what follows a comma are bare values up to an "and" or "or" with another: a list goes on."""
    seen = False
    for part in rest:
        if part.kind in ("value", "gloss"):
            if seen:
                return True
        elif part.kind == "cue" and part.name == "and":
            seen = True
        elif not (part.kind == "punct" and part.name in ("soft", "list")) and not (
            part.kind == "cue" and part.name == "stop"
        ):
            return False
    return False


class _Parser:
    def __init__(self, schema: Schema, fields: Fields, helper: Helper) -> None:
        self.schema, self.fields, self.helper = schema, fields, helper
        self.found = Parse("en")
        self.like = ""  # the item that this utterance compares with
        self.mode = ""

    def run(self, text: str) -> Parse:
        self.found.language = language_of(text)
        for part, goes_on in clauses(scan(text, self.schema)):
            self._clause(part, self.mode if goes_on else "")
        return self.found

    # ------------------------------------------------------------------------------ a clause

    def _clause(self, parts: list[Part], mode: str) -> None:
        found, names = self.found, {part.name for part in parts if part.kind == "cue"}
        said = " ".join(part.text for part in parts) if found.language == "en" else "".join(part.text for part in parts)
        if bare := bare_title(parts, self.schema):
            self._titles(bare, "like", said)
            return
        heavy = [part for part in parts if part.kind not in ("cue", "punct")]
        if "reset" in names and not heavy:
            found.acts.append("reset")
            return
        if "undo" in names and not any(part.kind in ("value", "title", "number") for part in parts):
            found.acts.append("undo")
            return
        if "how" in names and (titles := [part for part in parts if part.kind == "title"]):
            found.facts += [(titles[0].items[0], next(part.text for part in parts if part.name == "how"))]
            return
        if self._takes_back(parts, names):
            return
        self._wishes(parts, mode, said)
        found.acts += [name for name in _TALK if name in names and not heavy]

    def _takes_back(self, parts: list[Part], names: set[str]) -> bool:
        """ "horror is fine", "forget the year", "any length": wishes about these end."""
        values = [value for part in parts if part.kind == "value" for value in part.values]
        roles = [part.name for part in parts if part.kind in ("role", "adjective")]
        roles += [part.number.role for part in parts if part.number is not None and "limit" in names]
        if names & {"neg", "less", "nottoo"} and not ("limit" in names or "drop" in names):
            return False
        if any(part.kind == "number" for part in parts) and "limit" not in names:
            return False
        ends = "fine" in names or "drop" in names or ("undo" in names and (values or roles)) or (
            "limit" in names and names & {"neg", "drop", "undo"}
        )  # fmt: skip
        if not ends or not (values or roles):
            return False
        self.found.drops += [(value.field, value.value, "") for value in values]
        for role in dict.fromkeys(roles):
            fields = self.schema.roles.get(role, [])
            self.found.drops += [(name, "", role) for name in fields]
        return bool(self.found.drops)

    def _wishes(self, parts: list[Part], mode: str, said: str) -> None:
        schema, found = self.schema, self.found
        names = {part.name for part in parts if part.kind == "cue"}
        bounds = Bounds(schema, self.fields, self.helper, found, self.like)
        groups: list[tuple[str, list[Part]]] = []
        joined = False
        other: list[Part] = []
        titles: list[tuple[str, Part]] = []
        roles = [part.name for part in parts if part.kind == "role"]
        stance = "like" if "like" in names or "alike" in names else ""
        weak = not mode
        for part in parts:
            if part.kind == "cue":
                if part.name in _POLAR:
                    if part.name == "want" and mode in ("neg", "less", "more", "only"):
                        continue
                    mode, weak = (
                        (part.name if not (part.name == "more" and mode == "neg" and not weak) else "neg"),
                        False,
                    )
                elif part.name == "and":
                    joined = True
                    bounds.cue(part, mode)
                elif part.name in ("about", "by"):
                    other.append(Part("cue", part.text, part.at, part.name))
                else:
                    bounds.cue(part, mode)
            elif part.kind == "adjective":
                bounds.adjective(part, mode)
            elif part.kind == "number":
                bounds.number(part, mode, roles)
            elif part.kind == "title":
                if "than" in names:
                    bounds.reference = part.items[0]
                else:
                    titles.append((mode, part))
            elif part.kind == "value":
                if groups and joined and groups[-1][0] == mode:
                    groups[-1][1].append(part)
                else:
                    groups.append((mode, [part]))
                joined = False
            elif part.kind == "gloss":
                self._gloss(part, roles)
            elif part.kind == "other":
                other.append(part)
        last = [part for part in parts if part.kind in ("cue", "value", "number", "adjective", "title")]
        trailing = [p.name for p in last if p.kind != "cue" or p.name not in ("stop",)][-1:]
        if trailing == ["neg"] and mode == "neg":  # 恐怖片不要: what stands before it
            groups = [("neg", members) for _, members in groups]
            titles = [("neg", part) for _, part in titles]
            bounds.negate()
        for polarity, members in groups:
            self._values(members, polarity, said, roles)
        for polarity, part in titles:
            kind = "hide" if "hide" in names else "seen" if "seen" in names else stance
            self._titles(part.items, kind or ("like" if polarity != "more" else "liked"), said, polarity)
        if bounds.reference == "" and "than" in names and other:
            bounds.reference = next(iter(self._near(other)), "")
            other = [] if bounds.reference else other
        found.wishes += bounds.wishes(said, roles)
        heavy = bool(groups or titles or bounds.any)
        self._rest(other, mode, said, stance, roles, names, heavy)
        self.mode = mode

    # ------------------------------------------------------------------------------ its contents

    def _values(self, members: list[Part], mode: str, said: str, roles: list[str]) -> None:
        """A coordination of values: one wish a field for hard ones, one a value for the others."""
        picked = [self._pick(part, roles) for part in members]
        if mode in ("more", "less", "nottoo"):
            for value in picked:
                tag = f"{_prefix(value.field)}:{value.value}"
                self.found.wishes.append(Wish(more=tag, said=said) if mode == "more" else Wish(less=tag, said=said))
            return
        chosen = [value for part in members for value in part.values] if mode == "neg" else picked
        by_field: dict[str, list[str]] = {}
        for value in chosen:
            by_field.setdefault(value.field, [])
            if value.value not in by_field[value.field]:
                by_field[value.field].append(value.value)
        for name, values in by_field.items():
            operator = "nin" if mode == "neg" else "in"
            self.found.wishes.append(Wish(filter={name: {operator: sorted(values)}}, said=said))

    def _pick(self, part: Part, roles: list[str]) -> Value:
        """Of the values that a phrase may mean: those of a field that was named, then kinds, then the commonest."""
        schema = self.schema
        named = [value for value in part.values if any(value.field in schema.roles.get(role, ()) for role in roles)]
        pool = named or part.values
        kinds = schema.roles.get("genre", ())
        return max(pool, key=lambda one: (one.field in kinds, one.count, one.field, one.value))

    def _gloss(self, part: Part, roles: list[str]) -> None:
        role = part.name
        if role not in self.schema.roles and role != "genre":
            self._miss(role)
        elif part.text not in self.found.absent:
            self.found.absent.append(part.text)

    def _miss(self, role: str) -> None:
        if role not in self.found.missing:
            self.found.missing.append(role)

    def _titles(self, items: list[str], kind: str, said: str, mode: str = "") -> None:
        if len(items) > 1:
            against = mode in ("neg", "less")
            self.found.question = "title"
            self.found.choices += [
                Choice(self.helper.label(item), Wish(unlike=item, said=said) if against else Wish(like=item, said=said))
                for item in items[:5]
            ]
            return
        item = items[0]
        if kind in ("hide", "seen", "liked"):
            self.found.events.append(({"hide": "hide", "seen": "view", "liked": "like"}[kind], item))
            if kind != "liked":
                return
        if mode in ("neg", "less"):
            self.found.wishes.append(Wish(unlike=item, said=said))
        else:
            self.like = item
            self.found.wishes.append(Wish(like=item, said=said))

    def _near(self, parts: list[Part]) -> list[str]:
        words = tuple(singular(plain(token)) for part in parts for token in TOKEN.findall(part.text))
        return near_title(words, self.schema) if words else []

    def _rest(
        self,
        other: list[Part],
        mode: str,
        said: str,
        stance: str,
        roles: list[str],
        names: set[str],
        heavy: bool = False,
    ) -> None:
        """What nothing has claimed: nearly a title or value, near in meaning, words of the catalogue, or unknown."""
        maker = any(part.name == "by" for part in other)
        runs = _runs(other)
        lost = [role for role in roles if role not in self.schema.roles]
        if maker and runs and not any(role in self.schema.roles for role in MAKERS):
            lost.append("maker")
        if lost and runs:
            for role in lost:
                self._miss(role)
            return
        for run in runs:
            words = tuple(singular(plain(token)) for token in TOKEN.findall(run))
            if stance and (items := near_title(words, self.schema)):
                self._titles(items, "like", said, mode)
            elif values := near_values(words, self.schema):
                self._values([Part("value", run, 0, values=values)], mode, said, roles)
            elif not self._meant(run, mode, said) and not (
                (mode or "about" in names or heavy) and self._text(run, mode, said)
            ):
                self.found.unknown.append(run)

    def _meant(self, run: str, mode: str, said: str) -> bool:
        near = self.helper.meant(run)
        if not near:
            return False
        (best, sure), second = near[0], near[1][1] if len(near) > 1 else 0.0
        if sure >= SURE and sure - second >= MARGIN:
            self._values([Part("value", run, 0, values=[best])], mode, said, [])
            return True
        if sure >= DOUBT:
            polarity = "nin" if mode == "neg" else "in"
            self.found.question = "value"
            self.found.choices += [
                Choice(one.value, Wish(filter={one.field: {polarity: [one.value]}}, said=said)) for one, _ in near[:3]
            ]
            return True
        return False

    def _text(self, run: str, mode: str, said: str) -> bool:
        if not self.helper.occurs(run):
            return False
        wish = Wish(less=run, said=said) if mode in ("neg", "less", "nottoo") else Wish(more=run, said=said)
        self.found.wishes.append(wish)
        return True


SURE, MARGIN, DOUBT = 0.62, 0.06, 0.56
"""Cosine from which the nearest value is meant, by how much it must lead, and from which it is worth asking."""


def _prefix(name: str) -> str:
    """What stands before the colon of a field's tags."""
    tags = item_tags({name: "x"})
    return tags[0].split(":", 1)[0] if tags else name


def _runs(parts: list[Part]) -> list[str]:
    """Neighbouring unclaimed parts as one text each; single Han characters alone say nothing."""
    runs: list[tuple[str, int]] = []
    for part in parts:
        if part.kind == "cue":
            continue
        if runs and part.at - runs[-1][1] <= 1:
            gap = " " if part.at > runs[-1][1] else ""
            runs[-1] = f"{runs[-1][0]}{gap}{part.text}", part.at + len(part.text)
        else:
            runs.append((part.text, part.at + len(part.text)))
    return [text for text, _ in runs if len(text) > 1]
