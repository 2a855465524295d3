"""Reading a request's body within its limit, and hanging up politely when it is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from palate.errors import MalformedBody, TooLarge
from palate.serve.security import Headers

if TYPE_CHECKING:
    from litestar.types import HTTPReceiveMessage, Receive

BODY_SECONDS = 30.0
"""A body has so long to arrive."""
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 * 1024 * 1024


class ClientGone(Exception):
    """The client hung up before its body was read."""


class BodyTooLarge(TooLarge):
    """The body passes the limit; what is left of it has not been read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body has more than {limit} bytes, the most that is accepted; send smaller batches.")


def check_length(headers: Headers, limit: int) -> None:
    """Refuse by the declared length, before anything is read. Errors: ``BodyTooLarge``, ``MalformedBody``."""
    declared = headers.get(b"content-length")
    if declared is None:
        return
    if not declared.isdigit():
        raise MalformedBody("Content-Length is not a number.", "Content-Length")
    if len(declared) > 18 or int(declared) > limit:
        raise BodyTooLarge(limit)


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Errors: ``BodyTooLarge`` as soon as the limit is passed, ``MalformedBody`` after 30 seconds."""
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body = message.get("body", b"")
    if message.get("more_body", False):
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read_on(body, receive, limit)
        except TimeoutError:
            raise MalformedBody(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.") from None
    if len(body) > limit:
        raise BodyTooLarge(limit)
    return body


async def _read_on(start: bytes, receive: Receive, limit: int) -> bytes:
    parts, size, more = [start], len(start), True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        more = message.get("more_body", False)
    return b"".join(parts)


async def linger(headers: Headers, receive: Receive) -> None:
    """Discard what a client still sends after its refusal, so that the refusal reaches it instead of a reset.

    At most 2 seconds and 64 MB. A client that asked first (``Expect``) sends nothing more.
    """
    if b"expect" in headers:
        return
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            size = 0
            while size < _LINGER_BYTES:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                size += len(message.get("body", b""))
    except TimeoutError:
        return


def replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, then whatever comes next (a disconnect)."""
    given = False

    async def again() -> HTTPReceiveMessage:
        nonlocal given
        if given:
            return await receive()  # pyright: ignore[reportReturnType]
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
