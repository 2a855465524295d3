"""Bandits in an engine: what decisions keep, what restarts keep, floors, arms, and what replay makes of the log."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.bandits import kept
from palate.bandits.context import NAMES, SHARED
from palate.config import load
from palate.engine import Engine
from palate.evaluate.replay import replay
from palate.experiment import Arm, Experiment
from palate.store.decision import Decision, unpack
from palate.testing.world import make_world
from palate.types import Ranking
from tests.engines import HASHING, SMALL, filled, ids, stage

WORLD = make_world(people=16, per_genre=5, interactions=300)
PEOPLE = sorted(WORLD.taste)
BANDIT: dict[str, Any] = {"recommend": "thompson", "explore": False}


def logged(engine: Engine, ranking: Ranking) -> Decision:
    return engine.parts.decisions.get(ranking.ranking)


def live(engine: Engine, rankings: int, seed: int = 1, policy: str | None = None, k: int = 5) -> list[Ranking]:
    """People are shown ``k`` items, look from the top, and stop at what they click on by their tastes."""
    rng = np.random.default_rng(seed)
    found: list[Ranking] = []
    for number in range(rankings):
        user = PEOPLE[number % len(PEOPLE)]
        answer = engine.recommend(user=user, k=k, policy=policy)
        found.append(answer)
        events: list[dict[str, Any]] = [
            {"event": "impression", "user": user, "items": ids(answer), "ranking": answer.ranking}
        ]
        best, second = WORLD.taste[user]
        for item in ids(answer):
            if rng.random() < {best: 0.6, second: 0.3}.get(WORLD.genre_of.get(item, ""), 0.05):
                events.append(
                    {"event": "interaction", "user": user, "item": item, "type": "click", "ranking": answer.ranking}
                )
                break
        engine.ingest(events)
    return found


def on_disk(path: Path, policy: dict[str, Any] = BANDIT, **more: Any) -> Engine:
    return palate.open(
        path, language=HASHING, policy=policy, seen="keep", decisions={"sample": 1.0, "flush_seconds": 0.01}, **more
    )


def belief(engine: Engine) -> tuple[bytes, bytes, int]:
    found = engine.bandits.belief("prior/16")
    return found.mean.tobytes(), found.covariance.tobytes(), found.updates


def test_nothing_is_kept_or_learnt_by_default(tmp_path: Path) -> None:
    with on_disk(tmp_path / "e", {"recommend": "plackett_luce"}) as engine:
        engine.ingest(WORLD.events)
        (answer,) = live(engine, 1)
        assert logged(engine, answer).bandit is None
        assert engine.bandits.learner.seq == 0
        engine.snapshot()
    assert not (tmp_path / "e" / kept.FOLDER).exists()


def test_a_decision_keeps_what_its_answer_can_teach(tmp_path: Path) -> None:
    with on_disk(tmp_path / "e", {**BANDIT, "samples": 40}) as engine:
        engine.ingest(WORLD.events)
        answer = live(engine, 3)[-1]
        decision = logged(engine, answer)
        assert decision.bandit is not None
        assert decision.unshown is not None
        assert decision.rules is not None
        assert (decision.bandit.key, decision.bandit.samples, decision.rules.alpha) == ("prior/16", 40, 0.25)
        assert decision.bandit.updates > 0
        assert (stage(answer, "policy").counts["samples"], answer.policy) == (40, "thompson")
        assert all((one.propensity * 40).is_integer() for one in answer.items)
        shown = unpack(decision.bandit.shown, 5)
        unshown = unpack(decision.bandit.unshown, len(decision.unshown.ids))
        assert (shown.shape[1], unshown.shape[1]) == (16, 16)
        scores = np.array([one.score for one in answer.items], np.float64)
        every = np.concatenate([shown, unshown])
        assert (every[:, 0] == 1.0).all()
        assert (every[:, 1].min(), every[:, 1].max()) == (0.0, 1.0)
        np.testing.assert_array_equal(np.argsort(shown[:, 1]), np.argsort(scores))
        assert not every[:, SHARED:].any()  # no towers are trained


def test_what_people_choose_is_learnt(tmp_path: Path) -> None:
    engine = filled(WORLD, policy={**BANDIT, "ridge": 1.0}, seen="keep")
    before = engine.bandits.belief("prior/16")
    live(engine, 300)
    after = engine.bandits.belief("prior/16")
    counts = engine.bandits.learner.counts
    assert counts["rewards"] > 100
    assert counts["declines"] > 100
    assert after.updates == counts["rewards"] + counts["declines"] + counts["credits"]
    assert np.trace(after.covariance) < 0.8 * np.trace(before.covariance)
    taste = NAMES.index("taste_short")
    assert engine.parts.decisions.log is not None
    decisions = list(engine.parts.decisions.log.read())
    z = np.concatenate([unpack(one.bandit.shown, len(one.shown.ids)) for one in decisions if one.bandit])
    likes = float(np.corrcoef(z @ after.mean, z[:, taste])[0, 1])
    assert likes > 0.1  # what is like their taste is expected to bring more


def test_a_restart_goes_on_to_the_bit_however_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "e"
    with on_disk(path) as engine:
        engine.ingest(WORLD.events)
        live(engine, 40)
        engine.snapshot()
        at = engine.bandits.learner.seq
        live(engine, 40, seed=2)
        assert engine.parts.decisions.log is not None
        engine.parts.decisions.log.flush()
        shutil.copytree(path, tmp_path / "killed", ignore=shutil.ignore_patterns("*.lock", "lock"))
        wanted = belief(engine)
    learnt, why = kept.read(kept.path_of(tmp_path / "killed"))
    assert learnt is not None
    assert (learnt.seq, why) == (at, "")
    with on_disk(path) as engine:
        assert belief(engine) == wanted
    with on_disk(tmp_path / "killed") as engine:  # the half that was learnt since is learnt again from the log
        assert belief(engine) == wanted
        engine.rebuild()
        assert belief(engine) == wanted


@pytest.mark.parametrize("body", [b"", b"{", b'{"seq":"x"}', None])
def test_what_cannot_be_read_is_learnt_again(tmp_path: Path, body: bytes | None, caplog: Any) -> None:
    path = tmp_path / "e"
    with on_disk(path) as engine:
        engine.ingest(WORLD.events)
        live(engine, 20)
        wanted = belief(engine)
    file = kept.path_of(path)
    if body is None:
        learnt, _ = kept.read(kept.path_of(path))
        assert learnt is not None
        learnt.seq += 1000
        kept.write(kept.path_of(path), learnt)
    else:
        file.write_bytes(body)
    with on_disk(path) as engine:
        assert belief(engine) == wanted
    assert "the bandits learn again from the log" in caplog.text


def test_other_policies_teach_where_they_are_told_to() -> None:
    engine = filled(WORLD, policy={"learn": True, "explore": False}, seen="keep")
    answer = live(engine, 10)[-1]
    decision = logged(engine, answer)
    assert (answer.policy, decision.policy) == ("greedy", "greedy")
    assert decision.bandit is not None
    assert decision.bandit.samples == 0
    assert engine.bandits.belief("prior/16").updates > 0
    plain = filled(WORLD, policy={"explore": False}, seen="keep")
    assert ids(plain.recommend(user="p1", k=5)) == ids(filled(WORLD, policy={"learn": True}).recommend(
        user="p1", k=5, policy="greedy", seen="keep"
    ))  # fmt: skip


def test_a_request_may_ask_for_a_bandit_that_nobody_teaches() -> None:
    engine = filled(WORLD)
    answer = engine.recommend(user="p1", k=5, policy="linucb")
    assert answer.policy == "linucb"
    assert [one.propensity for one in answer.items] == [1.0] * 5
    drawn = engine.rank(user="p1", items=sorted(WORLD.genre_of)[:9], policy="thompson", explain=True)
    assert any(one.feature == "policy.thompson" for one in drawn.items[0].contributions)
    assert 0.0 < drawn.items[0].propensity < 1.0
    assert engine.bandits.learner.seq == 0


def test_new_items_have_their_floor_within_the_budget_and_keep_the_log_exact() -> None:
    policy = {"explore": True, "explore_share": 0.1, "new_floor": 6, "new_days": 0.1}
    engine = filled(WORLD, policy=policy, seen="keep")
    now = engine.clock()
    new = [f"new-{number}" for number in range(8)]
    engine.ingest(
        [{"event": "item", "item": name, "timestamp": now, "fields": {"title": f"Zzz {name}"}} for name in new]
    )
    engine.wait_encoded(60)
    placed = dict.fromkeys(new, 0)
    slots = places = 0
    for number in range(120):
        user = PEOPLE[number % len(PEOPLE)]
        answer = engine.recommend(user=user, k=10)
        decision = logged(engine, answer)
        places += len(answer.items)
        explored = [one for one, stray in zip(answer.items, decision.shown.explored, strict=True) if stray]
        slots += len(explored)
        assert len(explored) <= 1
        assert slots <= 0.1 * places
        assert decision.rules is not None
        if decision.rules.floor:
            (one,) = explored
            assert one.id in new
            assert one.position == 5
            assert 0.0 < one.propensity <= 1.0
            assert one.reasons[0].code == "exploration"
        for one in answer.items:
            if one.id in placed:
                placed[one.id] += 1
        engine.ingest({"event": "impression", "user": user, "items": ids(answer), "ranking": answer.ranking})
    assert min(placed.values()) >= 6
    assert slots <= 0.1 * places
    later = engine.answer(palate.RecommendRequest(user="p0", k=10), now=engine.clock() + 4 * 86_400_000)
    rules = logged(engine, later).rules
    assert rules is not None
    assert rules.floor is False


def test_an_arm_of_an_experiment_may_be_a_bandit_and_learns() -> None:
    engine = filled(WORLD, policy={"explore": False}, seen="keep")
    arms = [Arm("control"), Arm("bandit", policy={"recommend": "linucb", "alpha": 1.0})]
    engine.arms.start(Experiment(name="b", arms=arms), engine.clock())
    answers = live(engine, 40)
    by_arm = {one.arm: one for one in answers}
    assert by_arm["b/control"].policy == "greedy"
    assert by_arm["b/bandit"].policy == "linucb"
    rules = logged(engine, by_arm["b/bandit"]).rules
    assert rules is not None
    assert rules.alpha == 1.0
    assert engine.bandits.belief("prior/16").updates > 0


def test_a_new_model_brings_other_contexts_and_what_was_learnt_of_the_rest(tmp_path: Path) -> None:
    engine = filled(WORLD, policy={**BANDIT, "ridge": 1.0}, seen="keep", train=SMALL)
    live(engine, 60)
    old = engine.bandits.belief("prior/16")
    report = engine.train()
    answer = live(engine, 30)[-1]
    decision = logged(engine, answer)
    assert decision.bandit is not None
    assert decision.bandit.key == f"{report.version}/16"
    z = unpack(decision.bandit.shown, 5)
    assert z[:, SHARED:].any()
    new = engine.bandits.belief(decision.bandit.key)
    assert np.abs(new.mean[:SHARED] - old.mean[:SHARED]).max() < 0.3
    assert np.trace(new.covariance[:SHARED, :SHARED]) <= np.trace(old.covariance[:SHARED, :SHARED]) + 1e-9


def test_replay_judges_logs_of_bandits_and_bandits_on_logs(tmp_path: Path) -> None:
    path = tmp_path / "e"
    policy = {**BANDIT, "alpha": 3.0, "samples": 64}
    with on_disk(path, policy) as engine:
        engine.ingest(WORLD.events)
        live(engine, 250, k=3)
        final = engine.bandits.belief("prior/16")
    same = replay(path, load(overrides={"policy": policy, "seen": "keep"}), least=1.0)
    assert (same.variant, same.judged_on, same.skipped) == ("cascade", 250, {})
    assert [note.code for note in same.notes] == ["learnt_from_these"]
    assert np.isfinite(same.estimates["dr"].value or np.nan)
    drawn = replay(path, load(overrides={"policy": {"recommend": "plackett_luce"}, "seen": "keep"}), least=1.0)
    assert drawn.judged_on == 250
    sure = replay(path, load(overrides={"policy": {**BANDIT, "recommend": "linucb"}, "seen": "keep"}), least=1.0)
    assert sure.judged_on == 250
    assert final.updates > 250

    with on_disk(tmp_path / "plain", {"recommend": "plackett_luce", "temperature": 3.0}) as engine:
        engine.ingest(WORLD.events)
        live(engine, 20)
    blind = replay(tmp_path / "plain", load(overrides={"policy": BANDIT, "seen": "keep"}))
    assert (blind.verdict, blind.skipped) == ("can't tell", {"contexts": 20})
    assert "policy.learn = true" in blind.reasons[0].text
