"""Drives a server over loopback, and reads what it cost from the process tree."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

from palate.errors import PalateError

_TICK = os.sysconf("SC_CLK_TCK")


class Served:
    """A running server. ``cpu`` is user + system seconds of its process and all below it."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 80

    def cpu(self) -> float:
        return sum(_cpu_of(pid) for pid in _tree(self.process.pid))

    def memory(self) -> int:
        """Resident bytes of the process."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def server(kind: str, directory: Path) -> Generator[Served]:
    """Start ``palate serve`` or a server of ``serving``, wait until it listens, end it afterwards.

    Errors: ``PalateError`` when it doesn't start.
    """
    module = (
        ["palate", "serve", "--json", "--port", "0", "--dir"] if kind == "palate" else ["palate.bench.serving", kind]
    )
    command = [sys.executable, "-m", *module, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            url = json.loads(line)["url"] if line.startswith("{") else line
            if not url:
                raise PalateError(f"The server {kind!r} of the benchmark didn't start; what it said is above.")
            yield Served(process, url)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _tree(int(child))
    return found


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


class Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time, the least work a client can do."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(PalateError("The server closed a connection of the benchmark."))

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        at = head.find(b"content-length: ") + 16
        length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else len(head)])
        if len(self._got) < end + 4 + length:
            return
        self._got.clear()
        answer = self._answer
        assert answer is not None
        answer.set_result(int(head[9:12]))

    async def send(self, request: bytes) -> int:
        """The status of the answer to ``request``, whole bytes of HTTP/1.1."""
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answer


def post(path: str, body: bytes) -> bytes:
    """A POST with a JSON body, as bytes of HTTP/1.1."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Run:
    """What a run saw: seconds of wall and of the server's CPU, seconds of each request, statuses other than 200."""

    def __init__(self, wall: float, cpu: float, latency: list[float], bad: int) -> None:
        self.count = len(latency)
        self.wall = wall
        self.cpu_us = cpu / max(1, self.count) * 1e6
        self.per_s = self.count / wall
        self.p50_ms, self.p99_ms = (float(np.quantile(latency, q)) * 1000 for q in (0.5, 0.99))
        self.bad = bad


def closed(served: Served, requests: Sequence[bytes], connections: int) -> Run:
    """Every connection sends its next request once it has the answer to the last."""

    async def drive() -> tuple[float, float, list[float], int]:
        lines = await _connect(served, connections)
        latency: list[float] = []
        bad = 0
        waiting = iter(requests)

        async def work(line: Connection) -> None:
            nonlocal bad
            for request in waiting:
                begun = time.perf_counter()
                bad += await line.send(request) != 200
                latency.append(time.perf_counter() - begun)

        before, begun = served.cpu(), time.perf_counter()
        await asyncio.gather(*(work(line) for line in lines))
        return time.perf_counter() - begun, served.cpu() - before, latency, bad

    return Run(*uvloop.run(drive()))


def opened(served: Served, requests: Sequence[bytes], per_s: float, connections: int = 64) -> Run:
    """Requests are due at a fixed rate, whatever the server does; latency counts from when one was due."""

    async def drive() -> tuple[float, float, list[float], int]:
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for line in await _connect(served, connections):
            free.put_nowait(line)
        latency: list[float] = []
        bad = 0

        async def one(request: bytes, due: float) -> None:
            nonlocal bad
            line = await free.get()
            bad += await line.send(request) != 200
            latency.append(time.perf_counter() - due)
            free.put_nowait(line)

        before, begun = served.cpu(), time.perf_counter()
        tasks: list[asyncio.Task[None]] = []
        for n, request in enumerate(requests):
            due = begun + n / per_s
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(one(request, due)))
        await asyncio.gather(*tasks)
        return time.perf_counter() - begun, served.cpu() - before, latency, bad

    return Run(*uvloop.run(drive()))


async def _connect(served: Served, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Connection, served.host, served.port) for _ in range(count)]
    return [protocol for _, protocol in pairs]
