"""What every peer speaks: it learns from a log up to a moment, then scores items for histories up to later moments.

Runs in a peer's own environment, so it needs nothing but NumPy and never imports Palate. A peer's script gives
``serve`` a function that makes it; ``serve`` reads ``request.json`` and ``asked.npz`` from the folder in argv[1] and
``events.npz`` from the one in argv[2], and writes ``scores.f32`` and ``costs.json`` into the first. A peer is only
ever handed what lies before the moment it is asked about. Progress goes to stdout, a line of JSON each.
``exchange.py`` says what the files hold.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
CHUNK = 256


@dataclass(frozen=True)
class Log:
    """Events in their order. users, items: (n,) codes; times: (n,) ms; weights: (n,) above 0. n_users, n_items: how
    many there are, of items those that exist at the end of the log (codes count in the order in which items appear).
    words: for each of all items the codes of the words and tags that describe it, ``n_words`` in all; only rows of
    items that exist may be looked at."""

    users: Array
    items: Array
    times: Array
    weights: Array
    n_users: int
    n_items: int
    words: list[Array]
    n_words: int

    def pairs(self) -> tuple[Array, Array, Array]:
        """(users, items, weights) of the distinct pairs, weights added up."""
        keys, place = np.unique(self.users.astype(np.int64) * self.n_items + self.items, return_inverse=True)
        total = np.bincount(place, self.weights, len(keys)).astype(np.float32)
        return (keys // self.n_items).astype(np.int32), (keys % self.n_items).astype(np.int32), total


@dataclass(frozen=True)
class History:
    """One person's events before the moment asked about, oldest first."""

    items: Array
    times: Array
    weights: Array

    def latest(self, limit: int) -> Array:
        """At most ``limit`` distinct items, latest first."""
        _, first = np.unique(self.items[::-1], return_index=True)
        return self.items[::-1][np.sort(first)][:limit]


@dataclass(frozen=True)
class Asked:
    """b rankings. users, now (ms), sizes (the items that exist then: codes below it): (b,); histories: b."""

    users: Array
    now: Array
    sizes: Array
    histories: list[History]


class Peer(Protocol):
    """A library's model as its authors mean it to be used."""

    def fit(self, log: Log) -> None:
        """Learn anew from the whole log."""
        ...

    def score(self, asked: Asked, reading: dict[str, Any]) -> Array:
        """(b, n) scores of the first n items, any n; items beyond it, NaN and −inf stand last, together."""
        ...


def serve(make: Callable[[dict[str, Any], int, int], Peer]) -> None:
    """Answer the request in the folder argv[1]. ``make(settings, seed, threads)`` gives a peer."""
    folder, data = Path(sys.argv[1]), Path(sys.argv[2])
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    with np.load(data / "events.npz") as file:
        events = {name: file[name] for name in file.files}
    with np.load(folder / "asked.npz") as file:
        asked = {name: file[name] for name in file.files}
    words = np.split(events["words"], events["word_starts"][1:-1])
    order = np.argsort(events["users"], kind="stable")
    starts = np.searchsorted(events["users"][order], np.arange(int(events["n_users"]) + 1))

    def history(user: int, until: int) -> History:
        own = order[starts[user] : starts[user + 1]]
        own = own[: np.searchsorted(own, until)]
        return History(events["items"][own], events["times"][own], events["weights"][own])

    count = len(asked["users"])
    width = int(asked["sizes"].max(initial=1))
    peer = make(request["settings"], int(request["seed"]), int(request["threads"]))
    fit_seconds: list[float] = []
    score_seconds, done = 0.0, 0
    with (folder / "scores.f32").open("wb") as out:
        for number, (stop, size) in enumerate(zip(asked["fits"].tolist(), asked["fit_sizes"].tolist(), strict=True)):
            _tell("learning", number, len(asked["fits"]))
            log = Log(
                *(events[name][:stop] for name in ("users", "items", "times", "weights")),
                int(events["n_users"]), size, words, int(events["n_words"]),
            )  # fmt: skip
            began = time.perf_counter()
            peer.fit(log)
            fit_seconds.append(time.perf_counter() - began)
            for place, reading in enumerate(request["readings"]):
                rows = np.flatnonzero((asked["fit"] == number) & (asked["reading"] == place))
                for start in range(0, len(rows), CHUNK):
                    part = rows[start : start + CHUNK]
                    if part[0] != done:
                        raise ValueError("The rankings asked for must be sorted by fit, then by reading.")
                    users, until = asked["users"][part], asked["until"][part]
                    histories = [history(u, p) for u, p in zip(users.tolist(), until.tolist(), strict=True)]
                    began = time.perf_counter()
                    found = peer.score(Asked(users, asked["now"][part], asked["sizes"][part], histories), reading)
                    score_seconds += time.perf_counter() - began
                    block = np.full((len(part), width), -np.inf, dtype=np.float32)
                    block[:, : min(width, found.shape[1])] = found[:, :width]
                    out.write(block.tobytes())
                    done += len(part)
                    _tell("scoring", done, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    costs = {"fit_seconds": fit_seconds, "score_seconds": score_seconds, "peak_mb": peak}
    (folder / "costs.json").write_text(json.dumps(costs), encoding="utf-8")


def by_history(items: Array, asked: Asked, decay: float, limit: int = 50) -> Array:
    """(b, n) scores by the cosine to the items of each history, the latest first, each weighted by decay^age.

    items: (n, d) vectors; those of zeros are like nothing. It is what libraries of factors offer as similar items.
    """
    length = np.linalg.norm(items, axis=1, keepdims=True)
    unit = items / np.where(length > 0, length, 1)
    people = np.zeros((len(asked.users), items.shape[1]), dtype=np.float32)
    for row, own in enumerate(asked.histories):
        recent = own.latest(limit)
        recent = recent[recent < len(items)]
        people[row] = (decay ** np.arange(len(recent))) @ unit[recent]
    return people @ unit.T


def _tell(stage: str, done: int, total: int) -> None:
    sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")
    sys.stdout.flush()
