"""Directories that earlier versions wrote (``make_directory``), unpacked."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import apsw

import palate
from palate import wire
from tests.faults.make_directory import START

ARCHIVES = sorted((Path(__file__).parent / "data").glob("*.tar.xz"))
NAMES = [path.name.removesuffix(".tar.xz") for path in ARCHIVES]


def unpack(name: str, directory: Path) -> dict[str, Any]:
    """The archived directory, and what must be found in it."""
    with tarfile.open(next(path for path in ARCHIVES if path.name == f"{name}.tar.xz")) as archive:
        archive.extractall(directory, filter="data")
    return json.loads((directory / "expected.json").read_text())


def enlarge(log: Path, count: int) -> list[str]:
    """Add events to a log of format 1; the ids of all that are in it then, in order."""
    connection = apsw.Connection(str(log))
    columns = "seq, id, timestamp, kind, subject, received, payload"
    with connection:
        for number in range(count):
            event = palate.Interaction(id=f"more-{number}", timestamp=START + number, user=f"u{number % 12}", item="i1")
            row = (event.id, START + number, "interaction", event.user, START + number, wire.encode_event(event))
            connection.execute(f"INSERT INTO event ({columns}) VALUES (NULL, ?, ?, ?, ?, ?, ?)", row)
    ids = [str(one[0]) for one in connection.execute("SELECT id FROM event ORDER BY seq")]
    connection.close()
    return ids
