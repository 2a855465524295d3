"""Growing rows in flat arrays: the memory layout of everything that Palate counts.

A *hash row* maps int32 keys to parallel values: open addressing, linear probing, capacity a power of two, load at
most 3/4, ``EMPTY`` marks a free slot. A *list row* is a dense, ordered run. Rows live in shared arenas: one array a
column, addressed by ``start[r]``, ``cap[r]``, ``size[r]``. Blocks have multiples of four slots up to 64, above that
eight sizes between a power of two and the next (``block_size``), so that a list row stands at most a seventh empty. A
freed block goes to a list of its size, whose next pointer is stored in the key column in units of four slots (so that
an int32 reaches 8 G slots).

``meta`` is (224,) int64: meta[0] the arena's top, meta[c] the first free block of size class c (from 1 on) or −1.
Kernels never grow an arena; callers make sure that there is room (see ``fold``).
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.types import I32, I64

EMPTY = -1
MIN_BLOCK = 4
_SIZES = 8
"""Sizes of blocks from a power of two to the next."""
META = 224


def new_meta() -> I64:
    """Allocation record of an empty arena."""
    meta = np.full(META, -1, np.int64)
    meta[0] = 0
    return meta


@kernel
def block_size(entries: int) -> int:
    """Slots of the smallest block that holds so many entries. O(log entries)."""
    step = MIN_BLOCK
    while 2 * _SIZES * step < entries:
        step *= 2
    return max(1, (entries + step - 1) // step) * step


@kernel
def _class_of(slots: int) -> int:
    """The size class, from 1 on, of a block of exactly so many slots."""
    step, smaller = MIN_BLOCK, 0
    while 2 * _SIZES * step < slots:
        step *= 2
        smaller += _SIZES
    return smaller + slots // step


@kernel
def take_block(meta: I64, keys: I32, slots: int) -> int:
    """Start of a block of ``slots`` slots, a size of ``block_size`` (powers of two from 4 on are). O(log slots)."""
    size_class = _class_of(slots)
    head = meta[size_class]
    if head >= 0:
        following = keys[head]
        meta[size_class] = -1 if following < 0 else np.int64(following) * MIN_BLOCK
        return head
    start = meta[0]
    meta[0] = start + slots
    return start


@kernel
def give_block(meta: I64, keys: I32, start: int, slots: int) -> None:
    """Return a block to the list of its size. O(log slots)."""
    size_class = _class_of(slots)
    head = meta[size_class]
    keys[start] = -1 if head < 0 else head // MIN_BLOCK
    meta[size_class] = start


@kernel
def hash_slot(key: int, capacity: int) -> int:
    """First slot to probe (Fibonacci hashing on 32 bits)."""
    mixed = (np.int64(key) * 2654435761) & 0xFFFFFFFF
    return int((mixed >> 7) & (capacity - 1))


@kernel
def find(keys: I32, start: int, capacity: int, key: int) -> int:
    """Arena position of ``key`` in a hash row, or −1. O(1) expected."""
    if capacity == 0:
        return -1
    slot = hash_slot(key, capacity)
    for _ in range(capacity):
        found = keys[start + slot]
        if found == key:
            return start + slot
        if found == EMPTY:
            return -1
        slot = (slot + 1) & (capacity - 1)
    return -1


@kernel
def free_slot(keys: I32, start: int, capacity: int, key: int) -> int:
    """Arena position where a missing ``key`` goes; the row must have room. O(1) expected."""
    slot = hash_slot(key, capacity)
    while keys[start + slot] != EMPTY:
        slot = (slot + 1) & (capacity - 1)
    return start + slot


@kernel
def widen(meta: I64, keys: I32, row_start: I64, row_cap: I32, r: int) -> tuple[int, int]:
    """Give hash row ``r`` a block of twice the size, empty; returns the old (start, capacity).

    The caller moves the entries, then frees the old block with ``give_block``.
    """
    old_start, old_cap = row_start[r], row_cap[r]
    capacity = max(MIN_BLOCK, 2 * old_cap)
    start = take_block(meta, keys, capacity)
    for slot in range(start, start + capacity):
        keys[slot] = EMPTY
    row_start[r] = start
    row_cap[r] = capacity
    return old_start, old_cap
