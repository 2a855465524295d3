"""Workers that are killed, told to stop, overloaded, or whose disk is full: nothing acknowledged is lost or hidden."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import palate
from benchmarks.connection import Connection, Dropped, Refused
from palate.errors import ConfigError, Locked
from palate.serve import serve as palate_serve
from tests.serve.crew import Worker, begin, meet, part
from tests.serve.service import Service, Start
from tests.serve.test_lifecycle import fill, wait_for

HASHING = {"language": {"encoder": "hashing"}}


class Load:
    """Clients on a connection each that post and rank by turns, and go on whatever happens."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.acknowledged: set[str] = set()
        self.newest = 0
        self.hidden: list[str] = []
        self.dropped = 0
        self.statuses: set[int] = set()
        self.draining = False

    async def client(self, number: int) -> None:
        """Until the service ends the connection in good order."""
        connection = Connection(self.service.url)
        try:
            await self._go_on(number, connection)
        finally:
            await connection.close()

    async def _go_on(self, number: int, connection: Connection) -> None:
        step = 0
        while True:
            step += 1
            event = {"event": "interaction", "id": f"load-{number}-{step}", "user": f"u{number}", "item": "tea-0"}
            rank = {"user": f"u{number}", "items": ["tea-0", "wine-1"]}
            newest = self.newest
            try:
                reply = await (connection.post("/v1/events", event) if step % 2 else connection.post("/v1/rank", rank))
            except Refused:
                if self.draining:
                    return
                await asyncio.sleep(0.02)
                continue
            except Dropped:
                self.dropped += 1
                if self.draining:
                    return
                continue
            self.statuses.add(reply.status)
            if reply.status == 200 and step % 2:
                self.acknowledged.add(event["id"])
                self.newest = max(self.newest, reply.json()["seq"])
            elif reply.status == 200 and reply.json()["as_of"] < newest:  # whoever had acknowledged it
                self.hidden.append(f"{reply.json()['as_of']} < {newest}")
            if reply.last:
                return

    def check(self, path: Path) -> None:
        """Everything acknowledged is in the log, once."""
        assert self.hidden == []
        with palate.open(path, **HASHING) as engine:
            logged = [event.id for event in engine.export()]
            assert engine.rebuild()["equal"]
        assert len(logged) == len(set(logged))
        assert self.acknowledged <= set(logged)


async def kill(service: Service, worker: Worker) -> None:
    """Kill a worker and wait until another one stands in its place and the service is ready again."""
    os.kill(worker.pid, signal.SIGKILL)
    await worker.connection.close()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        await asyncio.sleep(0.05)
        try:
            probe = Connection(service.url)
            page = (await probe.request("GET", "/metrics")).body.decode()
            await probe.close()
        except (Refused, Dropped):
            continue
        if "palate_ready 1" in page and not Path(f"/proc/{worker.pid}").exists():
            return
    raise AssertionError("the service is not ready again")


