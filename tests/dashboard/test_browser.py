"""The dashboard in a real Chromium, over a real service and a real directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

import palate
from palate.serve import hash_key

pytestmark = pytest.mark.browser

KEY = "palate_a-key-that-only-the-tests-know"


def until(page: Any, expression: str, arg: Any = None) -> None:
    """Wait until a JavaScript expression is true; Playwright's own wait needs eval, which the page forbids."""
    for _ in range(1200):
        if page.evaluate(expression, arg):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"This never came true: {expression}")


def listed(page: Any) -> dict[str, str]:
    """id → score, in order."""
    rows = page.locator("#cards > li")
    rows.first.wait_for()
    return dict(
        page.eval_on_selector_all(
            "#cards > li", "rows => rows.map(r => [r.dataset.id, r.querySelector('.score b').textContent])"
        )
    )


def acted(page: Any, kind: str, row: int = 0) -> str:
    """Press a button of a card and wait for the outcome; gives the item's id."""
    card = page.locator("#cards > li").nth(row)
    item = card.get_attribute("data-id")
    before = page.locator("#outcome").inner_text()
    card.locator(f"[data-action={kind}]").click()
    until(
        page,
        "before => { const now = document.getElementById('outcome').innerText; return now && now !== before; }",
        arg=before,
    )
    return item


def test_it_shows_a_person_and_their_ranking(visit: Any) -> None:
    page = visit("/").page
    assert len(listed(page)) == 12
    assert page.locator("#people button").count() == 13
    assert page.locator("#people button[aria-pressed=true] .name").inner_text() == "p11"  # the most active
    assert page.locator("#ranking-title").inner_text() == "For p11"
    assert page.locator("#history li").count() > 5
    assert page.locator("#profile .chip.weighted").count() > 0
    assert page.locator(".mini").first.get_attribute("aria-label").endswith("against")
    assert "reasons" in page.locator("#cards").inner_html()
    until(page, "document.querySelectorAll('#strip dd').length > 5")
    assert "32" in page.locator("#strip").inner_text()


def test_the_address_chooses_the_person_also_one_who_is_not_among_the_first(visit: Any) -> None:
    page = visit("/?user=stranger").page
    until(page, "document.getElementById('ranking-title').innerText === 'For stranger'")
    assert page.locator("#people button[aria-pressed=true] .name").inner_text() == "stranger"


def test_a_search_finds_people_by_the_start_of_their_id(visit: Any) -> None:
    page = visit().page
    page.get_by_label("Find a user by id").fill("p1")
    until(page, "document.querySelectorAll('#people button').length === 3")
    page.get_by_label("Find a user by id").fill("nobody")
    page.get_by_text("No user id starts with “nobody”.").wait_for()


def test_words_change_the_list_and_undo_brings_it_back(visit: Any) -> None:
    page = visit("/?user=p2").page
    before = listed(page)

    def says(text: str) -> None:
        turns = page.locator("#turns li").count()
        page.locator("#words").fill(text)
        page.locator("#say button").click()
        until(page, "n => document.querySelectorAll('#turns li.palate').length && "
              "document.querySelectorAll('#turns li').length > n + 1", turns)  # fmt: skip

    says("no drama, nothing before 1990")
    assert page.locator("#wishes .chip").all_inner_texts() == ["no Drama", "year at least 1990"]
    until(page, "![...document.querySelectorAll('#cards > li')].some(row => row.innerText.includes('Drama'))")
    assert "no Drama" in page.locator("#turns li.palate").last.inner_text()
    says("undo")
    until(page, "ids => JSON.stringify([...document.querySelectorAll('#cards > li')].map(row => row.dataset.id)) === "
          "JSON.stringify(ids)", list(before))  # fmt: skip
    assert page.locator("#wishes .chip").count() == 0
    says("<img src=x onerror=\"document.title='broken'\">")
    assert page.title() != "broken"


