"""``palate tune`` and the file that it may change."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.cli import run, settings_file
from palate.errors import ConfigError
from palate.testing.world import make_world

pytest.importorskip("optuna")

TOML = """# mine
durability = "fast"

[language]
encoder = "hashing"  # no weights

[train]
trees = 12                    # at most
leaves = 5
decisions = 240
candidates = 30
valid_share = 0.4
"""


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    code = run([*arguments, "--json"])
    out, said = capsys.readouterr()
    return code, json.loads(out), said


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuning") / "e.palate"
    path.mkdir()
    (path / "palate.toml").write_text(TOML, encoding="utf-8")
    with palate.open(path) as engine:
        engine.ingest(make_world(people=20, interactions=1000, follow=0.5).events)
    return path


def test_it_searches_resumes_and_writes_only_when_told_to(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, first, said = answer(capsys, "tune", "--dir", str(directory), "--trials", "4")
    assert code == 0
    assert (first["found"]["trials"], first["found"]["resumed"], first["written"]) == (4, 0, False)
    assert (directory / "palate.toml").read_text(encoding="utf-8") == TOML
    assert (directory / "tune" / "trials.ndjson").is_file()
    assert "trials" in said
    _, second, _ = answer(capsys, "tune", "--dir", str(directory), "--trials", "12", "--write")
    found = second["found"]
    assert (found["trials"], found["resumed"]) == (12, 4)
    text = (directory / "palate.toml").read_text(encoding="utf-8")
    if found["settings"]:
        assert second["written"]
        assert found["gain"]["value"] > 0
        now = tomllib.loads(text)["train"]
        assert {f"train.{key}": value for key, value in now.items()}.items() >= found["settings"].items()
        assert second["diff"].startswith("--- palate.toml")
    else:
        assert (text, second["diff"], second["written"]) == (TOML, "", False)
    assert "# mine" in text


def test_people_are_told_in_both_languages(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lang, words in (("en", "gain on the other half"), ("zh", "在另一半上的增益")):
        assert run(["tune", "--dir", str(directory), "--trials", "2", "--lang", lang]) == 0
        assert words in capsys.readouterr().out
    run(["--lang", "en"])
    capsys.readouterr()


def test_where_there_is_no_engine_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "--dir", str(tmp_path / "nothing")]) == 2
    assert "There is no engine" in capsys.readouterr().err


# ------------------------------------------------------------------------------ palate.toml


@pytest.mark.parametrize(
    ("before", "values", "after"),
    [
        ("", {"train.leaves": 9}, "[train]\nleaves = 9\n"),
        ("seen = 'keep'", {"train.leaves": 9}, "seen = 'keep'\n\n[train]\nleaves = 9\n"),
        ("[train]\nleaves = 5 # few\n", {"train.leaves": 9}, "[train]\nleaves = 9 # few\n"),
        ("[train]  # how\ntrees=3\n[serve]\nport = 1\n", {"train.leaves": 9}, "[train]  # how\nleaves = 9\ntrees=3\n"
         "[serve]\nport = 1\n"),
        ("[serve]\nport = 1\n[ train ]\nleaves=5\n", {"train.leaves": 9}, "[serve]\nport = 1\n[ train ]\nleaves = 9\n"),
        ("[state]\nhalf_lives = [\n  1.0,\n  7.0,\n  30.0,\n]\nwindow = 20\n", {"state.half_lives": [0.5, 3.0, 14.0]},
         "[state]\nhalf_lives = [0.5, 3.0, 14.0]\nwindow = 20\n"),
        ("[train]\nlearning_rate = 0.05\n", {"train.learning_rate": 0.0812, "train.trees": 80},
         "[train]\ntrees = 80\nlearning_rate = 0.0812\n"),
    ],
)  # fmt: skip
def test_values_are_put_in_place_and_the_rest_is_kept(before: str, values: dict[str, Any], after: str) -> None:
    assert settings_file.with_values(before, values) == after


@pytest.mark.parametrize("text", ["train = {leaves = 5}\n", "train.leaves = 5\n", "[train]\n'leaves' = 5\n"])
def test_what_cannot_be_changed_safely_is_left_to_the_owner(text: str) -> None:
    with pytest.raises(ConfigError, match=r"palate\.toml .*set by hand: train\.leaves = 9\."):
        settings_file.with_values(text, {"train.leaves": 9})
