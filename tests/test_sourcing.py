"""What a request retrieves is what plain passes over the whole catalogue give, and it leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from palate.engine import Engine
from palate.features.neighbours import (
    EASE_LAST,
    EASE_RECENT,
    LINAR,
    LINAR_LAST,
    NEAR_20,
    NEAR_ALL,
    NEAR_LAST,
    NEXT_5,
    NEXT_COS,
)
from palate.features.reach import Reach
from palate.filters import available, compile_filter
from palate.retrieve.topk import top_k
from palate.sourcing import EARLY, REPEATS
from palate.testing.world import START, make_world
from palate.types import F64, I32, Bools, RecommendRequest
from tests.engines import did, filled, item, memory, showed
from tests.features.test_features import ease_of

WORLD = make_world(people=15, interactions=900)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    gone = [event for event in WORLD.events if event.__class__.__name__ == "Item"][:2]
    events = [
        *WORLD.events,
        *(did(800_000 + n, "p3", f"garden-{n}", "hide") for n in range(3)),
        *(did(810_000 + n, f"p{n % 15}", f"garden-{n % 7}") for n in range(200)),
        *(item(f"late-{n}", 7, title=f"garden spade {n}", price=n, available=n % 3 > 0) for n in range(12)),
        showed(900_000, "p1", ["only-seen", "garden-0"]),
        *(
            type(one)(id=f"gone-{n}", timestamp=START + 10**10, item=one.item, deleted=True)
            for n, one in enumerate(gone)
        ),
    ]
    with filled(events) as engine:
        yield engine


def plainly_allowed(engine: Engine, request: RecommendRequest, seen: str) -> tuple[Bools, dict[str, int]]:
    """The rules, one after the other, on every row."""
    state = engine.state
    user = state.users.get(request.user or "")
    rows, count, last, neg = state.seen_row(user)
    fields = state.item_fields
    passes = compile_filter(request.filter) if request.filter else lambda _: True
    every = np.arange(state.n_items)
    rules = {
        "excluded": ~np.isin(every, [state.items.get(name) for name in request.exclude]),
        "deleted": state.alive,
        "unavailable": np.array([available(fields.get(row, {})) for row in every.tolist()]),
        "blocked": ~np.isin(every, rows[neg > last]),
        "seen": ~np.isin(every, rows[count > 0]) | (seen != "drop"),
        "filter": np.array([passes(fields.get(row, {})) for row in every.tolist()]),
    }
    allowed, removed = np.ones(state.n_items, np.bool_), dict[str, int]()
    for reason, rule in rules.items():
        if taken := int((allowed & ~rule).sum()):
            removed[reason] = taken
        allowed &= rule
    return allowed, removed


def best(rows: I32, values: F64, k: int, mask: Bools) -> list[int]:
    keep = mask[rows] & (values > 0)
    return top_k(rows[keep], values[keep].astype(np.float32), k)[0].tolist()


def plainly_retrieved(engine: Engine, request: RecommendRequest, seen: str, now: int) -> dict[str, list[int]]:
    """Every list of candidates, by passes over the whole catalogue."""
    state, side, sizes = engine.state, engine.catalogue.side(), engine.settings.retrieve
    subject = engine.line.computer.subject(state.users.get(request.user or ""), side)
    allowed, _ = plainly_allowed(engine, request, seen)
    fresh = allowed.copy()
    fresh[subject.seen[subject.seen_count > 0]] = False
    before = allowed & ~fresh
    reach = Reach(state)
    reach.follow(subject, ease_of(state.n_items))
    rows = np.arange(state.n_items, dtype=np.int32)
    strengths, counts = reach.of(rows), state.decayed(now)
    lists = {"trending": best(rows, counts[:, 0], sizes.popular, fresh)}
    lists["popular"] = best(rows, counts[:, 2], sizes.popular, fresh)
    if subject.count <= EARLY:
        lists["all_time"] = best(rows, state.item("count").astype(np.float64), sizes.popular, fresh)
    for name, columns in (
        ("next", [NEXT_COS, NEXT_5]), ("near", [NEAR_20, NEAR_ALL]), ("near_last", [NEAR_LAST]),
        ("ease", [EASE_RECENT, EASE_LAST]), ("linar", [LINAR, LINAR_LAST]),
    ):  # fmt: skip
        value = strengths[:, columns].sum(axis=1)
        lists[name] = best(rows, value, sizes.item_to_item // 2, fresh)
        if state.repeat_rate >= REPEATS and before.any():
            lists[f"{name}_again"] = best(rows, value, sizes.item_to_item // 4, before)
    if seen == "keep" and len(subject.seen):
        days = state.silences.since(subject.seen_last, now) / 86_400_000.0
        lists["again"] = best(subject.seen, np.log1p(subject.seen_count) + 2.0 ** (-days / 30), sizes.again, allowed)
    if len(subject.tastes):
        last = side.vectors[subject.last[0]]
        interests = [*subject.tastes[2:]] or [subject.tastes[0]]
        if len(interests) == 3:
            del interests[int(np.argmax([probe @ last for probe in interests]))]
        names = ("taste_now", "taste_last", "taste_1", "taste_2")
        for name, probe in zip(names, [subject.tastes[1], last, *interests], strict=False):
            cosines = np.where(side.text_of >= 0, side.vectors[side.text_of] @ probe + 2.0, 0.0)[: len(rows)]
            lists[name] = best(rows, cosines, sizes.vector // 2, fresh)
    return lists


REQUESTS: list[dict[str, Any]] = [
    {},
    {"exclude": ["garden-1", "late-3", "only-seen", "unheard-of", "garden-1"]},
    {"filter": {"price": {"gte": 4}}},
    {"filter": {"price": {"lt": 0}}, "exclude": ["garden-2"]},
]


@pytest.mark.parametrize("seen", ["keep", "drop"])
@pytest.mark.parametrize("user", ["p0", "p3", "p9", "nobody"])
@pytest.mark.parametrize("more", REQUESTS, ids=["plain", "excluding", "filtered", "nothing left"])
def test_retrieval_is_what_plain_passes_give(world: Engine, user: str, seen: str, more: dict[str, Any]) -> None:
    request = RecommendRequest(user=user, k=10, **more)
    now = world.clock()
    line, state = world.line, world.state
    subject = line.computer.subject(state.users.get(user), world.catalogue.side())
    line.reach.follow(subject, ease_of(state.n_items))
    shown = world.catalogue.shown()[0].copy()
    candidates, counts, removed = line.sourcing.retrieved(request, subject, line.reach, now, None, seen)
    assert world.catalogue.shown()[0].tolist() == shown.tolist()
    assert removed == plainly_allowed(world, request, seen)[1]
    lists = plainly_retrieved(world, request, seen, now)
    assert counts == {"retrieved": len(candidates)} | {name: len(rows) for name, rows in lists.items()}
    filled_up = set(candidates.rows.tolist()) - {row for rows in lists.values() for row in rows}
    for place, row in enumerate(candidates.rows.tolist()):
        assert candidates.ids[place] == state.items.ids[row]
        named = [name for name, rows in lists.items() if row in rows]
        assert list(candidates.sources(place)) == (["catalogue"] if row in filled_up else named)
    assert len(set(candidates.ids)) == len(candidates)


def test_a_failing_retriever_leaves_the_catalogue_whole(world: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    shown = world.catalogue.shown()[0].copy()
    monkeypatch.setattr(world.catalogue.vectors, "search", broken)
    with pytest.raises(RuntimeError, match="broken"):
        world.recommend("p0", 5, exclude=["garden-1"])
    assert world.catalogue.shown()[0].tolist() == shown.tolist()


def test_what_is_shown_follows_every_event() -> None:
    random = np.random.default_rng(4)
    with memory() as engine:
        for step in range(150):
            name = f"i{random.integers(0, 25)}"
            kind = int(random.integers(0, 5))
            event = [
                item(name, step, available=bool(random.integers(0, 2))),
                item(name, step, title="a thing"),
                did(step, "u", name),
                showed(step, "u", [name]),
                type(item(name))(id=f"gone-{step}", timestamp=START + step, item=name, deleted=True),
            ][kind]
            engine.ingest([event])
            state = engine.state
            can = np.array([available(state.item_fields.get(row, {})) for row in range(state.n_items)], np.bool_)
            shown, present, n = engine.catalogue.shown()
            assert shown.tolist() == (state.alive & can).tolist()
            assert (present, n) == (state.alive.sum(), shown.sum())


def test_the_newest_fill_a_list_before_the_first_event() -> None:
    with filled([item(f"i{n}", n % 7, title=f"thing {n}") for n in range(30)]) as engine:
        found = engine.recommend("u", 12, exclude=["i6", "i13"])
        newest = sorted((n for n in range(30) if n not in (6, 13)), key=lambda n: (-(n % 7), n))[:12]
        assert sorted(one.id for one in found.items) == sorted(f"i{n}" for n in newest)
