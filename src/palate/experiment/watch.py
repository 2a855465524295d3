"""Looking after the guardrails of running experiments, in a thread that lives while there are any.

A look reads both logs, as a report does; the thread rests for fifty times as long as that took, and a minute at the
least: two hundredths of a core at the most. One may look that often because verdicts hold at all times together.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from palate.errors import Conflict, NotFound
from palate.experiment.report import ExperimentReport
from palate.experiment.shelf import ExperimentShelf

_log = logging.getLogger("palate")
REST = 60.0
_TIMES = 50.0


class Watch:
    """Of one directory. ``wake`` costs nothing where no running experiment has a guardrail."""

    def __init__(
        self, shelf: ExperimentShelf, report: Callable[[str], ExperimentReport], stop: Callable[[str, str], object]
    ) -> None:
        """report: how an experiment stands now; stop: ends it, with the guardrail that wants it."""
        self._shelf, self._report, self._stop = shelf, report, stop
        self._said: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """An experiment may have begun."""
        with self._lock:
            alive = self._thread is not None and self._thread.is_alive()
            if self._guarded() and not alive and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="palate-guardrails", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the thread, after the look in hand."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> list[str]:
        """Judge every running experiment with guardrails, stop those that one wants to end; returns their names."""
        ended: list[str] = []
        for name in self._guarded():
            found = self._report(name)
            for one in found.guardrails:
                if one.verdict != "broken":
                    continue
                if (name, one.metric, one.arm) not in self._said:
                    self._said.add((name, one.metric, one.arm))
                    change = "" if one.value is None else f" ({one.value:+.1%})"
                    _log.error("Experiment %s: arm %s breaks the guardrail %s%s.", name, one.arm, one.metric, change)
                if one.stop:
                    self._stop(name, f"{one.metric}, arm {one.arm}")
                    ended.append(name)
                    break
        return ended

    def _guarded(self) -> list[str]:
        return [one.name for one in self._shelf.list() if one.running and one.guardrails]

    def _run(self) -> None:
        rest = REST
        while not self._closing.wait(rest):
            with self._lock:
                if not self._guarded():
                    self._thread = None
                    return
            began = time.monotonic()
            try:
                self.look()
            except (NotFound, Conflict):  # somebody has ended it meanwhile
                pass
            except Exception as error:  # whatever it is, the next look may do better; nobody else looks
                _log.error("The guardrails of experiments can't be judged now: %s", error)
            rest = max(REST, _TIMES * (time.monotonic() - began))
