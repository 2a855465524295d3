"""Append-only segment files of checksummed records, and the ids that say where a record lies.

A file is a 16-byte head (magic with the format, creation time in Unix ms, little-endian) and records, each a
24-byte head (length of the body, CRC-32 of all that follows, segment, ordinal, nonce) and a body. Reading stops
at the first record that is short or fails its checksum: what a crash tore off is ignored, what precedes it stands.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from palate.disk import sync_directory
from palate.errors import CorruptArtefact

MAGIC = b"PALDEC\x00\x01"
SUFFIX = ".decisions"
_HEAD = struct.Struct("<8sQ")
_RECORD = struct.Struct("<IIIIQ")
_KEY = struct.Struct(">IIQ")
_LENGTH, _PLACE = struct.Struct("<II"), struct.Struct("<IIQ")  # the two halves of the head of a record
HEAD_BYTES = _HEAD.size
RECORD_BYTES = _RECORD.size
_DIGITS = frozenset("0123456789abcdef")


class Key(NamedTuple):
    """What a ranking id encodes: the segment current when it was reserved, its number there, and 64 random bits.

    As text: 32 lower-case hexadecimal digits, which sort in the order of reservation.
    """

    segment: int
    ordinal: int
    nonce: int

    def text(self) -> str:
        return _KEY.pack(*self).hex()


def parse_key(text: str) -> Key | None:
    """The key that ``text`` encodes, None where it encodes none."""
    return _parsed(text) if len(text) == 32 else None


@lru_cache(1024)  # asked three times a ranking
def _parsed(text: str) -> Key | None:
    return Key(*_KEY.unpack(bytes.fromhex(text))) if _DIGITS.issuperset(text) else None


def sampled(text: str, share: float) -> bool:
    """Whether an id, as ``Key.text`` gives it, belongs to a random sample of ``share``; the same answer each time."""
    return len(text) == 32 and int(text[16:], 16) < share * 2**64


def path_of(directory: Path, segment: int) -> Path:
    """The file of a segment."""
    return directory / f"{segment:010d}{SUFFIX}"


def numbers(directory: Path) -> list[int]:
    """The segments that ``directory`` holds, oldest first."""
    names = (path.name.removesuffix(SUFFIX) for path in directory.glob(f"*{SUFFIX}"))
    return sorted(int(name) for name in names if name.isdecimal() and name.isascii())


def head(created: int) -> bytes:
    """The first bytes of a segment; ``created`` in Unix ms."""
    return _HEAD.pack(MAGIC, created)


def created(path: Path) -> int | None:
    """When the segment was begun, Unix ms; None where its head is torn. Errors: ``CorruptArtefact``, ``OSError``."""
    with path.open("rb") as file:
        data = file.read(HEAD_BYTES)
    if len(data) < HEAD_BYTES:
        return None
    magic, moment = _HEAD.unpack(data)
    if magic != MAGIC:
        raise CorruptArtefact(
            f"{path} is not a decision segment of a format that this version of Palate knows: install the version "
            "that wrote it, or move the file away."
        )
    return int(moment)


def status_of(file: BinaryIO) -> tuple[int, int]:
    """The number of an open file, which another one has once it was written anew (``rewrite``), and its size."""
    status = os.fstat(file.fileno())
    return status.st_ino, status.st_size


def frame(key: Key, body: bytes) -> bytes:
    """One record."""
    return record_head(key, body) + body


def record_head(key: Key, body: bytes) -> bytes:
    """What stands before ``body`` in its record."""
    tail = _PLACE.pack(*key)
    return _LENGTH.pack(len(body), zlib.crc32(body, zlib.crc32(tail))) + tail


def records(data: bytes) -> Iterator[tuple[int, Key, bytes]]:
    """(offset, key, body) of each whole record at the start of ``data``, up to the first torn or damaged one."""
    view = memoryview(data)
    at = 0
    while at + _RECORD.size <= len(data):
        length, checksum, *key = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + length
        if end > len(data) or zlib.crc32(view[at + 8 : end]) != checksum:
            return
        yield at, Key(*key), bytes(view[at + _RECORD.size : end])
        at = end


class Segment:
    """A segment as readers see it: where each record lies, found by reading what was added since the last look.

    12 bytes of memory a record. The first look costs about 25 ms for 16 MB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = HEAD_BYTES
        self._nonces = array("Q")
        self._offsets = array("I")
        self._file = 0

    def find(self, key: Key) -> bytes | None:
        """The body of the record with ``key``. Errors: ``OSError``, ``FileNotFoundError`` once it was deleted."""
        with self._path.open("rb") as file:
            if self._file != (now := os.fstat(file.fileno()).st_ino):  # written anew (``rewrite``)
                self._file, self._end, self._nonces, self._offsets = now, HEAD_BYTES, array("Q"), array("I")
            file.seek(self._end)
            start = self._end
            for offset, found, body in records(file.read()):
                self._nonces.append(found.nonce)
                self._offsets.append(start + offset)
                self._end = start + offset + _RECORD.size + len(body)
            if key.nonce not in self._nonces:
                return None
            offset = self._offsets[self._nonces.index(key.nonce)]
            file.seek(offset)
            length = _RECORD.unpack(file.read(_RECORD.size))[0]
            file.seek(offset)
            return next((body for _, found, body in records(file.read(_RECORD.size + length)) if found == key), None)


def bodies(path: Path, naming: Collection[str] = ()) -> Iterator[bytes]:
    """The bodies of a segment, in order. Reads the file at once: at most one segment of memory.

    naming: none at all where the file holds none of these texts, which is found at once.
    """
    data = path.read_bytes()[HEAD_BYTES:]
    if naming and not _names(data, naming):
        return
    for _, _, body in records(data):
        yield body


def _names(data: bytes, texts: Collection[str]) -> bool:
    return any(text.lstrip("\0").encode("utf-8", "surrogatepass") in data for text in texts)


def rewrite(path: Path, keep: Callable[[bytes], bool], naming: Collection[str]) -> int:
    """Leave only the records whose body is to be kept in a segment that nobody writes into; returns how many went.

    The file is replaced as a whole and keeps its age; what a crash tore off at its end goes. naming: as for ``bodies``.
    Errors: ``OSError``.
    """
    data = path.read_bytes()
    if not _names(data, naming):
        return 0
    found = list(records(data[HEAD_BYTES:]))
    kept = [(key, body) for _, key, body in found if keep(body)]
    end = HEAD_BYTES + sum(_RECORD.size + len(body) for _, _, body in found)
    if len(kept) == len(found) and not _names(data[end:], naming):
        return 0
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(data[:HEAD_BYTES] + b"".join(frame(key, body) for key, body in kept))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)
    return len(found) - len(kept)


def write_at(fd: int, data: bytes, at: int) -> None:
    """All of ``data`` at the offset ``at``. Errors: ``OSError``."""
    while data:
        written = os.pwrite(fd, data, at)
        data, at = data[written:], at + written
