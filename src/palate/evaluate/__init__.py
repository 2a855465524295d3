"""Judging rankings: the successive protocol, the baselines that always stand beside, intervals and a report.

``evaluate`` is the way in; ``palate.evaluate.report`` renders its result. A system that wants to be judged implements
``System``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from palate.config import Settings
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.result import Comparison, EvaluationResult, from_json, to_json
from palate.evaluate.stream import EventStream
from palate.types import F32, F64

__all__ = [
    "Comparison",
    "Estimate",
    "EvaluationResult",
    "EventStream",
    "Progress",
    "Query",
    "SeenMode",
    "System",
    "evaluate",
    "from_json",
    "to_json",
]

SeenMode = Literal["drop", "keep"]
Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``."""


@dataclass(frozen=True, slots=True)
class Query:
    """Rank the items ``0 .. size − 1`` for ``user`` just before the event at ``position``, at ``now`` (ms). With
    ``seen="drop"`` what the user had before is taken out of the ranking afterwards, whatever its score."""

    position: int
    user: int
    now: int
    size: int
    seen: SeenMode


class System(Protocol):
    """Something that ranks. It may look at the stream's events before the position it was fed to, and at no other."""

    name: str

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """Learn from the events before ``stop``; those from ``train`` on are for choosing hyper-parameters."""
        ...

    def feed(self, stop: int) -> None:
        """Learn the events up to ``stop`` (exclusive); called with growing positions."""
        ...

    def score(self, query: Query) -> F32 | F64:
        """(size,) scores, higher is better; equal scores are ties; NaN and −inf stand last, together."""
        ...

    def notes(self) -> dict[str, Any]:
        """What was chosen or capped, for the report."""
        ...

    def close(self) -> None:
        """Free what it holds; nothing is asked of it afterwards."""
        ...


def evaluate(
    source: object,
    *,
    seen: Sequence[SeenMode] = ("drop", "keep"),
    test: int | Literal["all"] = 2500,
    seed: int = 1,
    systems: Sequence[str | System] | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    k: int = 10,
) -> EvaluationResult:
    """Judge Palate and the baselines on ``source`` with the successive protocol.

    The last 10 % of the interactions by time are the test window, the 10 % before are for validation. For ``test``
    seeded test events (or all), in time order, each system ranks every item that exists at that moment, with all the
    events before; then it learns the event. Events between are learnt too.

    source: a data set of ``palate.datasets``, a frame, or events. seen: ``drop`` leaves out what the user had before
    (and doesn't score events whose item is among it), ``keep`` ranks everything. systems: names out of ``palate,
    random, popular, recent_popular, item_knn, ease``, or implementations; None means all of these. ``sasrec``, ``lstm``
    and ``ncf``, each a model by itself, stand beside them only where named, and need PyTorch. settings: Palate's.

    Errors: ``InvalidInput`` for a source that can't be read or split, an unknown system, or bad arguments;
    ``MissingExtra`` for a system that isn't installed.
    Cost: minutes; 1.5 M events and 92,000 items take a few minutes for the baselines on one core.
    """
    from palate.evaluate.protocol import run

    return run(
        source,
        seen=tuple(seen),
        test=test,
        seed=seed,
        systems=systems,
        progress=progress,
        settings=settings if settings is not None else Settings(),
        k=k,
    )
