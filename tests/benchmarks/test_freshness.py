"""Events withheld: who is told of what and when, and that nothing withheld is the same as the usual protocol."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import freshness
from benchmarks.quality.freshness import log_keys, own_keys, parts
from benchmarks.quality.own import Frozen
from palate.config import load
from palate.evaluate.protocol import draw, drive, walk
from palate.evaluate.stream import Histories
from palate.evaluate.systems import PalateSystem
from tests.engines import HASHING, SMALL
from tests.evaluate.worlds import paired_world, stream

SETTINGS = load(None, {"language": HASHING, "train": SMALL}, {})


def quiet(stage, done, total):
    pass


@pytest.fixture(scope="module")
def world():
    return stream(*paired_world(n=900, pairs=12))


def told(keys, stop, position):
    """Which events of the test window a replica knows when it is asked at ``position``."""
    return set((np.flatnonzero(keys < position) + stop).tolist())


@pytest.mark.parametrize("amount", [0, 1, 7, -1])
def test_of_the_log_the_last_events_are_withheld(amount):
    stop, n = 100, 140
    keys = log_keys(stop, n, amount)
    for position in range(stop, n):
        known = range(stop, stop if amount < 0 else max(stop, position - amount))
        assert told(keys, stop, position) == set(known)


@pytest.mark.parametrize("amount", [1, 2, 5, -1])
def test_of_the_person_that_is_asked_for_the_last_events_are_withheld(world, amount):
    histories, stop = Histories(world), 700
    asked = np.arange(stop + 40, len(world), 3)
    keys = own_keys(world, histories, stop, amount, asked)
    everything = np.arange(stop, len(world), dtype=float)
    late = 0
    for position in asked.tolist():
        user = world.users[position]
        own = [at for at in histories.positions(int(user), position).tolist() if at >= stop]
        known = told(keys, stop, position)
        assert [at for at in own if at in known] == own[: max(0, len(own) - amount) if amount > 0 else 0]
        late += len(own) > 0
        # Others' events are there at once, but for those that wait for a later ranking of theirs.
        for at in set(range(stop, position)) - known - set(own):
            assert any(other > position and world.users[other] == world.users[at] for other in asked)
    assert late > 20
    # Each person's events are told in their order.
    for user in np.unique(world.users):
        own = [at - stop for at in np.flatnonzero(world.users == user).tolist() if at >= stop]
        assert (np.diff(keys[own]) >= 0).all()
    assert (keys >= everything).all()


def test_every_event_is_asked_once_for_each_amount(world):
    plan = draw(world, ("drop", "keep"), 60, 1)
    main = np.flatnonzero(plan.main["drop"] | plan.main["keep"])
    for kind, amount, replicas in (("log", 5, 1), ("own", 5, freshness.GROUPS), ("own", 0, 1)):
        made = list(parts(world, Histories(world), plan, kind, amount))
        assert len(made) == replicas
        assert np.array_equal(np.sort(np.concatenate([chosen for chosen, _ in made])), main)


def test_nothing_withheld_is_the_usual_protocol_and_everything_is_the_frozen_model(world, tmp_path, monkeypatch):
    monkeypatch.setattr(freshness, "AMOUNTS", (0, 1, -1))
    plan = draw(world, ("keep",), 60, 1)
    found = freshness.measure(world, plan, SETTINGS, tmp_path, quiet)
    system = PalateSystem(SETTINGS)
    try:
        live = drive(system, world, plan, Histories(world), 10, quiet).rank["keep"]
    finally:
        system.close()
    system = PalateSystem(SETTINGS)
    try:
        system.start(world, plan.train, plan.test, quiet)
        frozen = walk(Frozen(system, plan.test), world, plan, Histories(world), 10, quiet)[0]["keep"]
    finally:
        system.close()
    main = plan.main["keep"]
    assert np.array_equal(found.ranks["log 0 keep"][main], live[main])
    assert np.array_equal(found.ranks["own 0 keep"][main], live[main])
    assert np.array_equal(found.ranks["log -1 keep"][main], frozen[main])
    assert set(found.ranks) == {f"{kind} {amount} keep" for kind in ("log", "own") for amount in (0, 1, -1)}
    # Whoever takes one of a pair takes the other next: the last event says it all, and it is the person's own.
    gains = {name: float((1 / np.log2(1 + ranks[main])).mean()) for name, ranks in found.ranks.items()}
    assert gains["own 0 keep"] > gains["own 1 keep"] + 0.02
    assert gains["own 0 keep"] > gains["log -1 keep"] + 0.02
    assert list(tmp_path.iterdir()) == []
