"""What leader and follower have in common: an engine that counts in shared memory and speaks for all workers."""

from __future__ import annotations

from collections.abc import Callable

from palate.bandits.budget import Budget
from palate.config import Settings
from palate.engine import Engine
from palate.opening import Decisions, Parts
from palate.serve.workers.board import Board, Slot
from palate.store.shared_decisions import SharedDecisionLog
from palate.types import Counts, Ranking, RecommendRequest

_RANKINGS, _NON_FINITE, _DROPPED = "rankings", "non_finite", "decisions.dropped"


class Writers:
    """The processes that write decisions, as ``store.shared_decisions`` asks of them. writing, sealing: set once they
    can be."""

    def __init__(self, board: Board, slot: Slot) -> None:
        self._board = board
        self._slot = slot
        self.writing: Callable[[], object] | None = None
        self.sealing: Callable[[], object] | None = None

    def mine(self, segment: int) -> None:
        self._slot.segment = segment

    def segments(self) -> set[int]:
        return {slot.segment for slot in self._board.slots} - {0}

    def write_all(self) -> None:
        if self.writing is not None:
            self.writing()

    def seal_all(self) -> None:
        if self.sealing is not None:
            self.sealing()


class MemberDecisions(Decisions):
    """The decisions of all workers."""

    def __init__(self, kept: SharedDecisionLog, board: Board) -> None:
        super().__init__(kept)
        self._shared = kept
        self._board = board

    @property
    def dropped(self) -> int:
        """How many were answered, by any worker, and could not be kept."""
        return self._board.totals().get(_DROPPED, 0)

    @property
    def own_dropped(self) -> int:
        """How many this worker answered and could not keep."""
        return self._shared.dropped

    def flush_own(self) -> None:
        """Write what waits in this worker. Errors: ``Unavailable``."""
        self._shared.flush_own()

    def seal_own(self) -> None:
        """The same, and go on in another segment. Errors: ``Unavailable``."""
        self._shared.seal_own()


class Member(Engine):
    """The engine of one worker; ``parts`` and ``decisions`` are its own. The supervisor holds the directory's lock."""

    def __init__(self, parts: Parts, decisions: MemberDecisions, settings: Settings, board: Board, slot: Slot) -> None:
        self.board = board
        self.slot = slot
        self.decisions = decisions
        self._cells = [slot.cell(name) for name in (_RANKINGS, _NON_FINITE, _DROPPED)]
        self._before = [slot.cells[cell] for cell in self._cells]
        super().__init__(parts, settings)
        self.bandits.budget = Budget(settings.policy, settings.serve.workers)

    def answer(self, request: RecommendRequest, now: int | None = None) -> Ranking:
        """See ``Engine.answer``; the counters are the service's. About 0.5 µs more."""
        ranking = super().answer(request, now)
        cells, before = self._cells, self._before
        self.slot.cells[cells[0]] = before[0] + self.rankings
        self.slot.cells[cells[1]] = before[1] + self.non_finite
        self.slot.cells[cells[2]] = before[2] + self.decisions.own_dropped
        return ranking

    def counts(self) -> Counts:
        """Live counts; what is counted per process is summed over the workers."""
        counts, totals = super().counts(), self.board.totals()
        counts.rankings, counts.non_finite = totals.get(_RANKINGS, 0), totals.get(_NON_FINITE, 0)
        return counts

    @property
    def ready(self) -> bool:
        """Open, not closing, and so is every other worker."""
        return super().ready and self.board.ready
