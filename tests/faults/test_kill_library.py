"""R1 for a program that uses the library: kill -9 while its engine takes all it can, and writes snapshots all the time.

The child ingests from two threads while a third ranks and a fourth writes snapshots, and prints the ids of a batch once
it is acknowledged. It is killed at a moment drawn from a seed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import palate
from palate.intake import records_of
from palate.opening import replay_state
from palate.state import snapshot
from tests.engines import did
from tests.faults.conftest import Record, Size

LANGUAGE = {"encoder": "hashing"}

CHILD = """
import os, sys, threading
import palate
from palate.testing.world import make_world

engine = palate.open(sys.argv[1], language={"encoder": "hashing"})
first = int(sys.argv[2])
world = make_world(people=20, per_genre=4, interactions=10)
names = list(world.genre_of)
os.write(1, b"ready\\n")

def event(number):
    if number % 50 == 7:
        fields = {"title": f"thing {number}", "price": number}
        return {"event": "item", "id": f"e{number:08d}", "timestamp": 10**12 + number, "item": names[number % 20], "fields": fields}
    return {"event": "interaction", "id": f"e{number:08d}", "timestamp": 10**12 + number * 7919 % 10**6,
            "user": f"u{number % 13}", "item": names[number * 31 % 20], "type": ("click", "hide", "purchase")[number % 3]}

def work(worker):
    number = first + worker * 100_000
    while True:
        batch = [event(n) for n in range(max(0, number - 3), number + 20)]  # the first three are sent again
        engine.ingest(batch)
        os.write(1, "".join(one["id"] + "\\n" for one in batch).encode())
        number += 20

def others():
    while True:
        engine.recommend("u1", 5)
        engine.snapshot()

for worker in range(2):
    threading.Thread(target=work, args=(worker,)).start()
threading.Thread(target=others).start()
"""  # noqa: E501


def test_kill_9_in_mid_ingest_loses_and_doubles_nothing(tmp_path: Path, size: Size, record: Record) -> None:
    directory = tmp_path / "e.palate"
    rng = np.random.default_rng(0)
    acknowledged: set[str] = set()
    cycles = size(4, 40)
    for cycle in range(cycles):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory), str(cycle * 1_000_000)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        lines = [child.stdout.readline() for _ in range(23 * int(rng.integers(1, 8)))]
        time.sleep(rng.random() * 0.05)
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.readlines()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        acknowledged.update(line.decode().strip() for line in lines if line.endswith(b"\n"))
        copy = tmp_path / f"copy-{cycle}.palate"  # the next process opens the directory as the kill left it
        shutil.copytree(directory, copy)
        with palate.open(copy, language=LANGUAGE) as engine:
            ids = [event.id for event in engine.export()]
            assert len(set(ids)) == len(ids) == engine.counts().seq == engine.counts().events
            assert acknowledged <= set(ids)
            replayed = replay_state(engine.parts.store, engine.settings, engine.counts().seq)
            assert snapshot.digest(engine.state) == snapshot.digest(replayed)
        shutil.rmtree(copy)
    assert len(acknowledged) > 50 * cycles
    record("R1", library_cycles=cycles, library_acknowledged=len(acknowledged))


def test_what_the_log_holds_and_the_state_lacks_is_folded_with_the_next_events(tmp_path: Path) -> None:
    with palate.open(tmp_path, language=LANGUAGE) as engine:
        engine.ingest([did(1, "u1", "i1"), did(2, "u1", "i2")])
        # A disk that fails after it has stored a batch: nobody was told that it is there.
        engine.parts.store.append(records_of([(0, did(3, "u2", "i1")), (1, did(4, "u2", "i3"))], 0, 0)[0])
        assert engine.counts().seq == 2
        assert engine.ingest([did(4, "u2", "i3"), did(5, "u2", "i4")]).seq == 5
        assert [entry.item for entry in engine.user("u2").history] == ["i4", "i3", "i1"]
        assert engine.rebuild()["equal"]
