"""uvicorn's HTTP protocol, with a shorter way for the usual request of a hot route.

ASGI costs a ranking about 45 µs: a scope, a task, an event, two messages, every header checked twice. A POST to a hot
route whose head holds nothing unusual is answered from here (``direct``) as soon as its body is complete; every other
request takes uvicorn's own way, as if this class weren't there. Parsing is httptools' in both cases.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from palate.serve.body import BODY_SECONDS
from palate.serve.direct import Sent
from palate.serve.security import Headers

if TYPE_CHECKING:
    from palate.serve.direct import Direct

_LAST_MOMENT = 0.2
"""Seconds that an unused connection stays open when the service ends."""
_BODY_BYTES = 256 * 1024
"""Larger bodies take the long way, which stops reading while it isn't read."""
_USUAL = (
    b"content-type: application/json\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
    b"content-length: %d\r\n"
)
_UNUSUAL = frozenset((b"origin", b"transfer-encoding", b"expect", b"upgrade"))


class _NoEvent:
    """Stands for the event that wakes an ASGI application: nobody waits for it here."""

    def set(self) -> None:
        return


class _Call:
    """A request on its way: what uvicorn's own protocol asks of the cycle it works on, and no more."""

    __slots__ = ("body", "disconnected", "headers", "keep_alive", "message_event", "path", "response_complete", "whole")

    def __init__(self, path: str, headers: Headers, keep_alive: bool) -> None:
        self.path = path
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = b""
        self.whole = False
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS


_NOBODY_WAITS = _NoEvent()


class HotProtocol(HttpToolsProtocol):
    """One connection. ``app`` is a ``PalateApp``."""

    cycle: Any

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._direct: Direct = cast(Any, self.app).direct
        self._late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Parse. A body that is announced and doesn't come is given up after a while."""
        super().data_received(data)
        call = self.cycle
        if type(call) is _Call and not call.whole and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(BODY_SECONDS, self._give_up, call)

    def shutdown(self) -> None:
        """The service ends: a connection that nobody uses is closed, after a moment in which a request that is under
        way may still come, to be answered."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_LAST_MOMENT, self._close_unused)
        else:
            super().shutdown()

    def _close_unused(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: nothing of this connection is kept."""
        self._in_time()
        super().connection_lost(exc)

    # ---------------------------------------------------------------- called by the parser

    def on_message_begin(self) -> None:
        """As uvicorn, without the scope, which only the long way needs."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way."""
        call = self._usual()
        if call is not None:
            self.cycle = call
            return
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        call = self.cycle
        if type(call) is _Call:
            call.body = call.body + body if call.body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        call = self.cycle
        if type(call) is not _Call:
            super().on_message_complete()
            return
        call.whole = True
        self._in_time()
        if call.response_complete:  # it was given up a moment ago
            return
        if call.path in self._direct.at_once:
            self._send(call, self._direct.answer(call.path, call.headers, call.body))
        else:
            task = self.loop.create_task(self._answer_in_time(call))
            task.add_done_callback(self.tasks.discard)
            self.tasks.add(task)

    # ----------------------------------------------------------------------------- answering

    def _usual(self) -> _Call | None:
        """The request as a call, where its head holds nothing unusual and nothing before it is unanswered."""
        path = self._direct.paths.get(self.url)
        parser: Any = self.parser
        if (
            path is None
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or parser.get_method() != b"POST"
            or parser.get_http_version() != "1.1"
        ):
            return None
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or len(length) > 6 or int(length) > _BODY_BYTES or not _UNUSUAL.isdisjoint(headers):
            return None
        return _Call(path, headers, parser.should_keep_alive())

    async def _answer_in_time(self, call: _Call) -> None:
        self._send(call, await self._direct.answer_in_time(call.path, call.headers, call.body))

    def _send(self, call: _Call, sent: Sent) -> None:
        """The whole answer in one write; then what uvicorn does after an answer."""
        call.response_complete = True
        if call.disconnected:
            return
        closing = not call.keep_alive or self._direct.draining
        content = [STATUS_LINE[sent.status], _USUAL % len(sent.body)]
        for name, value in (*self.server_state.default_headers, *sent.extra):
            content += (name, b": ", value, b"\r\n")
        content += (b"connection: close\r\n\r\n" if closing else b"\r\n", sent.body)
        self.transport.write(b"".join(content))
        if closing:
            self.transport.close()
        self.on_response_complete()

    def _give_up(self, call: _Call) -> None:
        self._late = None
        if not call.whole and not call.disconnected:
            call.keep_alive = False
            self._send(call, self._direct.late(call.path, BODY_SECONDS))

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
