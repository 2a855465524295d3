"""The documents against the code: links, languages, commands, settings, stages, functions."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
import typer

import palate
from palate import config
from palate.cli import app
from palate.serve.app import create_app
from tests.docs.pages import (
    CHINESE,
    ENGLISH,
    PAGES,
    ROOT,
    anchor,
    blocks,
    headings,
    links,
    prose,
    rows,
    section,
    text_of,
)
from tests.source import parsed

PICTURE = ROOT / "docs" / "images" / "pipeline.svg"
TOURS = [ROOT / "docs" / "tour.md", ROOT / "docs" / "tour.zh.md"]
BOTH = [ENGLISH, CHINESE]
FIGURES, ANSWER, BOXES, COMMANDS, EXTRAS, CONFIGURATION = 2, 5, 6, 7, 8, 9
"""Second-level headings of the README, by number."""
SILENT = {"make", "pip"}
"""Programs in blocks that are shown, not run: the tests are what they would start, or they want the network."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, name = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (name and name not in {anchor(text) for _, text in headings(target)}):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_code_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        if block.language in ("python", "sh", "bash", "console"):
            assert block.mark.startswith(("run: ", "shown: ")), block.code
        if block.mark.startswith("shown: "):
            assert {line.split()[0] for line in block.code.splitlines()} <= SILENT, block.code


def test_both_languages_have_one_structure() -> None:
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]
    assert [(b.language, b.mark) for b in blocks(ENGLISH)] == [(b.language, b.mark) for b in blocks(CHINESE)]
    assert [len(row) for row in rows(prose(ENGLISH))] == [len(row) for row in rows(prose(CHINESE))]
    assert {link for link in links(ENGLISH) if "README" not in link} == {
        link for link in links(CHINESE) if "README" not in link
    }
    assert [level for level, _ in headings(TOURS[0])] == [level for level, _ in headings(TOURS[1])]


def test_both_languages_show_the_same_code() -> None:
    for one, other in zip(blocks(ENGLISH), blocks(CHINESE), strict=True):
        if one.language == "python":
            assert ast.dump(parsed(one.code)) == ast.dump(parsed(other.code))
        else:
            bare = [re.sub(r"\s+# .*", "", block.code) for block in (one, other)]
            assert bare[0] == bare[1]


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_every_figure_of_the_readme_stands_on_the_page_that_it_links_to(page: Path) -> None:
    lost: list[str] = []
    linked = ""
    for _, measured, command in rows(section(page, FIGURES)):
        linked = next(iter(re.findall(r"\]\((docs/[\w.-]+\.md)", command)), linked)
        text = text_of(ROOT / linked)
        for figure in re.findall(r"(?<!\w)-?\d(?:[\d,.]*\d)?(?:%|/s| µs| ms| s\b)?", measured):
            if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d%])", text):
                lost.append(f"{figure} is not on {linked}")
    assert lost == []


def test_what_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.M))
    extras = set(tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"])
    for block in blocks(ENGLISH):
        if block.mark.startswith("shown: "):
            assert set(re.findall(r"^make (\w+)", block.code, re.M)) <= targets
            for named in re.findall(r"\.\[([\w,]+)\]", block.code):
                assert set(named.split(",")) <= extras
    for page in BOTH:
        assert {row[0].strip("`") for row in rows(section(page, EXTRAS))} == extras


def commands() -> set[str]:
    """Every command and subcommand of the command line."""
    found: set[str] = set()
    top: Any = typer.main.get_command(app)
    for name, command in top.commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"palate {name} {sub}" for sub in inner} if inner else {f"palate {name}"}
    return found


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_every_command_is_documented(page: Path) -> None:
    assert {row[0].strip("`") for row in rows(section(page, COMMANDS))} == commands()


