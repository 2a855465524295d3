"""Metrics and guardrails with known answers, held against NumPy and SciPy; whom another model ranked for."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy import stats

from palate.engine import Engine
from palate.errors import InvalidInput
from palate.experiment import Arm, Experiment, Guardrail, Metric
from palate.experiment import watch as watching
from palate.experiment.interleaved import preference
from palate.experiment.report import ExperimentReport
from palate.experiment.statistics import difference, mixture, radius
from palate.feedback.opinion import understand
from palate.testing.world import START
from palate.types import F64, Interaction
from tests.engines import did, filled, item

DAY = 86_400_000
ITEMS = [item(f"i{n}", n, title=f"thing {n}") for n in range(6)]
NAMES = [f"i{n}" for n in range(6)]
METRICS = [
    Metric("dwell", "value"),
    Metric("dwell", "per_ranking", at_least=30.0),
    Metric("rating", "mean_value"),
    Metric("rating", "share", at_least=4.0),
    Metric("*", "sentiment"),
    Metric("survey", "mean_value"),
    Metric("survey", "per_ranking"),
]
GOOD, BAD = "Wonderful, I love it.", "Terrible, a waste of money."


def two(**more: Any) -> Experiment:
    given = {"name": "try", "arms": [Arm("a"), Arm("b")], "salt": "s", "horizon_days": 0.5, "people": 200}
    return Experiment(**(given | more))


class Told:
    """What each person did, as a test says it, through a running experiment."""

    def __init__(self, engine: Engine, experiment: Experiment, people: int) -> None:
        self.engine = engine
        engine.arms.start(experiment, engine.clock())
        self.answers = [engine.rank(f"w{n}", NAMES) for n in range(people)]
        self.second = np.array([answer.arm == "try/b" for answer in self.answers])
        self._number = 0

    def event(self, n: int, kind: str, **more: Any) -> Interaction:
        self._number += 1
        return Interaction(
            id=f"e{self._number}", user=f"w{n}", item="i1", type=kind, ranking=self.answers[n].ranking, **more
        )

    def report(self, events: list[Interaction]) -> ExperimentReport:
        self.engine.ingest(events)
        self.engine.ingest([did(1, "late", "i1", when=self.engine.clock() - START + 2 * DAY)])
        return self.engine.arms.report("try", self.engine.clock())


def test_every_metric_is_the_mean_that_it_says() -> None:
    rng = np.random.default_rng(1)
    with filled(ITEMS) as engine:
        told = Told(engine, two(metrics=METRICS), 160)
        seconds = rng.exponential(30.0, 160)
        stars = rng.integers(1, 6, 160).astype(np.float64)
        events = [told.event(n, "dwell", value=float(seconds[n])) for n in range(160)]
        events += [told.event(n, "rating", value=float(stars[n])) for n in range(160)]
        events += [told.event(n, "rating") for n in range(0, 160, 3)]  # without a value it says nothing
        events += [told.event(n, "review", text=GOOD if n % 4 else BAD) for n in range(160)]
        events += [told.event(n, "survey", value=float(n % 5 > 0)) for n in range(0, 160, 2)]
        found = told.report(events)
    good, bad = understand(GOOD).sentiment, understand(BAD).sentiment
    assert good > 0.3 > -0.3 > bad
    feelings = np.where(np.arange(160) % 4 > 0, good, bad)
    for place, figures in enumerate(found.arms):
        mine = told.second == bool(place)
        asked = mine & (np.arange(160) % 2 == 0)
        wanted = {
            "dwell.value": seconds[mine].mean(),
            "dwell.per_ranking>=30": (seconds[mine] >= 30).mean(),
            "rating.mean_value": stars[mine].mean(),
            "rating.share>=4": (stars[mine] >= 4).mean(),
            "*.sentiment": feelings[mine].mean(),
            "survey.mean_value": (np.arange(160)[asked] % 5 > 0).mean(),
            "survey.per_ranking": asked.sum() / mine.sum(),
        }
        assert figures.means == pytest.approx(wanted)
        assert figures.unusable == 0
    by_name = {one.metric: one for one in found.comparisons}
    assert by_name["dwell.value"].value == pytest.approx(seconds[told.second].mean() - seconds[~told.second].mean())
    # a plain interval of one look lies inside of one that holds at all times, and has its centre
    plain = stats.ttest_ind(seconds[told.second], seconds[~told.second], equal_var=False).confidence_interval(0.95)
    one = by_name["dwell.value"]
    assert one.low < plain.low < plain.high < one.high
    assert (one.low + one.high) / 2 == pytest.approx((plain.low + plain.high) / 2)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (Metric("rating", "share"), "say of what value on"),
        (Metric("review", "sentiment", at_least=0.0), "has no value"),
        (Metric("rating", "share", at_least=float("nan")), "must lie between"),
    ],
)
def test_metrics_that_say_nothing_are_refused(metric: Metric, said: str) -> None:
    with filled(ITEMS) as engine, pytest.raises(InvalidInput, match=said):
        engine.arms.start(two(metrics=[metric]), engine.clock())


def hidden(rate_a: float, rate_b: float, guardrail: Guardrail, people: int = 400) -> Any:
    """The engine and report of people who hide something at these rates."""
    rng = np.random.default_rng(2)
    engine = filled(ITEMS)
    told = Told(engine, two(guardrails=[guardrail], guard_days=0.1, horizon_days=30.0), people)
    rates = np.where(told.second, rate_b, rate_a)
    events = [told.event(n, "hide") for n in np.flatnonzero(rng.random(people) < rates).tolist()]
    return engine, told.report(events)


def test_a_guardrail_is_broken_held_or_open_long_before_the_horizon() -> None:
    less = Guardrail("hide", "users", less=True, worst=0.1)
    for rates, verdict in (((0.1, 0.5), "broken"), ((0.5, 0.1), "held"), ((0.2, 0.2), "open")):
        engine, found = hidden(*rates, less)
        engine.close()
        (one,) = found.guardrails
        assert (one.metric, one.arm, one.verdict) == ("hide.users", "b", verdict)
        assert found.arms[0].counted == 0, "nobody's horizon has passed"
    more = Guardrail("hide", "users", worst=0.1)
    engine, found = hidden(0.5, 0.1, more)
    engine.close()
    assert found.guardrails[0].verdict == "broken"
    assert found.guardrails[0].value == pytest.approx(-0.8, abs=0.15)


def test_a_small_harm_is_borne_and_a_larger_one_isnt() -> None:
    control, arm = np.full(500, 1.0), np.full(500, 0.95)
    control[::2], arm[::2] = 1.2, 1.15
    for worst, high in ((0.1, 1), (0.0, -1)):
        found = difference((1 - worst) * control, arm, 0.05, 500)
        assert found is not None
        assert np.sign(found.high if high < 0 else found.low) == high


def test_a_guardrail_that_stops_ends_the_experiment_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    engine, _ = hidden(0.05, 0.6, Guardrail("hide", "users", less=True, stop=True))
    with engine:
        assert engine.arms.watch.look() == ["try"]
        assert "breaks the guardrail hide.users" in caplog.text
        one = engine.arms.experiments.get("try")
        assert not one.running
        assert one.stopped_by == "hide.users, arm b"
        assert engine.rank("w1", NAMES).arm == ""
        assert engine.arms.watch.look() == []
        assert any("Ended by a guardrail" in note for note in engine.arms.report("try", engine.clock()).notes)


def test_a_guardrail_that_only_alerts_alerts_once(caplog: pytest.LogCaptureFixture) -> None:
    engine, _ = hidden(0.05, 0.6, Guardrail("hide", "users", less=True))
    with engine:
        assert engine.arms.watch.look() == []
        assert engine.arms.watch.look() == []
        assert caplog.text.count("breaks the guardrail") == 1
        assert engine.arms.experiments.get("try").running


def test_guardrails_are_looked_after_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "REST", 0.01)
    engine, _ = hidden(0.05, 0.6, Guardrail("hide", "users", less=True, stop=True))
    with engine:
        end = time.monotonic() + 20
        while engine.arms.experiments.get("try").running and time.monotonic() < end:
            time.sleep(0.01)
        assert not engine.arms.experiments.get("try").running


def test_guardrails_cry_wolf_no_more_often_than_alpha_however_often_one_looks() -> None:
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        control, arm = (rng.random(1_500) < 0.2).astype(np.float64), (rng.random(1_500) < 0.2).astype(np.float64)
        looks = (difference(control[:n], arm[:n], 0.05, 1_000) for n in range(60, 1_501, 60))
        wrong += any(one is not None and one.high < 0 for one in looks)
    assert wrong <= 10  # 5 %, both sides together


def test_a_preference_is_seen_when_there_is_one_and_hardly_ever_else() -> None:
    def signs(rng: np.random.Generator, wins: float, n: int) -> F64:
        return rng.choice([-1.0, 0.0, 1.0], n, p=[0.6 - wins, 0.4, wins])

    wrong = 0
    for seed in range(300):
        each = signs(np.random.default_rng(seed), 0.3, 1_000)
        wrong += any(
            one.low > 0 or one.high < 0 for one in (preference(each[:n], 0.05, 500) for n in range(50, 1_001, 50))
        )
    assert wrong <= 15
    each = signs(np.random.default_rng(1), 0.4, 1_000)
    told = preference(each, 0.05, 500)
    assert told.low > 0
    assert told.value == pytest.approx(each.mean())
    assert told.high - told.value == pytest.approx(radius(1_000, each.var(ddof=1), 0.05, mixture(0.05, 500)))
    # where the sequence says so, the exact test of one look does too
    wins, losses = int((each > 0).sum()), int((each < 0).sum())
    assert told.p < 0.05
    assert stats.binomtest(wins, wins + losses).pvalue < 0.05


def test_people_whom_another_model_ranked_for_are_left_out_and_counted() -> None:
    with filled(ITEMS) as engine:
        told = Told(engine, two(arms=[Arm("a"), Arm("b", model="prior")], metrics=[Metric("click", "users")]), 160)
        log = engine.parts.decisions.log
        assert log is not None
        lost = [n for n in np.flatnonzero(told.second).tolist() if n % 2]
        for n in lost:
            decision = engine.parts.decisions.get(told.answers[n].ranking)
            decision.model = "v0007"
            log.append(told.answers[n].ranking, decision)
        found = told.report([told.event(n, "click") for n in lost])
    assert [arm.unusable for arm in found.arms] == [0, len(lost)]
    assert found.arms[1].people == int(told.second.sum()) - len(lost)
    assert found.arms[1].means == {"click.users": 0.0}
    assert found.trustworthy, "they came as declared; who was lost is said beside"
    assert any(note.startswith(f"Left out: {len(lost)} whose arm's model") for note in found.notes)
