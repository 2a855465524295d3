"""``palate explain`` in full, and ``palate models importance``, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Palate

HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_explain_says_groups_and_what_would_move_it(palate: Palate, shop: Path, lang: str) -> None:
    ranking = palate("recommend", "u1", "--dir", shop, "--policy", "greedy", "--json").json
    item = ranking["items"][1]["id"]
    done = palate("explain", ranking["ranking"], item, "--dir", shop, "--counterfactuals", "--lime", "--lang", lang)
    assert (done.code, done.err) == (0, "")
    again = "Ranked again with the same" if lang == "en" else "重新排序"
    assert again in done.out
    assert "LIME" in done.out
    assert ("By reason" if lang == "en" else "按原因") in done.out
    told = palate("explain", ranking["ranking"], item, "--dir", shop, "--counterfactuals", "--json").json
    changes = told["counterfactuals"]["changes"]
    lines = [line for line in done.out.splitlines() if re.search(r"^(Without|With) |^若", line)]
    assert len(lines) == len(changes)
    for line, change in zip(lines, changes, strict=True):
        assert str(change["position"]) in line
        assert bool(HAN.search(line)) == (lang == "zh")
    plain = palate("explain", ranking["ranking"], item, "--dir", shop, "--json").json
    assert "counterfactuals" not in plain
    assert plain["groups"]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_importance_says_what_a_model_goes_by(palate: Palate, shop: Path, lang: str) -> None:
    palate("recommend", "u1", "--dir", shop)
    done = palate("models", "importance", "--dir", shop, "--lang", lang)
    assert (done.code, done.err) == (0, "")
    assert ("What the model goes by" if lang == "en" else "模型依据什么") in done.out
    told = palate("models", "importance", "prior", "--dir", shop, "--json").json
    assert told["version"] == "prior"
    assert palate("models", "importance", "v9999", "--dir", shop).code == 2
