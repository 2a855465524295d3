"""``palate chat``: one turn, or a turn a line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from palate.cli import run
from tests.chat.catalogues import items
from tests.serve.service import ndjson


def events() -> list[dict[str, Any]]:
    return [{"event": "item", "item": one["item"], "fields": one["fields"]} for one in items("films")]


def test_the_terminal_is_scriptable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "films.ndjson"
    file.write_bytes(ndjson(events()))
    shop = str(tmp_path / "shop.palate")
    assert run(["import", "--data", str(file), "--dir", shop, "--json"]) == 0
    capsys.readouterr()
    assert run(["chat", "-u", "ann", "no", "horror", "--dir", shop, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["wishes"][0]["wish"]["filter"] == {"genres": {"nin": ["Horror"]}}
    assert run(["chat", "-u", "ann", "撤销", "--dir", shop]) == 0
    assert "已取消" in capsys.readouterr().err


def test_lines_of_the_input_are_turns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "films.ndjson"
    file.write_bytes(ndjson(events()))
    shop = str(tmp_path / "shop.palate")
    assert run(["import", "--data", str(file), "--dir", shop, "--json"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("no horror\n\nundo\n"))
    assert run(["chat", "-u", "ann", "--dir", shop, "--json"]) == 0
    acts = [json.loads(line)["act"] for line in capsys.readouterr().out.splitlines()]
    assert acts == ["wish", "undo"]


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """An engine with the films."""
    file = tmp_path / "films.ndjson"
    file.write_bytes(ndjson(events()))
    assert run(["import", "--data", str(file), "--dir", str(tmp_path / "shop.palate"), "--json"]) == 0
    capsys.readouterr()
    return str(tmp_path / "shop.palate")


def said(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """``data`` as what is typed or piped in."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


def test_a_refused_line_keeps_its_place_and_stops_nothing(
    shop: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(monkeypatch, b"no horror\n" + b"a" * 2001 + b"\n\xff\xfe\nunder two hours\n")
    assert run(["chat", "-u", "ann", "--dir", shop, "--json"]) == 2
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line.get("act") for line in lines] == ["wish", None, None, "wish"]
    assert lines[1]["error"] == {"code": "invalid", "message": "text must hold 1 to 2000 characters.", "where": "text"}
    assert lines[2]["error"]["message"] == "text is not valid Unicode (a lone surrogate)."
    assert len(lines[3]["wishes"]) == 2  # what was wished before the refused lines still holds
    assert err.count("palate: ") == 2


def test_people_are_told_in_their_language_and_asked_on(
    shop: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(monkeypatch, b"a" * 2001 + "\n不要恐怖片\n".encode())
    assert run(["chat", "-u", "ann", "--dir", shop, "--lang", "zh"]) == 2
    out, err = capsys.readouterr()
    assert "text 须有 1 到 2000 个字符" in err
    assert "不要 Horror" in err.split("2000", 1)[1]
    assert "error" not in out


@pytest.mark.parametrize(
    ("options", "where"), [(["-u", ""], "user"), (["-u", "ann", "-k", "0"], "k"), (["--session", "x" * 600], "session")]
)
def test_what_is_wrong_with_every_line_is_said_once(
    shop: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], where: str
) -> None:
    said(monkeypatch, b"no horror\nunder two hours\n")
    assert run(["chat", *options, "--dir", shop, "--json"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"]["where"] == where


def test_the_one_turn_of_the_arguments_fails_as_any_command(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "-u", "ann", "a" * 2001, "--dir", shop, "--json"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["error"]["where"] == "text"
