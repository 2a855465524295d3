"""Team draft: every probability against all falls of the coins; what a draft shows; the engine's answers."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from palate.engine import Engine
from palate.errors import InvalidInput
from palate.experiment import Arm, Experiment, Metric
from palate.interleaving import team_draft
from palate.testing.world import START
from palate.types import Interaction
from tests.engines import did, filled, item

DAY = 86_400_000
ITEMS = [item(f"i{n}", n, title=f"thing {n}") for n in range(10)]
NAMES = [f"i{n}" for n in range(10)]


class Coins:
    """As many coins as are given."""

    def __init__(self, faces: tuple[int, ...]) -> None:
        self._faces = iter(faces)

    def integers(self, _: int) -> int:
        return next(self._faces)


def outcomes(first: list[int], second: list[int], k: int) -> list[tuple[list[int], list[int], list[float]]]:
    """Of every way that the coins may fall, all equally likely."""
    rounds = (k + 1) // 2
    return [team_draft(first, second, k, Coins(faces)) for faces in itertools.product((0, 1), repeat=rounds)]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("first", "second", "k"),
    [
        ([0, 1, 2, 3], [3, 2, 1, 0], 4),
        ([0, 1, 2, 3], [0, 1, 3, 2], 4),
        ([0, 1, 2, 3, 4], [0, 4, 2, 1, 3], 5),
        ([0, 1, 2], [2, 3, 4, 5], 6),
        ([0, 1], [1, 0], 2),
        ([0, 1, 2, 3], [1, 0, 4, 5], 6),
        ([], [1, 2, 3], 3),
        ([5, 6, 7], [7, 8, 9], 3),
    ],
)
def test_the_logged_chance_is_that_of_the_item_given_those_above_it(
    first: list[int], second: list[int], k: int
) -> None:
    found = outcomes(first, second, k)
    above: Counter[tuple[int, ...]] = Counter()
    for order, _, _ in found:
        for place in range(len(order) + 1):
            above[tuple(order[:place])] += 1
    for order, _, chances in found:
        for place, chance in enumerate(chances):
            seen = above[tuple(order[: place + 1])] / above[tuple(order[:place])]
            assert chance == pytest.approx(seen), (order, place)


@pytest.mark.parametrize("seed", range(5))
def test_a_draft_holds_the_best_of_both_each_once_in_equal_teams(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.permutation(12).tolist(), rng.permutation(12).tolist()
    for k in range(1, 13):
        order, teams, _ = team_draft(first, second, k, rng)
        assert len(order) == len(set(order)) == len(teams) == k
        assert abs(teams.count(0) - teams.count(1)) <= 1
        for team, source in enumerate((first, second)):
            mine = [one for one, whose in zip(order, teams, strict=True) if whose == team]
            assert [source.index(one) for one in mine] == sorted(source.index(one) for one in mine)
        for place, (one, team) in enumerate(zip(order, teams, strict=True)):
            left = [other for other in (first, second)[team] if other not in order[:place]]
            assert one == left[0], "each picks the best of its order that isn't there yet"


def test_equal_orders_stay_as_they_are() -> None:
    order, _, chances = team_draft([3, 1, 2], [3, 1, 2], 3, np.random.default_rng(1))
    assert order == [3, 1, 2]
    assert chances == [1.0, 1.0, 1.0]


def declared(**more: Any) -> Experiment:
    arms = [Arm("plain"), Arm("mixed", policy={"diversity": 0.9})]
    metrics = [Metric("click", "per_ranking")]
    return Experiment(**({"name": "both", "kind": "interleaved", "arms": arms, "metrics": metrics} | more))


def start(engine: Engine, experiment: Experiment) -> Experiment:
    return engine.arms.start(experiment, engine.clock())


def test_answers_say_what_was_done_and_decisions_whose_each_item_is() -> None:
    with filled([*ITEMS, did(1, "u", "i1"), did(2, "u", "i2")]) as engine:
        plain = engine.rank("u", NAMES, k=6)
        start(engine, declared())
        for _ in range(8):
            answer = engine.rank("u", NAMES, k=6, explain=True)
            assert (answer.arm, answer.policy) == ("both/interleaved", "interleaved")
            assert answer.degraded == []
            decision = engine.parts.decisions.get(answer.ranking)
            assert sorted(decision.teams) == [0, 0, 0, 1, 1, 1]
            assert decision.shown.propensities == [item.propensity for item in answer.items]
            assert {one.propensity for one in answer.items} <= {0.5, 1.0}
            assert answer.items[0].id in {one.id for one in plain.items}
            for one in answer.items:
                terms = sum(term.contribution for term in one.contributions)
                assert terms == pytest.approx(one.score, abs=1e-6)
                found = engine.explain(answer.ranking, one.id)
                assert found.score == one.score
            stage = next(one for one in answer.stages if one.name == "interleaved")
            assert stage.counts["second"] == 3
        assert engine.recommend("u", 4).policy == "interleaved"
        assert engine.rank("u", NAMES, policy="plackett_luce").arm == "", "who asks for chance has their own"


def test_items_that_only_the_second_arm_retrieves_are_scored_by_the_first() -> None:
    with filled([*ITEMS, did(1, "u", "i1")]) as engine:
        start(engine, declared())
        inner = engine.line.run
        calls: list[int] = []

        def run(request: Any, now: int, model: Any, other: Any = None) -> Any:
            found = inner(request, now, model, other)
            calls.append(len(calls))
            if len(calls) == 1:  # the first arm finds the first three alone
                for name in ("rows", "held"):
                    setattr(found.candidates, name, getattr(found.candidates, name)[:3])
                found.candidates.ids = list(found.candidates.ids)[:3]
                found.x, found.scores = found.x[:3], found.scores[:3]
            return found

        engine.line.run = run  # pyright: ignore[reportAttributeAccessIssue]
        answer = engine.recommend("u", 6, explain=True)
        assert len(calls) == 3
        assert len(answer.items) == 6
        stage = next(one for one in answer.stages if one.name == "interleaved")
        assert stage.counts["retrieved"] >= 3
        engine.line.run = inner  # pyright: ignore[reportAttributeAccessIssue]
        scores = {one.id: one.score for one in engine.rank("v", NAMES).items}
        assert set(scores) >= {one.id for one in answer.items}
        assert all(one.score is not None for one in answer.items)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"arms": [Arm("a"), Arm("b"), Arm("c")]}, "Two arms are interleaved"),
        ({"arms": [Arm("a"), Arm("b", policy={"rank": "plackett_luce"})]}, "draws its order by chance"),
        ({"metrics": [Metric("rating", "mean_value")]}, "credits no arm"),
    ],
)
def test_what_cant_be_interleaved_is_refused(more: dict[str, Any], said: str) -> None:
    with filled(ITEMS) as engine, pytest.raises(InvalidInput, match=said):
        start(engine, declared(**more))


def played(people: int, wanted: float, seed: int = 1) -> Any:
    """Of people who click the second arm's items with chance ``wanted`` and the first's with one half."""
    rng = np.random.default_rng(seed)
    with filled(ITEMS) as engine:
        start(engine, declared(horizon_days=0.5, people=300))
        events: list[Interaction] = []
        for n in range(people):
            answer = engine.rank(f"w{n}", NAMES, k=4)
            teams = engine.parts.decisions.get(answer.ranking).teams
            for one, team in zip(answer.items, teams, strict=True):
                if rng.random() < (wanted if team else 0.5) / 2:
                    events += [
                        Interaction(id=f"c{n}-{one.id}-{m}", item=one.id, user=f"w{n}", ranking=answer.ranking)
                        for m in range(2)  # twice is once
                    ]
        engine.ingest(events)
        engine.ingest([did(1, "late", "i1", when=engine.clock() - START + DAY)])
        return engine.arms.report("both", engine.clock())


def test_the_arm_that_people_want_is_preferred_and_by_how_much() -> None:
    found = played(300, 0.9)
    (one,) = found.comparisons
    assert one.verdict == "better"
    assert one.low > 0
    assert found.trustworthy
    (counts,) = found.preferences
    assert one.value == pytest.approx(
        (counts.wins - counts.losses) / (counts.wins + counts.losses + counts.ties), abs=1e-9
    )
    means = [arm.means["click.per_ranking"] for arm in found.arms]
    assert means[0] == pytest.approx(0.5, abs=0.12)  # two items of its own, a quarter of them taken up
    assert means[1] == pytest.approx(0.9, abs=0.12)
    assert [arm.rankings for arm in found.arms] == [300, 300]


def test_equal_arms_are_not_told_apart() -> None:
    found = played(200, 0.5, 3)
    assert found.comparisons[0].verdict == "open"
    assert found.comparisons[0].low < 0 < found.comparisons[0].high
