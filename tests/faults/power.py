"""Power cuts: what a disk would hold if the power went now.

``Power`` watches a directory of this process. A file is durable as it was when it was last synced, a name when its
directory was; SQLite is watched through a VFS, everything else through ``os.fsync``. What was written since may be on
the disk or not, sector by sector and name by name: ``cut`` draws it. The model is the strict one of POSIX, which usual
file systems exceed; a rename is atomic.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import apsw
import numpy as np

Lost = Literal["all", "nothing", "some"]
"""Of what wasn't synced."""

Image = dict[str, bytes | None]
"""Relative path → content; None for a directory."""


class Power:
    """Everything below ``root``, which must exist, between ``start`` and ``stop``.

    count: how much was promised so far; ``safe`` is what it said when the last sync of the log that has ended began.
    """

    def __init__(self, root: Path, count: Callable[[], int] = lambda: 0) -> None:
        self.root = root
        self.safe = 0
        self._count = count
        self._lock = threading.RLock()  # no sync ends during a cut
        self._content: dict[int, bytearray] = {}  # by inode: as it was last synced
        self._names: dict[int, dict[str, int]] = {}
        self._held: dict[int, int] = {}  # descriptors, so that no inode is used again, and no lock of SQLite's dropped
        self._fsync = os.fsync
        self._base = apsw.vfs_names()[0]
        self._vfs: _Vfs | None = None

    def start(self) -> None:
        for path in [self.root, *self.root.rglob("*")]:  # what is there is durable
            self.synced(path)
        self._vfs = _Vfs(self, self._base)
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._watch)

    def stop(self) -> None:
        os.fsync = os.fdatasync = self._fsync
        apsw.set_default_vfs(self._base)
        if self._vfs is not None:
            self._vfs.unregister()
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def __enter__(self) -> Power:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ------------------------------------------------------------------------- syncing

    def _watch(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        self.sync(path, lambda: self._fsync(descriptor))

    def sync(self, path: Path, work: Callable[[], None], ranges: list[tuple[int, int]] | None = None) -> None:
        """Do ``work``, which syncs ``path``, and note it; ``ranges``: (start, stop) of all that was written since."""
        if not path.is_relative_to(self.root):
            work()
            return
        safe = self._count()
        with self._lock:
            work()
            self.synced(path, ranges)
            if path.name.endswith("-wal"):
                self.safe = safe

    def synced(self, path: Path, ranges: list[tuple[int, int]] | None = None) -> None:
        """``path`` is durable as it is."""
        try:
            inode, descriptor = self._hold(path)
        except FileNotFoundError:
            return
        if path.is_dir():
            self._names[inode] = _listing(descriptor)
            return
        size = os.fstat(descriptor).st_size
        known = self._content.setdefault(inode, bytearray())
        for start, stop in [(0, size)] if ranges is None else ranges:
            part = os.pread(descriptor, min(stop, size) - start, start) if start < size else b""
            if start > len(known):
                known.extend(bytes(start - len(known)))
            known[start : start + len(part)] = part
        del known[size:]

    def _hold(self, path: Path) -> tuple[int, int]:
        inode = path.stat().st_ino
        if inode not in self._held:
            self._held[inode] = os.open(path, os.O_RDONLY)
        return inode, self._held[inode]

    # ------------------------------------------------------------------------- cutting

    def cut(self, rng: np.random.Generator, lost: Lost) -> tuple[Image, int]:
        """What is on the disk if the power goes now, and ``safe``."""
        image: Image = {}
        with self._lock:
            inode, descriptor = self._hold(self.root)
            self._take(inode, descriptor, "", image, rng, lost)
            return image, self.safe

    def _take(self, inode: int, descriptor: int, at: str, image: Image, rng: np.random.Generator, lost: Lost) -> None:
        before, now = self._names.get(inode, {}), _listing(descriptor)
        for name in sorted(before.keys() | now.keys()):
            old, new = before.get(name), now.get(name)
            chosen = old if lost == "all" or (lost == "some" and rng.random() < 0.5) else new
            if chosen is None or name.endswith("-shm"):
                continue
            try:
                held = self._held.get(chosen)
                if held is None:
                    chosen, held = self._hold(Path(os.readlink(f"/proc/self/fd/{descriptor}")) / name)
            except FileNotFoundError:  # gone since the listing: it was never synced
                continue
            if stat.S_ISDIR(os.fstat(held).st_mode):
                image[f"{at}{name}"] = None
                self._take(chosen, held, f"{at}{name}/", image, rng, lost)
            else:
                image[f"{at}{name}"] = self._mixed(chosen, held, rng, lost)

    def _mixed(self, inode: int, descriptor: int, rng: np.random.Generator, lost: Lost) -> bytes:
        old = bytes(self._content.get(inode, b""))
        if lost == "all":
            return old
        new = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        if lost == "nothing" or new == old:
            return new
        sector = int(rng.choice([512, 4096]))
        between = int(rng.integers(min(len(old), len(new)), max(len(old), len(new)) + 1))
        size = int(rng.choice([len(old), len(new), between]))
        share = float(rng.random())
        mixed = bytearray(old[:size].ljust(size, b"\0"))
        for start in range(0, size, sector):
            if rng.random() < share:
                mixed[start : start + sector] = new[start : start + sector].ljust(min(sector, size - start), b"\0")
        return bytes(mixed[:size])


def lay_out(image: Image, root: Path) -> Path:
    """Write an image to ``root``, which must not exist."""
    root.mkdir()
    for name, content in image.items():
        if content is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(content)
    return root


def _listing(descriptor: int) -> dict[str, int]:
    with os.scandir(descriptor) as entries:
        return {entry.name: entry.inode() for entry in entries}


class _Vfs(apsw.VFS):
    """SQLite's default while it lives: the real file system, with every sync told to ``power``."""

    def __init__(self, power: Power, base: str) -> None:
        self.power = power
        self.base = base
        super().__init__("power", base, True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's own name
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        if syncdir:
            self.power.sync(Path(filename).parent, lambda: None)


class _File(apsw.VFSFile):
    def __init__(self, vfs: _Vfs, name: Any, flags: list[int]) -> None:
        self.vfs = vfs
        self.path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self.written: list[tuple[int, int]] = []
        # SQLite itself syncs the directory of a new journal or write-ahead log when it first syncs that file.
        self.fresh = bool(flags[0] & (apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL)) and not self.path.exists()
        super().__init__(vfs.base, name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self.written.append((offset, offset + len(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self.written.append((newsize, 1 << 62))  # what stood there comes back as zeros

    def xSync(self, flags: int) -> None:  # noqa: N802
        written, self.written = self.written, []
        self.vfs.power.sync(self.path, lambda: super(_File, self).xSync(flags), written)
        if self.fresh:
            self.fresh = False
            self.vfs.power.sync(self.path.parent, lambda: None)
