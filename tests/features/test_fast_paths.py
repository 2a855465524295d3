"""The compiled short cuts of a request give what the long way gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from palate.engine import Engine
from palate.features import Reach
from palate.features.neighbours import NEAR_MAX
from palate.features.speakers import two_of
from palate.filters import BLOCKED, DELETED, SEEN, UNAVAILABLE, standing
from palate.state.rows import free_slot
from palate.testing.world import make_world
from tests.engines import did, filled
from tests.features.test_features import ease_of

WORLD = make_world(people=12, interactions=700)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled([*WORLD.events, did(900_000, "p0", "garden-0", "hide")]) as engine:
        yield engine


@pytest.mark.parametrize("user", ["p0", "p3", "p7"])
@pytest.mark.parametrize("few", [False, True])
def test_strengths_of_some_are_those_of_all(world: Engine, user: str, few: bool) -> None:
    computer, ease = world.line.computer, ease_of(world.state.n_items)
    subject = computer.subject(world.state.users.get(user), world.catalogue.side())
    rows = np.random.default_rng(1).permutation(world.state.n_items).astype(np.int32)
    rows = rows[:2] if few else rows
    reach = Reach(world.state)
    reach.follow(subject, ease)
    wanted = reach.of(rows)
    assert wanted.any()
    np.testing.assert_array_equal(reach.of(reach.rows), reach.strengths)
    for _ in range(2):  # the marks are cleared
        np.testing.assert_array_equal(computer.strengths_of(subject, rows, ease), wanted)


def test_a_history_leaves_nothing_behind_for_the_next_one(world: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.features.reach._ROOM", 2)  # it grows as it must
    side, ease = world.catalogue.side(), ease_of(world.state.n_items)
    rows = np.arange(world.state.n_items, dtype=np.int32)
    again = Reach(world.state)
    for user in ("p0", "p3", None, "p7", "p0"):
        subject = world.line.computer.subject(-1 if user is None else world.state.users.get(user), side)
        fresh = Reach(world.state)
        for reach in (again, fresh):
            reach.follow(subject, ease)
        assert (
            sorted(again.rows.tolist())
            == np.flatnonzero(fresh.of(rows).any(axis=1) | np.isin(rows, fresh.rows)).tolist()
        )
        np.testing.assert_array_equal(again.of(rows), fresh.of(rows))


@pytest.mark.parametrize("user", ["p0", "p3", "p7"])
def test_parts_add_up_to_the_strengths(world: Engine, user: str) -> None:
    computer, ease, state = world.line.computer, ease_of(world.state.n_items), world.state
    subject = computer.subject(state.users.get(user), world.catalogue.side())
    rows = np.arange(state.n_items, dtype=np.int32)
    strengths = computer.strengths_of(subject, rows, ease)
    for row in rows.tolist():
        parts = computer.parts(subject, row, ease)
        wanted = parts.sum(axis=1)
        wanted[NEAR_MAX] = parts[NEAR_MAX].max()
        np.testing.assert_allclose(strengths[row], wanted, atol=1e-12)


def test_two_speak_for_an_item() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        items = rng.integers(0, 6, 12).astype(np.int32)
        weights, strength = rng.normal(size=12), np.maximum(0.0, rng.normal(size=12).round(1))
        speak = np.where((weights > 0) & (items != 3), strength, 0.0)
        best = [q for q in np.argsort(-speak, kind="stable").tolist() if speak[q] > 0]
        wanted = list(dict.fromkeys(items[best].tolist()))[:2]
        assert [one for one in two_of(strength, items, weights, 3) if one >= 0] == wanted


@pytest.mark.parametrize("name", ["taste_long", "taste_short", "taste_interest", "taste_newest"])
def test_liking_is_the_weight_of_an_entry_in_the_taste(world: Engine, name: str) -> None:
    computer, side = world.line.computer, world.catalogue.side()
    for user in ("p0", "p2", "p9"):
        subject = computer.subject(world.state.users.get(user), side)
        texts = side.text_of[subject.items]
        liked = np.flatnonzero((texts >= 0) & (subject.weights > 0))
        for row in range(0, world.state.n_items, 3):
            vector = side.vectors[side.text_of[row]]
            cosine = np.maximum(0, side.vectors[texts[liked]] @ vector)
            wanted = np.zeros(len(texts))
            if name == "taste_newest":
                fading = 0.8 ** np.arange(len(liked[:5]))
                wanted[liked[np.argmax(fading * (side.vectors[texts[liked[:5]]] @ vector))]] = 1.0
            elif name == "taste_short":
                wanted[liked[:5]] = (subject.weights[liked] * 0.8 ** np.arange(len(liked)) * cosine)[:5]
            else:
                wanted[liked] = subject.weights[liked] * 0.5 ** (liked / 30.0) * cosine
                if name == "taste_interest" and len(subject.tastes) > 2:
                    wanted[subject.interest_of != int(np.argmax(subject.tastes[2:] @ vector))] = 0.0
            found = computer.liking(subject, row, side, name)
            assert found is not None
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_known_against_candidates() -> None:
    rng = np.random.default_rng(5)
    plain = 0
    for trial in range(400):
        alive, available = rng.random(50) > 0.01, rng.random(50) > 0.01
        seen = rng.choice(50, 6, replace=False).astype(np.int32)
        count, last, neg = rng.integers(0, 2, 6).astype(np.int32), np.full(6, 5), rng.integers(0, 7, 6)
        at = np.full(16, -1, np.int32)
        for place, item in enumerate(seen.tolist()):
            at[free_slot(at, 0, 16, item)] = place
        rows = rng.choice(np.arange(-1, 50), 10, replace=False).astype(np.int32)
        drop = trial % 3 == 0
        out = np.empty(10, np.uint8)
        every = standing(rows, alive, available, seen, at, count, last, neg, drop, out)
        known = rows >= 0
        wanted = known * (DELETED * ~alive[rows] + UNAVAILABLE * ~available[rows])
        wanted = wanted + BLOCKED * np.isin(rows, seen[neg > last])
        wanted = wanted + SEEN * np.isin(rows, seen[(count > 0) & drop])
        assert out.tolist() == wanted.tolist()
        assert every == np.bitwise_or.reduce(wanted)
        plain += every == 0
    assert 50 < plain < 350
