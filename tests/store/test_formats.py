"""Logs of earlier formats are brought up to date when they are opened for writing, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import apsw

from palate.store import open_store
from palate.store.logfile import FORMAT
from palate.testing.store import everything, record

FORMAT_1 = """
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    timestamp INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    received INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX event_subject ON event (subject, timestamp) WHERE subject IS NOT NULL;
PRAGMA application_id = 0x50414C54;
PRAGMA user_version = 1;
"""

OPENING = """
import os
import sys
from pathlib import Path
from palate.store import open_store
for _ in sys.stdin:  # a process a line, forked: importing takes far longer than what is to be killed
    child = os.fork()
    if not child:
        print(os.getpid(), flush=True)
        open_store(Path(sys.argv[1]))
        os._exit(0)
    print("killed" if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else "open", flush=True)
"""


def format_1(path: Path, count: int) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    with connection:
        connection.execute(FORMAT_1)
        rows: list[tuple[Any, ...]] = []
        for number in range(count):
            r = record(number)
            rows.append((number + 1, r.id, r.timestamp, r.kind, r.subject, r.received, r.payload))
        connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()


def version(path: Path) -> int:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READWRITE)
    found = int(connection.pragma("user_version"))
    connection.close()
    return found


def test_format_1_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    format_1(path, 1000)
    reader = open_store(path, read_only=True)
    assert [one.id for one in reader.find("u1", "i2", 22_000)] == ["e22"]
    assert version(path) == 1, "who only reads changes nothing"
    reader.close()
    store = open_store(path)
    assert version(path) == FORMAT == 2
    assert everything(store) == [record(number, seq=number + 1) for number in range(1000)]
    assert [one.id for one in store.find("u1", "i2", 22_000)] == ["e22"]
    assert store.append([record(5), record(1000)]).seqs == [0, 1001]
    store.close()


def test_a_migration_that_is_killed_is_done_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    format_1(path, 20_000)
    killed = 0
    opening = [sys.executable, "-c", OPENING, str(path)]
    with subprocess.Popen(opening, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as mother:
        assert mother.stdin is not None
        assert mother.stdout is not None
        for attempt in range(100):
            if version(path) == FORMAT:
                break
            mother.stdin.write("\n")
            mother.stdin.flush()
            child = int(mother.stdout.readline())
            time.sleep(0.002 * attempt)  # at once to begin with, later and later until it is done
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            killed += mother.stdout.readline() == "killed\n"
        mother.stdin.close()
    assert killed
    store = open_store(path)
    assert [one.id for one in everything(store)] == [f"e{number}" for number in range(20_000)]
    assert store.append([record(19_999), record(20_000)]).seqs == [0, 20_001]
    store.close()
