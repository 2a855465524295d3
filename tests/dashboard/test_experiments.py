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
        page.get_by_role("button", name="停止").click()
        page.get_by_text("至").first.wait_for()
        assert client.get("/v1/experiments").json()["experiments"][0]["stopped"]
