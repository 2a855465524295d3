"""What a user may do with what is known of them: correct it, take it along, have it erased."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, delete, get, patch
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from palate.requests import parse_request
from palate.rights import Correction, Kept
from palate.serve.api import no_body, reply, segment
from palate.store.decision import Decision
from palate.types import Event, UserProfile

if TYPE_CHECKING:
    from palate.engine import Engine

_encode = msgspec.json.Encoder().encode
_CHUNK = 64 * 1024
LINES = "application/x-ndjson"


class ExportedEvent(msgspec.Struct):
    """An event of the log and its position."""

    seq: int
    event: Event


class UserExport(msgspec.Struct):
    """Everything that is kept of a user. events: theirs in the log; decisions: their logged rankings, features as they
    are stored (little-endian 32-bit floats, Base64); replayed: rankings that the last training made up of their events;
    state: what is held beside the profile."""

    user: str
    profile: UserProfile
    state: dict[str, Any]
    events: list[ExportedEvent]
    decisions: list[Decision]
    replayed: list[Decision]


_LISTS = ("events", "decisions", "replayed")


def routes(engine: Engine) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""
    limits = engine.settings.limits

    @patch("/v1/users/{user:str}")
    async def correct(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Correct a profile: mute and pin tags or words, opt out of profiling and in again."""
        user = segment(request, "user", limits)
        change = parse_request(await request.body(), Correction)
        return reply(await asyncio.to_thread(engine.correct, user, change))

    @get("/v1/users/{user:str}/export")
    async def export(request: Request[Any, Any, Any]) -> Stream:
        """Everything that is kept of a user, as one object, or one thing a line where NDJSON is accepted."""
        user = segment(request, "user", limits)
        rows = await asyncio.to_thread(engine.export, user)  # what goes wrong goes wrong here, and has its own status
        if LINES in request.headers.get("accept", ""):
            return Stream(_sent(_encode(row) + b"\n" for row in rows), media_type=LINES)
        return Stream(_sent(pieces(user, next(rows), rows)), media_type="application/json")

    @delete("/v1/users/{user:str}", status_code=202)
    async def forget(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Make a user unknown from the next request on, and erase them in the background."""
        no_body(await request.body())
        return reply(await asyncio.to_thread(engine.forget, segment(request, "user", limits)), 202)

    return [correct, export, forget]


async def _sent(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same in parts of some 64 kB."""
    while part := await asyncio.to_thread(_some, parts):
        yield part


def _some(parts: Iterator[bytes]) -> bytes:
    out = bytearray()
    for part in parts:
        out += part
        if len(out) >= _CHUNK:
            break
    return bytes(out)


def pieces(user: str, first: Kept, rows: Iterator[Kept]) -> Iterator[bytes]:
    """The object, piece by piece; tables come in the order of ``rights.export``. Each list is there, empty or not."""
    yield b'{"user":' + _encode(user) + b',"profile":' + _encode(first.value)
    waiting = list(_LISTS)
    opened = ""
    comma = b""
    for row in rows:
        if row.table == "state":
            yield b',"state":' + _encode(row.value)
            continue
        while opened != row.table:
            yield (b"]" if opened else b"") + b',"' + waiting[0].encode() + b'":['
            opened, comma = waiting.pop(0), b""
        value = ExportedEvent(row.seq, row.value) if row.table == "events" else row.value
        yield comma + _encode(value)
        comma = b","
    for name in waiting:
        yield (b"]" if opened else b"") + b',"' + name.encode() + b'":['
        opened = name
    yield b"]}"
