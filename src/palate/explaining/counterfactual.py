"""Counterfactuals: what an item's place would be had the person not done something, or done one thing more.

Each is ranked for real (``again``), none is estimated. Asked of the few entries of the history that give the item most,
and of a few items near it that the person never had.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np

from palate.explaining.again import Again, Stand, stand_of
from palate.feedback.grades import sent
from palate.state.rows import EMPTY
from palate.types import Contribution

LEFT_OUT = 3
"""Entries that are left out, one at a time."""
TRIED, NAMED = 3, 2
"""Items near one that are tried as one event more, and of these how many are named."""
FIXED = ("candidates", "counters", "moment", "texts", "order")
"""What is held fixed: the candidates; counts of items, pairs and people, which the event moved too; the moment; what
the person wrote and said of themselves; chance, diversity and a language model's moves, for places are by score."""


class Change(msgspec.Struct, omit_defaults=True):
    """Another history, ranked for real. ``without``: the event of the history is left out; ``with``: one like it is
    added now. position, score: the item's then; None where it could not be shown. timestamp, id: of the event."""

    kind: Literal["without", "with"]
    item: str
    type: str
    position: int | None
    score: float | None
    text: str
    timestamp: int = 0
    id: str | None = None


class Counterfactuals(msgspec.Struct):
    """position, score: of the item when ranked again with the history as it was; logged: whether that is the place it
    was shown at. candidates: how many were ranked. fixed: what is the same in all of it (``FIXED``)."""

    position: int | None
    score: float | None
    logged: bool
    candidates: int
    changes: list[Change]
    fixed: list[str] = msgspec.field(default_factory=lambda: list(FIXED))


def counterfactuals(again: Again, item: str, position: int | None, terms: Iterable[Contribution]) -> Counterfactuals:
    """Of one item of a decision. position: where it was shown; terms: its contributions, with sources.

    Under the engine's lock. Cost: at most 1 + ``LEFT_OUT`` + ``TRIED`` rankings of the candidates.
    """
    ids, scores, _ = again.ranked(again.past)
    now = stand_of(item, ids, scores)
    changes = [_without(again, item, now, place, given) for place, given in _speakers(again, terms)[:LEFT_OUT]]
    row = again.state.items.get(item)
    if row >= 0 and again.user >= 0 and now.position is not None and now.position > 1:
        found = [_with(again, item, now, near) for near in _near(again, row)]
        risen = [one for one in found if one.position is not None and one.position < now.position]
        changes += sorted(risen, key=lambda one: one.position or 0)[:NAMED]
    return Counterfactuals(now.position, now.score, now.position == position, len(ids), changes)


def _speakers(again: Again, terms: Iterable[Contribution]) -> list[tuple[int, str | None]]:
    """Places in the history of the entries that contributions come from, largest first, and their events' ids."""
    past, names, types = again.past, again.state.items.ids, again.state.types.ids
    entries: list[tuple[int, int, int]] = list(
        zip(past.items.tolist(), past.kinds.tolist(), past.ts.tolist(), strict=True)
    )
    at: dict[tuple[str, str, int], int] = {}
    for place, (row, kind, ts) in enumerate(entries):
        at.setdefault((names[row], sent(types[kind]), ts), place)
    worth: dict[int, float] = {}
    ids: dict[int, str | None] = {}
    for term in terms:
        for source in term.sources:
            place = at.get((source.item, source.type, source.timestamp))
            if place is not None:
                worth[place] = worth.get(place, 0.0) + term.contribution * source.share
                ids[place] = source.id
    return [(place, ids[place]) for place in sorted(worth, key=lambda place: (-abs(worth[place]), place))]


def _without(again: Again, item: str, now: Stand, place: int, given: str | None) -> Change:
    past = again.past
    gone = np.arange(len(past.items)) == place
    then = again.stand(item, past.without(gone, again.rating))
    row, kind = int(past.items[place]), sent(again.state.types.ids[int(past.kinds[place])])
    text = f"Without your {_verb(kind)} on {again.catalogue.title(row)}, {_moved(now, then)}."
    name = again.state.items.ids[row]
    return Change("without", name, kind, then.position, then.score, text, int(past.ts[place]), given)


def _with(again: Again, item: str, now: Stand, row: int) -> Change:
    kind, code, value = _liking(again)
    then = again.stand(item, again.past.followed_by(row, again.now, code, value, again.rating))
    text = f"With a {_verb(kind)} on {again.catalogue.title(row)}, {_moved(now, then)}."
    return Change("with", again.state.items.ids[row], kind, then.position, then.score, text)


def _liking(again: Again) -> tuple[str, int, float]:
    """The type of an event that says that somebody likes something, in this log, its code and its value."""
    types, past = again.state.types, again.past
    weights = again.line.computer.weights
    if types.get("like") >= 0 and weights[types.get("like")] > 0:
        return "like", types.get("like"), float("nan")
    kinds: list[int] = past.kinds.tolist()
    for kind in kinds:
        if weights[kind] > 0:
            name = sent(types.ids[kind])
            best = past.values[past.kinds == kind]
            known = best[np.isfinite(best)]
            return name, kind, float(known.max()) if name == "rating" and len(known) else float("nan")
    return "like", len(weights), float("nan")


def _near(again: Again, row: int) -> list[int]:
    """At most ``TRIED`` items that the person never had, near ``row`` by what people had and by text, in turn."""
    state, shown = again.state, again.catalogue.shown()[0]
    had = set(again.subject(again.past).seen.tolist()) | {row}
    pairs, near = state.pairs, list[list[int]]()
    if row < len(pairs.start) and pairs.cap[row] > 0:
        slots = slice(int(pairs.start[row]), int(pairs.start[row] + pairs.cap[row]))
        keys, co = pairs.keys[slots], pairs.columns["co"][slots]
        keys, co = keys[keys != EMPTY], co[keys != EMPTY]
        counts = state.item_columns["count"][keys]
        near.append(keys[np.argsort(-co / np.sqrt(counts + 5.0), kind="stable")][: 4 * TRIED].tolist())
    side = again.catalogue.side()
    if (text := int(side.text_of[row])) >= 0:
        near.append(again.catalogue.vectors.search(side.vectors[text][None], 4 * TRIED, shown)[0][0].tolist())
    out: dict[int, None] = {}
    for turn in range(4 * TRIED):
        for some in near:
            if turn < len(some) and some[turn] not in had and some[turn] < len(shown) and shown[some[turn]]:
                out[some[turn]] = None
    return list(out)[:TRIED]


def _verb(kind: str) -> str:
    return kind.replace("_", " ")


def _moved(now: Stand, then: Stand) -> str:
    if then.position is None:
        return "this could not be shown"
    if now.position is None:
        return f"this would be shown, at place {then.position}"
    if then.position == now.position:
        return f"this stays at place {now.position}"
    return f"this {'falls' if then.position > now.position else 'rises'} from place {now.position} to {then.position}"
