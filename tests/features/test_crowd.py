"""User-kNN: who had an item last, in any order of events; and what they give to somebody who had the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.engine import Engine
from palate.features import Crowd, Subject, column
from palate.features.crowd import AFTER, BEFORE, ITEMS, PEOPLE
from palate.state import State
from palate.state.fold import CROWD, remember
from palate.testing.world import START, make_world
from palate.types import RecommendRequest, User
from tests.engines import did, filled

WORLD = make_world(people=40, interactions=1500)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10**6)), max_size=200), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_latest_are_remembered_in_any_order(events: list[tuple[int, int]], random: object) -> None:
    latest: dict[int, int] = {}
    for user, second in events:
        latest[user] = max(latest.get(user, 0), second)
    words = sorted(((second << 32) | user + 1 for user, second in latest.items()), reverse=True)[:CROWD]
    for _ in range(2):
        crowd = np.zeros(CROWD, np.int64)
        for user, second in events:
            remember(crowd, user, second * 1000)
        assert sorted(crowd[crowd != 0].tolist(), reverse=True) == words
        random.shuffle(events)  # type: ignore[attr-defined]


def by_hand(state: State, subject: Subject) -> dict[int, float]:
    """The votes, by dictionaries."""
    liked = [item for item, weight in zip(subject.items.tolist(), subject.weights.tolist(), strict=True) if weight > 0]
    votes: dict[int, float] = {}
    shared: dict[int, int] = {}
    for q, item in enumerate(list(dict.fromkeys(liked))[:ITEMS]):
        for word in state.item("crowd")[item].tolist():
            who = word % 2**32 - 1
            if who >= 0 and who != subject.row:
                votes[who] = votes.get(who, 0.0) + 0.7**q
                shared.setdefault(who, item)
    best = sorted(votes, key=lambda who: -votes[who])[:PEOPLE]
    out: dict[int, float] = {}
    for who in best:
        history = state.history_of(who)[0].tolist()
        if shared[who] not in history:
            continue
        at = len(history) - 1 - history[::-1].index(shared[who])
        for step, item in enumerate(history[at + 1 : at + 1 + AFTER]):
            out[item] = out.get(item, 0.0) + votes[who] * 0.9**step
        for step, item in enumerate(history[:at][: -BEFORE - 1 : -1]):
            out[item] = out.get(item, 0.0) + 0.3 * votes[who] * 0.9**step
    return out


@pytest.fixture(scope="module")
def world() -> Engine:
    return filled(WORLD)


@pytest.mark.parametrize("user", ["p0", "p3", "p7", "p21", "stranger"])
def test_votes_are_those_of_the_definition(world: Engine, user: str) -> None:
    subject = world.line.computer.subject(world.state.users.get(user), world.catalogue.side())
    crowd, wanted = Crowd(world.state), by_hand(world.state, subject)
    for _ in range(2):  # what was is forgotten
        crowd.follow(subject)
        rows = np.arange(world.state.n_items, dtype=np.int32)
        np.testing.assert_allclose(crowd.of(rows), [wanted.get(row, 0.0) for row in rows.tolist()])
        assert sorted(crowd.rows.tolist()) == sorted(wanted)
        crowd.follow(world.line.computer.subject(0, world.catalogue.side()))


def test_who_had_the_same_is_asked_what_came_next() -> None:
    """Six people had bread and wine after the soup."""
    events = [did(10 * n + k, f"p{n}", name) for n in range(6) for k, name in enumerate(("soup", "bread", "wine"))]
    events += [did(200 + n, f"q{n}", "cake") for n in range(30)]
    events += [did(300, "u", "soup")]
    with filled(events) as engine:
        scored = engine.line.run(RecommendRequest(user="u"), START + 301 * 60_000, engine._model)
        assert "people" in scored.candidates.retrievers
        votes = dict(zip(scored.candidates.ids, scored.x[:, column("user_knn")].tolist(), strict=True))
        assert votes["bread"] == pytest.approx(np.log1p(6), rel=1e-5)
        assert votes["wine"] == pytest.approx(np.log1p(6 * 0.9), rel=1e-5)
        assert votes["cake"] == 0


def test_who_was_deleted_votes_no_more() -> None:
    events = [did(n, "p", name) for n, name in enumerate(("soup", "bread"))] + [did(10, "u", "soup")]
    gone = User(id="gone", timestamp=START + 20 * 60_000, user="p", deleted=True)
    with filled([*events, gone]) as engine:
        crowd = Crowd(engine.state)
        crowd.follow(engine.line.computer.subject(engine.state.users.get("u"), engine.catalogue.side()))
        assert len(crowd.rows) == 0
