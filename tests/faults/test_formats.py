"""R11: directories that earlier versions wrote open for ever, and nothing is lost where that is killed on the way;
what is newer is refused in a sentence. ``make_directory`` made the archives in ``data``, with the code of the time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import numpy as np
import pytest

import palate
from palate.cli.doctor import examine
from palate.errors import CorruptArtefact, PalateError
from palate.state import State, snapshot
from palate.store import decision, open_store, segments, sqlite
from palate.train.manifest import Manifest, encode, sealed
from tests.engines import HASHING
from tests.faults.archives import ARCHIVES, NAMES, enlarge, unpack
from tests.faults.conftest import Record, Size


def check(directory: Path, expected: dict[str, Any]) -> None:
    """Everything is there, it ranks, and goes on."""
    with palate.open(directory, language=HASHING) as engine:
        ids = [str(event.id) for event in engine.export()]
        assert len(ids) == expected["events"] == engine.state.seq
        assert hashlib.sha256("\n".join(ids).encode()).hexdigest() == expected["ids"]
        assert {user: engine.user(user).interactions for user in expected["interactions"]} == expected["interactions"]
        assert engine.counts().items == expected["items"]
        for ranking in expected["decisions"]:
            found = engine.parts.decisions.get(ranking)
            assert found.ranking == ranking
            assert found.request is not None
            assert found.shown.matrix().shape[0] == len(found.shown.ids) > 0
        assert engine.rebuild()["equal"]
        answer = engine.recommend("u1", 5)
        assert len(answer.items) == 5
        assert engine.model in (expected["model"], "prior")
        assert ("model_unusable" in answer.degraded) == (engine.model == "prior"), "if it can't be used, that is said"
        result = engine.ingest([{"event": "interaction", "id": "now", "user": "u1", "item": "i1"}])
        assert result.accepted + result.duplicates == 1
    with palate.open(directory, language=HASHING) as engine:
        assert engine.state.seq == expected["events"] + 1
        assert engine.parts.notes == [], "the snapshot is of this version now"
        assert engine.rebuild()["equal"]


def test_there_is_an_archive_of_every_format() -> None:
    """Whoever raises a format makes one before that (``make_directory``)."""
    known = {part for name in NAMES for part in re.findall(r"[a-z]+-\d+", name)}
    past = [f"state-{number}" for number in range(1, State.FORMAT)]
    past += [f"decisions-{number}" for number in range(1, decision.FORMAT)]
    past += [f"log-{number}" for number in range(1, sqlite.FORMAT)]
    assert set(past) <= known
    assert sum(path.stat().st_size for path in ARCHIVES) < 400_000


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_of_an_earlier_version_opens(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "shop.palate"
    expected = unpack(name, directory)
    killed = name.endswith("killed")
    assert (directory / "events.db-wal").exists() == killed
    check(directory, expected)


# ------------------------------------------------------------------------- of a later version


def later_log(directory: Path) -> None:
    connection = apsw.Connection(str(directory / "events.db"))
    connection.pragma("user_version", sqlite.FORMAT + 1)
    connection.close()


def later_segment(directory: Path) -> None:
    path = next((directory / "decisions").glob(f"*{segments.SUFFIX}"))
    body = bytearray(path.read_bytes())
    body[7] += 1
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (later_log, f"has format {sqlite.FORMAT + 1}, and this version of Palate knows formats up to {sqlite.FORMAT}"),
        (later_segment, "is not a decision segment of a format that this version of Palate knows: install the version"),
    ],
)
def test_a_log_of_a_later_version_is_refused(tmp_path: Path, change: Callable[[Path], None], sentence: str) -> None:
    directory = tmp_path / "shop.palate"
    unpack(NAMES[-1], directory)
    change(directory)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    for _ in range(2):
        with pytest.raises(CorruptArtefact) as caught:
            palate.open(directory, language=HASHING)
        assert sentence in caught.value.message
    now = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and path.name != "LOCK"}
    assert {path: body for path, body in now.items() if path in before} == {
        path: body for path, body in before.items() if path.name != "LOCK"
    }, "nothing of it was changed"


def test_decisions_of_a_later_version_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "shop.palate"
    expected = unpack(NAMES[-1], directory)
    monkeypatch.setattr(decision, "FORMAT", decision.FORMAT - 1)
    with palate.open(directory, language=HASHING) as engine:
        with pytest.raises(CorruptArtefact, match=r"is whole but unreadable \(format .*install that one, or move"):
            engine.explain(expected["decisions"][0], "i1")
        assert engine.recommend("u1", 3).items, "ranking needs none of them"


def later_snapshot(directory: Path) -> None:
    for path in (directory / "snapshots").glob("*/manifest.json"):
        manifest = msgspec.json.decode(path.read_bytes())
        path.write_bytes(msgspec.json.encode(manifest | {"format": State.FORMAT + 1, "something": "new"}))


def later_model(directory: Path) -> None:
    path = directory / "models" / "v0001" / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    body = encode(sealed(msgspec.structs.replace(manifest, format=manifest.format + 1), "v0001"))
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(body) | {"something": "new"}))


def test_a_snapshot_of_a_later_version_is_left_aside(tmp_path: Path) -> None:
    directory = tmp_path / "shop.palate"
    expected = unpack(NAMES[-1], directory)
    later_snapshot(directory)
    told = next(one for one in examine(directory).checks if one.name == "snapshot")
    assert (told.status, f"has format {State.FORMAT + 1}; this Palate reads {State.FORMAT}" in told.detail) == (
        "warning",
        True,
    )
    with palate.open(directory, language=HASHING) as engine:
        assert engine.state.seq == expected["events"]
        assert f"has format {State.FORMAT + 1}; this Palate reads {State.FORMAT}" in engine.parts.notes[0]
    with palate.open(directory, language=HASHING) as engine:
        assert engine.parts.notes == [], "closing wrote one that can be read, though no event had come"
        assert engine.parts.saved == expected["events"]


def test_a_model_of_a_later_version_is_left_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "shop.palate"
    unpack(NAMES[-1], directory)
    later_model(directory)
    with palate.open(directory, language=HASHING) as engine:
        assert "v0001" in caplog.text
        assert "it has format 2, and this version of Palate reads 1" in caplog.text
        assert engine.recommend("u1", 3).degraded == ["model_unusable"]


# ------------------------------------------------------------------------------ killed on the way

OPENER = """
import os, sys
from pathlib import Path
import palate
from palate.store import open_store

