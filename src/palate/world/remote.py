"""A running service, played over HTTP as a platform would use it: events are posted, then a ranking is asked for."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from palate.errors import InvalidInput, PalateError, Unavailable
from palate.types import Event, Item, Ranking, RankRequest, Seen, User
from palate.world.rankers import Numbers, Shown, Visit, request_of, seen_in, shown_of
from palate.world.truth import World

T = TypeVar("T")
_TIMEOUT = 120.0
_AT_ONCE = 2_000
"""Events of one request at most: a body of a megabyte or so."""
_MANY = 50
"""New items at once, above which it is waited until their texts are encoded."""


class _Accepted(msgspec.Struct):
    accepted: int
    duplicates: int
    rejected: list[dict[str, Any]]


class _Counts(msgspec.Struct):
    items: int
    interactions: int
    pending_texts: int = 0


class _Status(msgspec.Struct):
    counts: _Counts


class _Detail(msgspec.Struct):
    code: str
    message: str
    where: str | None = None


class _Trouble(msgspec.Struct):
    error: _Detail


class OverHttp:
    """A service by its address, which keeps one connection. policy, seen: as ``InProcess``.

    Before each ranking it posts what happened, and an event of the person who comes, so that the service's clock, which
    follows its newest event, is the world's. Errors: those that the service answers; ``Unavailable``.
    """

    def __init__(
        self,
        url: str,
        world: World,
        key: str | None = None,
        policy: str | None = None,
        seen: Seen | None = None,
        name: str = "palate",
    ) -> None:
        parts = urlsplit(url)
        port = None
        with contextlib.suppress(ValueError):
            port = parts.port or 80
        if parts.scheme != "http" or parts.hostname is None or port is None:
            raise InvalidInput(f"{url!r} is not an address of the form http://host:port.", "url")
        self.name, self.url = name, url.rstrip("/")
        self._world, self._policy = world, policy
        self._seen: Seen = seen or seen_in(world)
        self._numbers = Numbers(world)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._connection = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT)

    def rank(self, visit: Visit, news: Sequence[Event]) -> Shown:
        name = f"{self._world.settings.prefix}visit-{visit.number}"
        here: Event = User(id=name, timestamp=visit.time, user=visit.user)
        self.end([*news, here])
        request = request_of(visit, self._world, self._policy, self._seen)
        path = "/v1/rank" if isinstance(request, RankRequest) else "/v1/recommend"
        return shown_of(self._call("POST", path, Ranking, request), self._numbers)

    def end(self, news: Sequence[Event]) -> None:
        for start in range(0, len(news), _AT_ONCE):
            done = self._call("POST", "/v1/events", _Accepted, news[start : start + _AT_ONCE])
            if done.rejected:
                raise PalateError(f"{self.url} refused an event of the world: {done.rejected[0]['error']}")
        if sum(isinstance(event, Item) for event in news) > _MANY:
            until = time.monotonic() + _TIMEOUT
            while self._status().pending_texts and time.monotonic() < until:
                time.sleep(0.1)

    def check_empty(self) -> None:
        """Errors: ``InvalidInput`` where the service knows items or interactions already: made-up people and their
        clicks would be mixed into them."""
        found = self._status()
        if found.items or found.interactions:
            raise InvalidInput(
                f"The service at {self.url} holds {found.items} items and {found.interactions} interactions, and "
                "made-up ones would be mixed in: play against one with an empty directory, or leave --url out.",
                "--url",
            )

    def _status(self) -> _Counts:
        return self._call("GET", "/v1/status", _Status).counts

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _call(self, method: str, path: str, answer: type[T], body: object = None) -> T:
        data = None if body is None else msgspec.json.encode(body)
        try:
            self._connection.request(method, path, data, self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unavailable(f"The service at {self.url} does not answer: {error}. Is it still running?") from None
        if response.status >= 300:
            raise self._error(response.status, text)
        try:
            return msgspec.json.decode(text, type=answer)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self.url}{path} did not answer as Palate does: {error}.") from None

    def _error(self, status: int, text: bytes) -> PalateError:
        try:
            found = msgspec.json.decode(text, type=_Trouble).error
        except msgspec.DecodeError:
            return Unavailable(f"{self.url} answered with status {status} and no explanation; is it Palate?")
        more = " The command line reads the key from PALATE_API_KEY." if status == 401 else ""
        error = PalateError(found.message + more, found.where)
        error.status, error.code = status, found.code
        return error
