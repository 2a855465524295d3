"""What has changed lately, for those who keep something derived of it."""

from __future__ import annotations

from collections.abc import Sequence

KEPT = 4096
"""Changes remembered."""


class Recent:
    """The rows that changed, in order; the older ones are forgotten. Positions begin anew with the process."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._first = 0

    def add(self, rows: Sequence[int], more: int = 0) -> None:
        """``more`` changes that nobody need know of, and then ``rows``."""
        self._rows += rows
        if len(self._rows) > KEPT or more:
            self._first += more + len(self._rows)
            self._rows = []

    def since(self, at: int) -> tuple[set[int] | None, int]:
        """Rows that changed since position ``at``, and the position now; None where that is forgotten.

        −1 is a position that was always forgotten.
        """
        now = self._first + len(self._rows)
        return (set(self._rows[at - self._first :]) if self._first <= at <= now else None), now
