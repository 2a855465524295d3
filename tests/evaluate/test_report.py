"""The report: a table, a page that stands alone, and files that are whole."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from palate.config import LanguageSettings, Settings
from palate.errors import Unavailable
from palate.evaluate import Comparison, Estimate, EvaluationResult, evaluate, from_json, pages, report
from tests.evaluate.worlds import Fixed, catalogue, events, popular_world

NASTY = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def result() -> EvaluationResult:
    rows, names = popular_world(n=600)
    settings = Settings(language=LanguageSettings(encoder="hashing"))
    systems = ["random", "popular", Fixed("palate"), Fixed(NASTY)]
    return evaluate([*catalogue(names), *events(rows)], test=30, systems=systems, settings=settings)


class Page(HTMLParser):
    """Tags with their attributes, and whether every opened tag is closed in order."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_table_holds_every_system_and_marks_the_best(result):
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(report.render_table(result))
    text = console.file.getvalue()
    for name in ("Random", "Popular, all time", "Palate", NASTY, "NDCG@10", "drop", "keep"):
        assert name in text
    assert text.count("Palate") == 2
    value = result.systems["popular"]["keep"]["ndcg"]
    assert report.number(value.value) in text
    assert f"{report.number(value.low)}–{report.number(value.high)}" in text


def test_the_table_speaks_chinese(result):
    console = Console(file=io.StringIO(), width=200)
    console.print(report.render_table(result, chinese=True))
    text = console.file.getvalue()
    for name in ("随机", "全时段热门", "系统", "逐个评测", "命中率@10", "NDCG@10"):
        assert name in text
    for name in ("Random", "Popular", "system", "successive", "Hit rate"):
        assert name not in text


def test_the_page_stands_alone_and_closes_its_tags(result):
    html = report.render_html(result)
    page = Page(html)
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "img")
        assert "src" not in attributes
        assert attributes.get("href", "data:,") == "data:,"
    assert "Evaluation" in html
    assert "评测报告" in html
    assert 'name="viewport"' in html


def test_what_comes_from_data_is_escaped(result):
    html = report.render_html(result)
    assert NASTY not in html
    assert "&lt;script&gt;alert" in html
    assert html.count("<script>") == html.count("</script>") == 2


def test_without_plotly_there_are_tables_and_no_plots(result, monkeypatch):
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    html = report.render_html(result)
    assert len(html) < 200_000
    assert html.count("<script>") == html.count("</script>") == 1
    assert "const drawings = [];" in html
    assert 'class="plot"' not in html
    assert len([tag for tag, _ in Page(html).tags if tag == "table"]) == 9


def test_bars_carry_their_intervals(result):
    drawings = report.drawings(result)
    assert len(drawings) == 8
    trace = drawings[0]["traces"][0]
    estimate = result.systems["popular"]["drop"]["ndcg"]
    at = list(result.systems).index("popular")
    assert trace["y"][at] == estimate.value
    assert trace["y"][at] + trace["error_y"]["array"][at] == pytest.approx(estimate.high)
    assert trace["y"][at] - trace["error_y"]["arrayminus"][at] == pytest.approx(estimate.low)


def test_the_finding_names_the_best_baseline_with_the_interval(result):
    english, chinese = report.sentences(result)[1]
    best = next(row for row in result.comparisons if row.best and row.seen == "keep")
    assert "Popular, all time" in english
    assert report.number(best.difference.low) in english
    assert "全时段热门" in chinese


def test_a_result_with_nothing_measured_still_renders(result):
    empty = from_json(report.to_json(result))
    for tables in (empty.systems, empty.warm, *empty.cold.values()):
        for by_mode in tables.values():
            for metrics in by_mode.values():
                for name in metrics:
                    metrics[name] = Estimate(None)
    empty.comparisons = [Comparison("drop", "popular", Estimate(None), None, True)]
    assert Page(report.render_html(empty)).open == []
    report.render_table(empty)


def test_saved_files_read_back(result, tmp_path):
    json, html = report.save(result, tmp_path / "deep" / "evaluation")
    assert from_json(json.read_bytes()) == result
    assert re.match(r"<!doctype html>", html.read_text(encoding="utf-8"))
    assert sorted(p.name for p in json.parent.iterdir()) == ["latest.html", "latest.json"]


def test_a_disk_that_refuses_is_unavailable(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="can't be written"):
        report.save(result, tmp_path / "file")
