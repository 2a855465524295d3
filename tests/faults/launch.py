"""``python -m tests.faults.launch FAULT=VALUE … -- serve …``: the command line of Palate in a process with faults.

snapshots=SECONDS: a snapshot after that time whenever anything arrived (usually minutes and 10,000 events).
poison=PREFIX: the fold fails on events whose ids begin so.
die=ID: killed between the commit of the event ID and its fold.
fail=FILE: while FILE exists, what the disk does to the event log: its words ``sync`` (EIO when syncing), ``write``
(EIO when writing) or ``full`` (ENOSPC).
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from palate import cli, engine
from palate.background import BackgroundSnapshot
from palate.state import state
from palate.store import AppendResult, Record
from tests.faults.disk import FaultyDisk


def snapshots(value: str) -> None:
    engine.BackgroundSnapshot = functools.partial(  # pyright: ignore[reportAttributeAccessIssue]
        BackgroundSnapshot, seconds=float(value), events=1
    )


def die(value: str) -> None:
    fold = engine.Engine._fold

    def folding(self: engine.Engine, records: list[Record], results: list[AppendResult]) -> None:
        if any(one.id == value for one in records):
            os.kill(os.getpid(), signal.SIGKILL)
        fold(self, records, results)

    engine.Engine._fold = folding


def poison(value: str, patch: Callable[[Any, str, Any], None] = setattr) -> None:
    tie_keys = state.tie_keys

    def choosy(names: Sequence[str]) -> Any:
        for name in names:
            if name.startswith(value):
                raise ArithmeticError(f"a fault in the fold of {name}")
        return tie_keys(names)

    patch(state, "tie_keys", choosy)
    patch(state, "tie_key", lambda name: int(choosy([name])[0]))


_kept: list[apsw.VFS] = []


def fail(value: str) -> None:
    _kept.append(FaultyDisk(Path(value)))


FAULTS: dict[str, Any] = {"snapshots": snapshots, "die": die, "fail": fail, "poison": poison}


def main() -> int:
    at = sys.argv.index("--")
    for fault in sys.argv[1:at]:
        name, _, value = fault.partition("=")
        FAULTS[name](value)
    return cli.run(sys.argv[at + 1 :])


if __name__ == "__main__":
    sys.exit(main())