def test_words_that_nobody_heard_are_said_again_once_and_none_are_lost_meanwhile(visit: Any) -> None:
    opened = visit("/?user=p2")
    page = opened.page
    page.route("**/v1/chat", lambda route: route.abort(), times=1)
    page.locator("#words").fill("no drama")
    page.locator("#say button").click()
    page.locator("#alerts .problem").wait_for()
    assert page.locator("#turns li").count() == 0
    held: list[Any] = []
    page.route("**/v1/chat", lambda route: held.append(route), times=1)
    page.get_by_role("button", name="Try again").click()
    until(page, "document.querySelectorAll('#turns li').length === 1")
    page.locator("#words").fill("under two hours")
    page.locator("#say button").click()  # too early: the first turn isn't answered
    assert page.locator("#words").input_value() == "under two hours"
    until(page, "document.querySelectorAll('#turns li').length === 1")
    held[0].continue_()
    page.locator("#turns li.palate").wait_for()
    assert page.locator("#turns li.you").all_inner_texts()[0].endswith("no drama")
    assert page.locator("#turns li").count() == 2
    opened.problems[:] = [text for text in opened.problems if "ERR_FAILED" not in text]


def test_a_like_changes_the_list_at_once(visit: Any) -> None:
    page = visit("/?user=p2").page
    before = listed(page)
    item = acted(page, "like", 3)
    after = listed(page)
    assert list(before.items()) != list(after.items())
    history = page.locator("#history li").first
    assert "liked" in history.inner_text()
    assert history.locator(".what").inner_text()
    assert "Event to new ranking" in page.locator("#outcome").inner_text()
    badges = page.locator("#cards .move").count()
    assert badges == len(after)
    profile = httpx.get(page.url.split("?")[0] + "v1/users/p2").json()
    newest = max(profile["history"], key=lambda entry: entry["timestamp"])
    assert (newest["item"], newest["type"]) == (item, "like")


def test_a_hidden_item_leaves_the_list(visit: Any) -> None:
    page = visit("/?user=p3").page
    item = acted(page, "hide", 0)
    assert item not in listed(page)


def test_the_breakdown_adds_up_to_the_score(visit: Any) -> None:
    page = visit("/?user=p4").page
    listed(page)
    card = page.locator("#cards > li").first
    card.get_by_role("button", name="Why").click()
    figures = card.locator(".breakdown .figure").all_inner_texts()
    parts, total = figures[:-1], figures[-1]
    number = [float(text.replace("−", "-").replace("+", "")) for text in parts]
    assert sum(number) == pytest.approx(float(total.replace("−", "-")), abs=0.006)
    assert card.locator(".breakdown tbody tr").count() >= 2


def test_an_anonymous_visitor_starts_cold_and_is_learnt_from(visit: Any) -> None:
    page = visit().page
    listed(page)
    page.get_by_role("button", name="Anonymous visitor").click()
    page.get_by_text("No interaction is known of this person").wait_for()
    assert len(listed(page)) > 0
    acted(page, "like", 0)
    assert page.locator("#history li").count() == 1
    page.reload()  # the visitor of a tab stays who they are
    until(page, "document.getElementById('ranking-title').innerText === 'For an anonymous visitor'")
    until(page, "document.querySelectorAll('#history li').length === 1")
    assert page.get_by_text("No interaction is known of this person").count() == 0


def test_query_tag_and_seen(visit: Any) -> None:
    page = visit("/?user=p5").page
    listed(page)
    page.locator("#tag").select_option("genre:Space")
    until(page, "[...document.querySelectorAll('#cards > li')].every(r => r.innerText.includes('Space'))")
    page.locator("#tag").select_option("")
    page.get_by_label("Search within this taste").fill("crime")
    until(page, "document.querySelector('#cards > li h3')?.textContent.startsWith('Crime')")
    page.locator("#seen").select_option("drop")
    page.get_by_text("seen items left out").wait_for()
    page.locator("#seen").select_option("keep")
    page.get_by_text("seen items kept").wait_for()


