"""Requests that are due at a fixed rate whatever the service does, as those of many independent people are.

Every request is on a connection that has no other on its way; latency counts from when it was due. Where all
connections wait, a request that is due waits for one too, and counts as such.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Seen:
    """What came of the requests. due: (seconds since the begin, latency, status, headers) in the order of answers."""

    answers: list[tuple[float, float, int, bytes]] = field(default_factory=list[tuple[float, float, int, bytes]])
    seconds: float = 0.0
    unsent: int = 0
    dropped: int = 0

    def latencies(self, status: int = 200, after: float = 0.0) -> list[float]:
        return [latency for due, latency, got, _ in self.answers if got == status and due >= after]

    def statuses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for _, _, status, _ in self.answers:
            found[status] = found.get(status, 0) + 1
        return found


class _Line:
    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.got = b""

    def answer(self) -> tuple[int, bytes] | None:
        """(status, head) once the whole answer is here. Errors: ``ConnectionError``."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise ConnectionResetError
        self.got += data
        head, found, body = self.got.partition(b"\r\n\r\n")
        if not found:
            return None
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 : lower.find(b"\r\n", at) if lower.find(b"\r\n", at) > 0 else None])
        if len(body) < length:
            return None
        self.got = b""
        return int(head[9:12]), lower


def drive(
    url: str, request: Callable[[int], bytes], per_s: float, seconds: float, connections: int = 128, grace: float = 5.0
) -> Seen:
    """Send ``request(n)`` at ``per_s`` for ``seconds``; answers are waited for ``grace`` seconds more."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or 80
    poll, seen = select.epoll(), Seen()
    lines = {line.socket.fileno(): line for line in (_Line(host, port) for _ in range(connections))}
    for number in lines:
        poll.register(number, select.EPOLLIN)
    free, waiting = list(lines.values()), deque[tuple[int, float]]()
    clock, sent, total = time.perf_counter, 0, round(per_s * seconds)
    begun = clock()
    try:
        while True:
            now = clock() - begun
            while sent < total and sent / per_s <= now:
                waiting.append((sent, sent / per_s))
                sent += 1
            while waiting and free:
                number, due = waiting.popleft()
                line = free.pop()
                line.due = due
                line.socket.sendall(request(number))
            if (sent == total and not waiting and len(free) == len(lines)) or now > seconds + grace:
                break
            wait = begun + sent / per_s - clock() if sent < total else 0.05
            for number, _ in poll.poll(max(0.0, min(wait, 0.05))):
                line = lines[number]
                try:
                    answer = line.answer()
                except ConnectionError:
                    seen.dropped += 1
                    poll.unregister(number)
                    del lines[number]
                    line.socket.close()
                    continue
                if answer is not None:
                    seen.answers.append((line.due, clock() - begun - line.due, *answer))
                    free.append(line)
        seen.seconds = clock() - begun
        seen.unsent = len(waiting) + total - sent
        seen.dropped += len(lines) - len(free)
        return seen
    finally:
        poll.close()
        for line in lines.values():
            line.socket.close()
