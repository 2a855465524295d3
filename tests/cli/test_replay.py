"""``palate replay``: numbers and a verdict in both languages, reports, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import palate as package
from palate.config import load
from tests.cli.conftest import Palate
from tests.evaluate.test_replay import explored, live


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explored(tmp_path_factory.mktemp("replay") / "shop.palate")


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    file = tmp_path / "new.toml"
    file.write_text('[policy]\nrecommend = "plackett_luce"\ntemperature = 2.5\n[retrieve]\nrrf = 30.0\n')
    return file


def test_a_configuration_is_judged_and_reported(palate: Palate, shop: Path, wanted: Path) -> None:
    done = palate("replay", "--dir", shop, "--config", wanted, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["verdict"], found["decisions"], found["judged_on"]) == ("judged", 160, 160)
    assert set(found["estimates"]) == {"ips", "snips", "dm", "dr", "dros"}
    assert json.loads((shop / "off-policy/latest.json").read_text()) == found
    page = (shop / "off-policy/latest.html").read_text()
    for text in (
        "What a ranking would bring",
        "一次排序本会带来多少",
        "retrieve.rrf",
        "DR（双重稳健）",
        "click within 60 min",
        "60 分钟内的 click",
    ):
        assert text in page


def test_people_read_a_table_in_their_language(palate: Palate, shop: Path, wanted: Path) -> None:
    english = palate("replay", "--dir", shop, "--config", wanted, "--out", "here").out
    for text in (
        "SNIPS",
        "as it was (logged)",
        "Judged on 160 of 160 decisions",
        "Verdict: judged.",
        "Not judged, since",
    ):
        assert text in english
    chinese = palate("replay", "--dir", shop, "--lang", "zh", "--reward", "purchase").out
    for text in ("原样（日志）", "结论：看不出", "没有 'purchase' 类型的交互"):
        assert text in chinese


def test_it_reads_beside_whoever_holds_the_directory(palate: Palate, shop: Path) -> None:
    with package.open(shop, settings=load(shop)):
        assert palate("replay", "--dir", shop, "--json").json["verdict"] == "judged"


def test_a_log_without_chance_names_the_setting(palate: Palate, tmp_path: Path) -> None:
    live(tmp_path / "certain", {"explore": False}, 5)
    done = palate("replay", "--dir", tmp_path / "certain")
    assert done.code == 0
    assert "Verdict: can't tell." in done.out
    assert "policy.explore = true" in done.out.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--config", "none.toml"), "none.toml can't be read"),
        (("--variant", "best"), "--variant 'best' is unknown: use cascade, slate or slot."),
        (("--depth", "0"), "depth is 0; it must lie between 1 and 100."),
        (("--clip", "0.5"), "clip is 0.5; it must be at least 1"),
        (("--window", "0"), "window_minutes is 0; it must be above 0."),
        (("--model", "v9999"), "There is no model 'v9999'"),
    ],
)
def test_mistakes_are_one_sentence(palate: Palate, shop: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = palate("replay", "--dir", shop, *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
