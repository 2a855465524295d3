"""Growing rows in flat arrays: the memory layout of everything that Palate counts.

A *hash row* maps int32 keys to parallel values: open addressing, linear probing, capacity a power of two, load at
most 3/4, ``EMPTY`` marks a free slot. A *list row* is a dense, ordered run. Rows live in shared arenas: one array a
column, addressed by ``start[r]``, ``cap[r]``, ``size[r]``. A freed block goes to a list of its size class, whose
next pointer is stored in the key column in units of four slots (so that an int32 reaches 8 G slots).

``meta`` is (40,) int64: meta[0] the arena's top, meta[1 + c] the first free block of 2**c slots or −1.
Kernels never grow an arena; callers make sure that there is room (see ``fold``).
"""

from __future__ import annotations

import numpy as np

from palate.kernels import kernel
from palate.types import I32, I64

EMPTY = -1
MIN_CLASS = 2
META = 40


def new_meta() -> I64:
    """Allocation record of an empty arena."""
    meta = np.full(META, -1, np.int64)
    meta[0] = 0
    return meta


@kernel
def take_block(meta: I64, keys: I32, size_class: int) -> int:
    """Start of a block of ``2**size_class`` slots. O(1)."""
    head = meta[1 + size_class]
    if head >= 0:
        following = keys[head]
        meta[1 + size_class] = -1 if following < 0 else np.int64(following) * 4
        return head
    start = meta[0]
    meta[0] = start + (1 << size_class)
    return start


@kernel
def give_block(meta: I64, keys: I32, start: int, capacity: int) -> None:
    """Return a block to the list of its size. O(log capacity)."""
    size_class = 0
    while (1 << size_class) < capacity:
        size_class += 1
    head = meta[1 + size_class]
    keys[start] = -1 if head < 0 else head // 4
    meta[1 + size_class] = start


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
    size_class = MIN_CLASS
    while (1 << size_class) < 2 * old_cap:
        size_class += 1
    start = take_block(meta, keys, size_class)
    capacity = 1 << size_class
    for slot in range(start, start + capacity):
        keys[slot] = EMPTY
    row_start[r] = start
    row_cap[r] = capacity
    return old_start, old_cap
