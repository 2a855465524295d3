"""A service of two workers learns from what is ranked by either, and both say and do the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.serve.crew import begin, meet, part
from tests.serve.service import Start
from tests.serve.test_lifecycle import fill, wait_for

ONLINE = {
    "PALATE_ONLINE__CORRECT": "auto",
    "PALATE_ONLINE__FEATURES": '["age", "trend"]',
    "PALATE_POLICY__EXPLORE": "false",
}


def test_two_workers_learn_as_one(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    service = begin(start, tmp_path / "shop.palate", 2, **ONLINE)
    fill(service, world)
    items = [event["item"] for event in world if event["event"] == "item"][:10]

    async def answered() -> None:
        workers = await meet(service, 2)
        for number in range(80):
            connection = workers[number % 2].connection
            ranking = (await connection.post("/v1/rank", {"user": f"w{number}", "items": items})).json()
            taken = {"event": "interaction", "user": f"w{number}", "item": ranking["items"][5]["id"]}
            await workers[1 - number % 2].connection.post("/v1/events", taken | {"ranking": ranking["ranking"]})
        await part(workers)

    asyncio.run(answered())

    def told() -> dict[str, Any]:
        return service.request("GET", "/v1/models").json()["online"]

    # the first 300 shown items are looked at; six of each of the later rankings are labels by now
    wait_for(lambda: told().get("labels", 0) >= 6 * 25, 60.0)

    async def both() -> None:
        workers = await meet(service, 2)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [(await one.connection.request("GET", "/v1/models")).json()["online"] for one in workers]
            if found[0] == found[1]:
                break
            await asyncio.sleep(0.2)
        assert found[0] == found[1]
        assert found[0]["state"] in ("learning", "correcting")
        pages = [(await one.connection.request("GET", "/metrics")).body.decode() for one in workers]
        for page in pages:
            assert f"palate_online_labels_total {found[0]['labels']}" in page
        await part(workers)

    asyncio.run(both())
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 15
    assert (tmp_path / "shop.palate" / "online.json").is_file()
