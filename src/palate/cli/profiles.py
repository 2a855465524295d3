"""Profiles of people, read and written through the engine of a directory or the service that holds it."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec

from palate.cli.target import Remote, engine_of, existing, service_of
from palate.engine import Engine
from palate.types import User, UserProfile


class Profiles(Protocol):
    """What is needed of either."""

    def people(self, most: int) -> list[str]:
        """The most active ones."""
        ...

    def profile(self, user: str) -> UserProfile:
        """What is believed of somebody now."""
        ...

    def now(self) -> int:
        """Event time, ms."""
        ...

    def send(self, event: User) -> None:
        """Take an event of a person, durably."""
        ...


@contextmanager
def profiles_of(path: Path) -> Generator[Profiles]:
    """Of the service that holds ``path`` where there is one, else of its engine. Errors: as ``target``."""
    remote = service_of(existing(path))
    if remote is not None:
        yield _Served(remote)
        return
    with engine_of(path) as engine:
        yield _Opened(engine)


class _Opened:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def people(self, most: int) -> list[str]:
        return [name for name, _ in self._engine.users(limit=most)]

    def profile(self, user: str) -> UserProfile:
        return self._engine.user(user)

    def now(self) -> int:
        return self._engine.clock()

    def send(self, event: User) -> None:
        self._engine.ingest(event)


class _Row(msgspec.Struct):
    user: str


class _List(msgspec.Struct):
    users: list[_Row]


class _Taken(msgspec.Struct):
    accepted: int


class _Served:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def people(self, most: int) -> list[str]:
        return [row.user for row in self._remote.call("GET", f"/v1/users?limit={most}", _List).users]

    def profile(self, user: str) -> UserProfile:
        return self._remote.call("GET", f"/v1/users/{quote(user, safe='')}", UserProfile)

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def send(self, event: User) -> None:
        self._remote.call("POST", "/v1/events", _Taken, event)
