"""A real ``palate serve`` that can be killed and started again, and clients that keep account of what it promised."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.connection import Connection, Dropped, Refused, Reply
from tests.faults import shop

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


class Served:
    """``palate serve`` over a directory, in a process of its own. It may be started, killed and stopped many times.

    faults: names and values for ``tests.faults.launch``, which the process is started through where there are any.
    settings: environment variables of Palate, without their prefix.
    """

    def __init__(self, directory: Path, log: Path, faults: dict[str, str] | None = None, **settings: str) -> None:
        self.directory = directory
        self.log = log
        self.faults = faults or {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PALATE_")}
        self.environ = kept | {name: os.environ[name] for name in ("PALATE_CACHE_DIR",) if name in os.environ}
        self.environ |= {"PALATE_LANGUAGE__ENCODER": "hashing", "PYTHONWARNINGS": "ignore"}
        self.environ |= {f"PALATE_{name}": value for name, value in settings.items()}
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        # One request a connection: one that is kept would end with the process, at whatever moment.
        self._client = httpx.Client(timeout=60, trust_env=False, verify=False, headers={"connection": "close"})

    def start(self) -> float:
        """Start; seconds until ``/readyz`` answers 200."""
        module = ["tests.faults.launch", *(f"{k}={v}" for k, v in self.faults.items()), "--"]
        command = [sys.executable, "-m", *(module if self.faults else ["palate"]), "serve", "--json", "--port", "0"]
        begun = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--dir", str(self.directory)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environ,
                cwd=ROOT,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the service ended instead of saying where it is: {self.log.read_text()[-3000:]}"
        self.url = json.loads(line)["url"]
        assert self.get("/readyz").status_code == 200
        return time.perf_counter() - begun

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._client.get(self.url + path, **options)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self._client.post(self.url + path, json=body)

    def fill(self) -> None:
        """Fill the shop."""
        assert self.post("/v1/events", shop.catalogue()).status_code == 200

    def counts(self) -> dict[str, Any]:
        return self.get("/v1/status").json()["counts"]

    def kill(self) -> None:
        """kill -9, as it stands."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, sign: int) -> int:
        assert self.process is not None
        self.process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process; the exit status."""
        assert self.process is not None
        status = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def cpu(self) -> float:
        """Seconds of CPU that the process has taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> int:
        """Bytes of memory that are the process's own (anonymous), without mapped files."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))


@dataclass
class Account:
    """What clients sent and what was promised them. acknowledged: id → when (monotonic seconds)."""

    sent: set[str] = field(default_factory=set[str])
    acknowledged: dict[str, float] = field(default_factory=dict[str, float])
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    latency: list[float] = field(default_factory=list[float])
    wrong: list[str] = field(default_factory=list[str])

    def answered(self, reply: Reply) -> None:
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1

    def posted(self, events: list[dict[str, Any]], reply: Reply) -> bool:
        """Take the answer to a post of ``events``; whether all of them were acknowledged."""
        self.answered(reply)
        if reply.status != 200:
            return False
        told = reply.json()
        if told["rejected"] or told["accepted"] + told["duplicates"] != len(events):
            self.wrong.append(f"{len(events)} events were answered by {told}")
        now = time.monotonic()
        for event in events:
            self.acknowledged.setdefault(event["id"], now)
        return True


async def pour(
    url: str, batches: Iterator[list[dict[str, Any]]], account: Account, pause: Callable[[int], float] | None = None
) -> list[dict[str, Any]]:
    """One client: sends batch after batch and notes what is acknowledged, until the service is gone.

    pause(events): seconds that a batch should take. Returns the batch that had no answer, [] where all had one.
    """
    connection = Connection(url)
    due = time.monotonic()
    for batch in batches:
        account.sent.update(event["id"] for event in batch)
        begun = time.perf_counter()
        try:
            reply = await connection.post("/v1/events", batch)
        except (Refused, Dropped):
            return batch
        account.latency.append(time.perf_counter() - begun)
        account.posted(batch, reply)
        if pause is not None:
            due += pause(len(batch))
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    await connection.close()
    return []


async def together(*work: Awaitable[Any]) -> list[Any]:
    """Everything at once; an error of one ends all."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(one)) for one in work]
    return [task.result() for task in tasks]


async def _run(work: Awaitable[Any]) -> Any:
    return await work


def quantile(values: list[float], share: float) -> float:
    """Nearest rank; 0 of nothing."""
    ranked = sorted(values)
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)] if ranked else 0.0
