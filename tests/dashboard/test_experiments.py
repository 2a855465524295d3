"""The page of experiments in a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import palate
from tests.dashboard.conftest import HOUR, NOW, cinema

pytestmark = pytest.mark.browser


def test_an_experiment_is_shown_with_its_intervals_and_stopped(visit: Any, launch: Any, tmp_path: Path) -> None:
    path = tmp_path / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(cinema())
    service = launch(path)
    films = [f"f{n}" for n in range(6)]
    with httpx.Client(base_url=service.url, timeout=30) as client:
        page = visit("/#experiments", base=service.url).page
        page.get_by_text("palate experiment start").wait_for()
        arms = [{"name": "plain"}, {"name": "drawn", "policy": {"rank": "plackett_luce"}}]
        metrics = [{"type": "click", "of": "per_ranking"}, {"type": "purchase", "of": "users"}]
        body = {"name": "try", "arms": arms, "metrics": metrics, "people": 300, "horizon_days": 0.5}
        assert client.post("/v1/experiments", json=body).status_code == 201
        for n in range(300):
            answer = client.post("/v1/rank", json={"user": f"w{n}", "items": films}).json()
            if answer["arm"] == "try/drawn" or n % 3 == 0:
                click = {"event": "interaction", "user": f"w{n}", "item": "f1", "ranking": answer["ranking"]}
                assert client.post("/v1/events", json=click).status_code == 200
        later = {"event": "interaction", "user": "p1", "item": "f2", "timestamp": NOW + 48 * HOUR}
        client.post("/v1/events", json=later)
        page.reload()
        page.locator("#experiments .interval.better").wait_for()
        assert page.locator("#experiments .interval").count() == 2
        rows = page.locator("#experiments table").nth(0).locator("tbody tr")
        counted = [int(rows.nth(n).locator("td").nth(1).inner_text()) for n in range(2)]
        assert sum(counted) == 300
        assert page.locator("#experiments .chip.on").inner_text() == "better"
        page.get_by_role("button", name="中文").click()
        page.get_by_text("与 plain 相比").first.wait_for()
        page.get_by_text("只有第一个指标用于下结论").wait_for()
        assert "Only the first" not in page.locator("#experiments").inner_text()
        page.get_by_role("button", name="停止").click()
        page.get_by_text("至").first.wait_for()
        assert client.get("/v1/experiments").json()["experiments"][0]["stopped"]


def test_interleaved_arms_and_guardrails_are_shown_in_both_languages(visit: Any, launch: Any, tmp_path: Path) -> None:
    path = tmp_path / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(cinema())
    service = launch(path)
    films = [f"f{n}" for n in range(6)]
    with httpx.Client(base_url=service.url, timeout=30) as client:
        arms = [{"name": "plain"}, {"name": "mixed", "policy": {"diversity": 0.9}}]
        split = {
            "name": "split", "arms": arms, "people": 200, "horizon_days": 0.5,
            "metrics": [{"type": "dwell", "of": "share", "at_least": 30}, {"type": "*", "of": "sentiment"}],
            "guardrails": [{"type": "hide", "of": "users", "less": True, "worst": 0.1, "stop": True}],
        }  # fmt: skip
        both = {"name": "both", "kind": "interleaved", "arms": arms, "people": 200, "horizon_days": 0.5,
                "metrics": [{"type": "click", "of": "per_ranking"}], "share": 1.0}  # fmt: skip
        events: list[dict[str, Any]] = []
        assert client.post("/v1/experiments", json=split).status_code == 201
        for n in range(150):
            answer = client.post("/v1/rank", json={"user": f"w{n}", "items": films}).json()
            mine = {"event": "interaction", "user": f"w{n}", "item": "f1", "ranking": answer["ranking"]}
            events.append(mine | {"type": "dwell", "value": 60.0 if n % 3 else 5.0})
            if answer["arm"] == "split/mixed" and n % 4:
                events.append(mine | {"type": "hide"})
        client.post("/v1/experiments/split/stop")
        assert client.post("/v1/experiments", json=both).status_code == 201
        for n in range(60):
            answer = client.post("/v1/rank", json={"user": f"v{n}", "items": films, "k": 4}).json()
            assert answer["policy"] == "interleaved"
            item = answer["items"][n % 4]["id"]
            events.append({"event": "interaction", "user": f"v{n}", "item": item, "ranking": answer["ranking"]})
        events.append({"event": "interaction", "user": "p1", "item": "f2", "timestamp": NOW + 48 * HOUR})
        assert client.post("/v1/events", json=events).json()["rejected"] == []
        page = visit("/#experiments", base=service.url).page
        page.locator("#experiments .preference").wait_for()
        assert "mixed won" in page.locator("#experiments .preference").inner_text()
        assert page.locator("#experiments .interval").count() == 1
        page.get_by_role("button", name="split").click()
        broken = page.locator("#experiments [data-verdict=broken]")
        broken.wait_for()
        assert broken.inner_text() == "broken"
        page.get_by_text("share of dwell ≥ 30").first.wait_for()
        page.get_by_role("button", name="中文").click()
        page.get_by_text("护栏").first.wait_for()
        assert broken.inner_text() == "被突破"
        page.get_by_role("button", name="both").click()
        page.get_by_text("两组以选秀方式混排").wait_for()
