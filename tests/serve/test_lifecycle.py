"""From start to end: read your writes, signals, training beside the rankings, back-pressure, a full disk."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import palate
from benchmarks import read_your_writes
from benchmarks.connection import Connection
from tests.serve.service import Service, Start, ndjson

NDJSON = {"content-type": "application/x-ndjson"}
FULL_DISK = """
import resource, sys
from palate.serve import serve
def announce(url):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    print(url, flush=True)
serve(sys.argv[1], port=0, announce=announce)
"""
TRAIN = {"decisions": 200, "candidates": 20, "trees": 20, "ease_items": 100}


def fill(service: Service, events: list[dict[str, Any]]) -> None:
    answer = service.request("POST", "/v1/events", content=ndjson(events), headers=NDJSON)
    assert answer.status_code == 200, answer.text


def wait_for(what: Any, seconds: float = 60.0) -> Any:
    """Poll until ``what()`` is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


def test_read_your_writes_with_eight_connections(start: Start, tmp_path: Path) -> None:
    service = start(tmp_path / "shop.palate")
    asyncio.run(read_your_writes.fill(service.url))
    tally = asyncio.run(read_your_writes.run(service.url, tries=400, connections=8))
    assert tally.failures == []
    assert (tally.tries, tally.visible, tally.moved, tally.named) == (400, 400, 400, 400)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_service_in_good_order(
    start: Start, tmp_path: Path, world: list[dict[str, Any]], sign: int
) -> None:
    service = start(tmp_path / "shop.palate")
    fill(service, world)
    counts = service.request("GET", "/v1/status").json()["counts"]
    assert service.stop(sign) == 0
    assert any((service.path / "snapshots").iterdir())
    again = start(service.path)
    found = again.request("GET", "/v1/status").json()["counts"]
    assert {k: found[k] for k in ("users", "items", "interactions", "seq")} == {
        k: counts[k] for k in ("users", "items", "interactions", "seq")
    }
    assert again.stop() == 0


def test_training_goes_on_beside_the_rankings(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    settings = {f"PALATE_TRAIN__{key.upper()}": str(value) for key, value in TRAIN.items()}
    service = start(tmp_path / "shop.palate", **settings)
    fill(service, world)
    assert service.request("POST", "/v1/train").status_code == 202
    again = service.request("POST", "/v1/train")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    answered = 0

    def trained() -> bool:
        nonlocal answered
        answered += service.post("/v1/rank", {"user": "u1", "items": ["tea-0", "wine-1"]}).status_code == 200
        return service.request("GET", "/v1/status").json()["training"] != "running"

    wait_for(trained)
    status = service.request("GET", "/v1/status").json()
    assert status["training"] == "idle"
    assert answered > 3
    assert len(status["models"]) >= 1
    assert service.stop() == 0


def test_it_trains_by_itself_after_enough_events(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    settings = {f"PALATE_TRAIN__{key.upper()}": str(value) for key, value in TRAIN.items()}
    service = start(tmp_path / "shop.palate", PALATE_TRAIN__AUTO_EVENTS="500", **settings)
    before = len(service.request("GET", "/v1/models").json()["models"])
    fill(service, world)
    wait_for(lambda: len(service.request("GET", "/v1/models").json()["models"]) > before)
    assert service.stop() == 0


def test_overload_is_pushed_back_and_nothing_acknowledged_is_lost(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    service = start(tmp_path / "shop.palate", PALATE_SERVE__QUEUE_EVENTS="60")
    acknowledged: set[str] = set()
    refused: list[tuple[int, str]] = []

    async def sender(number: int) -> None:
        connection = Connection(service.url)
        for step in range(20):
            batch = [{**event, "id": f"{number}-{step}-{event['id']}"} for event in world[40:90]]
            reply = await connection.post("/v1/events", batch)
            if reply.status == 200:
                acknowledged.update(event["id"] for event in batch)
            else:
                refused.append((reply.status, reply.headers.get("retry-after", "")))
        await connection.close()

    async def everything() -> None:
        await asyncio.gather(*(sender(number) for number in range(8)))

    asyncio.run(everything())
    assert acknowledged
    assert set(refused) == {(429, "1")}
    counts = service.request("GET", "/v1/status").json()["counts"]
    assert counts["events"] == len(acknowledged)
    assert 'status="429"' in service.request("GET", "/metrics").text
    assert service.stop() == 0


def test_a_full_disk_refuses_events_and_rankings_go_on(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    """No file may grow past 1 MB once the service runs: to it that is a disk that is full."""
    service = start(tmp_path / "shop.palate", program=FULL_DISK)
    fill(service, world)
    accepted, refused = len(world), None
    for batch in range(200):
        events = [{**event, "id": f"{batch}-{event['id']}", "text": "x" * 200} for event in world[40:]]
        answer = service.request("POST", "/v1/events", content=ndjson(events), headers=NDJSON)
        if answer.status_code != 200:
            refused = answer
            break
        accepted += len(events)
    assert refused is not None
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    assert "retry-after" in refused.headers
    for _ in range(3):
        ranking = service.post("/v1/rank", {"user": "u1", "items": ["tea-0", "wine-1"]})
        assert ranking.status_code == 200, ranking.text
    assert service.request("GET", "/v1/status").json()["counts"]["events"] == accepted
    service.process.kill()
    service.process.wait(10)
    with palate.open(service.path, language={"encoder": "hashing"}) as engine:
        assert engine.counts().events == accepted


def test_a_held_directory_is_refused(start: Start, tmp_path: Path) -> None:
    service = start(tmp_path / "shop.palate")
    with pytest.raises(palate.errors.Locked, match=str(service.process.pid)):
        palate.open(service.path)
    assert service.stop() == 0


def test_latency_and_counts_are_shown(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    service = start(tmp_path / "shop.palate")
    fill(service, world)
    for _ in range(5):
        service.post("/v1/recommend", {"user": "u1"})
    status = service.request("GET", "/v1/status").json()
    assert status["latency"]["recommend"]["count"] == 5
    assert 0 < status["latency"]["recommend"]["p50"] <= status["latency"]["recommend"]["p99"]
    assert status["counts"]["interactions"] == 600
    users = service.request("GET", "/v1/users", params={"prefix": "u1", "limit": 3}).json()["users"]
    assert len(users) == 3
    assert all(row["user"].startswith("u1") for row in users)
    item = service.request("GET", "/v1/items/tea-0").json()
    assert (item["item"], item["title"], item["fields"]["category"]) == ("tea-0", "tea number 0", "tea")
    assert service.request("GET", "/v1/evaluation").status_code == 404
    folder = service.path / "evaluation"
    folder.mkdir(exist_ok=True)
    (folder / "latest.json").write_bytes(b'{"protocol":"p"}')
    assert service.request("GET", "/v1/evaluation").json() == {"protocol": "p"}
    assert httpx.get(service.url + "/").status_code == 200