def toml(value: Any) -> str:
    """A setting as TOML writes it; ``none`` where it has no form there."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value) if isinstance(value, bool | str) else repr(value)


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_every_setting_is_documented_with_its_default(page: Path) -> None:
    expected: dict[str, set[str]] = {}

    def expect(section: msgspec.Struct, above: str) -> None:
        settings = expected.setdefault(f"`[{above[:-1]}]`" if above else "top", set())
        for name in section.__struct_fields__:
            value = getattr(section, name)
            if isinstance(value, msgspec.Struct):
                expect(value, f"{above}{name}.")
            elif name != "weights":
                settings.add(f"`{name} = {toml(value)}`")

    expect(config.Settings(), "")
    text = section(page, CONFIGURATION)
    found = rows(text)
    assert [row[0] for row in found[1:]] == list(expected)[1:]
    assert [set(row[1].split(" · ")) for row in found] == list(expected.values())
    assert {f"`{kind} = {weight}`" for kind, weight in config.DEFAULT_WEIGHTS.items()} <= set(
        re.findall(r"`[^`]*`", text)
    )


def test_the_example_configuration_is_complete_and_holds_the_defaults(tmp_path: Path) -> None:
    text = text_of(ROOT / "palate.toml.example")
    (tmp_path / "palate.toml").write_text(text, encoding="utf-8")
    loaded = config.load(tmp_path, environ={})
    assert loaded == msgspec.structs.replace(config.Settings(), weights=dict(config.DEFAULT_WEIGHTS))
    named = tomllib.loads(text.replace("# scene", "scene"))
    assert set(named) == set(config.Settings.__struct_fields__)
    for name, value in named.items():
        if name != "weights" and isinstance(value, dict):
            assert list(value) == list(getattr(loaded, name).__struct_fields__)
            for key, part in value.items():
                if isinstance(part, dict):
                    assert list(part) == list(getattr(getattr(loaded, name), key).__struct_fields__)
            assert loaded == msgspec.structs.replace(
                loaded, **{name: msgspec.convert(value, type(getattr(loaded, name)))}
            )


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_every_field_of_an_answer_is_documented(page: Path) -> None:
    documented = [row[0].strip("`") for row in rows(section(page, ANSWER))]
    assert sorted(documented) == sorted(palate.Ranking.__struct_fields__)


def names_in_picture() -> list[str]:
    tree = ElementTree.fromstring(text_of(PICTURE))
    return [node.text or "" for node in tree.iter("{http://www.w3.org/2000/svg}text") if node.get("class") == "name"]


@pytest.mark.parametrize("page", BOTH, ids=lambda page: page.name)
def test_every_box_of_the_picture_is_linked_to_its_place(page: Path) -> None:
    table = rows(section(page, BOXES))
    assert sorted(row[0] for row in table) == sorted(names_in_picture())
    assert all(re.search(r"\]\(src/palate/", row[1]) for row in table)


def test_the_stages_of_the_picture_are_those_of_an_answer() -> None:
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        engine.ingest({"event": "item", "item": "a", "fields": {"title": "tea"}})
        stages = [stage.name for stage in engine.rank(items=["a"], query="tea").stages]
    pictured = names_in_picture()
    places = [pictured.index(stage) for stage in stages]
    assert places == sorted(places)


def functions(path: Path) -> set[str]:
    """Functions, classes, methods (by their own name and as Class.method) and constants of a file."""
    found: set[str] = set()
    for node in parsed(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {name for method in inner for name in (method, f"{node.name}.{method}")}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_that_is_named_exists(page: Path) -> None:
    missing: list[str] = []
    for file, name in re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", text_of(page)):
        places = [ROOT / "src" / "palate" / file, ROOT / file]
        path = next((place for place in places if place.is_file()), None)
        if path is None or (name and name not in functions(path)):
            missing.append(f"{file}:{name}")
    assert missing == []


def test_the_tours_pass_the_same_places_and_name_functions() -> None:
    named = [re.findall(r"`([\w/]+\.py:[\w.]+)`", text_of(tour)) for tour in TOURS]
    assert named[0] == named[1]
    assert len(named[0]) >= 40


def test_every_route_that_is_named_exists(tmp_path: Path) -> None:
    with palate.open(tmp_path / "x.palate", language={"encoder": "hashing"}) as engine:
        known = {re.sub(r"\{\w+\}", "{}", path) for path in create_app(engine, engine.settings).document["paths"]}
    known |= {"/", "/login", "/logout", "/docs", "/openapi.json"}
    for page in PAGES:
        named = re.findall(
            r"`(?:GET |POST )?(/(?:v1|livez|readyz|metrics|docs|login|logout|openapi)[^\s`]*)`", text_of(page)
        )
        assert {re.sub(r"\{\w+\}", "{}", path) for path in named} <= known, page.name


def test_the_changes_name_this_version() -> None:
    assert f"## {palate.__version__}" in text_of(ROOT / "CHANGELOG.md")


def test_no_page_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(r"/(?:work|root|home)/|pypi\.|files\.pythonhosted|localhost:\d", re.I)
    assert [page.name for page in PAGES if forbidden.search(text_of(page))] == []