def test_chinese_is_complete_and_remembered(visit: Any) -> None:
    page = visit().page
    listed(page)
    page.get_by_role("button", name="中文").click()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("#ranking-title").inner_text() == "为 p1 排序"
    assert page.locator("#cards [data-action=like]").first.inner_text() == "喜欢"
    page.reload()
    listed(page)
    assert page.locator("#people-title").inner_text() == "用户"


def test_the_browser_chooses_the_first_language(visit: Any) -> None:
    page = visit(locale="zh-CN").page
    listed(page)
    assert page.get_by_role("button", name="English").count() == 1


def test_a_hostile_title_stays_text(visit: Any, hostile: str) -> None:
    page = visit("/?user=p3").page
    listed(page)
    page.locator("#tag").select_option("genre:Crime")
    page.locator("#seen").select_option("keep")
    until(
        page,
        "title => [...document.querySelectorAll('#cards h3')].some(node => node.textContent === title)",
        arg=hostile,
    )
    assert page.title() == "Palate"
    assert page.locator("#main img, #main script").count() == 0


@pytest.mark.parametrize("view", ["rank", "models", "experiments", "evaluation"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_needs_no_sideways_scrolling(visit: Any, view: str, scheme: str) -> None:
    page = visit(f"/?user=p1#{view}", viewport={"width": 360, "height": 740}, color_scheme=scheme).page
    page.locator(f"#view-{view}").wait_for()
    if view == "rank":
        listed(page)
        page.locator("#cards [data-action=why]").first.click()
        page.locator("#line summary").click()
        for part in (".breakdown", ".steps"):  # the words of a row have the width of their table, not of a column
            width = page.locator(part).first.bounding_box()["width"]
            assert page.locator(f"{part} tbody tr").first.bounding_box()["width"] > width - 2
            assert page.locator(f"{part} tbody th").first.bounding_box()["width"] > width / 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_keyboard_is_enough(visit: Any) -> None:
    page = visit().page
    listed(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_label("Find a user by id").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('ranking-title').innerText === 'For p11'")
    until(page, "document.getElementById('cards').getAttribute('aria-busy') === 'false'")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.action") == "like":
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.get_by_text("Event to new ranking").wait_for()
    assert page.evaluate("document.activeElement.dataset.action") == "like"


def test_what_takes_the_place_of_a_liked_film_is_not_liked_by_the_next_enter(visit: Any) -> None:
    page = visit("/?user=p9").page
    listed(page)
    page.locator("#seen").select_option("drop")
    page.get_by_text("seen items left out").wait_for()
    page.locator("#cards [data-action=like]").nth(3).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Event to new ranking").wait_for()
    until(page, "document.activeElement.matches('#cards > li:nth-child(4)')")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('li').matches(':nth-child(4)')")


def test_the_focus_follows_the_item(visit: Any) -> None:
    page = visit("/?user=p7").page
    listed(page)
    page.locator("#seen").select_option("keep")
    page.get_by_text("seen items kept").wait_for()
    page.locator("#cards [data-action=like]").nth(5).focus()
    item = page.evaluate("document.activeElement.closest('li').dataset.id")
    page.keyboard.press("Enter")
    page.get_by_text("Event to new ranking").wait_for()
    stays = "id => document.querySelector(`#cards [data-id=${id}]`) !== null"
    assert page.evaluate(stays, item)
    now = "[document.activeElement.dataset.action, document.activeElement.closest('li')?.dataset.id]"
    assert page.evaluate(now) == ["like", item]


def test_after_a_click_no_other_film_looks_chosen(visit: Any) -> None:
    page = visit("/?user=p8").page
    listed(page)
    acted(page, "like", 2)
    # The pointer has not moved, so that what stands under it now is there by chance.
    colours = (
        """() => [...document.querySelectorAll('#cards [data-action=like]')].map(b => getComputedStyle(b).color)"""
    )
    assert len(set(page.evaluate(colours))) == 1
    assert page.evaluate("document.getElementById('cards').classList.contains('settling')")
    page.mouse.move(640, 400)
    until(page, "!document.getElementById('cards').classList.contains('settling')")


def test_the_mark_of_the_active_model_is_one_line(
    visit: Any, launch: Any, events: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "one.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(events)
        engine.train()
    base = launch(path).url
    for width in (1280, 360):
        page = visit("/#models", base=base, viewport={"width": width, "height": 740}).page
        page.locator("#models .chip.on").wait_for()
        assert page.eval_on_selector("#models .chip.on", "one => one.getBoundingClientRect().height") < 32
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("#models .chip.on").bounding_box()
        assert box["x"] + box["width"] <= width


def test_models_are_listed_activated_and_rolled_back(
    visit: Any, launch: Any, events: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "trained.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(events)
        first = engine.train().version
        second = engine.train().version
        engine.activate(second)
    base = launch(path).url
    page = visit("/#models", base=base).page
    page.get_by_role("button", name=f"Activate {first}").click()
    page.get_by_text(f"{first} is now active.").wait_for()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_text(f"Rolled back: {second} is active.").wait_for()
    page.get_by_text("Latency, milliseconds").wait_for()


def test_an_evaluation_is_plotted(visit: Any, service: Any) -> None:
    page = visit("/#evaluation").page
    page.get_by_text("palate evaluate --data movies").wait_for()
    folder = service.path / "evaluation"
    folder.mkdir(exist_ok=True)
    estimate = {"value": 0.25, "low": 0.2, "high": 0.3}
    tables = {
        name: {seen: {"ndcg": estimate, "mrr": estimate} for seen in ("drop", "keep")} for name in ("palate", "popular")
    }
    report = {
        "protocol": {"split": "time"},
        "systems": tables,
        "cold": {"users": tables, "items": {}},
        "warm": tables,
        "comparisons": [],
        "seconds": {"total": 1.0},
    }
    (folder / "latest.json").write_text(json.dumps(report))
    page.reload()
    page.locator(".plot .bars .point").first.wait_for()
    assert page.locator(".plot .errorbar").count() == 2
    page.locator("#evaluation select").nth(2).select_option("keep")
    page.get_by_role("button", name="MRR").click()
    assert page.locator("[aria-sort]").inner_text() == "MRR"
    page.locator("#evaluation select").nth(1).select_option("cold_items")
    page.get_by_text("This group has no figures").wait_for()
    page.evaluate("document.body.dataset.plotly = 'no'")  # as the page says where the extra is not installed
    page.locator("#evaluation select").nth(1).select_option("all")
    page.get_by_text("Plots need the optional package plotly").wait_for()
    assert page.locator("#evaluation table tbody tr").count() == 2


def test_a_refusal_is_shown_as_a_sentence(visit: Any) -> None:
    opened = visit("/?user=p6")
    page = opened.page
    listed(page)
    page.evaluate("document.getElementById('query').maxLength = 100000")
    page.get_by_label("Search within this taste").fill("x" * 70_000)
    page.locator("#alerts .problem").wait_for()
    assert "query" in page.locator("#alerts").inner_text()
    opened.problems[:] = [text for text in opened.problems if "status of 4" not in text]
    page.get_by_role("button", name="Dismiss").click()
    assert page.locator("#alerts").inner_text() == ""


def test_with_keys_one_signs_in_first(visit: Any, launch: Any, tmp_path: Path) -> None:
    path = tmp_path / "locked.palate"
    base = launch(path, PALATE_SERVE__KEYS=json.dumps([hash_key(KEY)])).url
    opened = visit("/", base=base)
    page = opened.page
    page.get_by_label("API key").fill("palate_wrong")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("not known here").wait_for()
    opened.problems[:] = [text for text in opened.problems if "401" not in text]
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("No users yet").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API key").wait_for()
