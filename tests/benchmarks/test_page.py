"""The page of quality: its tables are made of figures alone, and nothing else of it changes."""

from __future__ import annotations

import copy
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.quality import curve, figures, page
from benchmarks.quality.found import Found
from palate.evaluate.protocol import draw
from tests.evaluate.worlds import popular_world, stream

WORLD = stream(*popular_world(n=1000))
PLAN = draw(WORLD, ("drop", "keep"), 50, 1)
USERS = figures.users_of(WORLD, PLAN)


def found(name, rank, label=""):
    ranks = {mode: np.where(PLAN.scored[mode], float(rank), np.nan) for mode in PLAN.scored}
    return Found(name, label or name, ranks, {mode: values + 20 for mode, values in ranks.items()}, 1.0, 2.0, 3.0)


def late():
    ranks = {
        f"{kind} {amount} {mode}": np.where(PLAN.scored[mode], 1.0 + place, np.nan)
        for kind in ("log", "own")
        for place, amount in enumerate(figures.AMOUNTS)
        for mode in PLAN.scored
    }
    return Found("freshness", "Palate", ranks)


@pytest.fixture(scope="module")
def measured():
    systems = [
        [found("popular", 3)], [found("ease", 2, "EASE")], [found("content_knn", 4)], [found("als", 2, "implicit ALS")],
        [Found("gone", "gone", failed="it is gone")], [found("palate", 1)],
    ]  # fmt: skip
    one = figures.described(WORLD, PLAN, seeds=1, trials=4) | figures.compared(systems, PLAN, USERS, 10)
    parts = [found("tags-off", 2, "without tags"), Found("untrained", "without training", failed="it broke")]
    one |= figures.ablated(found("palate", 1), parts, PLAN, USERS, 10) | figures.aged(late(), PLAN, USERS, 10)
    one["cold_start"] = {"rows": [cold_row("text", 7), cold_row("follows", 0, "Nobody follows.")]}
    one["data"] = "online-retail"
    return json.loads(json.dumps(one))


def cold_row(name, people, note=""):
    half, none = {"value": 0.5, "low": 0.4, "high": 0.6}, {"value": None, "low": None, "high": None}
    return {"name": name, "people": people, "note": note} | dict.fromkeys(
        ("with_it", "without", "gain"), half if people else none
    )


def cells(table, start):
    return next(line for line in table.splitlines() if line.startswith(start)).split(" | ")


def test_every_mark_of_the_page_has_a_table_and_every_table_its_mark(measured):
    before = page.PAGE.read_text(encoding="utf-8")
    after, made = page.written(before, [measured], [measured], [measured])
    assert set(made) == {*page.TABLES}
    assert page.MARK.sub("", before) == page.MARK.sub("", after)
    assert page.written(after, [measured], [measured], [measured])[0] == after


def test_what_nobody_measured_stays_as_it_is(measured):
    before = page.PAGE.read_text(encoding="utf-8")
    assert page.written(before, [], []) == (before, [])
    bare = {name: value for name, value in measured.items() if name not in ("ablations", "freshness", "cold_start")}
    _, made = page.written(before, [bare], [])
    assert not {"ablations", "freshness", "shown", "cold_start"} & set(made)


def test_tables_say_who_is_ahead_and_by_how_much(measured):
    row = cells(page.TABLES["main"]([measured]), "| online-retail | drop")
    assert row[2:8] == ["–", "0.5000", "–", "–", "0.6309", "**1.0000** (1.0000–1.0000)"]
    assert row[8] == "EASE 0.6309"
    assert row[9] == "+0.3691 (+0.3691–+0.3691)"
    assert row[10].startswith("× 1.58")
    assert "implicit ALS" in page.TABLES["libraries"]([measured])
    assert "popular" not in page.TABLES["libraries"]([measured])
    assert cells(page.TABLES["ablations"]([measured]), "| without tags")[1].startswith("-0.3691")
    assert cells(page.TABLES["ablations"]([measured]), "| without training")[1].startswith("–")
    text = page.TABLES["freshness"]([measured])
    assert cells(text, "| 1 event | everybody")[2].endswith("-37%")
    assert "| all since training | the person |" in text
    text = page.TABLES["cold_start"]([measured])
    assert cells(text, "| online-retail | text")[2:] == [
        "7",
        "0.5000 (0.4000–0.6000)",
        "0.5000",
        "+0.5000 (+0.4000–+0.6000) |",
    ]
    assert cells(text, "| online-retail | follows")[2] == "– Nobody follows."
    for name, table in page.TABLES.items():
        widths = {line.count("|") for part in table([measured]).split("\n\n") for line in part.splitlines()}
        assert name == "losses" or all(widths), name


def test_losses_are_found_on_all_events_and_on_cold_items(measured):
    assert "Nowhere" in page.TABLES["losses"]([measured])
    worse = copy.deepcopy(measured)
    for line in worse["live"]["drop"]:
        if line["name"] == "ease":
            line["ahead"] = {"value": -0.02, "low": -0.03, "high": -0.01}
        if line["name"] == "content_knn":
            line["cold_ahead"] = {"value": -0.02, "low": -0.05, "high": 0.01}
    first, second = page.TABLES["losses"]([worse]).splitlines()
    assert first.startswith("- online-retail, `drop`: EASE reads")
    assert "by chance" not in first
    assert "`drop` on cold items: content_knn reads" in second
    assert "perhaps by chance" in second


def test_the_picture_has_a_panel_for_each_data_set(measured, tmp_path):
    other = copy.deepcopy(measured) | {"data": "a & b"}
    drawn = ElementTree.fromstring(curve.picture([measured, other]))
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"online-retail, drop", "a & b, drop", "all", "100"} <= set(texts)
    for circle in drawn.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(circle.get("cy")) < float(drawn.get("height"))
        assert 0 < float(circle.get("cx")) < float(drawn.get("width"))
    curve.draw([measured, other], tmp_path / "f.html")
    assert not re.search(r"<script[^>]* src=", (tmp_path / "f.html").read_text(encoding="utf-8"))


def test_figures_are_kept_beside_those_of_before(tmp_path, measured):
    figures.keep(tmp_path, measured)
    figures.keep(tmp_path, {"data": "online-retail", "seeds": 3})
    (kept,) = figures.read(tmp_path, ["nothing", "online-retail"])
    assert kept == measured | {"seeds": 3}
    (tmp_path / "page.md").write_text("a\n<!-- figures: main -->\n<!-- end -->\nb\n")
    assert page.write(tmp_path, tmp_path / "page.md", tmp_path / "image.svg") == ["main"]
    assert (tmp_path / "image.svg").read_text().startswith("<svg")
