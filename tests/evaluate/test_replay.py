"""Judging a configuration on what an engine logged: from rankings and clicks to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.config import load
from palate.errors import InvalidInput, NotFound
from palate.evaluate.judgement import Judgement
from palate.evaluate.replay import Rounds, judge, replay
from palate.store.decision import Decision
from palate.testing.world import World, make_world

Settings = palate.Settings
WORLD = make_world(people=20, per_genre=4, interactions=400)


def likes(world: World, user: str, item: str) -> float:
    best, second = world.taste[user]
    return {best: 0.6, second: 0.3}.get(world.genre_of[item], 0.05)


def explored(path: Path) -> Path:
    """``path`` with 160 rankings that were drawn, and the configuration that drew them; gives ``path``."""
    live(path, {"recommend": "plackett_luce", "temperature": 3.0}, 160)
    (path / "palate.toml").write_text('[policy]\nrecommend = "plackett_luce"\ntemperature = 3.0\n')
    return path


def live(path: Path, policy: dict[str, Any], rankings: int, sample: float = 1.0, name: bool = True) -> None:
    """An engine with history, and ``rankings`` recommendations that people click on by their tastes."""
    rng = np.random.default_rng(5)
    overrides = {"policy": policy, "decisions": {"sample": sample, "flush_seconds": 0.01}, "seen": "keep"}
    with palate.open(path, settings=load(overrides=overrides)) as engine:
        engine.ingest(WORLD.events)
        users = sorted(WORLD.taste)
        clicks: list[dict[str, Any]] = []
        for number in range(rankings):
            user = users[number % len(users)]
            answer = engine.recommend(user=user, k=4)
            for item in answer.items:
                if rng.random() < likes(WORLD, user, item.id):
                    click = {"event": "interaction", "user": user, "item": item.id, "type": "click"}
                    clicks.append(click | ({"ranking": answer.ranking} if name else {}))
        engine.ingest(clicks)


def policy(**values: Any) -> Settings:
    return load(overrides={"policy": values, "seen": "keep"})


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drawn") / "shop.palate"
    live(path, {"recommend": "plackett_luce", "temperature": 3.0}, 300)
    return path


def codes(found: Judgement) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_the_logged_configuration_is_worth_what_it_brought(drawn: Path) -> None:
    found = replay(drawn, policy(recommend="plackett_luce", temperature=3.0))
    assert (found.verdict, found.reasons, found.variant, found.model) == ("judged", [], "cascade", "prior")
    assert (found.decisions, found.judged_on, found.people, found.skipped) == (300, 300, len(WORLD.taste), {})
    assert found.overlap is not None
    assert found.overlap.effective == pytest.approx(300, abs=1e-3)  # scores are made again from float32 features
    for name in ("ips", "snips"):
        assert found.estimates[name].value == pytest.approx(found.logged.value, abs=1e-4)
    assert found.estimates["dr"].value == pytest.approx(found.logged.value, abs=0.1)


def test_a_sharper_policy_is_judged_to_bring_more(drawn: Path) -> None:
    found = replay(drawn, policy(recommend="plackett_luce", temperature=2.0))
    assert found.verdict == "judged"
    assert found.lift.value is not None
    assert found.lift.value > 0.0
    flat = replay(drawn, policy(recommend="plackett_luce", temperature=30.0), least=10.0)
    assert (flat.estimates["dr"].value or 0.0) < (found.estimates["dr"].value or 0.0)


def test_depth_and_reward_choose_what_counts(drawn: Path) -> None:
    same = policy(recommend="plackett_luce", temperature=3.0)
    whole, first = replay(drawn, same), replay(drawn, same, depth=1)
    assert 0.0 < (first.logged.value or 0.0) < (whole.logged.value or 0.0)
    weighted = load(overrides={"policy": {"recommend": "plackett_luce", "temperature": 3.0}, "weights": {"click": 5.0}})
    assert replay(drawn, weighted, reward="weights").logged.value == pytest.approx(5.0 * (whole.logged.value or 0.0))
    none = replay(drawn, same, reward="purchase")
    assert (none.verdict, codes(none)) == ("can't tell", ["no_rewards"])


def test_greedy_against_a_drawn_log_has_too_little_overlap_and_says_so(drawn: Path) -> None:
    found = replay(drawn, policy(recommend="greedy", explore=False))
    assert found.verdict == "can't tell"
    assert "overlap" in codes(found)
    assert "policy.temperature" in " ".join(reason.text for reason in found.reasons)


def test_a_setting_that_would_change_the_candidates_is_named(drawn: Path) -> None:
    wanted = load(
        overrides={"policy": {"recommend": "plackett_luce"}, "weights": {"view": 2.0}, "retrieve": {"rrf": 9.0}}
    )
    (note,) = replay(drawn, wanted, logging=policy()).notes
    assert note.code == "not_judged"
    assert "retrieve.rrf" in note.text
    assert "weights" in note.text


def test_diversity_is_judged_as_none_and_said(drawn: Path) -> None:
    plain, diverse = {"recommend": "plackett_luce"}, {"recommend": "plackett_luce", "diversity": 0.5}
    found = replay(drawn, policy(**diverse))
    assert [note.code for note in found.notes] == ["diversity"]
    assert found.estimates == replay(drawn, policy(**plain)).estimates


def test_epsilon_greedy_logs_judge_the_greedy(tmp_path: Path) -> None:
    live(tmp_path / "shop", {"recommend": "epsilon_greedy", "epsilon": 0.2}, 200)
    found = replay(tmp_path / "shop", policy(explore=False), least=20.0)
    assert (found.verdict, found.variant, found.judged_on) == ("judged", "cascade", 200)
    assert found.overlap is not None
    assert min(found.overlap.mean_weights[:4]) > 0.7
    assert (found.lift.value or 0.0) > -0.1


def test_a_log_of_certain_rankings_cannot_tell(tmp_path: Path) -> None:
    live(tmp_path / "shop", {"explore": False}, 20)
    found = replay(tmp_path / "shop", policy(recommend="plackett_luce"))
    assert (found.verdict, codes(found), found.skipped) == ("can't tell", ["greedy"], {"greedy": 20})
    assert "policy.explore = true" in found.reasons[0].text


def test_the_exploration_slot_judges_what_would_have_stood_there(tmp_path: Path) -> None:
    live(tmp_path / "shop", {}, 1200)  # a weight is 0, or the number of candidates where chance took the greedy's own
    found = replay(tmp_path / "shop", policy(), least=10.0)
    assert (found.variant, found.depth, found.judged_on) == ("slot", 1, 1200)
    assert [note.code for note in found.notes] == ["slot"]
    assert found.overlap is not None
    assert found.overlap.mean_weights[0] == pytest.approx(1.0, abs=0.5)
    soft = replay(tmp_path / "shop", policy(recommend="plackett_luce", temperature=1e6))
    assert soft.estimates["ips"].value == pytest.approx(soft.logged.value, rel=1e-3)  # uniform, as the slot was


@pytest.mark.parametrize(("sample", "name", "code"), [(0.0, True, "incomplete"), (1.0, False, "no_names")])
def test_what_the_log_lacks_is_said(tmp_path: Path, sample: float, name: bool, code: str) -> None:
    live(tmp_path / "shop", {"recommend": "plackett_luce", "temperature": 3.0}, 120, sample, name)
    found = replay(tmp_path / "shop", policy(recommend="plackett_luce", temperature=3.0))
    assert found.verdict == "can't tell"
    assert code in codes(found)


def test_an_empty_log_says_so(tmp_path: Path) -> None:
    live(tmp_path / "shop", {}, 0)
    found = replay(tmp_path / "shop", policy())
    assert (found.verdict, codes(found), found.decisions) == ("can't tell", ["no_decisions"], 0)


def test_decisions_of_the_first_format_are_judged_too(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from palate.store import decisions

    decode: Callable[[bytes, str], Decision] = decisions.decode

    def older(body: bytes, where: str) -> Decision:
        found = decode(body, where)
        found.format, found.rules, found.penalties = 1, None, []
        return found

    same = policy(recommend="plackett_luce", temperature=3.0)
    now = replay(drawn, same)
    monkeypatch.setattr(decisions, "decode", older)
    assert replay(drawn, same).estimates == now.estimates


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"depth": 0}, InvalidInput, "depth is 0"),
        ({"window_minutes": 0.0}, InvalidInput, "must be above 0"),
        ({"clip": 0.5}, InvalidInput, "at least 1"),
        ({"least": -5.0}, InvalidInput, "least is -5"),
        ({"least": float("nan")}, InvalidInput, "least is nan"),
        ({"reward": ""}, InvalidInput, "reward is empty"),
        ({"model": "v99"}, NotFound, "v99"),
    ],
)
def test_bad_arguments(drawn: Path, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        replay(drawn, policy(), **options)


def test_an_interval_with_shrunken_weights_holds_the_truth_as_often_as_it_says() -> None:
    """A reward model that says .2 where .3 is true, and one ranking in eighteen of weight 15: shrinking is biased, and
    λ is chosen where little of that is seen. With what is seen alone added, .88 of these intervals hold .3."""
    rng = np.random.default_rng(3)
    shape = Judgement("judged", [], "slate", "m", "click", 60.0, 1, 300)
    people = [f"u{number % 100}" for number in range(300)]
    held: list[bool] = []
    for _ in range(300):
        target = np.where(rng.random((300, 1)) < 0.8 / 14.8, 15.0, 0.2)  # importance weights of mean 1
        rewards = (rng.random((300, 1)) < 0.3).astype(np.float64)
        rounds = Rounds(target, np.ones((300, 1)), rewards, np.full(300, 0.2), rewards - 0.2, people)
        found = judge(rounds, shape, None, 1.0, True)
        dros = found.estimates["dros"]
        assert dros.low is not None
        assert dros.high is not None
        held.append(dros.low <= 0.3 <= dros.high)
    assert np.mean(held) >= 0.93
