"""How followers and the leader talk: length-prefixed MessagePack over a pair of connected Unix sockets.

There is no path and nothing to guard: a follower makes the pair itself and passes one end to the leader through a
socket that both have inherited from the supervisor, which keeps it open. So a new leader finds the followers that wait
for it, and a new follower the leader. Everything but ``Link.call`` runs in the event loop.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import cast

import msgspec

from palate import errors
from palate.errors import PalateError, Unavailable
from palate.serve.workers.tail import Row

_log = logging.getLogger("palate.serve")

_HEAD = 4


class Failure(msgspec.Struct, array_like=True):
    """A ``PalateError`` on its way to another process: the class, and what it was made of."""

    kind: str
    message: str
    where: str | None = None
    retry_after: float = 1.0

    def error(self) -> PalateError:
        """The same error again."""
        found = getattr(errors, self.kind, None)
        kind: type[PalateError] = found if isinstance(found, type) and issubclass(found, PalateError) else PalateError
        if kind is errors.MissingExtra:
            kind = PalateError
        error = kind(self.message)
        error.where = self.where
        if isinstance(error, errors.Overloaded):
            error.retry_after = self.retry_after
        return error


def failure_of(error: BaseException) -> Failure:
    """What to send of ``error``. What isn't Palate's own is logged here, and told there in one sentence."""
    if isinstance(error, PalateError):
        retry_after = error.retry_after if isinstance(error, errors.Overloaded) else 1.0
        return Failure(type(error).__name__, error.message, error.where, retry_after)
    _log.error("Unforeseen error on behalf of another worker", exc_info=error)
    return Failure("PalateError", "Something went wrong here; the service's log has the details.")


class Hello(msgspec.Struct, array_like=True, tag=1):
    """A follower's first message: which worker it is."""

    slot: int


class Welcome(msgspec.Struct, array_like=True, tag=2):
    """The leader's answer to it: the model that answers now."""

    model: str


class Submit(msgspec.Struct, array_like=True, tag=3):
    """Events to be stored, of one or more requests: the number of each, and its records."""

    calls: list[tuple[int, list[Row]]]


Outcome = tuple[int, list[int], int, Failure | None]
"""What became of one of them: its number, positions (0 for a duplicate), log position, or why not."""


class Stored(msgspec.Struct, array_like=True, tag=4):
    """What became of requests, in any order."""

    calls: list[Outcome]


class Ask(msgspec.Struct, array_like=True, tag=5):
    """Do something and say when it is done. number: of the question, in its direction."""

    number: int
    what: str
    argument: str = ""


class Told(msgspec.Struct, array_like=True, tag=6):
    """The answer to ``Ask``: MessagePack, or why not."""

    number: int
    body: bytes = b""
    failure: Failure | None = None


Message = Hello | Welcome | Submit | Stored | Ask | Told
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class Link(asyncio.Protocol):
    """One end of a connection. received(link, message): everything but the answers to own questions. lost(link)."""

    def __init__(self, received: Callable[[Link, Message], None], lost: Callable[[Link], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[bytes]] = {}
        self.slot = -1
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD:
            end = start + _HEAD + int.from_bytes(buffer[start : start + _HEAD], "little")
            if len(buffer) < end:
                break
            message = _decode(memoryview(buffer)[start + _HEAD : end].tobytes())
            start = end
            if isinstance(message, Told):
                self._settle(message)
            else:
                self._received(self, message)
        del buffer[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        waiting, self._asked = self._asked, {}
        for future in waiting.values():
            future.set_exception(gone())
        self._lost(self)

    def send(self, message: Message) -> None:
        """In the loop. What is sent to somebody who has ended is lost, which ``lost`` tells."""
        if self._transport is not None and not self.closed:
            body = _encode(message)
            self._transport.write(len(body).to_bytes(_HEAD, "little") + body)

    def call(self, what: str, argument: str = "") -> Future[bytes]:
        """Ask, from any thread. Of the future: the other side's error, ``Unavailable`` where it ends before."""
        future: Future[bytes] = Future()
        future.set_running_or_notify_cancel()
        try:
            self._loop.call_soon_threadsafe(self._ask, what, argument, future)
        except RuntimeError:  # the loop has been closed: this process is leaving
            future.set_exception(gone())
        return future

    def _ask(self, what: str, argument: str, future: Future[bytes]) -> None:
        if self.closed:
            future.set_exception(gone())
            return
        number = next(self._numbers)
        self._asked[number] = future
        self.send(Ask(number, what, argument))

    def _settle(self, message: Told) -> None:
        future = self._asked.pop(message.number, None)
        if future is None:
            return
        if message.failure is None:
            future.set_result(message.body)
        else:
            future.set_exception(message.failure.error())

    def close(self) -> None:
        """In the loop."""
        if self._transport is not None:
            self._transport.close()


def gone() -> Unavailable:
    """The error for what was asked of a worker that has ended."""
    return Unavailable(
        "The worker that stores events is being started again: send this again in a moment. What was sent may have "
        "been stored; an event with the same id counts once."
    )


def door() -> tuple[socket.socket, socket.socket]:
    """(the leader's end, everybody else's) of the socket through which followers pass connections."""
    inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    inner.setblocking(False)
    outer.setblocking(False)
    return inner, outer


async def knock(outer: socket.socket) -> socket.socket:
    """A connection to the leader, whether it is there already or not."""
    mine, theirs = socket.socketpair()
    mine.setblocking(False)
    with theirs:
        while True:
            try:
                socket.send_fds(outer, [b"k"], [theirs.fileno()])
                return mine
            except BlockingIOError:  # as many wait as the kernel lets wait
                await asyncio.sleep(0.05)


def admit(inner: socket.socket) -> list[socket.socket]:
    """The connections that wait at the leader's end."""
    found: list[socket.socket] = []
    while True:
        try:
            _, handles, _, _ = socket.recv_fds(inner, 16, 8)
        except BlockingIOError:
            return found
        for handle in handles:
            theirs = socket.socket(fileno=handle)
            theirs.setblocking(False)
            found.append(theirs)
