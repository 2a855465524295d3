"""Approximate search for catalogues too large to compare every text: a graph of near texts by usearch.

HNSW (Malkov and Yashunin 2016, arXiv:1603.09320) over one-byte vectors names more texts than are wanted, and these are
compared exactly. Texts that are not in the graph yet are always among them, so a new item is found at once. While the
graph is built, is being changed, or finds too little, it names nothing, and the caller searches exactly.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from palate.errors import ConfigError
from palate.types import F32, I32, I64

SOUND = 0.99
"""Recall@100 below which the graph isn't used."""
_EFFORTS = (64, 128, 256, 512, 1024)
"""Texts that a search keeps in view: the least that finds enough."""
_STEP = 64
_BLOCK = 16_384
_PROBES = 128
_NEAREST = 100
_MOST_WAITING = 2_048
"""With more texts than these outside the graph, comparing them costs more than it saves."""
_log = logging.getLogger("palate")


def check_installed() -> None:
    """Errors: ``ConfigError`` without usearch."""
    try:
        import_module("usearch.index")
    except ImportError:
        raise ConfigError(
            "retrieve.graph_above needs the package 'usearch', which is not installed: pip install 'palate[ann]', or "
            "set it to 0, for the exact search.",
            "retrieve.graph_above",
        ) from None


class Graph:
    """Built and kept current by a thread of its own, which ends with it. Errors: ``ConfigError`` without usearch.

    read: (n, dim) vectors of the text rows given, zero where a row was freed. Memory: about dim + 150 bytes a text.
    Cost: .7 ms of one core a text of 512 components; it begins anew after a start, and in a process that was forked.
    """

    def __init__(self, dim: int, read: Callable[[I32], F32]) -> None:
        check_installed()
        self._dim = dim
        self._read = read
        self._texts = 0
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()  # of the graph; what waits has another, so that putting never waits for building
        self._waiting_lock = threading.Lock()
        self._waiting: dict[int, None] = dict.fromkeys(range(self._texts))
        make: Any = import_module("usearch.index").Index
        self._index: Any = make(ndim=self._dim, metric="cos", dtype="i8", connectivity=16, expansion_add=128)
        self._checked = 0
        self._sound = False
        self._thread: threading.Thread | None = None

    def put(self, rows: I32, texts: int) -> None:
        """The vectors of ``rows`` are others now; there are ``texts`` rows. Costs nothing but noting it."""
        self._mine()
        with self._waiting_lock:
            self._texts = max(self._texts, texts)
            self._waiting.update(dict.fromkeys(rows.tolist()))
        self._employ()

    def _employ(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=_grow, args=(weakref.ref(self),), name="palate-graph", daemon=True)
            self._thread.start()

    def near(self, units: F32, count: int) -> list[I32] | None:
        """Text rows among which nearly all of the ``count`` nearest are, for each of (q, dim) unit ``units``.

        None while it isn't built, is being changed or finds too little: search exactly then.
        """
        self._mine()
        if self._waiting:
            self._employ()
        if not self._sound or len(self._waiting) > _MOST_WAITING or not self._lock.acquire(blocking=False):
            return None
        try:
            with self._waiting_lock:
                late = np.fromiter(self._waiting, np.int32, len(self._waiting))
            return [np.union1d(self._search(unit, count), late).astype(np.int32) for unit in units]
        finally:
            self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Until every text is in the graph and it was checked; whether that came within ``timeout`` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def step(self) -> bool:
        """Put a few of the texts that wait into the graph, or check it once none wait; whether more is to be done."""
        with self._waiting_lock:
            rows = np.fromiter(islice(self._waiting, _STEP), np.int32)
        if not len(rows):
            if self._texts >= 2 * self._checked:
                self._check()
            return bool(self._waiting)  # what came during the check found this thread at work
        vectors = self._read(rows)
        keys = rows.astype(np.uint64)
        here = np.any(vectors != 0.0, axis=1)
        with self._lock:
            former = keys[self._index.contains(keys)]
            if len(former):
                self._index.remove(former)
            if here.any():
                self._index.add(keys[here], vectors[here], threads=1)
            with self._waiting_lock:
                # One that was put again meanwhile has another vector by now, perhaps: looking again tells.
                unchanged = np.array_equal(vectors, self._read(rows))
                for row in rows.tolist() if unchanged else ():
                    del self._waiting[row]
        return True

    def _search(self, unit: F32, count: int) -> I64:
        return self._index.search(unit, count + count // 2 + 16, threads=1).keys.astype(np.int64)

    def _check(self) -> None:
        """Choose the least effort that finds enough; where none does, the graph is left.

        Asked with texts of the catalogue, as a query would be, and with sums of three, as a person's taste would be,
        which lies farther from all texts and is harder.
        """
        self._sound = False
        texts, chance = self._texts, np.random.default_rng(self._texts)
        plain = self._read(chance.integers(0, texts, _PROBES).astype(np.int32))
        mixed = sum(self._read(chance.integers(0, texts, _PROBES).astype(np.int32)) for _ in range(3))
        probes = np.concatenate([plain, np.asarray(mixed, np.float32)])
        lengths = np.linalg.norm(probes, axis=1)
        probes = probes[lengths > 0.0] / lengths[lengths > 0.0, None]
        best, rows = np.full((len(probes), 0), 0.0, np.float32), np.zeros((len(probes), 0), np.int64)
        with threadpool_limits(1, "blas"):
            for start in range(0, texts, _BLOCK):
                some = np.arange(start, min(texts, start + _BLOCK), dtype=np.int32)
                best = np.hstack([best, probes @ self._read(some).T])
                rows = np.hstack([rows, np.broadcast_to(some.astype(np.int64), (len(probes), len(some)))])
                first = np.argsort(-best, axis=1, kind="stable")[:, :_NEAREST]
                best, rows = np.take_along_axis(best, first, 1), np.take_along_axis(rows, first, 1)
        recall = 0.0
        for effort in _EFFORTS:
            with self._lock:
                self._index.expansion_search = effort
                found = [self._search(probe, _NEAREST) for probe in probes]
            recall = float(np.mean([np.isin(want, got).mean() for want, got in zip(rows, found, strict=True)] or [1.0]))
            if recall >= SOUND:
                break
        self._checked, self._sound = texts, recall >= SOUND
        if not self._sound:
            _log.warning(
                "The graph of near texts found %.4f of the exact best hundred on this catalogue's vectors, less than "
                "%.2f: texts are searched exactly instead.", recall, SOUND,
            )  # fmt: skip

    def _mine(self) -> None:
        if self._process != os.getpid():  # the thread and what it held stayed with the parent
            self._begin()


def _grow(graph: weakref.ref[Graph]) -> None:
    """Work until nothing waits, or nobody needs the graph any more."""
    try:
        while (one := graph()) is not None and one.step():
            del one
    except Exception:  # the search is exact without it
        _log.exception("The graph of near texts can't be kept current.")
