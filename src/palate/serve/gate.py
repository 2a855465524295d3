"""Refusing at once what couldn't be answered in time, so that what is taken is answered fast.

Without it every request that comes is answered in the end: when more come than can be, each waits behind all others,
for seconds and then for minutes. A crowd that comes once is no overload and is served; one that stands for ``STANDING``
seconds is, and from then on a request is refused with 429 where it would wait for more than a few others. That ends
once what comes could all be answered. Up to ``CROWD`` clients, each waiting for its answer before it asks again, are
never refused.

The idea of telling a standing queue from a burst is CoDel's (Nichols and Jacobson 2012, doi:10.1145/2209249.2209264).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import perf_counter

from palate.errors import Overloaded

_log = logging.getLogger("palate.serve")

CROWD = 32
"""Requests at a time that may wait for each other however long it takes."""
STANDING = 0.5
"""Seconds for which there must always have been a long queue before it counts as one that stands."""
_LONG_TURN, _SHORT_TURN, _FEW = 0.05, 0.002, 2
"""Seconds of a turn that is long; those before a ranking may begin once others are refused, or so many rankings."""
_IDLE = 0.01
"""Seconds without a ranking after which nothing can have waited for one."""
_LONG_WAIT, _SHORT_WAIT = 0.1, 0.02
"""The same of events that wait for the log."""
_WINDOW = 1.0


class Watch:
    """Tells a queue that stands from one that comes and goes, and refuses while it does.

    what: of what there is a queue, for people. pace: how many a second were answered while it stood, the most that can
    be; 0 before one ever did.
    """

    def __init__(self, what: str, clock: Callable[[], float]) -> None:
        self.refusing = False
        self.pace = 0.0
        self._what = what
        self._clock = clock
        self._short = clock()  # when the queue last was short
        self._answered = 0  # since then
        self._since = 0.0  # when the window began in which these are counted
        self._came = self._refused = 0

    def check(self, wait: float, most: float) -> None:
        """One came, would wait for ``wait`` seconds, and may for ``most``. Errors: ``Overloaded``."""
        if not self.refusing:
            return
        self._came += 1
        now = self._clock()
        seconds = now - self._since
        if seconds > _WINDOW:
            self.refusing = self._came > 0.9 * self.pace * seconds and 10 * self._refused > self._came
            self._since, self._came, self._refused, self._short, self._answered = now, 0, 0, now, 0
        if self.refusing and wait > most:
            self._refused += 1
            raise Overloaded(f"More {self._what} come than can be answered: send this one again in a while.", 1.0)

    def seen(self, long: bool, answered: int) -> None:
        """The queue is long now, or it isn't; so many were answered since this was last said."""
        now = self._clock()
        if not long:
            self._short, self._answered = now, 0
            return
        self._answered += answered
        if not self.refusing and now - self._short > STANDING:
            _log.warning("More %s come than can be answered: some are refused with 429 until fewer do.", self._what)
            self.refusing = True
            self.pace = self._answered / (now - self._short)
            self._since, self._came, self._refused = now, 0, 0


class Gate:
    """Belongs to one event loop. Cost: a microsecond a request."""

    def __init__(
        self,
        clock: Callable[[], float] = perf_counter,
        soon: Callable[[Callable[[], None]], object] = lambda work: asyncio.get_running_loop().call_soon(work),
    ) -> None:
        self.requests = Watch("requests", clock)
        self.events = Watch("events", clock)
        self._clock = clock
        self._soon = soon
        self._turn = self._ended = clock()
        self._count = self._posts = 0

    # ---------------------------------------------------------------------- what the loop itself does

    def enter(self) -> None:
        """A ranking begins in this turn of the loop. Errors: ``Overloaded``.

        A turn answers everything that came during the one before, so that its length is what a request waits.
        """
        now = self._clock()
        if not self._count:
            if now - self._ended > _IDLE:
                self.requests.seen(False, 0)
            self._turn = now
            self._soon(self._turned)
        self._count += 1
        if self.requests.refusing:
            self.requests.check(now - self._turn, max(_SHORT_TURN, _FEW / self.requests.pace))

    def _turned(self) -> None:
        self._ended = self._clock()
        self.requests.seen(self._count > CROWD and self._ended - self._turn > _LONG_TURN, self._count)
        self._count = 0

    # -------------------------------------------------------------------------- what the loop waits for

    def enter_events(self) -> None:
        """A post of events came, not read yet. Errors: ``Overloaded``."""
        if self.events.refusing:
            self.events.check(self._posts / self.events.pace, _SHORT_WAIT)

    def wait(self) -> float:
        """A post goes to the log; ``done`` takes what this returns, when it is there."""
        self._posts += 1
        return self._clock()

    def done(self, since: float) -> None:
        """The post that began to wait at ``since`` doesn't any more."""
        self.events.seen(self._posts > CROWD and self._clock() - since > _LONG_WAIT, 1)
        self._posts -= 1
