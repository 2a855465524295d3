"""Vectors of texts, kept by content hash: a text is encoded once, however many items and restarts share it.

One file per encoder, ``<directory>/<encoder name>.bin``: a header, then records of fixed size (16-byte digest, float16
vector, CRC-32 of both), only ever appended. The file is a cache and may be deleted: a record that a crash tore or a
disk spoiled is ignored, left out at the next opening, and its text encoded anew; a file that isn't one of Palate's any
more is kept aside as ``<encoder name>.bin.broken`` and begun anew. Every vector passes through float16, also the first
time and without a file, so that an answer doesn't change with a restart; it comes back in float32 with unit length
(each component within 5e-4 of the encoder's).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from palate.errors import PalateError, Unavailable
from palate.language import AskingEncoder, Encoder, transfer
from palate.types import F32, I32

_MAGIC = b"PALVEC1\n"
_HEADER = 64
_BATCH = 256
_QUERIES = 1024
_BLOCK = 256
_REST = 10.0
"""Seconds for which an encoder that failed isn't asked for the same query again."""

_log = logging.getLogger("palate")

F16 = npt.NDArray[np.float16]
Progress = Callable[[int, int], None]


def _carried(folder: Path | None, encoder: str) -> transfer.Map | None:
    """The map from meaning to behaviour that was carried here, None where there is none that can be used."""
    if folder is None or not (folder / transfer.FILE).is_file():
        return None
    try:
        return transfer.load(folder / transfer.FILE, encoder)
    except PalateError as error:  # it only adds a feature: the directory must open without it
        _log.warning("%s It is left out.", error.message)
        return None


