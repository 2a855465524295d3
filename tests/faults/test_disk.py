"""R3: the disk fails or is full. Nothing is acknowledged then, rankings go on, and it goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from benchmarks.connection import Connection
from palate.errors import PalateError
from tests.engines import HASHING
from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.disk import FULL, SYNC, WRITE
from tests.faults.service import Account, Served, together
from tests.store.store_helpers import full_disk


@dataclass
class Trouble:
    """What clients saw: ``account`` of everything, and of the time while the disk was known to fail apart."""

    account: Account = field(default_factory=Account)
    refused: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    acknowledged_meanwhile: int = 0
    ranked_meanwhile: int = 0
    recovered: float = 0.0


async def through(served: Served, control: Path, fault: str, seconds: float, turn: int) -> Trouble:
    """Post and rank before, while and after the disk fails for ``seconds``."""
    seen, over = Trouble(), asyncio.Event()
    failing = False

    async def sender(number: int) -> None:
        connection = Connection(served.url)
        for batch in shop.batches(f"s{turn}-{number}", np.random.default_rng(number)):
            if over.is_set():
                await connection.close()
                return
            during = failing
            seen.account.sent.update(event["id"] for event in batch)
            reply = await connection.post("/v1/events", batch)
            if not seen.account.posted(batch, reply):
                seen.refused.append({"status": reply.status, **reply.json()["error"], **reply.headers})
                await asyncio.sleep(0.01)
            elif during and failing:  # sent and answered while every write was bound to fail
                seen.acknowledged_meanwhile += 1
            elif mended and not seen.recovered:
                seen.recovered = time.monotonic() - mended

    async def ranker() -> None:
        connection, rng = Connection(served.url), np.random.default_rng(0)
        number = 0
        while not over.is_set():
            reply = await connection.post(*shop.request(number, rng))
            seen.account.answered(reply)
            seen.ranked_meanwhile += failing and reply.status == 200
            assert reply.status == 200, reply.body
            number += 1
        await connection.close()

    mended = 0.0

    async def script() -> None:
        nonlocal failing, mended
        await asyncio.sleep(0.3)
        control.write_text(fault)
        await asyncio.sleep(0.1)  # a commit that had begun may still end well
        failing = True
        await asyncio.sleep(seconds)
        failing = False
        control.unlink()
        mended = time.monotonic()
        await asyncio.sleep(0.5)
        over.set()

    await together(script(), ranker(), *(sender(number) for number in range(4)))
    return seen


def settled(directory: Path, account: Account) -> None:
    """The log holds everything acknowledged, and each event at most once."""
    with palate.open(directory, language=HASHING) as engine:
        ids = [str(event.id) for event in engine.export()]
        assert len(ids) == len(set(ids))
        assert account.acknowledged.keys() <= set(ids)
        assert engine.rebuild()["equal"]


def test_a_disk_that_fails_is_told_and_mends(begin: Begin, tmp_path: Path, size: Size, record: Record) -> None:
    control, account = tmp_path / "fault", Account()
    served = begin(faults={"fail": str(control)})
    served.fill()
    for fault in (SYNC, WRITE, FULL) * size(1, 5):
        seen = asyncio.run(through(served, control, fault, size(1, 2), len(account.sent)))
        assert {(one["status"], one["code"], one["retry-after"]) for one in seen.refused} == {(503, "unavailable", "1")}
        wanted = "is full and nothing was stored" if fault == FULL else "check the disk and the rights, then try again"
        assert all(wanted in one["message"] for one in seen.refused)
        assert seen.acknowledged_meanwhile == 0
        assert seen.ranked_meanwhile > 0
        assert seen.recovered > 0, "it went on by itself"
        assert set(seen.account.statuses) == {200, 503}
        account.sent |= seen.account.sent
        account.acknowledged |= seen.account.acknowledged
        record(
            "R3",
            **{
                f"{fault}_refused": len(seen.refused),
                f"{fault}_acknowledged": 0,
                f"{fault}_rankings_meanwhile": seen.ranked_meanwhile,
                f"{fault}_recovered_s": round(seen.recovered, 3),
            },
        )
    assert served.counts()["seq"] == served.counts()["events"]
    served.kill()
    settled(served.directory, account)


# ------------------------------------------------------------------------- a disk that is really full


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB. Only root may mount one."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("A small file system can't be mounted here: that takes root.")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_file_system_refuses_events_and_goes_on_when_there_is_room(
    begin: Begin, small: Path, record: Record
) -> None:
    served = begin(small / "shop.palate", DECISIONS__FLUSH_SECONDS="0.05", faults={"snapshots": "0.1"})
    account, rng = Account(), np.random.default_rng(3)

    def post(prefix: str, text: int, count: int = 40) -> int:
        batch = [
            {"event": "interaction", "id": f"{prefix}-{n}", "user": f"u{n}", "item": "tea-0", "text": "x" * text}
            for n in range(count)
        ]
        reply = served.post("/v1/events", batch)
        if reply.status_code == 200:
            account.acknowledged.update((event["id"], 0.0) for event in batch)
        else:
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (503, "unavailable")
            assert reply.headers["retry-after"] == "1"
        return reply.status_code

    def rank(count: int) -> None:
        for number in range(count):
            assert served.post(*shop.request(number, rng)).status_code == 200

    served.fill()
    stored = next(number for number in range(1000) if post(f"large{number}", 5000) != 200)
    assert stored > 3
    rank(40)
    assert post("more", 60_000) == 503
    subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
    rank(5)
    assert post("more", 60_000) == 200, "with room it goes on"
    seq = served.counts()["seq"]
    with small.joinpath("filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(1 << 20))
    rank(10)
    assert post("last", 60_000) == 503
    assert served.stop() == 2, "decisions that could not be written are lost, which must show"
    said = served.log.read_text().splitlines()[-1]
    assert said.startswith("palate: The decision log ")
    assert said.endswith(" fails (No space left on device): check the disk and the rights.")
    small.joinpath("filler").unlink()
    with palate.open(served.directory, language=HASHING) as engine:
        assert engine.state.seq == seq
    settled(served.directory, account)
    record("R3", tmpfs_full="503, rankings go on, accepted again with room")


def test_whatever_fails_in_closing_the_lock_goes(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    engine = palate.open(path, language=HASHING)
    engine.ingest(shop.catalogue())
    engine.recommend("u1", 3)
    with full_disk(0), pytest.raises((PalateError, OSError)):
        engine.close()
    with palate.open(path, language=HASHING) as engine:
        assert engine.counts().seq == len(shop.catalogue())
