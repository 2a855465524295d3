"""What a user, or somebody without a name, may do with what is known of them: correct it, take it along, erase it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

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


class SessionExport(msgspec.Struct):
    """Everything that is kept of somebody without a name, by their session; else as ``UserExport``."""

    session: str
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
        return await _exported(engine, request, "user", segment(request, "user", limits))

    @get("/v1/sessions/{session:str}/export")
    async def export_session(request: Request[Any, Any, Any]) -> Stream:
        """Everything that is kept of somebody without a name, by their session; in the same two forms."""
        return await _exported(engine, request, "session", segment(request, "session", limits))

    @delete("/v1/users/{user:str}", status_code=202)
    async def forget(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Make a user unknown from the next request on, and erase them in the background."""
        no_body(await request.body())
        return reply(await asyncio.to_thread(engine.forget, segment(request, "user", limits)), 202)

    @delete("/v1/sessions/{session:str}", status_code=202)
    async def forget_session(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Make a session unknown from the next request on, and erase it in the background."""
        no_body(await request.body())
        return reply(await asyncio.to_thread(engine.forget, None, segment(request, "session", limits)), 202)

    return [correct, export, forget, export_session, forget_session]


async def _exported(
    engine: Engine, request: Request[Any, Any, Any], whose: Literal["user", "session"], name: str
) -> Stream:
    """What is kept of the user or the session ``name``: one object, or one thing a line where NDJSON is accepted."""

    def kept() -> Iterator[Kept]:
        return engine.export(name) if whose == "user" else engine.export(session=name)

    rows = await asyncio.to_thread(kept)  # what goes wrong goes wrong here, and has its own status
    if LINES in request.headers.get("accept", ""):
        return Stream(_sent(_encode(row) + b"\n" for row in rows), media_type=LINES)
    return Stream(_sent(pieces(name, next(rows), rows, whose)), media_type="application/json")


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


def pieces(name: str, first: Kept, rows: Iterator[Kept], whose: str = "user") -> Iterator[bytes]:
    """The object, piece by piece; tables come in the order of ``rights.export``. Each list is there, empty or not."""
    yield b'{"' + whose.encode() + b'":' + _encode(name) + b',"profile":' + _encode(first.value)
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
