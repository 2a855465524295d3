"""Bandits in a service of several workers: one learns, all rank by what it has learnt."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from palate.bandits import kept
from palate.config import DecisionSettings
from palate.store import open_decisions
from tests.serve.crew import Worker, begin, meet, part
from tests.serve.service import Start
from tests.serve.test_lifecycle import fill

ITEMS = ["tea-0", "wine-1", "bread-2", "tea-3", "wine-4"]


async def ranked(worker: Worker, number: int) -> dict[str, Any]:
    reply = await worker.connection.post("/v1/rank", {"user": f"b{number}", "items": ITEMS, "k": 3})
    assert reply.status == 200, reply.body
    return reply.json()


def test_every_worker_ranks_by_what_the_leader_learnt_from_all(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    path = tmp_path / "shop.palate"
    service = begin(start, path, 2, PALATE_POLICY__RANK="thompson", PALATE_POLICY__SAMPLES="16")
    fill(service, world)
    last: dict[str, dict[str, Any]] = {}

    async def everything() -> None:
        workers = await meet(service, 2)
        for number in range(20):
            worker = workers[number % 2]
            answer = await ranked(worker, number)
            click = {
                "event": "interaction", "user": f"b{number}", "item": answer["items"][1]["id"], "type": "click",
                "ranking": answer["ranking"],
            }  # fmt: skip
            assert (await worker.connection.post("/v1/events", click)).status == 200
        async with asyncio.timeout(30):
            while True:  # what was learnt last is shown within a second or two
                shown, _ = kept.read(kept.published(path))
                if shown is not None and shown.counts["rewards"] == 20:
                    break
                await asyncio.sleep(0.1)
        await asyncio.sleep(0.6)
        for worker, name in zip(workers, ("leader", "follower"), strict=True):
            last[name] = await ranked(worker, 99)
        await part(workers)

    asyncio.run(everything())
    service.stop()
    learnt, why = kept.read(kept.path_of(path))
    assert (why, learnt is not None and learnt.counts) == (
        "", {"rewards": 20, "declines": 20, "credits": 0, "late": 0, "unknown": 0},
    )  # fmt: skip
    log = open_decisions(path / "decisions", DecisionSettings(), read_only=True)
    updates = {one.ranking: one.bandit.updates for one in log.read() if one.bandit is not None}
    assert updates[last["leader"]["ranking"]] == updates[last["follower"]["ranking"]] == 40
