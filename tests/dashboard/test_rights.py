"""What a person may do with their profile, in the dashboard."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dashboard.test_browser import listed, until

pytestmark = pytest.mark.browser


def test_a_person_mutes_opts_out_and_is_erased(visit: Any, service: Any) -> None:
    page = visit("/?user=p3").page
    assert len(listed(page)) == 12
    page.locator("#correction").fill("genre:Drama")
    page.locator("[data-right=mute]").click()
    page.locator("#rights .chip").first.wait_for()
    assert page.locator("#rights .chip").all_inner_texts() == ["Drama ×"]
    until(
        page, "![...document.querySelectorAll('#cards > li')].some((row) => Number(row.dataset.id.slice(1)) % 4 === 0)"
    )
    page.locator("#rights .chip").first.click()
    until(page, "document.querySelectorAll('#rights .chip').length === 0")
    page.locator("[data-right=profiling]").click()
    page.get_by_text("nothing that they do is kept").wait_for()
    until(page, "document.querySelectorAll('#history li').length === 0")
    page.locator("[data-right=profiling]").click()
    page.locator("#correction").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("[data-right=forget]").click()
    until(page, "document.querySelector('#profile .who p').innerText === 'Not seen before'")
