"""A service of several workers, and connections that are known to lead to this one or that."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.connection import Connection, Dropped, Refused
from tests.serve.service import Service, Start

PROGRAM = """
import os, resource, sys
from litestar import get, post
from palate.serve import api, serve
from palate.state import snapshot

plain = api.routes

def routes(engine, metrics, ready):
    @get("/test/worker", include_in_schema=False, sync_to_thread=True)
    def worker(digest: int = 0) -> dict[str, object]:
        engine.counts()  # a follower catches up
        with engine._lock:
            return {
                "pid": os.getpid(), "seq": engine.state.seq, "leads": type(engine).__name__ == "Leader",
                "digest": snapshot.digest(engine.state) if digest else "",
                "texts": int((engine.catalogue.side().text_of >= 0).sum()), "pending": engine.catalogue.pending,
            }
    @post("/test/full", include_in_schema=False, sync_to_thread=False)
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))  # to this process a disk that is full
    return [*plain(engine, metrics, ready), worker, full]

api.routes = routes
serve(sys.argv[1], host=sys.argv[2], port=0, announce=lambda url: print(url, flush=True))
"""


@dataclass
class Worker:
    """One worker, and a connection to it."""

    pid: int
    leads: bool
    connection: Connection

    async def look(self, digest: bool = False) -> dict[str, Any]:
        """What it says of itself."""
        return (await self.connection.request("GET", f"/test/worker?digest={int(digest)}")).json()


def begin(start: Start, path: Path, workers: int, **settings: str) -> Service:
    """Start a service of ``workers`` workers."""
    return start(path, program=PROGRAM, PALATE_SERVE__WORKERS=str(workers), **settings)


async def meet(service: Service, workers: int) -> list[Worker]:
    """A connection to each worker, the leader first; waits until there are so many."""
    found: dict[int, Worker] = {}
    end = time.monotonic() + 60
    while len(found) < workers or sum(worker.leads for worker in found.values()) != 1:
        assert time.monotonic() < end, f"only {sorted(found)} were met"
        connection = Connection(service.url)
        try:
            said = (await connection.request("GET", "/test/worker")).json()
        except (Refused, Dropped):
            await asyncio.sleep(0.05)
            continue
        if said["pid"] in found:
            await connection.close()
        else:
            found[said["pid"]] = Worker(said["pid"], said["leads"], connection)
    return sorted(found.values(), key=lambda worker: not worker.leads)


async def part(workers: list[Worker]) -> None:
    """Close the connections."""
    for worker in workers:
        await worker.connection.close()
