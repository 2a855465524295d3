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
