"""When not to ask: a circuit breaker (Nygard 2007) and a budget of tokens. Both are safe for several threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_RECENT = 20
_DAY = 86_400.0


class Breaker:
    """Opens after ``failures`` in a row, or when ten or more of the last twenty failed; after ``rest`` seconds one
    question is let through, whose outcome closes or opens it again.

    clock: seconds, monotonic.
    """

    def __init__(self, failures: int, rest: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[bool] = deque(maxlen=_RECENT)
        self._row = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether a question would be turned away now."""
        with self._lock:
            return self._opened is not None and (self._probing or self._clock() - self._opened < self._rest)

    def admit(self) -> bool:
        """Whether this question may be asked. Whoever gets True must say ``succeeded``, ``failed`` or ``spared``."""
        with self._lock:
            if self._opened is None:
                return True
            if self._probing or self._clock() - self._opened < self._rest:
                return False
            self._probing = True
            return True

    def succeeded(self) -> None:
        """It answered."""
        with self._lock:
            if self._opened is not None and not self._probing:
                return  # asked before it opened: says nothing about now
            self._recent.append(True)
            self._row = 0
            if self._probing:
                self._recent.clear()
            self._opened, self._probing = None, False

    def failed(self) -> None:
        """It hung, failed or talked nonsense."""
        with self._lock:
            self._recent.append(False)
            self._row += 1
            bad = self._recent.count(False)
            if self._probing or self._row >= self._failures or bad >= _RECENT // 2:
                self._opened, self._probing = self._clock(), False

    def spared(self) -> None:
        """The question was never put after all."""
        with self._lock:
            self._probing = False


class Budget:
    """Tokens a day, which come back evenly over the day. a_day: 0 for no bound."""

    def __init__(self, a_day: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_day = a_day
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(a_day)
        self._at = clock()

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        if not self._a_day:
            return False
        with self._lock:
            now = self._clock()
            self._left = min(self._a_day, self._left + (now - self._at) * self._a_day / _DAY)
            self._at = now
            return self._left < 1.0

    def spend(self, tokens: int) -> None:
        """They were used. What questions at one time use beyond the budget is owed."""
        with self._lock:
            self._left -= tokens
