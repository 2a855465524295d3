"""From start to SIGTERM, under load: nothing acknowledged is lost, nobody is cut off, no answer mixes two models."""

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
from benchmarks.connection import Connection, Dropped, Refused
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


def test_sigterm_under_load_drops_nothing(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    service = start(tmp_path / "shop.palate")
    fill(service, world)
    acknowledged: set[str] = set()
    dropped: list[str] = []
    statuses: set[int] = set()

    async def client(number: int) -> None:
        """Goes on until the server says that this connection ends, as a client behind a balancer would."""
        connection, step = Connection(service.url), 0
        while True:
            step += 1
            event = {"event": "interaction", "id": f"load-{number}-{step}", "user": f"u{number}", "item": "tea-0"}
            rank = {"user": f"u{number}", "items": ["tea-0", "wine-1", "bread-2"]}
            path, body = ("/v1/events", event) if step % 2 else ("/v1/rank", rank)
            try:
                reply = await connection.post(path, body)
            except Refused:
                return
            except Dropped as error:
                dropped.append(str(error))
                return
            statuses.add(reply.status)
            if path == "/v1/events" and reply.status == 200:
                acknowledged.add(event["id"])
            if reply.last:
                return

    async def stop() -> list[int]:
        await asyncio.sleep(1.0)
        probe = Connection(service.url)
        ready = [(await probe.request("GET", "/readyz")).status]
        service.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.05)
        ready.append((await probe.request("GET", "/readyz")).status)
        return ready

    async def everything() -> list[int]:
        ready, *_ = await asyncio.gather(stop(), *(client(number) for number in range(8)))
        return ready

    assert asyncio.run(everything()) == [200, 503]
    assert service.process.wait(15) == 0
    assert dropped == []
    assert statuses == {200}
    assert len(acknowledged) > 50
    with palate.open(service.path, language={"encoder": "hashing"}) as engine:
        logged = [event.id for event in engine.export()]
    assert len(logged) == len(set(logged))
    assert acknowledged <= set(logged)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Path:
    """A directory with two trained models."""
    path = tmp_path_factory.mktemp("trained") / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}, train=TRAIN) as engine:
        engine.ingest(world)
        engine.train()
        engine.train()
    return path


def test_models_swap_under_load_without_an_error(start: Start, trained: Path) -> None:
    service = start(trained)
    versions = [model["version"] for model in service.request("GET", "/v1/models").json()["models"]]
    assert len(versions) >= 2
    swaps, models, failures = 100, set[str](), list[str]()
    done = asyncio.Event()

    async def ranker(number: int) -> None:
        connection = Connection(service.url)
        while not done.is_set():
            reply = await connection.post("/v1/rank", {"user": f"u{number}", "items": ["tea-0", "wine-1", "bread-2"]})
            if reply.status != 200:
                failures.append(reply.body.decode())
                continue
            ranking = reply.json()
            models.add(ranking["model"])
            why = await connection.request("GET", f"/v1/explain/{ranking['ranking']}/tea-0")
            failures.extend(mixed(ranking, why.json()) if why.status == 200 else [why.body.decode()])
        await connection.close()

    async def swapper() -> None:
        connection = Connection(service.url)
        for number in range(swaps):
            path = f"/v1/models/{versions[number % 2]}/activate" if number % 10 else "/v1/models/rollback"
            reply = await connection.request("POST", path)
            if reply.status != 200:
                failures.append(reply.body.decode())
        done.set()
        await connection.close()

    async def everything() -> None:
        await asyncio.gather(swapper(), *(ranker(number) for number in range(4)))

    asyncio.run(everything())
    assert failures == []
    assert len(models) >= 2
    assert service.stop() == 0


def mixed(ranking: dict[str, Any], why: dict[str, Any]) -> list[str]:
    """Signs that an answer mixes two models: its own explanation names another, or does not add up."""
    total = why["base"] + sum(part["contribution"] for part in why["contributions"])
    score = next(item["score"] for item in ranking["items"] if item["id"] == why["item"])
    found = [] if why["model"] == ranking["model"] else [f"{ranking['model']} ≠ {why['model']}"]
    return found if abs(total - score) <= 1e-6 * max(1.0, abs(score)) else [*found, f"{total} ≠ {score}"]


def test_a_corrupt_artefact_is_refused_and_the_old_model_stays(start: Start, trained: Path) -> None:
    service = start(trained)
    models = service.request("GET", "/v1/models").json()["models"]
    active = next(model["version"] for model in models if model["active"])
    other = next(model["version"] for model in models if not model["active"])
    victim = next((trained / "models" / other).glob("*.safetensors"))
    sound = victim.read_bytes()
    try:
        victim.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        refused = service.request("POST", f"/v1/models/{other}/activate")
        assert refused.status_code == 409
        assert other in refused.json()["error"]["message"]
    finally:
        victim.write_bytes(sound)
    assert service.post("/v1/rank", {"user": "u1", "items": ["tea-0"]}).json()["model"] == active
    assert service.request("POST", f"/v1/models/{other}/activate").json()["active"] is True
    assert service.request("POST", "/v1/models/rollback").json()["version"] == active
    assert service.request("POST", "/v1/models/v9999/activate").status_code == 404
    assert service.stop() == 0


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
