"""What language parts gain beside their cost: worlds whose answer is known, and a directory whose logs are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.evaluate.worth import Made, PartCost, contrast, cost_of, in_words, reranking, trained
from palate.language import asked
from palate.language.asked import Asked, AskedLog
from palate.language.offline import Cost, keep_run, runs
from palate.language.prompt import Reply
from palate.settings import GeneratorSettings
from palate.store.decision import Decision, Reordered, Shown
from palate.types import Interaction, Stage
from tests.language.protocol import ChatServer
from tests.test_reranking import NAMES, WORLD, prefers

SHOWN = Shown(["a"], [1.0], [1], [1.0], [False], b"")
PRICED = GeneratorSettings(price_in=1.0, price_out=2.0)


def decision(n: int, **more: Any) -> Decision:
    fields: dict[str, Any] = {"subject": f"p{n % 97}", **more}
    return Decision(ranking=f"r{n}", timestamp=n, as_of=0, model="m", features="", shown=SHOWN, **fields)


def loop(n: int, gain: float, held: float = 0.3, seed: int = 1) -> tuple[list[Decision], dict[str, float]]:
    """Decisions in which chance asked, and their rewards: .4, and ``gain`` more where it was asked."""
    chance = np.random.default_rng(seed)
    made: list[Decision] = []
    rewards: dict[str, float] = {}
    for number in range(n):
        asked = bool(chance.random() >= held)
        log = Reordered(
            "asked" if asked else "held", 1 - held if asked else held, 1, 0.1, moves=[1, -1] if asked else [],
            tokens_in=100 * asked, tokens_out=10 * asked, degraded="generator_timeout" if asked and not number else "",
        )  # fmt: skip
        stages = [Stage("language model", 20.0, "ran")] if asked else []
        made.append(decision(number, reordered=log, stages=stages))
        rewards[f"r{number}"] = float(chance.random() < 0.4 + gain * asked)
    return made, rewards


@pytest.mark.parametrize(("gain", "verdict"), [(0.15, "gains"), (-0.15, "loses"), (0.0, "can't tell")])
def test_a_gain_is_found_with_its_interval_and_its_cost(gain: float, verdict: str) -> None:
    made, rewards = loop(3000, gain)
    found = reranking(made, lambda one: rewards[one.ranking], PRICED, "a rule", True)
    assert found.verdict == verdict
    assert found.gain.low is not None
    assert found.gain.high is not None
    assert found.gain.low < gain < found.gain.high
    assert found.gain.high - found.gain.low < 0.12
    asked = found.sides["asked"].rankings
    assert (found.cost.asked, found.cost.tokens_in, found.cost.tokens_out) == (asked, 100 * asked, 10 * asked)
    assert found.cost.thousand == pytest.approx(0.12)
    assert (found.cost.ms, found.cost.seconds) == (20.0, pytest.approx(0.02 * asked))
    assert found.needed is not None
    assert found.needed > 0
    assert "The gate is a rule." in found.why


def test_the_interval_covers_the_truth_where_rankings_of_a_person_are_alike() -> None:
    covered = 0
    for seed in range(200):
        chance = np.random.default_rng(seed)
        people = np.repeat(np.arange(60), 20)
        treated = chance.random(60)[people] < 0.5  # a person has one side, as in an experiment
        rewards = chance.normal(0, 1, 60)[people] + chance.normal(0, 0.1, len(people))
        found = contrast(rewards, np.ones(len(people)), treated, people, ("with", "without"))
        assert found.gain.low is not None
        assert found.gain.high is not None
        covered += found.gain.low <= 0.0 <= found.gain.high
    assert covered >= 183


def test_with_few_logs_it_says_that_it_cannot_tell_and_how_many_it_takes() -> None:
    made, rewards = loop(150, 0.5)
    found = reranking(made, lambda one: rewards[one.ranking], GeneratorSettings(), "a rule", True)
    assert found.verdict == "can't tell"
    assert "200 of 30 are needed" in found.why[0]
    assert found.cost.money is None
    nothing = reranking([], lambda _: 0.0, GeneratorSettings(), "a rule", False)
    assert (nothing.verdict, nothing.why) == ("can't tell", ["It is off (language.rerank.enabled)."])
    assert (nothing.gain.value, nothing.needed) == (None, None)


def test_an_experiment_tells_of_what_training_knows() -> None:
    chance = np.random.default_rng(2)
    made: list[Decision] = []
    rewards: dict[str, float] = {}
    for number in range(4000):
        person = number % 400
        arm = ("x/plain", "x/taught", "x/other")[person % 3]
        made.append(decision(number, subject=f"p{person}", arm=arm))
        rewards[f"r{number}"] = float(chance.random() < {"x/plain": 0.3, "x/taught": 0.4, "x/other": 0.9}[arm])
    arms = {"x/plain": Made(False, "a"), "x/taught": Made(True, "a"), "x/other": Made(True, "b")}
    found = trained("teacher", made, lambda one: rewards[one.ranking], arms, PartCost())
    assert found.verdict == "gains"
    assert found.gain.low is not None
    assert found.gain.high is not None
    assert found.gain.low < 0.1 < found.gain.high
    assert found.sides["with"].people == 133
    alone = trained("teacher", made, lambda one: rewards[one.ranking], {"x/taught": Made(True, "a")}, PartCost())
    assert (alone.verdict, alone.sides) == ("can't tell", {})
    assert "palate experiment start" in alone.why[0]


def test_runs_are_kept_and_added_up(tmp_path: Path) -> None:
    keep_run(tmp_path, "items", Cost(), "m")
    assert runs(tmp_path) == []
    for part in ("items", "items", "people"):
        keep_run(tmp_path, part, Cost(asked=3, failed=1, tokens_in=30, tokens_out=6, cost=0.5, seconds=2.0), "m")
    with (tmp_path / "language" / "runs.jsonl").open("ab") as file:
        file.write(b"torn")
    found = cost_of(runs(tmp_path), "items")
    assert (found.asked, found.failed, found.tokens_in, found.seconds, found.money) == (6, 2, 60, 4.0, 1.0)


def question(at: int, **more: Any) -> Asked:
    fields: dict[str, Any] = {"use": "chat", "prompt": "plainer.1", "model": "m", "ms": 10.0, "tokens_in": 300}
    return Asked(at, **{**fields, "tokens_out": 20, **more})


def test_what_conversations_and_worded_reasons_cost_and_how_often_something_came_of_it() -> None:
    asked = [question(5 + at, ms=10.0 * (at + 1), used=at < 6) for at in range(9)]
    asked.append(question(1, degraded="generator_timeout", tokens_in=0, tokens_out=0, ms=1000.0))
    asked.append(question(99, use="words", kept=True, used=True, tokens_in=0, tokens_out=0, ms=0.1))
    found = in_words("chat", asked, PRICED)
    assert (found.verdict, found.gain.value) == ("can't tell", None)
    assert found.why[0].startswith("Of 10 turns that nothing else understood it made wishes of 6 (31% to 83%)")
    cost = found.cost
    assert (cost.asked, cost.failed, cost.used, cost.since) == (10, 1, 6, 1)
    assert (cost.tokens_in, cost.tokens_out, cost.seconds, cost.ms) == (2700, 180, 1.45, 55.0)
    assert cost.money == pytest.approx((2700 + 2 * 180) / 1e6)
    assert cost.thousand == pytest.approx((2700 + 2 * 180) / 1e4)
    beside = in_words("words", asked, GeneratorSettings())
    assert (beside.verdict, beside.cost.asked, beside.cost.ms, beside.cost.money) == ("nothing to gain", 1, None, None)
    assert in_words("chat", [], PRICED).why == ["No turn was asked about."]


def test_the_log_of_questions_is_bounded_and_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "BYTES", 1000)
    logs = [AskedLog(tmp_path), AskedLog(tmp_path)]  # two processes' worth
    for number in range(100):
        reply: Reply[str] = Reply("no horror", tokens_in=number, seconds=0.25)
        logs[number % 2].add("chat", "plainer.1", "m", reply, number % 3 == 0)
    found = logs[0].read()
    assert [one.tokens_in for one in found] == list(range(100 - len(found), 100))
    assert 5 <= len(found) < 30
    assert found[-1] == Asked(found[-1].at, "chat", "plainer.1", "m", 250.0, 99, 0, used=True)
    assert sum(file.stat().st_size for file in (tmp_path / "language").iterdir()) < 2600
    assert "horror" not in (tmp_path / asked.FILE).read_text()
    (tmp_path / asked.FILE).write_bytes(b"torn\n")
    assert len(logs[1].read()) < len(found)


def test_a_disk_in_trouble_costs_lines_and_no_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "language").write_text("a file where the folder should be")
    AskedLog(tmp_path).add("words", "reasons.1", "m", Reply(None, "generator_error"), False)
    assert "can't be kept" in caplog.text


@pytest.fixture
def server() -> Iterator[ChatServer]:
    made = ChatServer()
    yield made
    made.close()


def test_the_command_reads_a_directorys_logs(
    tmp_path: Path, server: ChatServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    from palate.cli import run

    server.behave(say=prefers("tea"))
    path = tmp_path / "shop.palate"
    asks = {"kind": "openai", "model": "small", "base_url": server.url, "price_in": 1.0}
    language = {"encoder": "hashing", "generator": asks, "rerank": {"enabled": True, "seconds": 20.0, "held": 0.5}}
    with palate.open(path, language=language, policy={"explore": False}) as engine:
        engine.ingest(list(WORLD))
        assert engine.wait_encoded(60)
        engine.parts.generator.warm()
        for number in range(12):
            ranking = engine.rank("fresh", NAMES)
            first = ranking.items[0].id
            engine.ingest(Interaction(user=f"x{number}", item=first, type="click", ranking=ranking.ranking))
        engine.parts.asked.add("chat", "plainer.1", "small", Reply(None, "generator_timeout", seconds=1.0), False)
    assert run(["language", "report", "--dir", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    parts = {one["part"]: one for one in told["parts"]}
    assert told["decisions"] == 12
    assert list(parts) == ["rerank", "teacher", "chat", "words", "items", "people", "encoder"]
    sides = parts["rerank"]["sides"]
    assert sides["asked"]["rankings"] + sides["held"]["rankings"] == 12
    assert sides["asked"]["reward"] == sides["held"]["reward"] == 1.0
    assert parts["rerank"]["cost"]["asked"] == sides["asked"]["rankings"] > 0
    assert parts["rerank"]["cost"]["tokens_in"] > 0
    assert [parts[one]["cost"][what] for one in ("chat", "words") for what in ("asked", "failed")] == [1, 1, 0, 0]
    for lang, words in (("en", "can't tell"), ("zh", "无法判断")):
        assert run(["language", "report", "--dir", str(path), "--lang", lang]) == 0
        assert words in capsys.readouterr().out
