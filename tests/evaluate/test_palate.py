"""Palate as a system of the protocol, with the real engine."""

from __future__ import annotations

import numpy as np
import pytest

from palate.config import LanguageSettings, Settings, TrainSettings
from palate.evaluate import evaluate
from palate.evaluate.protocol import query_at
from palate.evaluate.stream import from_source
from palate.evaluate.systems import PalateSystem
from palate.types import Impression, Item, User
from tests.evaluate.worlds import HOUR, catalogue, events, paired_world

SMALL = Settings(language=LanguageSettings(encoder="hashing"), train=TrainSettings(decisions=200, trees=20))


def quiet(stage, done, total):
    pass


def started(rows, names, extra=()):
    world = from_source([*catalogue(names), *events(rows), *extra], SMALL)
    system = PalateSystem(SMALL)
    system.start(world, 640, 720, quiet)
    return world, system


@pytest.mark.slow
def test_palate_stands_beside_the_baselines():
    rows, names = paired_world(n=1200, pairs=30)
    result = evaluate(
        [*catalogue(names), *events(rows)],
        test=60,
        seen=("drop",),
        systems=["palate", "random", "popular"],
        settings=SMALL,
    )
    found = {name: tables["drop"]["ndcg"].value for name, tables in result.systems.items()}
    assert found["palate"] > 2 * max(found["popular"], found["random"])
    assert "trained" in result.protocol["systems"]["palate"]
    assert [row.baseline for row in result.comparisons if row.best] == [result.best_baseline("drop")]


@pytest.mark.slow
def test_the_future_changes_no_score_of_palate():
    rows, names = paired_world(n=800, pairs=30)
    at = 770
    other = rows[:at] + [(user, (item + 17) % 60) for user, item in rows[at:]]
    (first, one), (second, two) = started(rows, names), started(other, names)
    try:
        for position in (725, 750, at):
            for seen in ("drop", "keep"):
                scores = []
                for world, system in ((first, one), (second, two)):
                    system.feed(position)
                    scores.append(system.score(query_at(world, position, seen)))
                assert np.isfinite(scores[0]).any()
                assert np.array_equal(scores[0], scores[1])
    finally:
        one.close()
        two.close()


def test_the_engine_gets_each_event_once_in_its_place():
    rows, names = paired_world(n=800, pairs=30)
    extra = [
        Item(item="late", fields={"title": "late thing"}, timestamp=750 * HOUR - 1),
        User(user="1", fields={"city": "x"}),
        Impression(user="1", items=["3"], timestamp=730 * HOUR),
    ]
    _, system = started(rows, names, extra)
    try:
        system.feed(748)
        assert system._engine.counts().items == 60
        system.feed(749)
        counts = system._engine.counts()
        assert (counts.items, counts.interactions, counts.impressions) == (61, 749, 0)
        system.feed(749)
        assert system._engine.counts().seq == 749 + 61 + 1
    finally:
        system.close()


def test_too_little_to_train_on_is_said_and_ranked_all_the_same():
    rows, names = paired_world(n=40, pairs=5)
    result = evaluate([*catalogue(names), *events(rows)], seen=("keep",), systems=["palate", "popular"], settings=SMALL)
    assert result.systems["palate"]["keep"]["ndcg"].value == pytest.approx(0.5, abs=0.5)
    assert result.protocol["systems"]["palate"]["trained"]
