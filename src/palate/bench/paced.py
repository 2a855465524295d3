"""Requests at a fixed rate, whatever the server does; latency counts from the moment when each was due.

One thread over plain sockets, which spins while the next request is near: an event loop's timers are milliseconds
wide, and what the client is late would be taken for the server's. How late it was is measured and reported.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from palate.bench.load import Run, Served, Tick, cores, pinned, status_of
from palate.errors import PalateError
from palate.types import F64

_SPIN = 0.002
"""Seconds before a request is due from which the client no longer sleeps, where the server has a core of its own."""
_KEPT_UP = 1.02
_TOLD = 64


class Paced(Run):
    """A run at ``per_s_due`` requests a second. late: (n,) seconds after each was due that the client noticed it;
    waited: seconds that the server waited for its core."""

    def __init__(
        self, wall: float, cpu: float, latency: F64, bad: int, per_s_due: float, late: F64, waited: float
    ) -> None:
        super().__init__(wall, cpu, latency, bad)
        self.per_s_due = per_s_due
        self.late = late
        self.waited_us = waited / max(1, self.count) * 1e6

    @property
    def kept_up(self) -> bool:
        """Whether the answers came as fast as the requests were due, so that the latency isn't that of a queue."""
        return self.wall <= _KEPT_UP * self.count / self.per_s_due + 0.05

    def late_ms(self, quantile: float) -> float:
        """A quantile of how late the client was, in milliseconds."""
        return float(np.quantile(self.late, quantile)) * 1000


class _Line:
    """A connection with at most one request on its way."""

    def __init__(self, served: Served) -> None:
        self.socket = socket.create_connection((served.host, served.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.place = -1
        self.got = bytearray()

    def send(self, place: int, request: bytes) -> None:
        self.place = place
        self.socket.sendall(request)

    def answered(self) -> int:
        """The status once the whole answer is here, 0 before."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise PalateError("The server closed a connection of the benchmark.")
        self.got += data
        status = status_of(self.got)
        if status:
            self.got.clear()
        return status


def paced(
    served: Served, requests: Sequence[bytes], per_s: float, connections: int = 32, tick: Tick | None = None
) -> Paced:
    """Send ``requests`` at ``per_s`` a second over as many connections as are needed, up to ``connections``.

    A request that is due while every connection waits for its answer is sent as soon as one is free.
    Errors: ``PalateError`` when the server closes a connection.
    """
    spin = _SPIN if cores()[1] is not None else 0.0
    with pinned(cores()[1]):
        return _drive(served, requests, per_s, [_Line(served) for _ in range(connections)], spin, tick)


def _drive(
    served: Served, requests: Sequence[bytes], per_s: float, lines: list[_Line], spin: float, tick: Tick | None
) -> Paced:
    poll = select.epoll()
    by_number = {line.socket.fileno(): line for line in lines}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    free, waiting = list(lines), deque[int]()
    latency: F64 = np.zeros(len(requests))
    late: F64 = np.zeros(len(requests))
    bad = done = sent = 0
    clock = time.perf_counter
    before, waited, begun = served.cpu(), served.waited(), clock()
    try:
        while done < len(requests):
            now = clock()
            while sent < len(requests) and begun + sent / per_s <= now:
                waiting.append(sent)
                late[sent] = now - begun - sent / per_s
                sent += 1
            while waiting and free:
                place = waiting.popleft()
                free.pop().send(place, requests[place])
            until = begun + sent / per_s - clock() if sent < len(requests) else 1.0
            for number, _ in poll.poll(max(0.0, until - spin)):
                line = by_number[number]
                status = line.answered()
                if status:
                    latency[line.place] = clock() - begun - line.place / per_s
                    bad += status != 200
                    free.append(line)
                    done += 1
                    if tick is not None and done % _TOLD == 0:
                        tick(done)
        wall = clock() - begun
        return Paced(wall, served.cpu() - before, latency, bad, per_s, late, served.waited() - waited)
    finally:
        poll.close()
        for line in lines:
            line.socket.close()
