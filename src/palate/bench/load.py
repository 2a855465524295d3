"""Drives a server over loopback as fast as it answers, and reads what it cost from the process tree."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

from palate.errors import PalateError
from palate.types import F64, Bools

_CPU_CLOCK = 2
"""``CPUCLOCK_SCHED`` of Linux: what the scheduler counted, in nanoseconds, of a process and its threads."""
_TOLD = 64
_PATIENCE = 120
"""Seconds in which a server must have ended: one with a large state writes a snapshot first."""

Tick = Callable[[int], None]
"""Told how many requests have been answered, now and then."""


class Served:
    """A running server. ``cpu`` is user + system seconds of its process and all below it."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), parts.port or 80

    def cpu(self) -> float:
        """Seconds so far, to the microsecond; of processes that live."""
        return sum(_cpu_of(pid) for pid in _tree(self.process.pid))

    def waited(self) -> float:
        """Seconds that its main thread could have run and others had the core; 0 where Linux doesn't count them."""
        try:
            return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def memory(self) -> int:
        """Resident bytes of the process and all below it."""
        return sum(_memory_of(pid) for pid in _tree(self.process.pid))


def cores() -> tuple[int | None, int | None]:
    """A core for the server and another for the client; (None, None) where there is one only."""
    free = sorted(os.sched_getaffinity(0))
    return (free[0], free[1]) if len(free) > 1 else (None, None)


@contextlib.contextmanager
def pinned(core: int | None) -> Generator[None]:
    """This thread, and the processes that it starts, on one core; anywhere with None."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def server(kind: str, directory: Path, core: int | None = None) -> Generator[Served]:
    """Start ``palate serve`` or a server of ``serving``, wait until it listens, end it afterwards.

    core: the only one that it runs on. Errors: ``PalateError`` when it doesn't start.
    """
    module = (
        ["palate", "serve", "--json", "--port", "0", "--dir"] if kind == "palate" else ["palate.bench.serving", kind]
    )
    command = [sys.executable, "-m", *module, str(directory)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said, _started(command, said, core) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            url = json.loads(line).get("url") if line.startswith("{") else line
            if not url:
                process.wait(_PATIENCE)
                said.seek(0)
                last = (said.read().strip().splitlines() or ["it said nothing"])[-1].removesuffix(".")
                raise PalateError(f"The server {kind!r} didn't start: {last}.")
            yield Served(process, url)
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE)
            if process.poll() is None:
                process.kill()


def _started(command: list[str], said: IO[str], core: int | None) -> subprocess.Popen[str]:
    with pinned(core):
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            for child in task.read_text().split():
                found += _tree(int(child))
    return found


def _cpu_of(pid: int) -> float:
    try:
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK)
    except OSError:  # it has ended
        return 0.0


def _memory_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0


def status_of(answer: bytearray) -> int:
    """The status of an HTTP/1.1 answer with a ``Content-Length``, 0 while it isn't complete."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = bytes(answer[:end]).lower() + b"\r\n"
    at = head.find(b"content-length: ") + 16
    length = int(head[at : head.find(b"\r\n", at)])
    return int(head[9:12]) if len(answer) >= end + 4 + length else 0


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
        status = status_of(self._got)
        if status and self._answer is not None:
            self._got.clear()
            self._answer.set_result(status)

    async def send(self, request: bytes) -> int:
        """The status of the answer to ``request``, whole bytes of HTTP/1.1."""
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


def post(path: str, body: bytes) -> bytes:
    """A POST with a JSON body, as bytes of HTTP/1.1."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Run:
    """What a run saw: seconds of wall and of the server's CPU, seconds of each request, statuses other than 200.

    latency: (n,) in the order of the requests, so that those of one kind can be picked.
    """

    def __init__(self, wall: float, cpu: float, latency: F64, bad: int) -> None:
        self.count = len(latency)
        self.wall = wall
        self.cpu_us = cpu / max(1, self.count) * 1e6
        self.per_s = self.count / wall
        self.latency = latency
        self.bad = bad

    def ms(self, quantile: float, which: slice | Bools | None = None) -> float:
        """A quantile of the latency in milliseconds, of all requests or of some of them."""
        return float(np.quantile(self.latency if which is None else self.latency[which], quantile)) * 1000


def closed(served: Served, requests: Sequence[bytes], connections: int, tick: Tick | None = None) -> Run:
    """Every connection sends its next request once it has the answer to the last. The client keeps to its own core."""

    async def drive() -> Run:
        lines = await _connect(served, connections)
        latency: F64 = np.zeros(len(requests))
        done = bad = 0
        waiting = iter(enumerate(requests))

        async def work(line: Connection) -> None:
            nonlocal done, bad
            for place, request in waiting:
                begun = time.perf_counter()
                bad += await line.send(request) != 200
                latency[place] = time.perf_counter() - begun
                done += 1
                if tick is not None and done % _TOLD == 0:
                    tick(done)

        before, begun = served.cpu(), time.perf_counter()
        try:
            await asyncio.gather(*(work(line) for line in lines))
            return Run(time.perf_counter() - begun, served.cpu() - before, latency, bad)
        finally:
            for line in lines:
                line.close()

    with pinned(cores()[1]):
        return uvloop.run(drive())


async def _connect(served: Served, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    pairs = [await loop.create_connection(Connection, served.host, served.port) for _ in range(count)]
    return [protocol for _, protocol in pairs]
