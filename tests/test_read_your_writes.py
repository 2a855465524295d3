"""Promise 1: an acknowledged event changes the very next ranking, whoever asks and however it was sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from palate.engine import Engine
from palate.testing.world import make_world
from palate.types import Impression, RecommendRequest, User
from tests.engines import SMALL, did, filled, ids, item

WORLD = make_world(people=15, interactions=600, follow=0.3)


@pytest.fixture(params=["prior", "trained"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with filled(WORLD, train=SMALL) as engine:
        if request.param == "trained":
            engine.train()
        yield engine


def test_a_click_raises_what_goes_with_it_at_once(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    names = list(WORLD.genre_of)
    places: list[tuple[int, int]] = []
    for number in range(60):
        user, clicked = f"new{number}", names[int(rng.integers(len(names)))]
        related = WORLD.successor[clicked]
        request = [related, *(name for name in names if name not in (clicked, related))]
        before = engine.rank(user, request)
        seq = engine.ingest(did(10_000 + number, user, clicked)).seq
        after = engine.rank(user, request)
        assert after.as_of >= seq > before.as_of
        assert (before.cold.user, after.cold.user) == (True, False)
        scores = [next(one.score for one in ranking.items if one.id == related) for ranking in (before, after)]
        assert scores[0] != scores[1], "the related candidate's score moved"
        places.append((ids(before).index(related), ids(after).index(related)))
    mean_before, mean_after = np.mean(places, axis=0)
    assert mean_after < 0.75 * mean_before


def test_every_kind_of_event_is_seen_by_the_next_request(engine: Engine) -> None:
    now = WORLD.end

    def answer() -> dict[str, float | None]:
        return {one.id: one.score for one in engine.rank("p0", ["space-0", "garden-0", "garden-1"]).items}

    last = answer()
    engine.ingest([did(20_001, "p0", "garden-1", "purchase")])
    assert answer() != last
    engine.ingest([did(20_002, "p0", "garden-1", "hide")])
    assert answer().keys() == {"space-0", "garden-0"}
    last = answer()
    engine.ingest([did(20_003, "p1", "garden-0"), did(20_004, "p2", "garden-0")])
    assert answer() != last, "others make it popular"
    engine.ingest([item("garden-0", now, available=False)])
    assert answer().keys() == {"space-0"}
    engine.ingest([item("garden-0", now + 1, available=True)])
    assert answer().keys() == {"space-0", "garden-0"}
    last = answer()
    engine.ingest([User(id="erased", timestamp=engine.clock(), user="p0", deleted=True)])
    assert answer().keys() == {"space-0", "garden-0", "garden-1"}, "what was hidden is forgotten too"
    assert engine.rank("p0", ["space-0"]).cold.user
    assert last


def test_impressions_are_counted_at_once(engine: Engine) -> None:
    before = engine.counts().impressions
    engine.ingest([Impression(user="p0", items=["space-0"]) for _ in range(30)])
    assert engine.counts().impressions == before + 30
    assert engine.state.item("shown")[engine.state.items.get("space-0")] == 30


def test_a_late_event_takes_its_place_in_history(engine: Engine) -> None:
    engine.ingest([did(30_002, "late", "space-0"), did(30_001, "late", "space-1")])
    assert [entry.item for entry in engine.user("late").history] == ["space-0", "space-1"]


def test_hiding_moves_similar_items_down() -> None:
    with filled(WORLD) as engine:
        user = next(name for name, (best, _) in WORLD.taste.items() if best == "garden")
        rows = WORLD.of_genre("garden")
        before = {one.id: one.score or 0.0 for one in engine.rank(user, rows[2:], seen="keep").items}
        engine.ingest([did(40_000 + n, user, rows[0], "hide") for n in range(2)])
        ranking = engine.rank(user, rows, explain=True)
        after = {one.id: one.score or 0.0 for one in ranking.items}
        assert rows[0] not in after
        fell = [name for name in before if after[name] < before[name]]
        assert len(fell) > 0.8 * len(before)
        terms = {term.feature: term for one in ranking.items for term in one.contributions if term.contribution < 0}
        assert terms["dislike"].sources[0].item == rows[0]
        assert terms["dislike"].sources[0].type == "hide"


def test_eight_threads_read_what_they_wrote(engine: Engine) -> None:
    failures: list[str] = []

    def work(worker: int) -> None:
        for number in range(25):
            user = f"w{worker}-{number}"
            result = engine.ingest(did(50_000 + worker * 1000 + number, user, "space-1"))
            ranking = engine.rank(user, ["space-2", "garden-1", "space-3"])
            if ranking.as_of < result.seq or ranking.cold.user or result.accepted != 1:
                failures.append(user)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert engine.rebuild()["equal"]


def test_an_undated_event_on_an_old_history_is_of_that_history() -> None:
    """A click in a demo on films of years ago must not throw everything else years into the past."""
    with filled(WORLD.events) as engine:
        request = RecommendRequest(session="new", k=10, policy="greedy")
        before = [one.id for one in engine.answer(request).items]
        result = engine.ingest({"event": "interaction", "user": "p0", "item": WORLD.items[0].item, "type": "like"})
        newest = max(int(event.timestamp or 0) for event in WORLD.interactions)
        assert newest <= result.assigned[0].timestamp < newest + 3_600_000
        after = [one.id for one in engine.answer(request).items]
        assert len(set(before) & set(after)) >= 8
