"""What is to be erased from a directory: the note of it that outlives a crash, and where in the log it stands."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from palate.disk import sync_directory
from palate.errors import CorruptArtefact, Unavailable
from palate.state import snapshot
from palate.store import Record, Store
from palate.wishes import PROFILING

_log = logging.getLogger("palate")
_FILE = "erasing.json"


class Wanted(msgspec.Struct, frozen=True):
    """One person to erase: what came up to position ``seq``, and what happened up to ``timestamp`` (ms)."""

    subject: str
    seq: int
    timestamp: int


class Job(msgspec.Struct):
    """What is to be erased. before: Unix ms, older events of people go; 0 for none."""

    people: list[Wanted] = []
    before: int = 0

    def __bool__(self) -> bool:
        return bool(self.people or self.before)


def read_job(directory: Path | None) -> Job:
    """What is still to be erased. Errors: ``CorruptArtefact``."""
    path = None if directory is None else directory / _FILE
    if path is None or not path.is_file():
        return Job()
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except msgspec.DecodeError as error:
        raise CorruptArtefact(
            f"{path} can't be read ({error}): it names people who are to be erased. Move it away, and erase them again."
        ) from None


def write_job(directory: Path, job: Job) -> None:
    """Keep it, durably; nothing is left of one that is done. Errors: ``OSError``."""
    path = directory / _FILE
    if job:
        aside = path.with_suffix(".part")
        with aside.open("wb") as file:
            file.write(msgspec.json.encode(job))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    else:
        path.unlink(missing_ok=True)
    sync_directory(directory)


def positions(store: Store, job: Job) -> list[int]:
    """Where in the log the events of a job are, ascending."""
    found = {
        record.seq
        for one in job.people
        for record in store.find(one.subject, None, None)
        if record.seq <= one.seq or record.timestamp <= one.timestamp
    }
    if job.before:
        found.update(aged(store, job.before))
    return sorted(found)


def aged(store: Store, before: int) -> list[int]:
    """Positions of what people did before ``before`` (ms), and of what was said of those who did nothing since; that
    somebody opted out stays. Reads the whole log, 2 µs an event."""
    old: list[int] = []
    said: dict[str, list[int]] = {}
    active: set[str] = set()
    for records in store.read():
        for record in records:
            if record.subject is None:
                continue
            if min(record.timestamp, record.received) >= before:
                active.add(record.subject)
            elif record.kind != "user":
                old.append(record.seq)
            else:
                if PROFILING not in _said(record).fields:
                    said.setdefault(record.subject, []).append(record.seq)
    return [*old, *(seq for name, mine in said.items() if name not in active for seq in mine)]


class _Said(msgspec.Struct):
    fields: dict[str, Any] = {}


_DECODER = msgspec.msgpack.Decoder(_Said)


def _said(record: Record) -> _Said:
    try:
        return _DECODER.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError):  # unreadable for everybody: it may go
        return _Said()


def remove_snapshots(directory: Path) -> None:
    """All of them: they hold what is to be erased."""
    for path in snapshot.available(directory / "snapshots"):
        shutil.rmtree(path)
    if (directory / "snapshots").is_dir():
        sync_directory(directory / "snapshots")


def begin(directory: Path) -> None:
    """Before the log is opened: where people were being erased, its index, which may still know whose events were
    where, is to be made anew."""
    if read_job(directory):
        shutil.rmtree(directory / "events.index", ignore_errors=True)


def finish(directory: Path, store: Store) -> None:
    """Before the state of a directory is made: what was still to be erased leaves its log. The rest goes on later.

    Errors: ``Unavailable``, ``CorruptArtefact``.
    """
    job = read_job(directory)
    if job:
        _log.warning("People were being erased when this directory was last used: the state is made anew from the log.")
        try:
            remove_snapshots(directory)
        except OSError as error:
            raise Unavailable(f"Snapshots of {directory} can't be removed ({error.strerror}).") from None
        store.erase(positions(store, job))
