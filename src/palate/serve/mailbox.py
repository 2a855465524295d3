"""Outcomes that another thread brings to the event loop, which is woken once for as many as there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Of one event loop. A group commit settles all its requests at once: one wake-up serves them, where a future for
    each would take one each."""

    def __init__(self) -> None:
        self._arrived: deque[tuple[asyncio.Future[T], T | BaseException]] = deque()
        self._woken = False

    async def outcome(self, begin: Callable[[Callable[[T | BaseException], None]], None]) -> T:
        """Wait for what ``begin`` starts and some thread will hand over. Errors: those of ``begin``, and the one that
        is handed over. Cancelling the wait cancels nothing else."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()

        def arrive(outcome: T | BaseException) -> None:
            self._arrived.append((waiter, outcome))
            if not self._woken:
                self._woken = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._deliver)

        begin(arrive)
        return await waiter

    def _deliver(self) -> None:
        self._woken = False  # before the first is taken: whoever comes later than the last wakes the loop again
        while self._arrived:
            waiter, outcome = self._arrived.popleft()
            if waiter.done():
                continue
            if isinstance(outcome, BaseException):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)
