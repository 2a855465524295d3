"""The gate on a simulated loop and a simulated clock: who is refused, when, and what those wait who aren't."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from palate.errors import Overloaded
from palate.serve.gate import CROWD, STANDING, Gate

WORK, REFUSAL = 0.0013, 0.0001
"""Seconds that a ranking takes, and a refusal."""
CAPACITY = 1 / WORK


@dataclass
class Loop:
    """An event loop of one core: a turn answers, one after the other, what came during the one before."""

    now: float = 0.0
    waits: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    refused: list[float] = field(default_factory=list[float])
    soon: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    def __post_init__(self) -> None:
        self.gate = Gate(lambda: self.now, self.soon.append)

    def run(self, arrivals: list[float], work: float = WORK) -> None:
        """Answer requests that come at these moments."""
        coming = sorted(arrivals)
        at = 0
        while at < len(coming):
            self.now = begun = max(self.now, coming[at])
            while at < len(coming) and coming[at] <= begun:
                self.one(coming[at], work)
                at += 1
            for callback in self.soon:
                callback()
            self.soon.clear()

    def one(self, came: float, work: float) -> None:
        try:
            self.gate.enter()
        except Overloaded:
            self.now += REFUSAL
            self.refused.append(self.now)
        else:
            self.now += work
            self.waits.append((came, self.now - came))

    def p99(self, after: float = 0.0) -> float:
        return float(np.quantile([wait for came, wait in self.waits if came >= after], 0.99))


def poisson(per_s: float, begin: float, seconds: float, seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    count = rng.poisson(per_s * seconds)
    return (begin + np.sort(rng.random(count)) * seconds).tolist()


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_nobody_is_refused_below_capacity(load: float) -> None:
    loop = Loop()
    loop.run(poisson(load * CAPACITY, 0, 30))
    assert loop.refused == []


def test_a_burst_is_no_overload() -> None:
    loop = Loop()
    for second in range(5):
        loop.run([float(second)] * 300)  # 0.39 seconds of work at once
    assert loop.refused == []


@pytest.mark.parametrize("work", [WORK, 0.02, 0.2])
def test_clients_that_wait_for_their_answers_are_never_refused(work: float) -> None:
    loop = Loop()
    for _ in range(300):
        loop.run([loop.now] * CROWD, work)
    assert loop.refused == []


def test_at_five_times_what_can_be_answered_those_that_are_taken_wait_little() -> None:
    calm, loop = Loop(), Loop()
    calm.run(poisson(0.5 * CAPACITY, 0, 20))
    loop.run(poisson(5 * CAPACITY, 0, 20))
    begun = loop.refused[0]
    assert STANDING < begun < 3 * STANDING
    assert loop.p99(after=1.5) <= 2 * calm.p99()
    answered = sum(came > 1.5 for came, _ in loop.waits) / 18.5
    assert answered > 0.5 * CAPACITY, "refusing costs little of what could be answered"


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_it_ends_when_fewer_come(load: float) -> None:
    loop = Loop()
    loop.run(poisson(5 * CAPACITY, 0, 5))
    assert loop.gate.requests.refusing
    loop.run(poisson(load * CAPACITY, loop.now, 10))
    assert not loop.gate.requests.refusing
    assert max(loop.refused) < 5 + 5


def test_it_stays_while_a_little_more_come_than_can_be_answered() -> None:
    loop = Loop()
    loop.run(poisson(1.5 * CAPACITY, 0, 30))
    assert loop.p99(after=3) < 0.05


# ------------------------------------------------------------------------------- events


@dataclass
class Log:
    """A log that stores posts of events one after the other, ``each`` seconds for one."""

    each: float = 0.002
    now: float = 0.0
    refused: int = 0
    waits: list[float] = field(default_factory=list[float])

    def __post_init__(self) -> None:
        self.gate = Gate(lambda: self.now)

    def run(self, arrivals: list[float]) -> None:
        waiting: list[tuple[float, float]] = []  # when each will be stored, and since when it waits
        free = 0.0
        for came in arrivals:
            while waiting and waiting[0][0] <= came:
                self.store(*waiting.pop(0))
            self.now = came
            try:
                self.gate.enter_events()
            except Overloaded:
                self.refused += 1
                continue
            free = max(free, came) + self.each
            waiting.append((free, self.gate.wait()))
        for one in waiting:
            self.store(*one)

    def store(self, when: float, since: float) -> None:
        self.now = when
        self.gate.done(since)
        self.waits.append(when - since)


def test_events_are_refused_only_while_more_come_than_can_be_stored() -> None:
    log = Log()
    log.run(poisson(0.8 / log.each, 0, 20))
    assert log.refused == 0
    log.run(poisson(5 / log.each, log.now, 20))
    late = log.waits[-int(10 / log.each) :]
    assert log.refused > 0
    assert np.quantile(late, 0.99) < 0.05
    refused = log.refused
    log.run(poisson(0.8 / log.each, log.now, 10))
    assert log.refused - refused < 0.2 * 10 / log.each
    refused = log.refused
    log.run(poisson(0.8 / log.each, log.now, 10))
    assert log.refused == refused


def test_few_that_import_much_are_never_refused() -> None:
    log = Log(each=2.0)
    for _ in range(20):
        log.run([log.now] * CROWD)
    assert log.refused == 0
