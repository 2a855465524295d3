"""The parts of the benchmark by themselves: made-up people, goals, remarks, object sizes, the paced client."""

from __future__ import annotations

import importlib.util
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from palate.bench import goals, memory, world
from palate.bench.load import Served, closed, post
from palate.bench.paced import paced
from palate.errors import PalateError
from palate.types import Interaction, Item


def test_people_are_the_same_however_many_there_are() -> None:
    few, many = (list(world.events(1000, users)) for users in (3, 6))
    assert many[: len(few)] == few
    assert list(world.events(1000, 6, first=3)) == many[len(few) :]
    assert [type(event) for event in few[:1001]] == [Item] * 1000 + [Interaction]


def test_of_the_candidates_some_are_the_person_s_own_and_half_are_alike() -> None:
    kinds = {e.item: e.fields["category"] for e in world.events(20_000, 0) if isinstance(e, Item)}
    for request in world.requests(20_000, 50, 20, 100):
        rows = world.person(20_000, int((request.user or "").removeprefix("user-")))[1]
        mine = {f"item-{row}" for row in rows.tolist()}
        assert len(request.items) == len(set(map(str, request.items))) == 100
        assert len(mine & set(map(str, request.items))) >= 3
        liked = {kinds[item] for item in mine}
        assert sum(kinds[str(item)] in liked for item in request.items) >= 35


def test_a_goal_of_events_follows_the_disk() -> None:
    found = {"events": {"fsync_per_s": 100.0, "durable_per_s": 2_560.0}}
    (goal,) = goals.judged(found)
    assert (goal["limit"], goal["met"]) == (2_560, True)
    found["events"]["fsync_per_s"] = 10_000.0
    (goal,) = goals.judged(found)
    assert (goal["limit"], goal["met"]) == (10_000, False)


def rank(**more: Any) -> dict[str, Any]:
    row = {"kept_up": True, "waited_us": 1.0}
    return {"cpu_us": 500.0, "per_s": 700.0, "rate_per_s": 1000.0, "kept_up": True, "baseline_cpu_us": 1.0} | (
        {"latency": [row]} | more
    )


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        (rank(), []),
        (rank(load=1.5), ["busy"]),
        (rank(kept_up=False, steady_per_s=500.0, steady_p99_ms=3.0, steady_empty_p99_ms=1.0), ["behind", "steady"]),
        (rank(kept_up=False, latency=[{"kept_up": False, "waited_us": 9e9}]), ["behind"]),
        (rank(latency=[{"kept_up": True, "waited_us": 26.0}]), ["disturbed"]),
        ({k: v for k, v in rank().items() if k != "baseline_cpu_us"}, ["obvious"]),
    ],
)
def test_what_a_run_has_to_say_is_said(found: dict[str, Any], keys: list[str]) -> None:
    said = goals.remarks({"machine": {"load": found.pop("load", 0.2), "cores": 2}, "rank": found}, False)
    assert [key for key, _ in said] == [f"bench.{key}" for key in keys]
    for key, values in said:
        from palate.cli.messages import say

        assert say(key, **values)


def test_objects_are_counted_once_and_arrays_whole() -> None:
    array = np.zeros(1000)
    assert memory.size_of([array, array[5:], array[::2]]) == 8000
    assert memory.size_of([{"a": array}], [array]) < 1000
    shared = ["x" * 1000]
    assert memory.size_of([shared, shared]) == memory.size_of([shared])


class _Echo(socketserver.StreamRequestHandler):
    """Answers every request with 200, or with what its body says."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = self.rfile.read(length)
            if body == b"hang up":
                return
            assert line.startswith(b"POST ")
            self.wfile.write(b"HTTP/1.1 %s X\r\nContent-Length: 2\r\n\r\nok" % body)


@pytest.fixture
def served() -> Iterator[Served]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as process:
            yield Served(process, f"http://127.0.0.1:{server.server_address[1]}")
            process.communicate("\n")
        server.shutdown()
        thread.join()


def test_a_paced_run_keeps_its_rate_and_counts_what_failed(served: Served) -> None:
    requests = [post("/x", b"200")] * 30 + [post("/x", b"503")] * 3
    run = paced(served, requests, 300.0, connections=4)
    assert (run.count, run.bad, run.kept_up) == (33, 3, True)
    assert run.wall >= 32 / 300
    assert (run.latency > 0).all()
    assert run.ms(0.5) <= run.ms(0.99)


def test_a_closed_run_sends_everything_once(served: Served) -> None:
    told: list[int] = []
    run = closed(served, [post("/x", b"200")] * 200, 3, told.append)
    assert (run.count, run.bad) == (200, 0)
    assert told == [64, 128, 192]


@pytest.mark.parametrize("drive", [lambda *given: paced(*given, 100.0, 1), lambda *given: closed(*given, 1)])
def test_a_server_that_hangs_up_is_told(served: Served, drive: Any) -> None:
    with pytest.raises(PalateError, match="closed a connection of the benchmark"):
        drive(served, [post("/x", b"hang up")])


@pytest.mark.skipif(importlib.util.find_spec("fastapi") is None, reason="needs the extra `bench`")
def test_the_obvious_implementation_ranks_what_people_like_first() -> None:
    """Its features are those that the forest was fitted on, by name."""
    import tempfile
    from pathlib import Path

    from palate.bench import obvious
    from palate.features import NAMES, column

    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "x.palate"
        world.build(directory, 1000, 100, 5, 7, lambda *_: None)
        state = obvious.State(directory)
        request = world.requests(1000, 100, 1, 100)[0]
        x = state.features(request.user, [str(item) for item in request.items])
        nobody = state.features(None, [str(item) for item in request.items])
    mine = {e.item for e in world.events(1000, 100) if isinstance(e, Interaction) and e.user == request.user}
    had = np.array([str(item) in mine for item in request.items])
    assert x.shape == (100, len(NAMES))
    assert np.isfinite(x).all()
    assert (x[had, column("again_count")] > 0).all()
    assert not x[~had, column("again_count")].any()
    assert x[had, column("tags_long")].min() > 0
    assert x[had, column("taste_long")].mean() > x[~had, column("taste_long")].mean()
    varying = [name for name in NAMES if x[:, column(name)].std() > 0]
    assert len(varying) >= 20
    assert (nobody[:, : column("next_1")] == x[:, : column("next_1")]).all()
    assert not nobody[:, column("taste_long")].any()