def test_workers_may_die_and_the_service_may_be_stopped_under_load(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    service = begin(start, tmp_path / "shop.palate", 3)
    fill(service, world)
    load = Load(service)

    async def faults() -> list[int]:
        await asyncio.sleep(0.5)
        leader, follower, other = await meet(service, 3)
        await kill(service, follower)
        assert (await other.look())["pid"] == other.pid  # nobody else ended
        await kill(service, leader)
        assert (await other.look())["pid"] == other.pid
        workers = await meet(service, 3)
        found = [await worker.look() for worker in workers]
        assert {one["leads"] for one in found} == {True, False}
        assert "palate_worker_restarts_total 2" in (await other.connection.request("GET", "/metrics")).body.decode()
        await part([*workers, other])
        probe = Connection(service.url)
        ready = [(await probe.request("GET", "/readyz")).status]
        load.draining = True
        load.dropped, load.statuses = 0, set()
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        ready.append((await probe.request("GET", "/readyz")).status)
        return ready

    async def everything() -> list[int]:
        ready, *_ = await asyncio.gather(faults(), *(load.client(number) for number in range(8)))
        return ready

    assert asyncio.run(everything()) == [200, 503]
    assert service.process.wait(20) == 0
    assert load.dropped == 0
    assert load.statuses == {200}
    assert len(load.acknowledged) > 50
    assert len(list((service.path / "snapshots").iterdir())) == 1
    load.check(service.path)


def test_no_worker_outlives_the_supervisor(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    service = begin(start, tmp_path / "shop.palate", 2)
    fill(service, world)
    with pytest.raises(Locked, match=str(service.process.pid)):
        palate.open(service.path, **HASHING)

    async def everything() -> tuple[list[int], int]:
        workers = await meet(service, 2)
        seqs = [
            (await worker.connection.post("/v1/events", {"event": "interaction", "user": "u", "item": "tea-0"})).json()
            for worker in workers
        ]
        service.process.kill()
        service.process.wait(10)
        await part(workers)
        return [worker.pid for worker in workers], max(one["seq"] for one in seqs)

    pids, seq = asyncio.run(everything())

    def gone() -> bool:
        with (service.path / "LOCK").open() as lock, socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                again.bind(("127.0.0.1", urlsplit(service.url).port))
            except OSError:
                return False
        return not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)

    wait_for(gone, 10)
    with palate.open(service.path, **HASHING) as engine:
        assert engine.counts().seq == seq


def test_overload_and_a_full_disk_reach_the_clients_of_a_follower(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    service = begin(start, tmp_path / "shop.palate", 2, PALATE_SERVE__QUEUE_EVENTS="60")
    acknowledged: set[str] = set()
    refused: set[tuple[int, str]] = set()

    async def sender(number: int, worker: int) -> None:
        workers = await meet(service, 2)
        for step in range(20):
            batch = [{**event, "id": f"{number}-{step}-{event['id']}"} for event in world[40:90]]
            reply = await workers[worker].connection.post("/v1/events", batch)
            if reply.status == 200:
                acknowledged.update(event["id"] for event in batch)
            else:
                refused.add((reply.status, reply.headers.get("retry-after", "")))
        await part(workers)

    async def everything() -> None:
        await asyncio.gather(*(sender(number, number % 2) for number in range(10)))
        assert acknowledged
        assert refused == {(429, "1")}
        leader, follower = await meet(service, 2)
        assert (await follower.look())["seq"] == len(acknowledged)
        assert (await leader.connection.request("POST", "/test/full")).status == 201
        for batch in range(200):
            events = [{**event, "id": f"{batch}-{event['id']}", "text": "x" * 300} for event in world[40:90]]
            reply = await follower.connection.post("/v1/events", events)
            if reply.status != 200:
                break
            acknowledged.update(event["id"] for event in events)
        assert (reply.status, reply.json()["error"]["code"]) == (503, "unavailable")
        assert "retry-after" in reply.headers
        for worker in (leader, follower):
            ranked = await worker.connection.post("/v1/rank", {"user": "u1", "items": ["tea-0", "wine-1"]})
            assert (ranked.status, ranked.json()["as_of"]) == (200, len(acknowledged))
        await part([leader, follower])

    asyncio.run(everything())
    service.process.kill()
    service.process.wait(10)
    time.sleep(0.2)
    with palate.open(service.path, **HASHING) as engine:
        assert engine.counts().events == len(acknowledged)


BROKEN = """
import sys
from palate.errors import CorruptArtefact
from palate.serve import serve
from palate.serve.workers import child

def broken(plan, number):
    raise CorruptArtefact("It is broken.")

child._follow = broken
try:
    serve(sys.argv[1], port=0, workers=2)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_a_worker_that_cannot_start_ends_the_start(tmp_path: Path) -> None:
    path = tmp_path / "shop.palate"
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, str(path)],
        env=os.environ | {"PALATE_LANGUAGE__ENCODER": "hashing"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "worker 2: It is broken.",
        "Unavailable: A worker could not start: the lines above say why.",
    ]
    with palate.open(path, **HASHING) as engine:  # and nobody holds the directory
        assert engine.counts().events == 0


def test_a_port_that_another_service_shares_is_taken(start: Start, tmp_path: Path) -> None:
    service = begin(start, tmp_path / "one.palate", 2)
    for workers in (1, 2):  # workers share a port with their own kind, and with nobody else
        with pytest.raises(ConfigError, match="in use"):
            palate_serve(tmp_path / "two.palate", port=urlsplit(service.url).port, workers=workers)
    assert not (tmp_path / "two.palate").exists()
    assert service.stop(signal.SIGINT) == 0


def test_a_process_with_other_threads_is_not_forked(tmp_path: Path) -> None:
    asked = threading.Event()
    thread = threading.Thread(target=asked.wait)
    thread.start()
    try:
        with pytest.raises(ConfigError, match="threads"):
            palate_serve(tmp_path / "shop.palate", port=0, workers=2)
    finally:
        asked.set()
        thread.join()
    with pytest.raises(ConfigError, match="between 1 and 64"):
        palate_serve(tmp_path / "shop.palate", port=0, workers=65)
    assert not (tmp_path / "shop.palate").exists()
