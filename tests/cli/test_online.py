"""``palate models online``, and experiments that are interleaved or have guardrails, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Palate

ARMS = ("--arm", "control", "--arm", "mixed,diversity=0.3")


def test_it_says_what_is_learnt(palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = palate("models", "online", "--dir", shop)
    assert off.code == 0
    assert 'online.correct = "auto"' in off.out
    monkeypatch.setenv("PALATE_ONLINE__CORRECT", "auto")
    assert palate("recommend", "u1", "--dir", shop).code == 0
    found = palate("models", "online", "--dir", shop, "--json")
    assert (found.json["state"], found.json["model"]) == ("learning", "prior")
    assert found.json["waiting"] == 1
    chinese = palate("models", "online", "--dir", shop, "--lang", "zh")
    assert "尚未证明有用" in chinese.out


def test_guardrails_and_metrics_with_a_least_value(palate: Palate, shop: Path) -> None:
    begun = palate(
        "experiment", "start", "try", *ARMS, "--metric", "dwell:per_ranking>=30", "--guardrail",
        "hide:users,less,worst=0.1,stop", "--guardrail", "rating:share>=4", "--dir", shop, "--json",
    )  # fmt: skip
    assert begun.code == 0, begun.err
    assert begun.json["metrics"] == [{"type": "dwell", "of": "per_ranking", "at_least": 30.0}]
    assert begun.json["guardrails"] == [
        {"type": "hide", "of": "users", "less": True, "worst": 0.1, "stop": True},
        {"type": "rating", "of": "share", "at_least": 4.0},
    ]
    shown = palate("experiment", "show", "try", "--dir", shop)
    assert "Guardrails" in shown.out
    assert "hide.users" in shown.out
    assert "护栏" in palate("experiment", "show", "try", "--dir", shop, "--lang", "zh").out


def test_two_arms_interleaved(palate: Palate, shop: Path) -> None:
    begun = palate("experiment", "start", "both", *ARMS, "--interleave", "--dir", shop, "--json")
    assert (begun.code, begun.json["kind"]) == (0, "interleaved")
    assert begun.json["metrics"] == [{"type": "click", "of": "per_ranking"}]
    ranked = palate("recommend", "u1", "--dir", shop, "--json").json
    assert (ranked["arm"], ranked["policy"]) == ("both/interleaved", "interleaved")
    shown = palate("experiment", "show", "both", "--dir", shop)
    assert "mixed won 0, lost 0, and drew 0" in shown.out + shown.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--guardrail", "hide:users,more"), "'more' is unknown; use less, stop"),
        (("--guardrail", "hide:users,worst=much"), "'much' is no number"),
        (("--guardrail", "hide:users,worst=2"), "worst is 2; it must lie between"),
        (("--metric", "rating:share"), "say of what value on"),
        (("--interleave", "--arm", "third"), "Two arms are interleaved; this experiment has 3."),
        (("--interleave", "--guardrail", "hide:users"), "no guardrail can tell them apart"),
    ],
)
def test_what_cant_be_begun_is_a_sentence(
    palate: Palate, shop: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    done = palate("experiment", "start", "try", *ARMS, *arguments, "--dir", shop)
    assert done.code == 2
    assert sentence in done.err
