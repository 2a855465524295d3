"""What was said before and what is said now, as one list of wishes: the later word counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from palate.chat.parse import Parse
from palate.wishes import MOST, Wish

_LOWER, _UPPER = {"gt", "gte"}, {"lt", "lte"}


class Memory(msgspec.Struct, omit_defaults=True):
    """What a conversation remembers beside the wishes, in a field of the user. before: the wishes that an undo brings
    back, None where there is nothing to undo; choices: wishes of an open question, labels: what they were called."""

    turn: int = 0
    before: list[Wish] | None = None
    question: str = ""
    labels: list[str] = []
    choices: list[Wish] = []


class Merged(msgspec.Struct):
    """The wishes in force, what is new among them, what was taken back, whether an undo found nothing to undo, and what
    held before and still does."""

    wishes: list[Wish]
    added: list[Wish]
    removed: list[Wish]
    idle: bool = False
    kept: list[Wish] = []


def merge(held: Sequence[Wish], parse: Parse, memory: Memory) -> Merged:
    """Put a parse beside the wishes ``held``. Nothing is changed in place."""
    wishes, idle = list(held), False
    if "reset" in parse.acts:
        wishes = []
    elif "undo" in parse.acts:
        before = memory.before
        if before is not None and not _alike(before, wishes):
            wishes = list(before)
        elif wishes:  # nothing is remembered, or the last turn said again what held: it is what goes
            last = max(wish.turn for wish in wishes)
            wishes = [wish for wish in wishes if wish.turn != last]
        else:
            idle = True
    dropped = [msgspec.structs.replace(wish) for wish in wishes]
    for field, value, _ in parse.drops:
        dropped = [left for wish in dropped for left in _without(wish, field, value)]
    idle = idle or bool(parse.drops and dropped == wishes)
    wishes = dropped
    added: list[Wish] = []
    for wish in parse.wishes:
        new = msgspec.structs.replace(wish, turn=memory.turn)
        wishes = [left for old in wishes for left in _against(old, new)]
        if not any(_same(new, old) for old in wishes):
            wishes.append(new)
        added.append(new)
    wishes = wishes[-MOST:]
    removed = [old for old in held if not any(_same(old, wish) for wish in wishes)]
    kept = [wish for wish in wishes if any(_same(old, wish) for old in held)]
    return Merged(wishes, added, removed, idle, kept)


def _same(one: Wish, other: Wish) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("filter", "more", "less", "like", "unlike"))


def _alike(one: Sequence[Wish], other: Sequence[Wish]) -> bool:
    return len(one) == len(other) and all(any(_same(left, right) for right in other) for left in one)


def field_of(wish: Wish) -> tuple[str, dict[str, Any]]:
    """The one field of a hard wish and its comparisons; the field is '' for a wish of another shape."""
    tree: dict[str, Any] = wish.filter or {}
    if len(tree) != 1:
        return "", {}
    name, conditions = next(iter(tree.items()))
    if not isinstance(conditions, dict) or name in ("and", "or"):
        return "", {}
    inner = cast("dict[str, Any]", conditions)
    return (next(iter(inner), ""), {}) if name == "not" else (name, inner)


def _tag_value(tag: str) -> str:
    return tag.split(":", 1)[-1].casefold()


def _without(wish: Wish, field: str, value: str) -> list[Wish]:
    """A wish without what it says of a field's value, or of the field where ``value`` is ''."""
    name, conditions = field_of(wish)
    if wish.filter is not None:
        if name != field:
            return [wish]
        if not value:
            return []
        return _less_values(wish, name, conditions, {value})
    tag = wish.more or wish.less
    return [] if value and tag and _tag_value(tag) == value.casefold() else [wish]


def _less_values(wish: Wish, name: str, conditions: dict[str, Any], values: set[str]) -> list[Wish]:
    for operator in ("in", "nin"):
        if operator in conditions:
            left = [one for one in conditions[operator] if one not in values]
            if len(left) == len(conditions[operator]):
                return [wish]
            return [msgspec.structs.replace(wish, filter={name: {operator: left}})] if left else []
    return [wish]


def _against(old: Wish, new: Wish) -> list[Wish]:
    """What a new wish leaves of an old one."""
    if _same(old, new):
        return []
    new_name, new_how = field_of(new)
    old_name, old_how = field_of(old)
    if new.filter is not None and old.filter is not None:
        if not new_name or new_name != old_name:
            return [old]
        if "in" in new_how:
            if "in" in old_how and old.turn != new.turn:
                return []
            return _less_values(old, old_name, old_how, set(new_how["in"])) if "nin" in old_how else [old]
        if "nin" in new_how:
            return _less_values(old, old_name, old_how, set(new_how["nin"])) if "in" in old_how else [old]
        sides = {side for side in (_LOWER, _UPPER) for side in [frozenset(side)] if side & new_how.keys()}
        left = {op: at for op, at in old_how.items() if not any(op in side for side in sides)}
        if left == old_how or (old.turn == new.turn and not old_how.keys() & new_how.keys()):
            return [old]
        return [msgspec.structs.replace(old, filter={old_name: left})] if left else []
    if new.filter is not None:
        values = {
            value.casefold() for value in [*new_how.get("nin", ()), *new_how.get("in", ())] if isinstance(value, str)
        }
        tag = old.more if "nin" in new_how else old.less if "in" in new_how else ""
        return [] if tag and _tag_value(tag) in values else [old]
    if new.more and old.filter is not None and "nin" in old_how:
        value = _tag_value(new.more)
        return _less_values(old, old_name, old_how, {one for one in old_how["nin"] if str(one).casefold() == value})
    pairs = ((new.more, old.less), (new.less, old.more), (new.like, old.unlike), (new.unlike, old.like))
    return [] if any(mine and mine == theirs for mine, theirs in pairs) else [old]
