"""``palate experiment``: begun, listed, judged and ended, on a directory and beside a service; in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Palate

ARMS = ("--arm", "control", "--arm", "mixed,diversity=0.3,weight=2")


def test_an_experiment_from_start_to_stop(palate: Palate, shop: Path) -> None:
    none = palate("experiment", "list", "--dir", shop)
    assert "has no experiments" in none.out
    begun = palate("experiment", "start", "try", *ARMS, "--metric", "click:users", "--dir", shop, "--json")
    assert (begun.code, begun.json["name"]) == (0, "try")
    assert begun.json["arms"][1] == {"name": "mixed", "weight": 2.0, "policy": {"diversity": 0.3}}
    assert begun.json["metrics"] == [{"type": "click", "of": "users"}]
    ranked = palate("recommend", "u1", "--dir", shop, "--json")
    assert ranked.json["arm"].startswith("try/")
    listed = palate("experiment", "list", "--dir", shop)
    assert "control, mixed" in listed.out
    shown = palate("experiment", "show", "try", "--dir", shop)
    assert shown.code == 0
    assert "too few people" in shown.out
    report = palate("experiment", "show", "try", "--dir", shop, "--json").json
    assert sum(arm["people"] for arm in report["arms"]) == 1
    chinese = palate("experiment", "show", "try", "--dir", shop, "--lang", "zh")
    assert "人数太少" in chinese.out
    assert "1 人尚未计入" in chinese.err
    assert palate("experiment", "stop", "try", "--dir", shop).code == 0
    assert palate("recommend", "u1", "--dir", shop, "--json").json["arm"] == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--arm", "one"), "An experiment has 2 to 10 arms; this one has 1."),
        ((*ARMS, "--arm", "third,diversity"), "is not of the form key=value"),
        ((*ARMS, "--arm", "third,weight=much"), "'much' is no number"),
        ((*ARMS, "--arm", "third,nothing=1"), "arms[2].policy: there is no setting 'nothing' in it; there are"),
        ((*ARMS, "--arm", "third,diversity=much"), "arms[2].policy: diversity: expected `float`, got `str`."),
        ((*ARMS, "--arm", "third,model=v0009"), "There is no model 'v0009' on the shelf"),
        ((*ARMS, "--metric", "click:often"), "'often' is unknown; use users, events"),
        ((*ARMS, "--share", "0"), "share is 0; it must lie between 0.000001 and 1."),
        ((*ARMS, "--days", "0"), "horizon_days is 0; it must lie between 0.0007 and 365."),
        ((*ARMS, "--people", "3"), "people is 3; it must lie between 100 and 1000000000."),
    ],
)
def test_what_is_no_experiment_is_a_sentence(
    palate: Palate, shop: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = palate("experiment", "start", "try", *arguments, "--dir", shop)
    assert done.code == 2
    assert sentence in done.err
    assert palate("experiment", "list", "--dir", shop, "--json").json == []


def test_an_unknown_experiment(palate: Palate, shop: Path) -> None:
    for what in ("show", "stop"):
        done = palate("experiment", what, "none", "--dir", shop)
        assert done.code == 2
        assert "There is no experiment 'none'" in done.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--days", "0"), "horizon_days 是 0；它必须在 0.0007 与 365 之间。"),
        (("--people", "3"), "people 是 3；它必须在 100 与 1000000000 之间。"),
        (("--arm", "third,weight=0"), "arms[2].weight 是 0；它必须在 0.000001 与 1000000 之间。"),
        (("--guardrail", "hide:users,worst=5"), "guardrails[0].worst 是 5；它必须在 0 与 0.999 之间。"),
        (("--arm", "third,nothing=1"), "arms[2].policy 没有 'nothing' 这个设置；有"),
        (("--arm", "third,diversity=much"), "arms[2].policy：diversity 应为 `float`，却是 `str`。"),
    ],
)
def test_a_wrong_number_is_a_sentence_in_chinese_too(
    palate: Palate, shop: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = palate("experiment", "start", "try", *ARMS, *arguments, "--dir", shop, "--lang", "zh")
    assert done.code == 2
    assert sentence in done.err
