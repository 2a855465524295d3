"""A small shop as a folder of wire events, and a way to run one command line in this process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from palate import cli
from palate.cli import messages
from tests.language.protocol import ChatServer

DAY = 86_400_000
START = 1_700_000_000_000
WORDS = (
    "espresso machine",
    "green tea",
    "coffee grinder",
    "tea pot",
    "milk jug",
    "chocolate",
    "biscuits",
    "filter paper",
)


@dataclass
class Done:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of JSON on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


Palate = Callable[..., Done]


@pytest.fixture(autouse=True)
def no_language_is_left_behind() -> Iterator[None]:
    yield
    messages.choose(None)


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A server that speaks the OpenAI chat protocol."""
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def palate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Palate:
    """Run ``palate`` with these arguments, in a folder of its own, with the encoder that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PALATE_LANGUAGE__ENCODER", "hashing")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        messages.choose(None)
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run


def events() -> list[dict[str, Any]]:
    """40 items, 30 users, 600 interactions over 30 days: everybody likes one kind of thing."""
    found: list[dict[str, Any]] = [
        {
            "event": "item",
            "id": f"item-{n}",
            "timestamp": START,
            "item": f"i{n}",
            "fields": {"title": f"{WORDS[n % 8].title()} {n}", "kind": WORDS[n % 8].split()[-1], "price": 5 + n},
        }
        for n in range(40)
    ]
    for n in range(600):
        user = n % 30
        item = (user % 8 + 8 * ((n // 30) * (user + 3) % 5)) % 40 if n % 4 else (n * 7) % 40
        found.append(
            {
                "event": "interaction",
                "id": f"act-{n}",
                "timestamp": START + 1 + n * DAY // 20,
                "user": f"u{user}",
                "item": f"i{item}",
                "type": "purchase" if n % 3 else "view",
            }
        )
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shop's events as NDJSON."""
    path = tmp_path / "export"
    path.mkdir()
    (path / "events.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events()))
    return path


@pytest.fixture
def shop(palate: Palate, folder: Path, tmp_path: Path) -> Path:
    """An engine's directory that holds the shop."""
    path = tmp_path / "shop.palate"
    done = palate("import", "--data", folder, "--dir", path, "--json")
    assert done.code == 0, done.err
    return path
