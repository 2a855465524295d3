"""What would move an item, and what a model goes by, in a real Chromium; and the page of the service about itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from palate.explaining.groups import group_of
from palate.features import NAMES

pytestmark = pytest.mark.browser


def test_a_card_says_what_would_move_it(visit: Any) -> None:
    page = visit("/?user=p1").page
    card = page.locator("#cards > li").nth(1)
    card.locator('[data-action="why"]').click()
    page.locator('#cards > li [data-action="changes"]').first.click()
    changes = page.locator(".changes li")
    changes.first.wait_for()
    told = changes.first.inner_text()
    assert re.search(r"(falls|rises) from \d+ to \d+|stays at \d+", told), told
    assert page.locator(".groups tr").count() >= 3
    shown = (
        "import('/static/i18n.js').then((m) => [m.score(-0.0001), m.signed(-0.0001), "
        "m.signed(0.0002), m.signed(1), m.signed(-1)])"
    )
    assert page.evaluate(shown) == ["0.000", "0.000", "0.000", "+1.000", "−1.000"]
    page.get_by_role("button", name="中文").click()
    page.locator(".changes li").first.wait_for()
    assert re.search(r"第 \d+ 位", page.locator(".changes li").first.inner_text())


def test_the_models_page_says_what_the_model_goes_by(visit: Any) -> None:
    page = visit("/#models").page
    page.get_by_role("button", name=re.compile("^Look into")).click()
    page.locator(".importance .plot .main-svg").first.wait_for()
    assert page.locator(".importance table").count() >= 2
    page.locator(".importance .plot").nth(1).locator(".main-svg").first.wait_for()
    select = page.locator(".importance select")
    select.select_option(index=1)
    page.locator(".importance .plot").nth(1).locator(".main-svg").first.wait_for()
    page.get_by_role("button", name="中文").click()
    page.get_by_text("模型依据什么").wait_for()


def test_the_page_about_the_service(visit: Any) -> None:
    page = visit("/").page
    page.get_by_role("link", name="What this service goes by").click()
    page.get_by_role("heading", level=1, name="What this service goes by").wait_for()
    rows = page.locator("table tbody tr")
    assert rows.count() == len({group_of(name) for name in NAMES})
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", level=1, name="本服务如何排序").wait_for()


def test_reasons_in_words_a_summary_and_what_language_is_worth(visit: Any) -> None:
    page = visit("/?user=p1").page
    page.locator("#profile .summary").get_by_text("Often chooses").wait_for()
    card = page.locator("#cards > li").nth(1)
    card.locator('[data-action="why"]').click()
    card.locator('[data-action="words"]').click()
    page.get_by_text("By template", exact=True).wait_for()
    assert card.locator(".worded").inner_text().strip()
    page.get_by_role("button", name="中文").click()
    page.locator("#profile .summary").get_by_text("由模板根据此画像写成").wait_for()


def test_the_models_page_reads_the_logs_for_what_language_is_worth(visit: Any) -> None:
    page = visit("/#models").page
    page.locator('[data-action="worth"]').click()
    page.locator(".gains tbody tr").first.wait_for()
    assert page.locator(".gains tbody tr").count() == 7
    assert "can’t tell" in page.locator('.gains [data-part="rerank"]').inner_text()
    page.set_viewport_size({"width": 900, "height": 800})
    assert page.locator(".gains").evaluate("table => table.offsetWidth") > 600  # as wide as its panel
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("button", name="中文").click()
    page.get_by_text("无法判断").first.wait_for()
    assert page.locator(".gains .verdict").first.evaluate("cell => cell.offsetWidth") > 90
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
