"""What can be checked without a browser: the strings, the files, the headers, the names of items."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palate.cli.chinese_experiment import EXPERIMENT_TROUBLE
from palate.cli.chinese_replay import REPLAY_ZH
from palate.cli.replay_words import REPLAY
from palate.config import DEFAULT_WEIGHTS
from palate.features import NAMES
from palate.serve import dashboard
from palate.types import Counts

HERE = Path(dashboard.__file__).parent
SCRIPTS = sorted((HERE / "static").glob("*.js"))
PAGES = sorted((HERE / "templates").glob("*.html"))
REASONS = (
    "because_of",
    "again",
    "popular",
    "trending",
    "people",
    "new",
    "taste",
    "tag",
    "query",
    "exploration",
    "unscored",
)


@pytest.fixture(scope="module")
def catalogue() -> dict[str, dict[str, str]]:
    text = (HERE / "static" / "catalogue.js").read_text(encoding="utf-8")
    return json.loads(text[text.index("{") : text.rindex("}") + 1])


@pytest.fixture(scope="module")
def client(service: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url) as client:
        yield client


def test_both_languages_have_every_string(catalogue: dict[str, dict[str, str]]) -> None:
    for key, texts in catalogue.items():
        assert set(texts) == {"en", "zh"}, key
        assert all(text.strip() for text in texts.values()), key
        places = [set(re.findall(r"\{\w+\}", text)) for text in texts.values()]
        assert places[0] == places[1], f"{key} has other placeholders in one language"
        if re.search(r"[a-z]{3}", re.sub(r"\{\w+\}", "", texts["en"])):
            assert re.search(r"[\u4e00-\u9fff]", texts["zh"]), f"{key} is not Chinese"


def test_every_note_of_an_experiment_is_said_as_on_the_command_line(catalogue: dict[str, dict[str, str]]) -> None:
    """The page finds a note by its English, so that the words must be the report's own, to the letter."""
    mine = {texts["en"]: texts["zh"] for key, texts in catalogue.items() if key.startswith("experiment.note.")}
    assert mine == {english: EXPERIMENT_TROUBLE[english] for english in mine}
    for begin in ("Not counted yet", "Left out: {count}", "Ended by", "Events that name no", "Only the first"):
        known = {english for english in EXPERIMENT_TROUBLE if english.startswith(begin)}
        assert known
        assert known <= set(mine)


def test_every_remark_of_a_replay_is_said_as_on_the_command_line(catalogue: dict[str, dict[str, str]]) -> None:
    mine = {texts["en"]: texts["zh"] for key, texts in catalogue.items() if key.startswith("replay.note.")}
    refusals = ("depth is", "window_minutes is", "least is", "reward is", "clip is", "--variant")
    assert mine == {english: text for english, text in REPLAY_ZH.items() if not english.startswith(refusals)}
    words = {key: texts for key, texts in REPLAY.items() if key.startswith(("replay.", "skip."))}
    for key, texts in words.items():
        page = catalogue[key if key.startswith("replay.") else f"replay.{key}"]
        assert (page["en"], page["zh"]) == tuple(re.sub(r"\{(\w+):[^}]*\}", r"{\1}", text) for text in texts), key


def test_every_string_that_is_used_exists(catalogue: dict[str, dict[str, str]]) -> None:
    used: set[str] = set()
    for path in (*SCRIPTS, *PAGES):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'\bt\(\s*"([a-z_0-9.]+)"', text))
        used |= set(re.findall(r'data-i18n(?:-label|-placeholder)?="([^"]+)"', text))
        for key in re.findall(r'plural\("([a-z_.]+)"', text):
            used |= {f"{key}.one", f"{key}.other"}
    assert len(used) > 60
    assert used - set(catalogue) == set()


