"""What every section shares: the plan of a run, figures, requests as bytes, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from palate.bench import world
from palate.bench.load import Run, post
from palate.bench.worlds import Size
from palate.errors import PalateError
from palate.types import F64, RankRequest

Figures = dict[str, Any]
"""By name, in the unit of the name: ``_us``, ``_ms``, ``_s``, ``_per_s``, ``_bytes``, ``_mb``; else a number."""
Say = Callable[[str, int, int], None]
encode = msgspec.json.Encoder().encode
WARM = 300
CANDIDATES = 100


@dataclass(frozen=True)
class Plan:
    """How large and how long a run is. seconds: of one run at one rate; recommends: requests of one catalogue; busy:
    people with a hundred events whose memory is counted; batches: of events, that are made before they are sent."""

    base: Size
    requests: int
    rates: tuple[float, ...]
    seconds: float
    rounds: int
    catalogues: tuple[int, ...]
    people: tuple[int, ...]
    recommends: int
    busy: int
    batches: int = 1_000

    @property
    def rate(self) -> float:
        """The rate, rankings a second, that latency is reported at."""
        return self.rates[-1]


def plan(
    items: int | None = None,
    users: int | None = None,
    requests: int | None = None,
    rate: float | None = None,
    quick: bool = False,
) -> Plan:
    """The plan of a full run or of a quick one, sizes as given where they are given."""
    if quick:
        base = Size(items or 1_000, users or 100, trees=20)
        top = rate or 100.0
        people = (base.users, 2 * base.users)
        return Plan(base, requests or 300, (top / 2, top), 0.5, 1, (1_000, 2 * base.items), people, 60, 100, 20)
    base = Size(items or 100_000, users or 10_000)
    top = rate or 1_000.0
    people = (base.users, 10 * base.users, 100 * base.users)
    catalogues = (1_000, base.items, 10 * base.items)
    return Plan(base, requests or 9_000, (top / 4, top / 2, top), 4.0, 3, catalogues, people, 600, 2_000)


class Bar:
    """How far a section is, in requests of all its runs."""

    def __init__(self, say: Say, name: str, total: int) -> None:
        self._say, self._name, self._total, self._done = say, name, total, 0
        say(name, 0, total)

    def tick(self, done: int) -> None:
        """``done`` requests of this run."""
        self._say(self._name, min(self._done + done, self._total - 1), self._total)

    def ran(self, count: int) -> None:
        """A run of ``count`` requests has ended."""
        self._done += count
        self.tick(0)

    def end(self) -> None:
        """The section has ended."""
        self._say(self._name, self._total, self._total)


def whole(run: Run, what: str) -> Run:
    """The run, if every request was answered with 200. Errors: ``PalateError``."""
    if run.bad:
        raise PalateError(f"{run.bad} of {run.count} requests of the benchmark {what!r} were not answered with 200.")
    return run


def rankings(size: Size, count: int, seed: int = 1) -> list[bytes]:
    """``count`` requests to rank, as bytes of HTTP/1.1."""
    found = world.requests(size.items, size.users, count, CANDIDATES, seed, size.most)
    return [post("/v1/rank", _plain(one)) for one in found]


def _plain(request: RankRequest) -> bytes:
    return encode({"user": request.user, "items": request.items, "k": request.k})


def clicks(size: Size, count: int, stamp: str) -> list[dict[str, Any]]:
    """``count`` interactions of random people with random items; ``stamp`` makes their ids new."""
    rng = np.random.default_rng(3)
    users, items = rng.integers(0, size.users, count), rng.integers(0, size.items, count)
    return [
        {"event": "interaction", "id": f"{stamp}-{n}", "user": f"user-{user}", "item": f"item-{item}"}
        for n, (user, item) in enumerate(zip(users.tolist(), items.tolist(), strict=True))
    ]


def middle(values: Sequence[float] | F64) -> float:
    """The median: one run that a neighbour disturbed doesn't move it."""
    return float(np.median(values))