LANGUAGE = {"encoder": "hashing"}
with palate.open(":memory:", language=LANGUAGE) as engine:  # everything is imported, and the kernels are there
    engine.ingest([{"event": "interaction", "user": "u", "item": "a"}])
    engine.recommend("u", 3)
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        if line.strip().endswith(".db"):
            open_store(Path(line.strip())).close()
        else:
            with palate.open(line.strip(), language=LANGUAGE) as engine:
                engine.snapshot()
                engine.recommend("u1", 3)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


Opening = Callable[..., bool]


@pytest.fixture(scope="module")
def opening() -> Iterator[Opening]:
    """Opens a directory, or a log alone, in a process that is killed after ``seconds``; whether it was, in time."""
    opener = subprocess.Popen(
        [sys.executable, "-c", OPENER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert opener.stdin is not None
    assert opener.stdout is not None
    assert opener.stdout.readline() == "ready\n"
    to, answers = opener.stdin, opener.stdout

    def run(path: Path, seconds: float | None = None) -> bool:
        to.write(f"{path}\n")
        child = int(answers.readline())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        status = int(answers.readline())
        assert status in (0, signal.SIGKILL)
        return status == signal.SIGKILL

    yield run
    to.close()
    opener.wait(30)
    answers.close()


def test_killed_while_it_opens_an_earlier_one_nothing_is_lost(
    tmp_path: Path, opening: Opening, size: Size, record: Record
) -> None:
    """What is brought to this version on opening: log, state (of which a snapshot is written anew) and vectors."""
    rng, killed = np.random.default_rng(11), 0
    unpack(NAMES[0], tmp_path / "first")
    opening(tmp_path / "first")  # kernels that no test has needed are compiled, which takes longer than all else
    begun = time.monotonic()
    unpack(NAMES[0], tmp_path / "whole")
    opening(tmp_path / "whole")
    whole = time.monotonic() - begun
    wanted = size(5, 50)
    for number in range(20 * wanted):
        directory = tmp_path / f"d{number}"
        expected = unpack(NAMES[number % len(NAMES)], directory)
        for _ in range(1 + number % 3):  # also one after the other
            killed += opening(directory, float(rng.random()) * whole)
        check(directory, expected)
        shutil.rmtree(directory)
        if killed >= wanted:
            break
    assert killed >= wanted
    assert {int(path.name) for path in snapshot.available(tmp_path / "whole" / "snapshots")} != set()
    record("R11", formats=NAMES, opened=len(NAMES), killed_while_opening=killed, lost=0)


def test_killed_while_the_log_is_brought_up_to_date_nothing_is_lost(
    tmp_path: Path, opening: Opening, size: Size, record: Record
) -> None:
    directory, log = tmp_path / "shop.palate", tmp_path / "shop.palate" / "events.db"
    unpack("log-1-state-1-decisions-1", directory)
    shutil.rmtree(directory / "snapshots")
    ids = enlarge(log, size(5_000, 60_000))
    kept = tmp_path / "kept"
    shutil.copytree(directory, kept)
    begun = time.monotonic()
    opening(log)
    whole = time.monotonic() - begun
    rng, killed, halfway = np.random.default_rng(12), 0, 0
    wanted = size(4, 50)
    for number in range(20 * wanted):
        shutil.rmtree(directory)
        shutil.copytree(kept, directory)
        for _ in range(1 + number % 2):
            killed += opening(log, float(rng.random()) * whole if number else 0.0)
        connection = apsw.Connection(str(log))
        halfway += connection.pragma("user_version") == 1
        connection.close()
        store = open_store(log)
        assert [one.id for records in store.read() for one in records] == ids
        assert store.append([records[0] for records in store.read(0, 1)]).seqs == [0], "what is there is known"
        store.close()
        if killed >= wanted:
            break
    assert killed >= wanted
    assert halfway > 0
    with palate.open(directory, language=HASHING) as engine:
        assert [str(event.id) for event in engine.export()] == ids
        assert engine.rebuild()["equal"]
    record("R11", killed_in_migration=killed, of_which_before_its_commit=halfway, events_in_migration=len(ids))


def test_a_directory_of_something_else_is_no_engine(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("a diary, in words, " * 100)
    with pytest.raises(PalateError, match="is damaged or not an event log"):
        palate.open(tmp_path, language=HASHING)
