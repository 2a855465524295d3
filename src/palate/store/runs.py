"""One run of the log's index: a file with the hashes of some consecutive events' ids and subjects, in ascending order.

Written once and never changed. Its two tables, of ids and of subjects, have each two columns: hash (uint64) and place
(uint32), the event's position being ``first`` + place. Checksums tell a run that a power loss has torn.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.kernels import kernel, soon
from palate.state.keys import hashes
from palate.store import erased_hash
from palate.types import I64, U64

U32 = npt.NDArray[np.uint32]
_MAGIC = 0x31_4E_55_52_54_4C_50  # "PLTRUN1"
_HEAD = 10
"""64-bit words before the columns: magic, first, last, mark, and of each table its length and two CRCs."""
_CHUNK = 1 << 20
"""Entries that are merged at a time."""
_ROUNDS = 3
"""Of guesses after the first."""
_STEPS = 16
"""From the last guess, until a table is taken for one that isn't spread evenly."""


class Table:
    """hashes: (n,) ascending. places: (n,) beside each, how far the event stands behind the run's first."""

    def __init__(self, hashed: U64, places: U32) -> None:
        self.hashes = hashed
        self.places = places

    def find(self, wanted: U64) -> Iterator[tuple[int, int]]:
        """(index in ``wanted``, place) of every entry that has one of these hashes. About 0.2 µs each."""
        at = np.empty(len(wanted), np.int64)
        if _search(self.hashes, wanted, at):
            for index in np.flatnonzero(at >= 0).tolist():
                here = int(at[index])
                while here < len(self.hashes) and self.hashes[here] == wanted[index]:
                    yield index, int(self.places[here])
                    here += 1


class Run:
    """Events ``first`` to ``last`` of the log. mark: the hash of the last one's id, by which a log is known."""

    def __init__(self, path: Path) -> None:
        """Errors: ``OSError``, ``ValueError`` (no whole run)."""
        self.path = path
        words = np.fromfile(path, np.uint64, _HEAD)
        if len(words) < _HEAD or int(words[0]) != _MAGIC:
            raise ValueError(f"{path} is no run.")
        _, self.first, self.last, self.mark, *lengths = words.tolist()
        counts = lengths[0], lengths[3]
        if path.stat().st_size != 8 * _HEAD + 12 * sum(counts):
            raise ValueError(f"{path} is cut.")
        content: Any = np.memmap(path, np.uint8, "r", 8 * _HEAD) if sum(counts) else np.zeros(0, np.uint8)
        columns: list[npt.NDArray[Any]] = []
        begin = 0
        for count, sums in ((counts[0], lengths[1:3]), (counts[1], lengths[4:6])):
            for kind, checksum in zip((np.uint64, np.uint32), sums, strict=True):
                end = begin + count * np.dtype(kind).itemsize
                part = content[begin:end]
                if zlib.crc32(part) != checksum:
                    raise ValueError(f"{path} does not match its checksum.")
                columns.append(part.view(np.ndarray).view(kind))
                begin = end
        self.ids, self.subjects = Table(*columns[:2]), Table(*columns[2:])

    def __len__(self) -> int:
        return self.last - self.first + 1


def make(directory: Path, first: int, ids: Sequence[str], subjects: Sequence[str | None]) -> Run:
    """Write the run of the events from position ``first`` on. Errors: ``OSError``."""
    hashed = id_hashes(ids)
    owned = np.array([place for place, subject in enumerate(subjects) if subject is not None], np.uint32)
    people = hashes([subject for subject in subjects if subject is not None]) if len(owned) else np.zeros(0, np.uint64)
    tables = [_sorted(hashed, np.arange(len(ids), dtype=np.uint32)), _sorted(people, owned)]
    parts = [(len(table.hashes), iter([(table.hashes, table.places)])) for table in tables]
    return _write(directory, first, first + len(ids) - 1, int(hashed[-1]), parts)


def id_hashes(ids: Sequence[str]) -> U64:
    """``hashes`` of ids, those that were erased as if they were there: of these the log keeps the hash."""
    found = hashes(ids)
    for place, name in enumerate(ids):
        if name[:1] == "\0":
            found[place] = erased_hash(name)
    return found


def without(directory: Path, run: Run, places: npt.NDArray[np.int64]) -> Run:
    """Write the run anew without the subjects of the events at ``places``. Linear in the run. Errors: ``OSError``."""
    kept = np.isin(run.subjects.places, places, invert=True)
    parts = [
        (len(run.ids.hashes), iter([(run.ids.hashes, run.ids.places)])),
        (int(kept.sum()), iter([(run.subjects.hashes[kept], run.subjects.places[kept])])),
    ]
    return _write(directory, run.first, run.last, run.mark, parts)