def test_the_words_of_the_api_have_words_of_the_page(catalogue: dict[str, dict[str, str]]) -> None:
    wanted = {f"reason.{code}" for code in REASONS}
    wanted |= {f"{word}.{kind}" for word in ("type", "noun") for kind in DEFAULT_WEIGHTS}
    wanted |= {f"feature.{name}" for name in NAMES}
    wanted |= {f"count.{name}" for name in Counts.__struct_fields__}
    assert wanted - set(catalogue) == set()


def test_data_never_becomes_markup() -> None:
    for path in SCRIPTS:
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text)
        assert found == [], path.name
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:|\|\s*safe", text) == [], path.name


def test_nothing_comes_from_another_host() -> None:
    for path in (*SCRIPTS, *PAGES, *(HERE / "static").glob("*.css"), *(HERE / "static").glob("*.svg")):
        hosts = set(re.findall(r"(?:https?:)?//([a-z0-9.-]+\.[a-z]{2,})", path.read_text(encoding="utf-8")))
        assert hosts <= {"www.w3.org"}, path.name


def test_the_page_and_its_policy(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    for name in re.findall(r'"/static/([\w.]+)', answer.text):
        assert client.get(f"/static/{name}").status_code == 200, name


def test_a_file_is_asked_for_again_only_when_it_changed(client: httpx.Client) -> None:
    first = client.get("/static/app.js")
    assert first.headers["content-type"].startswith("text/javascript")
    again = client.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize("name", ["missing.js", "..%2F__init__.py", "__init__.py", "index.html"])
def test_an_unknown_file_is_a_sentence(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404


def test_browsers_find_an_icon_on_every_page(client: httpx.Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.content.startswith(b"<svg")


def test_every_stage_and_what_it_counts_has_words(client: httpx.Client, catalogue: dict[str, dict[str, str]]) -> None:
    questions: list[tuple[str, dict[str, Any]]] = [
        ("recommend", {"user": "p1"}),
        ("recommend", {"user": "p1", "seen": "keep"}),
        ("recommend", {"user": "p1", "query": "space", "exclude": ["f1"], "filter": {"year": {"lt": 2000}}}),
        ("rank", {"user": "p1", "items": ["f1", "f2"], "seen": "drop"}),
    ]
    used: set[str] = set()
    for route, body in questions:
        for stage in client.post(f"/v1/{route}", json=body).json()["stages"]:
            used.add(f"stage.{stage['name']}".replace(" ", "_"))
            used |= {f"amount.{name}" for name in stage.get("counts", {})}
            if stage.get("reason"):
                used.add(f"because.{re.sub(r'[^a-z ]', '', stage['reason'])}".replace(" ", "_"))
    assert len(used) > 20
    assert used - set(catalogue) == set()


def test_plots_are_optional(client: httpx.Client) -> None:
    installed = dashboard.plotly_file()
    answer = client.get("/static/plotly.min.js")
    if installed is None:
        assert answer.status_code == 404
        assert "palate[dashboard]" in answer.json()["error"]["message"]
    else:
        assert answer.content == installed.read_bytes()


def test_items_are_named_and_tagged(client: httpx.Client) -> None:
    answer = client.post("/dashboard/items", json={"ids": ["f0", "f3", "gone"]})
    assert answer.status_code == 200
    first, second, third = answer.json()["items"]
    assert first["title"] == "Drama film 0"
    assert {"tag": "genre:Drama", "field": "genres"} in first["tags"]
    assert second["title"].startswith("<img")  # as it is: the page never parses it
    assert (third["title"], third["tags"]) == ("gone", [])


def test_too_many_items_are_refused(client: httpx.Client) -> None:
    answer = client.post("/dashboard/items", json={"ids": ["a"] * 2001})
    assert answer.status_code == 422
    assert "2000" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"\xff", 400), (b'{"ids": [1]}', 422), (b'{"id": []}', 422)]
)
def test_a_bad_question_is_a_sentence(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post("/dashboard/items", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["error"]["message"].endswith(".")


def test_without_keys_there_is_nothing_to_sign_in_to(client: httpx.Client) -> None:
    answer = client.get("/login")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
