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
        ((*ARMS, "--arm", "third,nothing=1"), "unknown field `nothing`"),
        ((*ARMS, "--arm", "third,model=v0009"), "There is no model 'v0009' on the shelf"),
        ((*ARMS, "--metric", "click:often"), "'often' is unknown; use users, events"),
        ((*ARMS, "--share", "0"), "share is 0; it must lie between"),
        ((*ARMS, "--days", "0"), "horizon_days is 0; it must lie between"),
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
