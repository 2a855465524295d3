"""Experiments in an engine: the arm ranks, the decision says so, the report counts what people did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.engine import Engine
from palate.errors import Conflict, CorruptArtefact, InvalidInput, NotFound
from palate.experiment import Arm, Experiment, Metric, arm_of
from palate.experiment.report import ExperimentReport
from palate.store.decision import decode, encode
from palate.testing.world import START, make_world
from palate.types import Interaction
from tests.engines import HASHING, SMALL, did, filled, item

DAY = 86_400_000
ITEMS = [item(f"i{n}", n, title=f"thing {n}", kind="abc"[n % 3]) for n in range(12)]
NAMES = [f"i{n}" for n in range(12)]


def two(**more: Any) -> Experiment:
    arms = [Arm("control"), Arm("drawn", policy={"rank": "plackett_luce"})]
    return Experiment(**({"name": "try", "arms": arms, "salt": "s"} | more))


def start(engine: Engine, experiment: Experiment) -> Experiment:
    return engine.arms.start(experiment, engine.clock())


def test_an_arm_ranks_as_it_is_declared_and_every_answer_says_so() -> None:
    with filled([*ITEMS, did(1, "u", "i1")]) as engine:
        before = engine.rank("u", NAMES)
        assert (before.arm, before.policy) == ("", "greedy")
        declared = start(engine, two())
        seen: set[str] = set()
        for n in range(20):
            answer = engine.rank(f"u{n}", NAMES)
            arm = arm_of(declared, f"u{n}")
            assert arm is not None
            assert answer.arm == f"try/{arm.name}"
            assert answer.policy == arm.policy.get("rank", "greedy")
            assert engine.parts.decisions.get(answer.ranking).arm == answer.arm
            seen.add(arm.name)
        assert seen == {"control", "drawn"}
        assert engine.rank(session="s", items=NAMES).arm
        assert engine.rank(items=NAMES).arm == "", "nobody is in no arm"
        assert engine.rank("u1", NAMES, policy="greedy").policy == "greedy", "who asks for a policy gets it"
        engine.arms.stop("try", engine.clock())
        assert engine.rank("u1", NAMES).arm == ""


def test_the_first_of_two_experiments_holds_a_person() -> None:
    with filled(ITEMS) as engine:
        start(engine, two(name="first", share=0.5))
        start(engine, two(name="second", salt="t"))
        arms = [engine.rank(f"u{n}", NAMES).arm.split("/") for n in range(60)]
        first = [arm for name, arm in arms if name == "first"]
        second = [arm for name, arm in arms if name == "second"]
        assert min(len(first), len(second)) > 15
        assert {*first} == {*second} == {"control", "drawn"}


def test_experiments_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "shop.palate"
    with palate.open(path, language=HASHING) as engine:
        engine.ingest(ITEMS)
        start(engine, two())
        arms = [engine.rank(f"u{n}", NAMES).arm for n in range(8)]
    with palate.open(path, language=HASHING) as engine:
        assert [engine.rank(f"u{n}", NAMES).arm for n in range(8)] == arms
        with pytest.raises(Conflict, match="There is an experiment 'try' already"):
            start(engine, two())
        assert engine.arms.stop("try", engine.clock()).stopped
        with pytest.raises(Conflict, match="has ended already"):
            engine.arms.stop("try", engine.clock())
    with palate.open(path, language=HASHING) as engine:
        assert engine.rank("u1", NAMES).arm == ""
        assert [one.running for one in engine.arms.experiments.list()] == [False]


def test_a_damaged_file_stops_no_ranking(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "shop.palate"
    with palate.open(path, language=HASHING) as engine:
        engine.ingest(ITEMS)
        start(engine, two())
    (path / "experiments.json").write_text("[{")
    with palate.open(path, language=HASHING) as engine:
        assert len(engine.rank("u1", NAMES).items) == 12
        with pytest.raises(CorruptArtefact, match="Mend it, or move it away"):
            start(engine, two(name="other"))
        assert (path / "experiments.json").read_text() == "[{", "what may yet be mended is not written over"
        (path / "experiments.json").unlink()
        assert start(engine, two(name="other")).running
    assert "experiments.json can't be read" in caplog.text


def test_arms_of_models(tmp_path: Path) -> None:
    world = make_world(people=10, per_genre=5, interactions=300)
    path = tmp_path / "shop.palate"
    arms = [Arm("old", model="prior"), Arm("new", model="v0001"), Arm("active")]
    with palate.open(path, language=HASHING, train=SMALL) as engine:
        engine.ingest(world.events)
        with pytest.raises(NotFound, match="no model 'v0001'"):
            start(engine, two(arms=arms))
        engine.train()
        engine.train()
        start(engine, two(arms=arms))
        served = {answer.arm: answer.model for answer in (engine.recommend(f"p{n}", 3) for n in range(40))}
        assert served == {"try/old": "prior", "try/new": "v0001", "try/active": "v0002"}
        assert engine.shelf.wanted() == {"prior", "v0001"}
    arrays = path / "models" / "v0001" / "arrays.safetensors"
    arrays.write_bytes(arrays.read_bytes()[:-4])
    with palate.open(path, language=HASHING, train=SMALL) as engine:
        answers = [engine.recommend(f"p{n}", 3) for n in range(40)]
        lost = [answer for answer in answers if answer.arm == "try/new"]
        assert {(answer.model, *answer.degraded) for answer in lost} == {("v0002", "arm_unusable")}
        assert not [answer for answer in answers if answer.arm == "try/active" and answer.degraded]


def play(
    engine: Engine, experiment: Experiment, people: int, chance: dict[str, int], days: int = 9
) -> ExperimentReport:
    """Each person is ranked for four times, clicks as many of these as their arm says, and rates accordingly."""
    begun = engine.clock()
    events: list[Interaction] = []
    for n in range(people):
        for turn in range(4):
            answer = engine.answer(palate.RankRequest(user=f"w{n}", items=[*NAMES]), begun + turn * 1000)
            arm = answer.arm.split("/")[1]
            if turn < chance[arm] - (n % 3 == 0):
                named = {"ranking": answer.ranking} if n % 10 else {}
                clicked = Interaction(
                    id=f"c{n}-{turn}", timestamp=begun + turn * 1000 + 1, user=f"w{n}", item="i1", type="click", **named
                )
                events.append(clicked)
        rating = Interaction(
            id=f"r{n}", timestamp=begun + 5000, user=f"w{n}", item="i2", type="rating", value=1.0 + chance[arm]
        )
        late = Interaction(id=f"l{n}", timestamp=begun + 8 * DAY, user=f"w{n}", item="i3", type="click")
        events += [rating, late]
    engine.ingest(events)
    return engine.arms.report(experiment.name, begun + days * DAY)


def test_the_report_counts_what_people_did_within_their_horizon() -> None:
    metrics = [
        Metric("click", "per_ranking"),
        Metric("click", "users"),
        Metric("click"),
        Metric("rating", "mean_value"),
    ]
    with filled([*ITEMS, did(1, "u", "i1")]) as engine:
        declared = start(engine, two(metrics=metrics))
        report = play(engine, declared, 400, {"control": 1, "drawn": 3})
        control, drawn = report.arms
        assert control.people + drawn.people == 400
        assert (control.counted, control.rankings) == (control.people, 4 * control.people)
        people = {"control": 0, "drawn": 0}
        clicks, named, some = dict(people), dict(people), dict(people)
        for n in range(400):
            arm = arm_of(declared, f"w{n}")
            assert arm is not None
            done = {"control": 1, "drawn": 3}[arm.name] - (n % 3 == 0)
            people[arm.name] += 1
            clicks[arm.name] += done
            named[arm.name] += done if n % 10 else 0
            some[arm.name] += done > 0
        for figures in report.arms:
            count = people[figures.arm]
            assert figures.people == count
            assert figures.means["click.events"] == pytest.approx(clicks[figures.arm] / count)
            assert figures.means["click.users"] == pytest.approx(some[figures.arm] / count)
            assert figures.means["click.per_ranking"] == pytest.approx(named[figures.arm] / (4 * count))
        assert (control.means["rating.mean_value"], drawn.means["rating.mean_value"]) == (2.0, 4.0)
        assert [one.verdict for one in report.comparisons] == ["better"] * 4
        first = report.comparisons[0]
        assert first.value is not None
        assert first.low is not None
        assert first.high is not None
        assert 0 < first.low < first.value < first.high
        assert report.trustworthy
        assert report.moved == 0
        assert report.notes[0].split()[:4] == ["Events", "that", "name", "no"]


def test_who_came_lately_does_not_count_yet() -> None:
    with filled([*ITEMS, did(1, "u", "i1")]) as engine:
        declared = start(engine, two(metrics=[Metric("click")]))
        report = play(engine, declared, 120, {"control": 1, "drawn": 1}, days=6)
        assert [(one.people > 40, one.counted) for one in report.arms] == [(True, 0)] * 2
        assert report.comparisons[0].verdict == "too_few"
        assert "Not counted yet: 120" in report.notes[0]


def test_people_of_two_arms_are_left_out() -> None:
    with filled([*ITEMS, did(1, "u", "i1")]) as engine:
        declared = start(engine, two(metrics=[Metric("click")]))
        answer = engine.rank("w1", NAMES)
        other = {"try/control": "try/drawn", "try/drawn": "try/control"}
        moved = decode(encode(engine.parts.decisions.get(answer.ranking)), "here")
        moved.arm = other[answer.arm]
        engine.parts.decisions.append(engine.parts.decisions.reserve(), moved)
        report = play(engine, declared, 100, {"control": 1, "drawn": 1})
        assert report.moved == 1
        assert sum(one.people for one in report.arms) == 99


def test_what_they_did_before_is_taken_off() -> None:
    """People differ much from one another, and do as they did: with that known, the same difference is seen sooner."""
    before = [did(n * 40 + turn, f"w{n}", "i1", when=n * 100 + turn) for n in range(300) for turn in range(n % 30)]
    with filled([*ITEMS, *before]) as engine:
        declared = start(engine, two(metrics=[Metric("click")]))
        begun = engine.clock()
        for n in range(300):
            engine.answer(palate.RankRequest(user=f"w{n}", items=[*NAMES]), begun)
        engine.ingest(
            [
                Interaction(id=f"x{n}-{turn}", timestamp=begun + 1 + turn, user=f"w{n}", item="i1")
                for n in range(300)
                for turn in range(n % 30 + (arm_of(declared, f"w{n}") is declared.arms[1]))
            ]
        )
        [found] = engine.arms.report("try", begun + 8 * DAY).comparisons
        assert found.adjusted > 0.95
        assert found.value == pytest.approx(1.0, abs=0.1)
        assert found.verdict == "better"


def test_refusals(tmp_path: Path) -> None:
    with filled(ITEMS) as engine:
        with pytest.raises(InvalidInput):
            start(engine, two(arms=[Arm("one"), Arm("two", policy={"rank": 3})]))
        with pytest.raises(NotFound, match=r"no experiment 'none': palate experiment list .* names them\.$"):
            engine.arms.report("none", START)
        with pytest.raises(NotFound):
            engine.arms.stop("none", START)
        assert json.dumps([one.name for one in engine.arms.experiments.list()]) == "[]"
