"""R8: models swap under load without an error, no answer mixes two, and one that is damaged is refused."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.connection import Connection
from tests.faults import shop
from tests.faults.conftest import Begin, Record, Size
from tests.faults.models import put
from tests.faults.service import Served, together

PER_S = 200.0
CONNECTIONS = 8
MODELS = 4


def mixed(ranking: dict[str, Any], why: dict[str, Any]) -> list[str]:
    """Signs that an answer mixes two models: its own explanation names another, or does not add up."""
    total = why["base"] + sum(part["contribution"] for part in why["contributions"])
    score = next(item["score"] for item in ranking["items"] if item["id"] == why["item"])
    found = [] if why["model"] == ranking["model"] else [f"{ranking['model']} ≠ {why['model']}"]
    return found if abs(total - score) <= 1e-6 * max(1.0, abs(score)) else [*found, f"{total} ≠ {score}"]


class Load:
    """Rankings at ``PER_S``, every fifth of them explained, until ``over``."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.over = asyncio.Event()
        self.rankings = 0
        self.models: set[str] = set()
        self.failures: list[str] = []

    async def run(self) -> None:
        await together(*(self._client(number) for number in range(CONNECTIONS)))

    async def _client(self, number: int) -> None:
        connection, rng, due = Connection(self.served.url), np.random.default_rng(number), time.monotonic()
        while not self.over.is_set():
            path, body = shop.request(number, rng)
            reply = await connection.post(path, body | {"policy": "greedy"})
            self.rankings += 1
            if reply.status != 200:
                self.failures.append(reply.body.decode())
                continue
            ranking = reply.json()
            self.models.add(ranking["model"])
            if self.rankings % 5 == 0:
                item = ranking["items"][0]["id"]
                why = await connection.request("GET", f"/v1/explain/{ranking['ranking']}/{item}")
                self.failures += mixed(ranking, why.json()) if why.status == 200 else [why.body.decode()]
            due += CONNECTIONS / PER_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await connection.close()


async def swap(served: Served, load: Load, versions: list[str], swaps: int) -> list[float]:
    """Activate one after the other, and roll back every tenth time; how long the rollbacks took, in seconds."""
    connection, took = Connection(served.url), list[float]()
    rng = np.random.default_rng(8)
    for number in range(swaps):
        begun = time.perf_counter()
        path = "/v1/models/rollback" if number % 10 == 9 else f"/v1/models/{rng.choice(versions)}/activate"
        reply = await connection.request("POST", path)
        if path.endswith("rollback"):
            took.append(time.perf_counter() - begun)
        if reply.status != 200:
            load.failures.append(reply.body.decode())
        await asyncio.sleep(0.05)
    load.over.set()
    await connection.close()
    return took


def damages(victim: Path, other: Path) -> list[tuple[str, Callable[[], object]]]:
    """Every way in which the files of a version can be spoiled."""

    def flip(file: Path) -> None:
        body = bytearray(file.read_bytes())
        body[len(body) // 2] ^= 1
        file.write_bytes(body)

    found: list[tuple[str, Callable[[], object]]] = []
    for name in ("manifest.json", "arrays.safetensors"):
        file = victim / name
        found += [
            (f"{name} cut in half", lambda file=file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])),
            (f"{name} emptied", lambda file=file: file.write_bytes(b"")),
            (f"{name} with a flipped bit", lambda file=file: flip(file)),
            (f"{name} missing", lambda file=file: file.unlink()),
            (f"{name} of another version", lambda file=file: shutil.copy(other / file.name, file)),
        ]
    return [*found, ("all of another version", lambda: shutil.copytree(other, victim, dirs_exist_ok=True))]


def test_models_swap_under_load_and_a_damaged_one_is_refused(
    begin: Begin, tmp_path: Path, size: Size, record: Record
) -> None:
    path = tmp_path / "shop.palate"
    versions = put(path, MODELS)
    served = begin(path)
    served.fill()
    rng = np.random.default_rng(0)
    events = [shop.event(f"e{n}", n, rng) for n in range(300)]
    assert served.post("/v1/events", events).status_code == 200
    swaps = size(20, 100)

    async def everything() -> tuple[Load, list[float], float]:
        load, begun = Load(served), time.monotonic()
        _, took = await together(load.run(), swap(served, load, versions, swaps))
        return load, took, time.monotonic() - begun

    load, took, seconds = asyncio.run(everything())
    assert load.failures == []
    assert len(load.models) >= 3
    assert served.post(f"/v1/models/{versions[0]}/activate").status_code == 200

    victim = path / "models" / versions[1]
    sound = tmp_path / "sound"
    shutil.copytree(victim, sound)
    refused = 0
    for what, damage in damages(victim, path / "models" / versions[2]):
        damage()
        reply = served.post(f"/v1/models/{versions[1]}/activate")
        assert reply.status_code == 409, what
        assert versions[1] in reply.json()["error"]["message"], what
        answer = served.post("/v1/rank", {"user": "u1", "items": ["tea-0"]}).json()
        assert (answer["model"], answer["degraded"]) == (versions[0], []), what
        refused += 1
        shutil.rmtree(victim)
        shutil.copytree(sound, victim)
    assert served.post(f"/v1/models/{versions[1]}/activate").json()["active"] is True
    shutil.rmtree(path / "models" / versions[0])
    assert served.post("/v1/models/v9999/activate").status_code == 404
    assert served.post("/v1/models/rollback").status_code == 200, "versions that are gone are passed over"
    assert served.stop() == 0
    record(
        "R8",
        swaps=swaps,
        rankings=load.rankings,
        rankings_per_s=round(load.rankings / seconds),
        errors=0,
        mixed=0,
        rollback_s_max=round(max(took), 3),
        damaged_refused=refused,
    )
