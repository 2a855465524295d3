"""A disk under SQLite that fails when it is told to."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import apsw

SYNC, WRITE, FULL = "sync", "write", "full"


class FaultyDisk(apsw.VFS):
    """The real disk as SQLite's default, failing in the way that the file ``control`` names, while there is one."""

    def __init__(self, control: Path) -> None:
        self.control = control
        self.base = apsw.vfs_names()[0]
        super().__init__("faulty", self.base, True)

    @property
    def fault(self) -> str:
        try:
            return self.control.read_text().strip()
        except FileNotFoundError:
            return ""

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:  # noqa: N802 - SQLite's own name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        super().__init__(disk.base, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self.disk.fault == SYNC:
            raise _refusal(apsw.IOError, apsw.SQLITE_IOERR_FSYNC, errno.EIO)
        super().xSync(flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        fault = self.disk.fault
        if fault == WRITE:
            raise _refusal(apsw.IOError, apsw.SQLITE_IOERR_WRITE, errno.EIO)
        if fault == FULL:
            raise _refusal(apsw.FullError, apsw.SQLITE_FULL, errno.ENOSPC)
        super().xWrite(data, offset)


def _refusal(kind: type[apsw.Error], extended: int, number: int) -> apsw.Error:
    error = kind(errno.errorcode[number])
    error.extendedresult = extended
    return error
