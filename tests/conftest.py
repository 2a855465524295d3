"""For every test: no configuration from outside, no network, a fixed language."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palate import ids

ROOT = Path(__file__).parent.parent
_KEPT = ("PALATE_CACHE_DIR",)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and language of whoever runs the tests must not change what they see."""
    for name in list(os.environ):
        if name.startswith("PALATE_") and name not in _KEPT:
            monkeypatch.delenv(name)
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


_CHANCE = random.Random()
_OURS = os.getpid()


def _seeded_words(count: int) -> list[int]:
    """Chance for this process, the same in every run; forked ones ask the system, since theirs must differ."""
    chance = _CHANCE if os.getpid() == _OURS else random.SystemRandom()
    return [chance.getrandbits(64) for _ in range(count)]


def pytest_sessionstart() -> None:
    """What is drawn for a ranking follows from its id's random bits: tests draw the same in every run."""
    ids.random_words = _seeded_words


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before the fixtures of its module, so that those too draw the same whichever test comes first."""
    _CHANCE.seed(item.nodeid.partition("::")[0])


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """A test that reaches for another machine fails and says so."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and host not in (
            "127.0.0.1",
            "::1",
            "localhost",
            "0.0.0.0",
        ):
            raise AssertionError(f"A test tried to connect to {host}: tests use no network.")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", only_here)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets that lies beside some checkouts; tests that need it skip without."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("There is no folder shared/data beside this checkout.")
    return path
