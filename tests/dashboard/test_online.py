"""What is learnt while the model serves, on the page of models, in both languages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import palate
from tests.dashboard.conftest import cinema

pytestmark = pytest.mark.browser


def test_the_models_page_says_what_is_learnt(visit: Any, launch: Any, tmp_path: Path) -> None:
    path = tmp_path / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(cinema())
    service = launch(path, PALATE_ONLINE__CORRECT="auto")
    with httpx.Client(base_url=service.url, timeout=30) as client:
        client.post("/v1/rank", json={"user": "p1", "items": ["f0", "f1"]})
        end = time.monotonic() + 30
        while client.get("/v1/models").json()["online"].get("state") != "learning" and time.monotonic() < end:
            time.sleep(0.2)
    page = visit("/#models", base=service.url).page
    page.locator("#online").wait_for()
    assert "not applied" in page.locator("#online").inner_text()
    page.get_by_role("button", name="中文").click()
    page.get_by_text("尚未证明有用").wait_for()
