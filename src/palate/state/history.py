"""Histories: a list row a person, sorted by time and tie key, in 16 bytes an entry.

An entry is its item (the row's key), 32 bits of its tie key, and a word: 48 bits of time (milliseconds, up to the year
10889), 8 of the type's code, 8 of the value. The value's byte says it in half steps from −10 to 116.5, which is what
ratings, scores and quantities are nearly always made of, or that there is none. Who has an entry with another value,
or of a type past the 255th, has a second row, as long as the first, of all types and values in full.
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.state.arena import Arena
from palate.state.rows import block_size, give_block, take_block
from palate.types import F32, I32, I64, U32

WIDE_TYPE = 255
"""Byte of a type that stands in the second row."""
NO_VALUE = 255
_WIDE_VALUE = 254
_LOWEST = -10.0
_TIME = (1 << 48) - 1
_TIE = (1 << 32) - 1
_HEAD = 2_654_435_761
"""The golden ratio of 2³², so that heads of ids that differ in any bit get numbers far apart."""


@kernel
def short_tie(tie: int) -> int:
    """32 bits of a ``tie_key``: numbers after the same head keep their order modulo 2³²; others are strewn."""
    return ((tie >> 48) * _HEAD + tie) & _TIE


@kernel
def time_of(word: int) -> int:
    """Milliseconds."""
    return (word >> 16) & _TIME


@kernel
def kind_at(words: I64, at: int, start: int, wide_kinds: I32, wide_start: int) -> int:
    """The type of the entry at arena position ``at`` of the history that lies from ``start`` on."""
    kind = (words[at] >> 8) & 255
    return kind if kind != WIDE_TYPE else int(wide_kinds[wide_start + at - start])


@kernel
def value_at(words: I64, at: int, start: int, wide_values: F32, wide_start: int) -> float:
    """The value of that entry, NaN where it has none."""
    code = words[at] & 255
    if code == NO_VALUE:
        return np.nan
    if code == _WIDE_VALUE:
        return float(wide_values[wide_start + at - start])
    return 0.5 * code + _LOWEST


@kernel
def _value_code(value: float) -> int:
    """The byte of a value."""
    if np.isnan(value):
        return NO_VALUE
    code = np.floor(2.0 * (value - _LOWEST))
    exact = 0 <= code < _WIDE_VALUE and 0.5 * code + _LOWEST == value and not (value == 0 and np.signbit(value))
    return int(code) if exact else _WIDE_VALUE


@kernel
def _unpack(
    words: I64, start: int, wide_kinds: I32, wide_values: F32, wide_start: int, times: I64, kinds: I32, values: F32
) -> None:
    """Times, types and values, each (h,), of the history that lies from ``start`` on, oldest first."""
    for place in range(len(times)):
        at = start + place
        times[place] = time_of(int(words[at]))
        kinds[place] = kind_at(words, at, start, wide_kinds, wide_start)
        values[place] = value_at(words, at, start, wide_values, wide_start)


@kernel
def insert(
    meta: I64, items: I32, ties: U32, words: I64, starts: I64, caps: I32, sizes: I32,
    wide_meta: I64, wide_kinds: I32, wide_values: F32, wide_starts: I64, wide_caps: I32, wide_sizes: I32,
    u: int, item: int, when: int, tie: int, kind: int, value: float, bound: int,
) -> int:  # fmt: skip
    """Put an event into the history of ``u``, which drops its oldest entry where it is full.

    Returns its arena position, or −1 where it is older than all of a full history. tie: of ``tie_key``.
    """
    n, start, tie = sizes[u], starts[u], short_tie(tie)
    place = n
    while place > 0:
        before = start + place - 1
        earlier = time_of(int(words[before]))
        if earlier < when or (earlier == when and ties[before] <= tie):
            break
        place -= 1
    full = n >= bound
    if full:
        if place == 0:
            return -1
        place -= 1
        for s in range(start, start + place):  # a loop a column is a move of memory
            items[s] = items[s + 1]
        for s in range(start, start + place):
            ties[s] = ties[s + 1]
        for s in range(start, start + place):
            words[s] = words[s + 1]
    else:
        if n >= caps[u]:
            capacity = block_size(n + 1)
            fresh = take_block(meta, items, capacity)
            for s in range(n):
                items[fresh + s], ties[fresh + s], words[fresh + s] = (
                    items[start + s],
                    ties[start + s],
                    words[start + s],
                )
            if caps[u] > 0:
                give_block(meta, items, start, caps[u])
            starts[u], caps[u] = fresh, capacity
            start = fresh
        for s in range(start + n, start + place, -1):
            items[s], ties[s], words[s] = items[s - 1], ties[s - 1], words[s - 1]
        sizes[u] = n + 1
    code = _value_code(value)
    at = start + place
    items[at], ties[at] = item, tie
    words[at] = (when << 16) | (min(kind, WIDE_TYPE) << 8) | code
    if wide_caps[u] > 0 or kind >= WIDE_TYPE or code == _WIDE_VALUE:
        _insert_wide(
            words, start, sizes[u], caps[u], wide_meta, wide_kinds, wide_values, wide_starts, wide_caps, wide_sizes,
            u, place, full, kind, value,
        )  # fmt: skip
    return at


@kernel
def _insert_wide(
    words: I64, start: int, n: int, capacity: int,
    meta: I64, kinds: I32, values: F32, starts: I64, caps: I32, sizes: I32,
    u: int, place: int, full: bool, kind: int, value: float,
) -> None:  # fmt: skip
    """Do in the second row what ``insert`` has done in the first, which has ``n`` entries now; make it where needed."""
    held, old = sizes[u], starts[u]
    if caps[u] != capacity:
        fresh = take_block(meta, kinds, capacity)
        for s in range(held):
            kinds[fresh + s], values[fresh + s] = kinds[old + s], values[old + s]
        if caps[u] > 0:
            give_block(meta, kinds, old, caps[u])
        starts[u], caps[u] = fresh, capacity
    row = starts[u]
    if held == 0:  # the row is new: what the first says of the others is all there is
        for s in range(n):
            if s != place:
                kinds[row + s] = kind_at(words, start + s, start, kinds, row)
                values[row + s] = value_at(words, start + s, start, values, row)
    elif full:
        for s in range(row, row + place):
            kinds[s], values[s] = kinds[s + 1], values[s + 1]
    else:
        for s in range(row + n - 1, row + place, -1):
            kinds[s], values[s] = kinds[s - 1], values[s - 1]
    kinds[row + place], values[row + place] = kind, value
    sizes[u] = n


def entries(history: Arena, wide: Arena, user: int) -> tuple[I32, I64, I32, F32]:
    """Items, times (ms), types and values (NaN where none) of the history of ``user`` (−1: nobody), oldest first."""
    start, stop = history.span(user)
    h = stop - start
    times, kinds, values = np.empty(h, np.int64), np.empty(h, np.int32), np.empty(h, np.float32)
    words, extra = history.columns["word"], wide.columns["value"]
    _unpack(words, start, wide.keys, extra, wide.span(user)[0], times, kinds, values)
    return history.keys[start:stop].copy(), times, kinds, values
