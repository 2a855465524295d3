"""Every command on a small shop, with --json and for people."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from palate import open as open_engine
from palate.types import Interaction
from tests.cli.conftest import Done, Palate


def rec(palate: Palate, shop: Path, *more: object) -> Done:
    return palate("recommend", "u1", "--dir", shop, "--json", *more)


def test_import_counts_rate_memory_and_reports(palate: Palate, folder: Path, tmp_path: Path) -> None:
    done = palate("import", "--data", folder, "--dir", tmp_path / "a.palate", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["accepted"], found["duplicates"], found["rejected"]) == (640, 0, 0)
    assert found["seq"] == 640
    assert found["events_per_second"] > 0
    assert found["peak_memory_mb"] > 10
    assert found["report"]["events"] == 600
    assert "importing" in done.err


def test_importing_twice_changes_nothing(palate: Palate, folder: Path, shop: Path) -> None:
    found = palate("import", "--data", folder, "--dir", shop, "--json").json
    assert (found["accepted"], found["duplicates"], found["seq"]) == (0, 640, 640)


def test_import_for_people_ends_with_the_report(palate: Palate, folder: Path, tmp_path: Path) -> None:
    done = palate("import", "--data", folder, "--dir", tmp_path / "a.palate")
    assert done.code == 0
    assert "600 events of 30 users with 40 items" in done.out
    assert "640 events accepted (0 duplicates, 0 rejected)" in done.out


def test_train_then_models(palate: Palate, shop: Path) -> None:
    empty = palate("models", "list", "--dir", shop, "--json")
    assert empty.json == []
    trained = palate("train", "--dir", shop, "--json")
    assert trained.code == 0, trained.err
    report = trained.json
    listed = palate("models", "list", "--dir", shop, "--json").json
    assert report["version"] in [model["version"] for model in listed]
    second = palate("train", "--dir", shop, "--no-activate", "--json").json
    assert second["activated"] is False
    activated = palate("models", "activate", second["version"], "--dir", shop, "--json").json
    assert (activated["version"], activated["active"]) == (second["version"], True)
    assert rec(palate, shop).json["model"] == second["version"]
    back = palate("models", "rollback", "--dir", shop, "--json")
    assert back.json["version"] == report["version"]


def test_models_for_people(palate: Palate, shop: Path) -> None:
    assert palate("models", "list", "--dir", shop).out.startswith("No model has been trained yet: palate train")
    trained = palate("train", "--dir", shop)
    assert trained.code == 0
    assert "trained on" in trained.out
    assert "●" in palate("models", "list", "--dir", shop).out


def test_recommend(palate: Palate, shop: Path) -> None:
    ranking = rec(palate, shop, "-k", "5").json
    assert [item["position"] for item in ranking["items"]] == [1, 2, 3, 4, 5]
    assert ranking["as_of"] == 640
    people = palate("recommend", "u1", "-k", "5", "--dir", shop)
    assert people.code == 0
    assert "Ranking" in people.out
    assert "log position 640" in people.err


def test_recommend_takes_every_option(palate: Palate, shop: Path) -> None:
    done = rec(
        palate,
        shop,
        *("--session", "s", "--query", "green tea", "--context", "device=phone", "--context", "count=3"),
        *("--filter", '{"price": {"lte": 20}}', "--exclude", "i1", "--seen", "keep", "--policy", "plackett_luce"),
        "--explain",
    )
    assert done.code == 0, done.err
    items = done.json["items"]
    assert items
    assert "i1" not in {item["id"] for item in items}
    assert all(int(item["id"][1:]) <= 15 for item in items)
    assert done.json["policy"] == "plackett_luce"
    assert all(item["contributions"] for item in items)


def test_an_anonymous_session_is_enough(palate: Palate, shop: Path) -> None:
    done = palate("recommend", "--session", "visit-1", "--dir", shop, "--json")
    assert done.code == 0
    assert done.json["cold"]["user"] is True


def test_rank_orders_the_candidates_given(palate: Palate, shop: Path) -> None:
    done = palate("rank", "i3", "i5", "i9", "--user", "u1", "--dir", shop, "--json")
    assert done.code == 0, done.err
    assert {item["id"] for item in done.json["items"]} == {"i3", "i5", "i9"}


def test_explain_adds_up(palate: Palate, shop: Path) -> None:
    ranking = palate("rank", "i3", "i5", "i9", "--user", "u1", "--dir", shop, "--json").json
    item = ranking["items"][0]
    done = palate("explain", ranking["ranking"], item["id"], "--dir", shop, "--json")
    assert done.code == 0, done.err
    found = done.json
    total = found["base"] + sum(c["contribution"] for c in found["contributions"])
    assert total == pytest.approx(found["score"], rel=1e-6)
    people = palate("explain", ranking["ranking"], item["id"], "--dir", shop)
    assert "contribution" in people.out


def test_export_and_import_back(palate: Palate, shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "log.ndjson"
    done = palate("export", "--out", file, "--dir", shop, "--json")
    assert done.json == {"events": 640, "file": str(file)}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 640
    assert lines[0]["event"] == "item"
    again = palate("import", "--data", file, "--dir", tmp_path / "copy.palate", "--json").json
    assert again["accepted"] == 640
    assert palate("rebuild", "--dir", tmp_path / "copy.palate", "--json").json["events"] == 640
    copy = palate("recommend", "u1", "--dir", tmp_path / "copy.palate", "--policy", "greedy", "--json").json
    assert copy["items"][0]["id"] == rec(palate, shop, "--policy", "greedy").json["items"][0]["id"]
    assert not list(tmp_path.glob("*.partial"))


def test_export_to_stdout_is_the_log(palate: Palate, shop: Path) -> None:
    done = palate("export", "--dir", shop)
    assert done.code == 0
    assert [json.loads(line)["event"] for line in done.out.splitlines()].count("interaction") == 600


def test_an_export_into_a_folder_that_is_not_there_says_which(palate: Palate, shop: Path, tmp_path: Path) -> None:
    missing = tmp_path / "no"
    for more in ((), ("--user", "u1")):
        done = palate("export", "--out", missing / "log.ndjson", *more, "--dir", shop)
        assert done.code == 2
        assert f"there is no folder {missing}" in " ".join(done.err.split())
    assert not missing.exists()


def test_rebuild_equals(palate: Palate, shop: Path) -> None:
    done = palate("rebuild", "--dir", shop, "--json")
    assert done.code == 0
    assert done.json["equal"] is True
    assert "the state equals the log" in palate("rebuild", "--dir", shop).out


def test_evaluate(palate: Palate, folder: Path, tmp_path: Path) -> None:
    done = palate(
        *("evaluate", "--data", folder, "--seen", "keep", "--test", "20", "--out", tmp_path / "report", "--json"),
        *("--system", "palate", "--system", "popular"),
    )
    assert done.code == 0, done.err
    found = done.json
    assert set(found) >= {"protocol", "systems", "cold", "seconds"}
    assert set(found["systems"]) == {"palate", "popular"}
    assert json.loads((tmp_path / "report" / "latest.json").read_text())["systems"].keys() == found["systems"].keys()
    assert (tmp_path / "report" / "latest.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_the_messages_are_chinese_when_asked(palate: Palate, folder: Path, shop: Path) -> None:
    done = palate("import", "--data", folder, "--dir", shop, "--lang", "zh")
    assert "接收 0 个事件（重复 640" in done.out
    assert "导入" in done.err
    assert palate("--lang", "zh", "rebuild", "--dir", shop).out.startswith("用 ")


def test_help_has_examples(palate: Palate) -> None:
    for command in (
        "demo",
        "import",
        "train",
        "serve",
        "rank",
        "recommend",
        "explain",
        "evaluate",
        "rebuild",
        "doctor",
    ):
        done = palate(command, "--help")
        assert done.code == 0
        assert f"palate {command}" in done.out
    top = palate()
    assert top.code == 0
    assert top.out == palate("--help").out


def test_version(palate: Palate) -> None:
    assert palate("--version").out == "palate 0.1.0\n"


def test_a_session_is_exported_and_forgotten(palate: Palate, shop: Path) -> None:
    with open_engine(shop) as engine:
        engine.ingest([Interaction(id=f"by-session-{n}", session="s1", item=f"i{n}") for n in range(3)])
    rows = [json.loads(line) for line in palate("export", "--session", "s1", "--dir", shop).out.splitlines()]
    assert [row["value"]["id"] for row in rows if row["table"] == "events"] == [f"by-session-{n}" for n in range(3)]
    done = palate("forget", "--session", "s1", "--dir", shop, "--json")
    assert (done.json["user"], done.json["state"]) == ("s1", "erased")
    rows = [json.loads(line) for line in palate("export", "--session", "s1", "--dir", shop).out.splitlines()]
    assert [row["table"] for row in rows] == ["profile", "state"]
    for wrong in (["forget", "u1", "--session", "s1"], ["forget"], ["export", "--user", "u1", "--session", "s1"]):
        done = palate(*wrong, "--dir", shop)
        assert done.code == 2
        assert "session" in done.err


def test_an_export_writes_into_a_pipe_and_through_a_link(palate: Palate, shop: Path, tmp_path: Path) -> None:
    """Whatever is no file stays what it is: as root, replacing a device would take it from everybody."""
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert palate("export", "--dir", shop, "--out", pipe).code == 0
    reader.join(30)
    assert pipe.is_fifo()
    link = tmp_path / "link"
    link.symlink_to("real.ndjson")
    assert palate("export", "--dir", shop, "--out", link).code == 0
    assert link.is_symlink()
    assert (tmp_path / "real.ndjson").read_bytes() == read[0]
    assert read[0].count(b"\n") == 640
