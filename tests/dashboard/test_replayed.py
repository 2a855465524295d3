"""The last replay on the page of evaluations, as ``palate replay`` judged a real log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from palate import cli
from tests.dashboard.conftest import Launch
from tests.evaluate.test_replay import explored

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explored(tmp_path_factory.mktemp("replayed") / "shop.palate")


def test_the_last_replay_is_shown_in_both_languages(
    shop: Path, visit: Any, launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALATE_LANGUAGE__ENCODER", "hashing")
    base = launch(shop).url
    opened = visit("/#evaluation", base=base)
    page = opened.page
    page.locator("#replay").get_by_text("palate replay --config new.toml --dir").wait_for()

    new = tmp_path / "new.toml"
    new.write_text('[policy]\nrecommend = "plackett_luce"\ntemperature = 2.5\n[retrieve]\nrrf = 30.0\n')
    assert cli.run(["replay", "--dir", str(shop), "--config", str(new), "--json"]) == 0
    found = json.loads((shop / "off-policy" / "latest.json").read_text())
    page.reload()
    page.locator("#replay [data-verdict=judged]").wait_for()
    shown = page.locator("#replay").inner_text()
    assert found["judged_on"] >= 160
    counts = f"Judged on {found['judged_on']} of {found['decisions']} decisions"
    for text in (counts, "Verdict: judged.", "retrieve.rrf", "click within 60 min"):
        assert text in shown
    page.locator("#replay .plot path.xerror").first.wait_for(state="attached", timeout=60_000)
    assert page.locator("#replay .plot path.xerror").count() == 1 + len(found["estimates"])
    rows = page.eval_on_selector_all("#replay tbody tr", "rows => rows.map(row => row.dataset.estimator)")
    assert rows == ["logged", *found["estimates"], "lift"]
    assert f"{found['estimates']['dr']['value']:.3f}" in page.locator("#replay tr[data-estimator=dr]").inner_text()

    assert (
        cli.run(["replay", "--dir", str(shop), "--reward", "purchase", "--out", str(tmp_path / "too"), "--json"]) == 0
    )
    assert (tmp_path / "too" / "latest.html").is_file()
    page.reload()
    page.locator('#replay [data-verdict="can\'t tell"]').wait_for()
    page.locator("#language").click()
    page.locator("#replay").get_by_text("结论：看不出").wait_for()
    text = page.locator("#replay").inner_text()
    assert "换一个 --reward" in text
    assert page.locator("#replay li[lang=en]").count() == 0
    assert opened.problems == []
