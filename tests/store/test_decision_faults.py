"""The decision log under crashes, damage and full disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.config import DecisionSettings
from palate.errors import CorruptArtefact, NotFound, Unavailable
from palate.store import decisions, segments
from palate.store.decisions import DecisionLog, Unshown
from tests.store.store_helpers import add, decision, full_disk, log_at, timestamps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[str], list[int]]:
    """A segment of 12 decisions: its bytes, the ids, and where each record ends."""
    directory = tmp_path_factory.mktemp("whole")
    with log_at(directory) as log:
        ids = [add(log, number) for number in range(12)]
    data = segments.path_of(directory, 1).read_bytes()
    starts = [segments.HEAD_BYTES + at for at, _, _ in segments.records(data[segments.HEAD_BYTES :])]
    return data, ids, [*starts[1:], len(data)]


@settings(max_examples=150, deadline=None)
@given(share=st.floats(0, 1), rubbish=st.binary(max_size=60))
def test_torn_at_any_byte(
    tmp_path_factory: pytest.TempPathFactory, whole: tuple[bytes, list[str], list[int]], share: float, rubbish: bytes
) -> None:
    data, ids, ends = whole
    cut = int(share * len(data))
    directory = tmp_path_factory.mktemp("torn")
    segments.path_of(directory, 1).write_bytes(data[:cut] + (rubbish if cut >= segments.HEAD_BYTES else b""))
    intact = sum(end <= cut for end in ends)
    with log_at(directory) as log:
        # Rubbish can only complete a record by being its true rest.
        assert timestamps(log)[:intact] == list(range(intact))
        assert len(timestamps(log)) <= intact + data[cut:].startswith(rubbish[: len(data) - cut])
        assert [log.get(one).timestamp for one in ids[:intact]] == list(range(intact))
        later = add(log, 100)
        log.flush()
        assert log.get(later).timestamp == 100
        assert timestamps(log)[-1] == 100


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
def test_a_flipped_byte_never_gives_a_false_decision(
    tmp_path_factory: pytest.TempPathFactory, whole: tuple[bytes, list[str], list[int]], place: float, mask: int
) -> None:
    data, ids, ends = whole
    at = segments.HEAD_BYTES + int(place * (len(data) - segments.HEAD_BYTES))
    directory = tmp_path_factory.mktemp("flipped")
    segments.path_of(directory, 1).write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
    intact = sum(end <= at for end in ends)
    with log_at(directory) as log:
        assert timestamps(log) == list(range(intact))
        assert [log.get(one).timestamp for one in ids[:intact]] == list(range(intact))
        with pytest.raises(NotFound):
            log.get(ids[intact])


CHILD = """
import os, sys
from pathlib import Path
from palate.config import DecisionSettings
from palate.store.decisions import Decision, DecisionLog, Shown

log = DecisionLog(Path(sys.argv[1]), DecisionSettings(flush_seconds=0.02), segment_bytes=8192)
shown = Shown(["a"], [1.0], [1], [1.0], [False], bytes(12))
number = 0
while True:
    ids = [log.reserve() for _ in range(20)]
    for one in ids:
        number += 1
        log.append(one, Decision(timestamp=number, as_of=0, subject=None, model="m", features="f", shown=shown))
    if number % 3 == 0:
        log.flush()
        os.write(1, "".join(f"{one}\\n" for one in ids).encode())
"""


def test_kill_9_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    flushed: list[str] = []
    for cycle in range(4):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(60 + 13 * cycle)]
        os.kill(child.pid, signal.SIGKILL)
        lines += child.stdout.readlines()
        child.stdout.close()
        child.wait()
        flushed += [line.decode().strip() for line in lines]
        with log_at(tmp_path) as log:
            assert [log.get(one).ranking for one in flushed] == flushed
            ids = [one.ranking for one in log.read()]
            assert len(set(ids)) == len(ids)
            assert set(flushed) <= set(ids)


def test_the_thread_writes_by_itself(tmp_path: Path) -> None:
    with log_at(tmp_path, flush_seconds=0.01) as log:
        add(log, 1)
        reader = DecisionLog(tmp_path, DecisionSettings(), read_only=True)
        for _ in range(3000):
            if timestamps(reader):
                break
            time.sleep(0.01)
        assert timestamps(reader) == [1]
        ranking = add(log, 2)
        log.flush()
        assert reader.get(ranking).timestamp == 2, "a reader follows the writer"
        with pytest.raises(Unavailable, match="is closed or was opened for reading"):
            reader.append(ranking, decision(3))
        reader.close()


def test_a_full_disk_makes_decisions_wait_and_then_drops_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_PENDING", 60)
    with log_at(tmp_path) as log:
        ids = [add(log, 0)]
        log.flush()
        with full_disk(5000):
            ids += [add(log, number) for number in range(1, 100)]
            with pytest.raises(Unavailable, match=r"The decision log .* fails \(File too large\): check the disk"):
                log.flush()
            assert (log.appended, log.dropped) == (61, 39)
            assert log.get(ids[60]).timestamp == 60, "what waits can be read"
            with pytest.raises(NotFound):
                log.get(ids[61])
        log.flush()
        assert timestamps(log) == list(range(61))
        assert len(list(tmp_path.iterdir())) == 1


def test_large_decisions_that_wait_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_PENDING_BYTES", 10_000)
    big = Unshown(["c"], bytes(4000))
    with log_at(tmp_path) as log:
        ids = [add(log, 0)]
        log.flush()
        with full_disk(2000):
            ids += [add(log, number, unshown=big) for number in range(1, 6)]
            with pytest.raises(Unavailable):
                log.flush()
            assert (log.appended, log.dropped) == (3, 3)
            assert log.get(ids[2]).timestamp == 2
        log.flush()
        assert timestamps(log) == [0, 1, 2]
        ids = [add(log, number, unshown=Unshown(["c"], bytes(20_000))) for number in (7, 8)]
        assert log.dropped == 4, "alone, even more than may wait"
        log.flush()
        assert timestamps(log) == [0, 1, 2, 7]


def test_what_cannot_be_encoded_spoils_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with log_at(tmp_path) as log:
        add(log, 1)
        add(log, 2, base=object())
        add(log, 3)
        log.flush()
        assert timestamps(log) == [1, 3]
        assert log.dropped == 1
    assert "can't be encoded and is dropped" in caplog.text


def test_a_foreign_segment_is_refused(tmp_path: Path) -> None:
    segments.path_of(tmp_path, 1).write_bytes(b"PALDEC\x00\x09" + bytes(100))
    with pytest.raises(
        CorruptArtefact, match="is not a decision segment of a format that this version of Palate knows"
    ):
        DecisionLog(tmp_path, DecisionSettings())


def test_a_decision_of_another_version_is_named(tmp_path: Path) -> None:
    key = segments.Key(1, 1, 1)
    segments.path_of(tmp_path, 1).write_bytes(segments.head(2**41) + segments.frame(key, b"\x81\xa1x\x01"))
    with log_at(tmp_path) as log:
        with pytest.raises(CorruptArtefact, match="is whole but unreadable"):
            log.get(key.text())
        with pytest.raises(CorruptArtefact, match="written by another version of Palate"):
            list(log.read())
