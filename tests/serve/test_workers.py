"""Several workers are one service: what one acknowledges, all know; one order; one model; one set of numbers."""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.state import snapshot
from tests.faults import models
from tests.faults.test_swaps import mixed
from tests.serve.crew import Worker, begin, meet, part
from tests.serve.service import Service, Start
from tests.serve.test_lifecycle import TRAIN, fill

HASHING = {"language": {"encoder": "hashing"}}


@pytest.fixture(scope="module")
def crew(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    """Three workers over the small shop."""
    service = begin(start, tmp_path_factory.mktemp("crew") / "shop.palate", 3)
    fill(service, world)
    return service


def click(number: int | str, user: str, item: str = "tea-0") -> dict[str, Any]:
    return {"event": "interaction", "id": f"click-{number}", "user": user, "item": item}


def test_what_any_worker_acknowledges_is_in_the_next_answer_of_every_other(crew: Service) -> None:
    tries, streams = 3000, 6
    missed: list[str] = []

    async def stream(number: int) -> None:
        workers = await meet(crew, 3)
        ways = itertools.cycle(itertools.permutations(range(3), 2))
        for step in range(tries // streams):
            writer, reader = next(ways)
            posted = await workers[writer].connection.post("/v1/events", click(f"{number}-{step}", f"w{number}"))
            ranked = await workers[reader].connection.post(
                "/v1/rank", {"user": f"w{number}", "items": ["tea-0", "wine-1", "bread-2"]}
            )
            if ranked.json()["as_of"] < posted.json()["seq"]:
                missed.append(f"{writer} → {reader}: {ranked.json()['as_of']} < {posted.json()['seq']}")
        seen = [(await worker.connection.request("GET", f"/v1/users/w{number}")).json() for worker in workers]
        assert [profile["interactions"] for profile in seen] == [tries // streams] * 3
        await part(workers)

    async def everything() -> None:
        await asyncio.gather(*(stream(number) for number in range(streams)))

    asyncio.run(everything())
    assert missed == []


def test_all_workers_fold_one_order(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    service = begin(start, tmp_path / "shop.palate", 3)
    halves = [world[:320], world[320:]]

    async def everything() -> list[dict[str, Any]]:
        workers = await meet(service, 3)

        async def send(worker: Worker, events: list[dict[str, Any]]) -> None:
            for event in events:
                reply = await worker.connection.post("/v1/events", event)
                assert reply.status == 200, reply.body

        # The same events to several workers at once, one of them in larger pieces: whoever is first, wins.
        await asyncio.gather(
            send(workers[0], halves[0]), send(workers[1], halves[1]), send(workers[2], list(reversed(world)))
        )
        found = [await worker.look(digest=True) for worker in workers]
        await part(workers)
        return found

    found = asyncio.run(everything())
    assert {one["seq"] for one in found} == {len(world)}
    assert len({one["digest"] for one in found}) == 1
    assert service.stop() == 0
    with palate.open(service.path, **HASHING) as engine:
        assert snapshot.digest(engine.state) == found[0]["digest"]
        assert engine.rebuild()["equal"]
        assert sorted(event.id or "" for event in engine.export()) == sorted(event["id"] for event in world)


def test_an_event_sent_to_several_workers_at_once_counts_once(crew: Service) -> None:
    async def everything() -> list[tuple[int, int]]:
        workers = await meet(crew, 3)
        replies: list[tuple[int, int]] = []
        for number in range(50):
            same = [worker.connection.post("/v1/events", click(f"same-{number}", "same")) for worker in workers]
            answers = [reply.json() for reply in await asyncio.gather(*same)]
            replies.append((sum(a["accepted"] for a in answers), sum(a["duplicates"] for a in answers)))
        assert (await workers[1].connection.request("GET", "/v1/users/same")).json()["interactions"] == 50
        await part(workers)
        return replies

    assert set(asyncio.run(everything())) == {(1, 2)}


def test_ids_that_workers_give_differ(crew: Service) -> None:
    async def everything() -> list[str]:
        workers = await meet(crew, 3)
        event = {"event": "interaction", "user": "nobody", "item": "tea-0"}
        replies = [await worker.connection.post("/v1/events", [event] * 20) for worker in workers]
        await part(workers)
        return [given["id"] for reply in replies for given in reply.json()["assigned"]]

    assert len(set(asyncio.run(everything()))) == 60


def test_a_ranking_is_explained_by_any_worker(crew: Service) -> None:
    async def everything() -> None:
        workers = await meet(crew, 3)
        for step, (first, second) in enumerate(itertools.permutations(workers, 2)):
            ranking = (await first.connection.post("/v1/rank", {"user": "u1", "items": ["tea-0", "wine-1"]})).json()
            # Made a moment ago, and written by nobody yet.
            why = await second.connection.request("GET", f"/v1/explain/{ranking['ranking']}/tea-0")
            assert why.status == 200, why.body
            assert mixed(ranking, why.json()) == []
            lost = f"{int(ranking['ranking'][:8], 16):08x}{step + 1:08x}{0:016x}"
            assert (await second.connection.request("GET", f"/v1/explain/{lost}/tea-0")).status == 404
        await part(workers)

    asyncio.run(everything())


def test_new_texts_have_their_vectors_in_every_worker(crew: Service) -> None:
    async def everything() -> None:
        workers = await meet(crew, 3)
        items = [
            {"event": "item", "id": f"new-{n}", "item": f"new-{n}", "fields": {"title": f"a new {n} of a kind"}}
            for n in range(200)
        ]
        await workers[2].connection.post("/v1/events", items)
        for _ in range(200):
            found = [await worker.look() for worker in workers]
            if not any(one["pending"] for one in found):
                break
            await asyncio.sleep(0.05)
        assert [one["pending"] for one in found] == [0, 0, 0]
        assert {one["texts"] for one in found} == {240}
        ask = {"query": "a new 150 of a kind", "k": 5, "policy": "greedy"}
        answers = [(await worker.connection.post("/v1/recommend", ask)).json() for worker in workers]
        tops = [[item["id"] for item in answer["items"]] for answer in answers]
        assert tops[0] == tops[1] == tops[2]
        assert [answer["degraded"] for answer in answers] == [[], [], []]
        await part(workers)

    asyncio.run(everything())


def values(page: str) -> dict[str, float]:
    """The samples of a page of ``/metrics``."""
    lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_counts_and_metrics_are_the_sum_of_all_workers(crew: Service) -> None:
    expected = {
        'palate_requests_total{route="/v1/rank",status="200"}': 6,
        'palate_requests_total{route="/v1/rank",status="422"}': 3,
        'palate_events_total{outcome="accepted"}': 6,
        "palate_rankings_total": 6,
        'palate_request_seconds_count{route="rank"}': 6,
        'palate_request_seconds_bucket{route="events",le="+Inf"}': 6,
        "palate_log_position": 6,
    }

    async def everything() -> None:
        workers = await meet(crew, 3)
        before = values((await workers[0].connection.request("GET", "/metrics")).body.decode())
        for number, worker in enumerate(workers):
            for step in range(number + 1):
                await worker.connection.post("/v1/rank", {"user": "u1", "items": ["tea-0"]})
                await worker.connection.post("/v1/events", click(f"m-{number}-{step}", "u1"))
            await worker.connection.post("/v1/rank", {"user": "u1"})

        async def pages() -> list[dict[str, float]]:
            return [values((await w.connection.request("GET", "/metrics")).body.decode()) for w in workers]

        for _ in range(100):  # an answer is counted once it is sent: its client may be quicker
            found = await pages()
            if all(page[name] - before.get(name, 0) == more for page in found for name, more in expected.items()):
                break
            await asyncio.sleep(0.02)
        for page in found:
            assert {name: page[name] - before.get(name, 0) for name in expected} == expected
            assert (page["palate_workers"], page["palate_ready"], page["palate_queue_events"]) == (3, 1, 0)
            assert page["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"] > 0
            assert page["process_resident_memory_bytes"] > 50e6
        same = [
            {k: v for k, v in page.items() if not k.startswith("process_") and 'route="/metrics"' not in k}
            for page in found
        ]
        assert same[0] == same[1] == same[2]
        status = [(await worker.connection.request("GET", "/v1/status")).json() for worker in workers]
        assert len({one["counts"]["rankings"] for one in status}) == 1
        assert len({one["latency"]["rank"]["count"] for one in status}) == 1
        assert all(one["latency"]["rank"]["p99"] > 0 and one["ready"] for one in status)
        await part(workers)

    asyncio.run(everything())


def test_mistakes_are_told_by_every_worker(crew: Service) -> None:
    async def everything() -> None:
        workers = await meet(crew, 3)
        for worker in workers:
            refused = await worker.connection.post("/v1/events", [{"event": "interaction"}, {"event": "item"}])
            assert (refused.status, len(refused.json()["rejected"])) == (422, 2)
            assert (await worker.connection.request("POST", "/v1/models/v9999/activate")).status == 404
            assert (await worker.connection.request("POST", "/v1/models/rollback")).status == 409
        await part(workers)

    asyncio.run(everything())


def test_a_model_activated_by_one_worker_serves_in_all(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    versions = models.put(tmp_path / "shop.palate", 2)
    service = begin(start, tmp_path / "shop.palate", 2)
    fill(service, world)
    failures: list[str] = []
    done = asyncio.Event()

    async def ranker(number: int) -> None:
        workers = await meet(service, 2)
        while not done.is_set():
            reply = await workers[number % 2].connection.post("/v1/rank", {"user": "u1", "items": ["tea-0", "wine-1"]})
            ranking = reply.json()
            why = await workers[1 - number % 2].connection.request("GET", f"/v1/explain/{ranking['ranking']}/tea-0")
            failures.extend(mixed(ranking, why.json()) if why.status == 200 else [why.body.decode()])
        await part(workers)

    async def swapper() -> None:
        workers = await meet(service, 2)
        for number in range(1, 24):
            path = f"/v1/models/{versions[number % 2]}/activate" if number % 5 else "/v1/models/rollback"
            said = (await workers[number % 2].connection.request("POST", path)).json()
            for worker in workers:
                ranking = await worker.connection.post("/v1/rank", {"user": "u2", "items": ["tea-0"]})
                if ranking.json()["model"] != said["version"]:
                    failures.append(f"{ranking.json()['model']} answers after {said['version']} was activated")
        done.set()
        await part(workers)

    async def everything() -> None:
        await asyncio.gather(swapper(), *(ranker(number) for number in range(4)))

    asyncio.run(everything())
    assert failures == []
    assert service.stop() == 0


def test_training_asked_of_a_follower_reads_every_workers_decisions(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    settings = {f"PALATE_TRAIN__{key.upper()}": str(value) for key, value in TRAIN.items()}
    service = begin(start, tmp_path / "shop.palate", 2, PALATE_DECISIONS__FLUSH_SECONDS="60", **settings)
    fill(service, world)

    async def everything() -> None:
        workers = await meet(service, 2)
        for number, worker in enumerate(workers):
            for step in range(10):
                items = [f"{kind}-{place}" for place, kind in enumerate(("tea", "wine", "bread", "cheese"))]
                ranking = (await worker.connection.post("/v1/rank", {"user": f"u{step}", "items": items})).json()
                event = click(f"of-{number}-{step}", f"u{step}") | {"ranking": ranking["ranking"]}
                assert (await workers[1 - number].connection.post("/v1/events", event)).status == 200
        assert (await workers[1].connection.request("POST", "/v1/train")).status == 202
        again = [(await worker.connection.request("POST", "/v1/train")).status for worker in workers]
        assert again == [409, 409]
        while True:
            states = [(await w.connection.request("GET", "/v1/status")).json()["training"] for w in workers]
            if states == ["idle", "idle"]:
                break
            assert "failed" not in " ".join(states)
            await asyncio.sleep(0.1)
        models = [(await w.connection.post("/v1/rank", {"user": "u1", "items": ["tea-0"]})).json() for w in workers]
        assert [ranking["model"] for ranking in models] == ["v0001", "v0001"]
        await part(workers)

    asyncio.run(everything())
    manifest = (service.path / "models" / "v0001" / "manifest.json").read_text()
    assert re.search(r'"live": ?20', manifest), manifest
    assert service.stop() == 0


def test_a_session_of_the_dashboard_is_valid_at_every_worker(start: Start, tmp_path: Path) -> None:
    from palate.serve.security import hash_key
    from tests.serve.service import KEY

    keys = f'["{hash_key(KEY)}"]'
    service = start(tmp_path / "shop.palate", PALATE_SERVE__WORKERS="2", PALATE_SERVE__KEYS=keys)
    cookie = service.post("/login", {"key": KEY}).headers["set-cookie"].split(";")[0]
    # Each request is a connection of its own, and so meets one worker or the other.
    found = [service.request("GET", "/v1/status", headers={"cookie": cookie}).status_code for _ in range(24)]
    assert found == [200] * 24
    assert service.request("POST", "/logout", headers={"cookie": cookie, "origin": service.url}).status_code == 200
    found = [service.request("GET", "/v1/status", headers={"cookie": cookie}).status_code for _ in range(24)]
    assert found == [401] * 24
    assert service.stop(signal.SIGINT) == 0