def _sorted(hashed: U64, places: U32) -> Table:
    order = np.argsort(hashed, kind="stable")
    return Table(hashed[order], places[order])


def merge(directory: Path, one: Run, two: Run) -> Run:
    """Write the run that ``one`` and ``two``, which follows it, make together. Linear; memory: a chunk.

    Errors: ``OSError``.
    """
    pairs = [(one.ids, two.ids), (one.subjects, two.subjects)]
    parts = [(len(a.hashes) + len(b.hashes), _merged(a, b, len(one))) for a, b in pairs]
    return _write(directory, one.first, two.last, two.mark, parts)


def _merged(one: Table, two: Table, shift: int) -> Iterator[tuple[U64, U32]]:
    """Both tables as one, a chunk at a time; places of the second are ``shift`` further."""
    at = np.zeros(2, np.int64)
    while True:
        hashed, places = np.empty(_CHUNK, np.uint64), np.empty(_CHUNK, np.uint32)
        n = _merge(one.hashes, one.places, two.hashes, two.places, np.uint32(shift), at, hashed, places)
        if not n:
            return
        yield hashed[:n], places[:n]


def _write(
    directory: Path, first: int, last: int, mark: int, tables: Iterable[tuple[int, Iterable[tuple[U64, U32]]]]
) -> Run:
    """A run whose tables have the given lengths and come in parts."""
    path = directory / f"{first:012d}-{last:012d}.run"
    aside = path.with_suffix(".part")
    try:
        with aside.open("wb", buffering=0) as file:
            words = [_MAGIC, first, last, mark]
            begin = 8 * _HEAD
            for count, parts in tables:
                ends = [begin, begin + 8 * count]
                sums = [0, 0]
                for columns in parts:
                    for which, column in enumerate(columns):
                        data = column.tobytes()
                        sums[which] = zlib.crc32(data, sums[which])
                        _put(file.fileno(), data, ends[which])
                        ends[which] += len(data)
                words += [count, *sums]
                begin += 12 * count
            _put(file.fileno(), np.array(words, np.uint64).tobytes(), 0)
        aside.replace(path)
        return Run(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def _put(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


@kernel
def _first(table: U64, value: np.uint64, guess: int) -> int:
    """The first index of ``table`` that holds ``value`` or more; by doubled steps from ``guess``, then by halves."""
    n = len(table)
    low, high, step = guess, guess, 1  # the answer lies in [low, high] in the end
    while low > 0 and table[low - 1] >= value:
        low = max(0, low - step)
        step *= 2
    step = 1
    while high < n and table[high] < value:
        high = min(n, high + step)
        step *= 2
    while low < high:
        middle = (low + high) >> 1
        if table[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _search(table: U64, wanted: U64, at: I64) -> bool:
    """at[n] = the first index of ``table`` that holds wanted[n], or −1. Returns whether there is any.

    Hashes are spread evenly, so that a first guess is off by about √n entries, and one that is made from what stands
    there by about the root of that (interpolation search, Perl 1978). Each round asks the memory for what the next one
    reads, of all that are wanted, because these places lie far apart. The last guess is off by one or two.
    """
    n = len(table)
    if n == 0:
        at[:] = -1
        return False
    scale = n / 18446744073709551616.0
    for place in range(len(wanted)):
        at[place] = min(n - 1, np.int64(np.float64(wanted[place]) * scale))
        soon(table, at[place], 1)
    for _ in range(_ROUNDS):
        for place in range(len(wanted)):
            off = (np.float64(wanted[place]) - np.float64(table[at[place]])) * scale
            at[place] = min(n - 1, max(0, at[place] + np.int64(off)))
            soon(table, at[place], 1)
    some = False
    for place in range(len(wanted)):
        value = wanted[place]
        low = at[place]
        left = _STEPS
        while left > 0 and low > 0 and table[low - 1] >= value:
            low -= 1
            left -= 1
        while left > 0 and low < n and table[low] < value:
            low += 1
            left -= 1
        if left == 0:
            low = _first(table, value, low)
        found = low < n and table[low] == value
        at[place] = low if found else -1
        some |= found
    return some


@kernel
def _merge(
    one: U64, places_one: U32, two: U64, places_two: U32, shift: np.uint32, at: I64, hashed: U64, places: U32
) -> int:
    """Fill ``hashed`` and ``places`` from where ``at`` stands in both; returns how many there were."""
    i, j, n = at[0], at[1], 0
    while n < len(hashed) and (i < len(one) or j < len(two)):
        if j == len(two) or (i < len(one) and one[i] <= two[j]):
            hashed[n], places[n] = one[i], places_one[i]
            i += 1
        else:
            hashed[n], places[n] = two[j], places_two[j] + shift
            j += 1
        n += 1
    at[0], at[1] = i, j
    return n
