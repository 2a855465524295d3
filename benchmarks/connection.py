"""One keep-alive HTTP connection, as little code as a load driver needs: what is measured is the service."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class Dropped(Exception):
    """A request was sent and its answer never came."""


class Refused(Exception):
    """The connection could not be opened."""


@dataclass
class Reply:
    """An answer. ``last``: the server closes the connection after it."""

    status: int
    headers: dict[str, str]
    body: bytes
    last: bool

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """Opens itself on the first request, and again once the server has closed it in good order."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Reply:
        """A POST with a JSON body."""
        return await self.request("POST", path, json.dumps(body).encode())

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """One request. Raises ``Refused`` where there is nobody, ``Dropped`` where no answer comes."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
        if body or method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(self.host, self.port)
            except OSError as error:
                raise Refused(str(error)) from None
        reader, writer = self._streams
        try:
            writer.write(head.encode() + b"\r\n" + body)
            await writer.drain()
            reply = await _read(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await self.close()
            raise Dropped(f"{method} {path}: {error!r}") from None
        if reply.last:
            await self.close()
        return reply

    async def close(self) -> None:
        """Close the connection, if it is open."""
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                return


async def _read(reader: asyncio.StreamReader) -> Reply:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(int(first[9:12]), headers, body, headers.get("connection") == "close")
