"""One answer on its way out: security headers, the error shape, HEAD without a body, close while draining."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from palate.errors import MalformedBody, NotFound, Overloaded, PalateError, Unauthorized, Unavailable
from palate.serve.security import Headers, error_body

if TYPE_CHECKING:
    from litestar.types import Message, Send

_log = logging.getLogger("palate.serve")
_encode = msgspec.json.Encoder().encode

CSP = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
"""Only this service's own files. Inline styles (charts set them) are allowed, inline scripts never."""

_COMMON = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_JSON = (b"content-type", b"application/json")
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, x-api-key"),
    (b"access-control-max-age", b"600"),
]

RawHeaders = list[tuple[bytes, bytes]]


class MethodNotAllowed(PalateError):
    """The path exists, but not with this method; ``allow`` lists those it has."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, method: str, path: str, allow: str) -> None:
        super().__init__(f"{method[:20]} is not allowed on {path[:200]}; use {allow}.")
        self.allow = allow


class Answer:
    """Sends one answer. ``status`` is what was sent (499: the client was gone first)."""

    __slots__ = ("_draining", "_head", "_send", "allow_origin", "status")

    def __init__(self, send: Send, method: str, draining: bool) -> None:
        self._send = send
        self._head = method == "HEAD"
        self._draining = draining
        self.allow_origin: bytes | None = None
        self.status = 499

    async def json(self, status: int, body: bytes, extra: RawHeaders | None = None, more: bool = False) -> None:
        """A JSON answer in one go; ``more`` leaves it open for ``finish``."""
        headers = [_JSON, (b"content-length", b"%d" % len(body)), *_COMMON, *(extra or ())]
        await self._start(status, headers)
        await self._send({"type": "http.response.body", "body": b"" if self._head else body, "more_body": more})

    async def empty(self, status: int, extra: RawHeaders) -> None:
        """An answer without a body."""
        await self._start(status, [*_COMMON, *extra])
        await self.finish()

    async def redirect(self, location: str) -> None:
        """See other."""
        await self.empty(303, [(b"location", location.encode()), (b"content-length", b"0")])

    async def preflight(self) -> None:
        """What a page of a configured other site may send."""
        await self.empty(204, _PREFLIGHT)

    async def error(self, error: PalateError, lingering: bool = False) -> None:
        """An error in the wire's form, unless an answer is already on its way."""
        if self.status != 499:
            return
        extra = error_headers(error)
        if lingering:
            extra.append((b"connection", b"close"))
        await self.json(error.status, _encode(error_body(error)), extra, more=lingering)

    async def finish(self) -> None:
        """End of the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def forward(self, message: Message) -> None:
        """Litestar's ``send``: the same headers, unless the handler set its own."""
        if message["type"] == "http.response.start":
            sent = list(message["headers"])
            names = {name.lower() for name, _ in sent}
            extra = [
                *_COMMON,
                (b"content-security-policy", CSP.encode()),
                (b"cache-control", b"no-store"),
            ]
            await self._start(message["status"], [*sent, *(pair for pair in extra if pair[0] not in names)])
        elif message["type"] == "http.response.body" and self._head:
            await self._send({**message, "body": b""})
        else:
            await self._send(message)

    async def _start(self, status: int, headers: RawHeaders) -> None:
        if self._draining:
            headers.append((b"connection", b"close"))
        if self.allow_origin is not None:
            headers += [(b"access-control-allow-origin", self.allow_origin), (b"vary", b"origin")]
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    @staticmethod
    def wants_page(path: str, headers: Headers) -> bool:
        """Whether somebody in a browser should be led to the sign-in page rather than shown JSON."""
        return not path.startswith(("/v1/", "/v2/")) and b"text/html" in headers.get(b"accept", b"")


def error_headers(error: PalateError) -> RawHeaders:
    """The headers that HTTP wants beside some errors."""
    if isinstance(error, Unauthorized):
        return [(b"www-authenticate", b'Bearer realm="palate"')]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", error.allow.encode())]
    if isinstance(error, Overloaded):
        return [(b"retry-after", b"%d" % max(1, math.ceil(error.retry_after)))]
    if isinstance(error, Unavailable):
        return [(b"retry-after", b"1")]
    return []


def palate_error(request: Request[Any, Any, Any], error: PalateError) -> Response[bytes]:
    """Litestar's handler for Palate's own errors."""
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return Response(
        _encode(error_body(error)), status_code=error.status, media_type="application/json", headers=headers
    )


def http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's handler for its router's and parser's errors."""
    path = request.scope["path"]
    if error.status_code == 404:
        return palate_error(request, no_such_path(path))
    if error.status_code == 405:
        allowed = {name.strip() for name in (error.headers or {}).get("allow", "").split(",")} - {""}
        allowed |= {"HEAD"} if "GET" in allowed else set()
        return palate_error(request, MethodNotAllowed(request.method, path, ", ".join(sorted(allowed))))
    if error.status_code < 500:
        return palate_error(request, MalformedBody(f"The request can't be read: {_detail(error)}."))
    return unforeseen_error(request, error)


def _detail(error: HTTPException) -> str:
    """The first reason that the parser gives, else its summary."""
    reasons = cast(list[dict[str, Any]], error.extra) if isinstance(error.extra, list) else []
    return str(reasons[0].get("message") if reasons else error.detail).rstrip(".")


def too_deep(request: Request[Any, Any, Any], error: RecursionError) -> Response[bytes]:
    """A body that the decoder gave up on."""
    return palate_error(request, MalformedBody("The body is nested too deeply to be read."))


def not_utf8(request: Request[Any, Any, Any], error: UnicodeDecodeError) -> Response[bytes]:
    """A body that isn't text."""
    return palate_error(request, MalformedBody(f"The body is not valid UTF-8, at position {error.start}."))


def unforeseen_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The last line of defence: logged, and answered in the wire's form."""
    _log.error("Unforeseen error in %s %s", request.method, request.scope["path"][:200], exc_info=error)
    return palate_error(request, PalateError("Something went wrong here; the service's log has the details."))


def no_such_path(path: str) -> NotFound:
    """404 for a path that no route has."""
    return NotFound(f"There is nothing at {path[:200]}; /docs lists what there is.")
