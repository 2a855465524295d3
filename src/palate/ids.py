"""Ids for events that come without one, and the random bits of other ids."""

from __future__ import annotations

import itertools
import os
import secrets
import string
from array import array

_prefix = ""
_COUNTER = itertools.count(1)


def _begin() -> None:
    """A prefix of its own for every process, forked ones too."""
    global _prefix
    _prefix = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


_begin()
os.register_at_fork(after_in_child=_begin)


def random_words(count: int) -> list[int]:
    """``count`` whole numbers of 64 random bits each, from the system's generator. Cost: a system call."""
    return array("Q", os.urandom(8 * count)).tolist()


def new_id() -> str:
    """A fresh id: 75 random bits a process, then a counter.

    Events of one process that share a timestamp so keep the order in which they arrived (see ``state.tie_key``).
    """
    return f"{_prefix}-{next(_COUNTER):012d}"
