"""A real service over a small cinema, and a real Chromium before it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import palate

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PROGRAM = """
import sys
from palate.serve import serve
serve(sys.argv[1], port=0, announce=lambda url: print(url, flush=True))
"""
NOW = 1_760_000_000_000
HOUR = 3_600_000
GENRES = ("Drama", "Comedy", "Space", "Crime")
HOSTILE = '<img src=x onerror="document.title=\'broken\'"><script>document.title="broken"</script>'


def cinema() -> list[dict[str, Any]]:
    """32 films in 4 genres, one with a hostile title, and 12 people who mostly keep to one genre."""
    events: list[dict[str, Any]] = []
    for n in range(32):
        genres = [GENRES[n % 4]] + ([GENRES[(n + 1) % 4]] if n % 5 == 0 else [])
        title = HOSTILE if n == 3 else f"{genres[0]} film {n}"
        fields = {"title": title, "genres": genres, "year": 1980 + n}
        events.append(
            {"event": "item", "id": f"i{n}", "timestamp": NOW - 900 * HOUR, "item": f"f{n}", "fields": fields}
        )
    for person in range(12):
        events.append(
            {
                "event": "user",
                "id": f"u{person}",
                "timestamp": NOW - 800 * HOUR,
                "user": f"p{person}",
                "fields": {"age": 20 + person},
            }
        )
        for step in range(8 + person):
            genre = person % 4 if step % 4 else (person + 1) % 4
            film = genre + 4 * ((step * 3 + person) % 8)
            kind = "like" if step % 3 == 0 else "view"
            at = NOW - (400 - 10 * step - person) * HOUR
            events.append(
                {
                    "event": "interaction",
                    "id": f"e{person}-{step}",
                    "timestamp": at,
                    "user": f"p{person}",
                    "item": f"f{film}",
                    "type": kind,
                }
            )
    return events


@dataclass
class Service:
    """A running service and its directory."""

    url: str
    path: Path


Launch = Callable[..., Service]


@pytest.fixture(scope="session")
def events() -> list[dict[str, Any]]:
    """The cinema."""
    return cinema()


@pytest.fixture(scope="session")
def hostile() -> str:
    """The title that would break a page which took it for markup."""
    return HOSTILE


@pytest.fixture(scope="module")
def launch() -> Iterator[Launch]:
    """``launch(directory, **environment)`` starts a service in a process of its own; all end with the module."""
    running: list[subprocess.Popen[str]] = []

    def begin(path: Path, **environ: str) -> Service:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PALATE_")}
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env=kept | {"PALATE_LANGUAGE__ENCODER": "hashing"} | environ,
        )
        running.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http"), f"the service ended with {process.wait(10)} instead of saying where it is"
        return Service(url.rstrip("/"), path)

    yield begin
    for process in running:
        process.terminate()
    for process in running:
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, launch: Launch, events: list[dict[str, Any]]) -> Service:
    """The cinema, served."""
    path = tmp_path_factory.mktemp("cinema") / "cinema.palate"
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest(events)
    return launch(path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, or a skip that says what is missing."""
    if CHROMIUM is None:
        pytest.skip("No Chromium is installed here: apt-get install chromium.")
    api = pytest.importorskip("playwright.sync_api", reason="The package playwright is not installed.")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@dataclass
class Opened:
    """A page, and what its console said that it should not have."""

    page: Any
    problems: list[str]


@pytest.fixture
def visit(browser: Any, service: Service) -> Iterator[Any]:
    """``visit(path, **options)`` opens the dashboard. At the end no page may have complained or left the host."""
    contexts: list[Any] = []
    problems: list[str] = []

    def go(path: str = "/?user=p1", base: str = service.url, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda m: problems.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda r: (
                problems.append(f"left the host: {r.url}") if not r.url.startswith((base, "data:", "blob:")) else None
            ),
        )
        page.goto(base + path)
        return Opened(page, problems)

    yield go
    for context in contexts:
        context.close()
    assert problems == []