class VectorCache:
    """Encodes distinct unseen texts only. Safe for several threads, and for several processes on one directory.

    path: the folder where the file lives (made when absent), or None to keep vectors in memory only.
    read_only: what the file holds now is used and nothing is written; vectors of other texts are kept in memory.
    Memory: about 150 bytes a text beside the page cache; without a directory, the vectors too.
    Errors: ``Unavailable`` when the file can't be read or written. One that is broken is set aside, with a warning.
    """

    def __init__(self, path: Path | None, encoder: Encoder, read_only: bool = False) -> None:
        self.encoder = encoder
        self._prefix = encoder.name.encode() + b"\0"
        self._record = _record(encoder)
        self._lock = threading.RLock()
        self._row_of: dict[bytes, int] = {}
        self._ask = encoder.encode_queries if isinstance(encoder, AskingEncoder) else None
        self._queries: dict[str, F32] = {}
        self._failed: dict[str, float] = {}
        self._rows = 0
        self._memory: F16 = np.empty((0, encoder.dim), np.float16)
        self._file: int | None = None
        self.transfer = _carried(path, encoder.name)
        self._path = path / f"{encoder.name}.bin" if path is not None else None
        self._kept = 0  # rows of a file that is only read; those after it are in memory
        if self._path is not None and read_only:
            self._open_to_read(self._path)
            self._path = None
        elif self._path is not None:
            self._open(self._path)

    def __len__(self) -> int:
        """Distinct texts kept."""
        return len(self._row_of)

    def digest(self, text: str) -> bytes:
        """16 bytes that stand for ``text`` under this encoder (BLAKE2b)."""
        return blake2b(self._prefix + text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def digests(self, texts: Sequence[str]) -> dict[str, bytes]:
        """Of each distinct text, in order of first appearance."""
        return {text: self.digest(text) for text in dict.fromkeys(texts)}

    def missing(self, digests: Mapping[str, bytes]) -> set[str]:
        """The texts that are not kept yet, of those with these digests."""
        return {text for text, digest in digests.items() if digest not in self._row_of}

    def get(self, texts: Sequence[str], progress: Progress | None = None) -> F32:
        """(n, dim) unit rows of ``texts``, in order. Memory: 4·n·dim bytes; see ``distinct`` where texts repeat much.

        progress(done, total): distinct texts encoded so far, of those that are unseen.
        """
        vectors, row = self.distinct(texts, progress)
        return vectors[row]

    def distinct(
        self, texts: Sequence[str], progress: Progress | None = None, digests: Mapping[str, bytes] | None = None
    ) -> tuple[F32, I32]:
        """(m, dim) unit rows of the m distinct texts by first appearance, and (n,) which of them each text is.

        digests: at least theirs, where they are known.
        """
        place: dict[str, int] = {}
        inverse = np.fromiter((place.setdefault(text, len(place)) for text in texts), np.int32, len(texts))
        digests = {text: self.digest(text) for text in place} if digests is None else digests
        todo = sorted((text for text in place if digests[text] not in self._row_of), key=len)
        for start in range(0, len(todo), _BATCH):
            batch = todo[start : start + _BATCH]
            # Not under the lock: encoding takes seconds, and readers of kept vectors must not wait for it.
            rows = self.encoder.encode(batch)
            self._add([digests[text] for text in batch], rows)
            if progress is not None:
                progress(start + len(batch), len(todo))
        return self._read([digests[text] for text in place]), inverse

    def query(self, text: str) -> F32:
        """(dim,) unit row of a query. The last 1,024 queries are reused, and so are kept vectors, where the encoder
        reads a query as it reads an item; never written to disk.

        Zeros where the encoder can't be had now (a server that doesn't answer): a ranking goes on by the words alone,
        and nobody asks again for some seconds. ``answered`` says which.
        """
        if self._ask is None:
            digest = self.digest(text)
            if digest in self._row_of:
                return self._read([digest])[0]
        found = self._queries.get(text)
        if found is not None:
            return found
        if time.monotonic() < self._failed.get(text, 0.0):
            return np.zeros(self.encoder.dim, np.float32)
        try:
            found = (self._ask or self.encoder.encode)([text])[0]
        except Unavailable as error:
            _log.error("A query could not be encoded. %s", error.message)
            with self._lock:
                self._failed = {name: until for name, until in self._failed.items() if until > time.monotonic()}
                self._failed[text] = time.monotonic() + _REST
            return np.zeros(self.encoder.dim, np.float32)
        with self._lock:
            while len(self._queries) >= _QUERIES:
                self._queries.pop(next(iter(self._queries)))
            self._queries[text] = found
        return found

    def answered(self, text: str) -> bool:
        """Whether ``query`` of this text isn't zeros because the encoder couldn't be had."""
        return not self._failed or time.monotonic() >= self._failed.get(text, 0.0)

    def close(self) -> None:
        """Closes the file. Idempotent."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    # ------------------------------------------------------------------------- storage

    def _open(self, path: Path) -> None:
        header = _header(self.encoder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            while not self._begin(path, header):
                pass  # another process set the file aside while this one waited for it
        except OSError as error:
            self.close()
            raise Unavailable(
                f"The vector file {path} can't be opened: {error.strerror}. {path.parent} is a cache: it "
                "may be deleted, and must be a directory that can be written to."
            ) from error

    def _open_to_read(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"The vector file {path} can't be read: {error.strerror}.") from error
        if os.pread(self._file, _HEADER, 0) == _header(self.encoder):
            self._refresh()
            self._kept = self._rows

    def _begin(self, path: Path, header: bytes) -> bool:
        """Opens the file, begun anew where it is empty or broken. False when it isn't the one at ``path`` any more."""
        self._file = file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        usable = False
        try:
            found = os.pread(file, _HEADER, 0)
            if not _same(file, path):
                pass
            elif len(found) < _HEADER and header.startswith(found):
                os.ftruncate(file, 0)
                _write(file, header)
                usable = True
            elif found != header:
                # Set aside, not emptied: whatever it is, it may be somebody's, and can be looked into.
                path.replace(path.with_name(path.name + ".broken"))
                _log.warning("%s It is kept as %s.broken.", _foreign(path, self.encoder), path.name)
            elif spoiled := self._refresh():
                _log.warning("%s", _spoiled(path, spoiled, self._rows))
                self._keep_sound(path, header)
            else:
                usable = True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
        if not usable:
            self.close()
        return usable

    def _keep_sound(self, path: Path, header: bytes) -> None:
        """Puts a file of the sound records in the place of this one."""
        records, sound = self._mapped(), sorted(self._row_of.values())
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(header)
                for start in range(0, len(sound), 4096):
                    file.write(records[sound[start : start + 4096]].tobytes())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        self._row_of.clear()
        self._rows = 0

    def _mapped(self) -> npt.NDArray[np.void]:
        """The whole records of the file, mapped."""
        assert self._file is not None
        whole = (os.fstat(self._file).st_size - _HEADER) // self._record.itemsize
        if whole <= 0:
            return np.empty(0, self._record)
        with os.fdopen(os.dup(self._file), "rb") as file:
            return np.memmap(file, self._record, "r", _HEADER, (whole,))

    def _refresh(self) -> int:
        """Learns the records that were appended since, by this process or another; returns how many were spoiled, which
        are skipped."""
        spoiled = 0
        records = self._mapped()
        size = self._record.itemsize
        for start in range(self._rows, len(records), 4096):
            raw = records[start : start + 4096].tobytes()
            for i in range(len(raw) // size):
                body = raw[i * size : (i + 1) * size - 4]
                if zlib.crc32(body) == int.from_bytes(raw[(i + 1) * size - 4 : (i + 1) * size], "little"):
                    # The first of a text stands: whoever read it before must find the same vector after a restart.
                    self._row_of.setdefault(body[:16], start + i)
                else:
                    spoiled += 1
        self._rows = len(records)
        return spoiled

    def _add(self, digests: list[bytes], rows: F32) -> None:
        """Keeps what is new of them. Two may encode a text at once, and an encoder's last bit depends on the batch."""
        with self._lock:
            if self._path is None:
                new = [place for place, digest in enumerate(digests) if digest not in self._row_of]
                self._add_to_memory([digests[place] for place in new], rows[new])
                return
            file = self._file
            if file is None:
                raise Unavailable(f"The vector file {self._path} is closed.")
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    torn = (os.fstat(file).st_size - _HEADER) % self._record.itemsize
                    if torn:
                        os.ftruncate(file, os.fstat(file).st_size - torn)
                    self._refresh()
                    new = [place for place, digest in enumerate(digests) if digest not in self._row_of]
                    _write(file, self._records([digests[place] for place in new], rows[new]))
                    self._refresh()
                finally:
                    fcntl.flock(file, fcntl.LOCK_UN)
            except OSError as error:
                raise Unavailable(f"The vector file {self._path} can't be written: {error.strerror}.") from error

    def _records(self, digests: list[bytes], rows: F32) -> bytes:
        records = np.zeros(len(digests), self._record)
        records["digest"] = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
        records["vector"] = rows
        size = self._record.itemsize
        raw = records.tobytes()
        records["crc"] = [zlib.crc32(raw[i : i + size - 4]) for i in range(0, len(raw), size)]
        return records.tobytes()

    def _add_to_memory(self, digests: list[bytes], rows: F32) -> None:
        used = self._rows - self._kept
        if used + len(rows) > len(self._memory):
            grown = np.empty((max(used + len(rows), 2 * len(self._memory)), self.encoder.dim), np.float16)
            grown[:used] = self._memory[:used]
            self._memory = grown
        self._memory[used : used + len(rows)] = rows
        self._row_of.update(zip(digests, range(self._rows, self._rows + len(rows)), strict=True))
        self._rows += len(rows)

    def _read(self, digests: list[bytes]) -> F32:
        with self._lock:
            rows = np.fromiter((self._row_of[digest] for digest in digests), np.int64, len(digests))
            if self._path is not None and self._file is None:
                raise Unavailable(f"The vector file {self._path} is closed.")
            found = np.empty((len(rows), self.encoder.dim), np.float32)
            kept = self._mapped()["vector"] if self._file is not None else self._memory[:0]
            for start in range(0, len(rows), _BLOCK):  # a block stays in the processor's cache for all that is done
                block, some = found[start : start + _BLOCK], rows[start : start + _BLOCK]
                filed = np.ones(len(some), np.bool_) if self._path is not None else some < self._kept
                if filed.all():
                    block[:] = kept[some]
                else:
                    block[filed] = kept[some[filed]]
                    block[~filed] = self._memory[some[~filed] - self._kept]
                norm = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
                block /= np.where(norm > 0.0, norm, np.float32(1.0))
        return found


def examine(directory: Path, encoder: Encoder) -> tuple[int, str]:
    """Look at the vector file of ``encoder`` without changing it: the texts kept, and a sentence on what is wrong.

    The sentence is empty where nothing is. Reads all of the file. Errors: ``OSError``.
    """
    path = directory / f"{encoder.name}.bin"
    with path.open("rb") as file:
        found = file.read(_HEADER)
        header = _header(encoder)
        if found != header:
            return 0, "" if len(found) < _HEADER and header.startswith(found) else _foreign(path, encoder)
        size, rows, spoiled = _record(encoder).itemsize, 0, 0
        while len(raw := file.read(size)) == size:
            rows += 1
            spoiled += zlib.crc32(raw[:-4]) != int.from_bytes(raw[-4:], "little")
    return rows - spoiled, _spoiled(path, spoiled, rows) if spoiled else ""


def _record(encoder: Encoder) -> np.dtype[np.void]:
    return np.dtype([("digest", "u1", 16), ("vector", "<f2", encoder.dim), ("crc", "<u4")])


def _header(encoder: Encoder) -> bytes:
    known = _MAGIC + encoder.dim.to_bytes(4, "little") + blake2b(encoder.name.encode() + b"\0", digest_size=16).digest()
    return known.ljust(_HEADER, b"\0")


def _foreign(path: Path, encoder: Encoder) -> str:
    return (
        f"{path} is damaged, or not a vector file of the encoder {encoder.name!r} with {encoder.dim} components: "
        "the texts are encoded anew."
    )


def _spoiled(path: Path, spoiled: int, rows: int) -> str:
    return f"{spoiled:,} of the {rows:,} vectors in {path} are damaged: their texts are encoded anew."


def _same(file: int, path: Path) -> bool:
    """Whether the open ``file`` is still the one at ``path``."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
