"""Decisions become training examples: groups of candidates, one or more of them chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from palate.features import NAMES, OWN
from palate.kernels import kernel
from palate.line import context_columns
from palate.store.decision import Decision
from palate.types import F32, F64, I64, FieldValue

CONTEXT_FIELDS = 8


@dataclass(slots=True)
class Examples:
    """x: one (m, f) matrix a group, chosen: which of its rows were. missed: groups whose choice was no candidate.

    positions: the group's (m,) places in the answer, from 1, 0 for what wasn't shown; None where nothing was shown to
    anybody, as in a replay. Shorter than ``x`` where the rest are None.
    weights: what each group counts for in learning; judged, all count alike. Shorter than ``x`` where the rest are 1.
    """

    x: list[F32] = field(default_factory=list[F32])
    chosen: list[I64] = field(default_factory=list[I64])
    missed: int = 0
    positions: list[I64 | None] = field(default_factory=list["I64 | None"])
    weights: list[float] = field(default_factory=list[float])

    def add(self, decision: Decision, context: tuple[str, ...]) -> None:
        """One logged decision's candidates; a choice that was no candidate counts as missed."""
        parts = [decision.shown.matrix()]
        ids = list(decision.shown.ids)
        if decision.unshown is not None and decision.unshown.ids:
            parts.append(decision.unshown.matrix())
            ids += decision.unshown.ids
        clicked = set(decision.clicked)
        chosen = np.array([place for place, name in enumerate(ids) if name in clicked], np.int64)
        if not len(chosen) or len(ids) < 2:
            self.missed += 1
            return
        x = np.concatenate([part[:, : len(NAMES)] for part in parts if part.size])
        positions = None
        if decision.source == "live":
            positions = np.zeros(len(ids), np.int64)
            positions[: len(decision.shown.ids)] = decision.shown.positions
        self.add_rows(x, chosen, context, decision.request.context if decision.request else {}, positions)

    def add_rows(
        self,
        x: F32,
        chosen: I64,
        context: tuple[str, ...] = (),
        fields: dict[str, FieldValue] | None = None,
        positions: I64 | None = None,
        weight: float = 1.0,
    ) -> None:
        """A group as rows (m, f) and which were ``chosen``; one without a choice, or with one row, counts as missed."""
        if not len(chosen) or len(x) < 2:
            self.missed += 1
            return
        if np.any(x[:, OWN]):  # nothing of them is learnt
            x = x.copy()
            x[:, OWN] = 0.0
        if context:
            x = np.concatenate([x, context_columns(context, fields or {}, len(x))], axis=1)
        self.positions += [None] * (len(self.x) - len(self.positions)) + [positions]
        self.weights += [1.0] * (len(self.x) - len(self.weights)) + [weight]
        self.x.append(x)
        self.chosen.append(chosen)

    def placed(self, group: int) -> I64 | None:
        """The positions of a group, None where nothing was shown."""
        return self.positions[group] if group < len(self.positions) else None

    def weight(self, group: int) -> float:
        """What a group counts for in learning."""
        return self.weights[group] if group < len(self.weights) else 1.0

    def worth(self) -> F64:
        """(g,) what every group counts for in learning."""
        return np.array([self.weight(group) for group in range(len(self.x))], np.float64)

    def joined(self, *others: Examples) -> Examples:
        """The groups of all of them, in order; missed ones are not counted."""
        every = (self, *others)
        return Examples(
            [x for one in every for x in one.x],
            [chosen for one in every for chosen in one.chosen],
            positions=[one.placed(n) for one in every for n in range(len(one))],
            weights=[one.weight(n) for one in every for n in range(len(one))],
        )

    def taken(self, groups: Sequence[int]) -> Examples:
        """Some of the groups; missed ones are not counted."""
        return Examples(
            [self.x[n] for n in groups],
            [self.chosen[n] for n in groups],
            positions=[self.placed(n) for n in groups],
            weights=[self.weight(n) for n in groups],
        )

    def offsets(self, examination: F64) -> F64:
        """(n,) log of the examination (p,) that each row's position had, 0 in groups where nothing was shown.

        examination[0] is of what wasn't shown, examination[-1] of every position from there on.
        """
        last = len(examination) - 1
        logs = np.log(examination)
        parts = [
            np.zeros(len(x)) if positions is None else logs[np.minimum(positions, last)]
            for x, positions in zip(self.x, map(self.placed, range(len(self.x))), strict=True)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def __len__(self) -> int:
        return len(self.x)

    def stacked(self) -> tuple[F32, I64, I64]:
        """All rows (n, f), labels (n,) 0 or 1, group sizes (g,)."""
        sizes = np.array([len(x) for x in self.x], np.int64)
        labels = np.zeros(int(sizes.sum()), np.int64)
        starts = np.cumsum(sizes) - sizes
        for start, chosen in zip(starts.tolist(), self.chosen, strict=True):
            labels[start + chosen] = 1
        return np.concatenate(self.x), labels, sizes


def context_fields(decisions: Iterable[Decision]) -> tuple[str, ...]:
    """``context.*`` columns worth having: the fields that at least 50 live decisions named, most frequent first."""
    counts: dict[str, int] = {}
    for decision in decisions:
        for name in decision.request.context if decision.request else {}:
            if name not in ("hour", "weekday"):
                counts[name] = counts.get(name, 0) + 1
    common = sorted((name for name, n in counts.items() if n >= 50), key=lambda name: (-counts[name], name))
    return tuple(f"context.{name}" for name in common[:CONTEXT_FIELDS])


def ndcg_at_10(scores: list[F64], examples: Examples) -> float:
    """Mean NDCG@10 of the first choice of every group, ties at mid-rank; a missed group counts 0.

    One relevant item a group: NDCG = 1 / log2(1 + rank) for rank ≤ 10 (Järvelin, Kekäläinen 2002).
    """
    gains = gains_at_10(np.concatenate(scores) if scores else np.zeros(0), examples)
    total, count = float(gains.sum()), len(examples) + examples.missed
    return total / count if count else 0.0


def gains_at_10(scores: F64, examples: Examples) -> F64:
    """(g,) NDCG@10 of every group's first choice. scores: (n,) of all rows, group after group."""
    sizes = np.array([len(x) for x in examples.x], np.int64)
    starts = np.cumsum(sizes) - sizes
    first = starts + np.array([chosen[0] for chosen in examples.chosen], np.int64)
    out = np.zeros(len(sizes))
    if len(sizes):
        _gains(scores, starts, sizes, first, out)
    return out


@kernel
def _gains(scores: F64, starts: I64, sizes: I64, first: I64, out: F64) -> None:
    for n in range(len(starts)):
        value = scores[first[n]]
        above, same = 0, 0
        for row in range(starts[n], starts[n] + sizes[n]):
            above += scores[row] > value
            same += scores[row] == value
        rank = 1.0 + above + 0.5 * (same - 1)
        out[n] = 1.0 / np.log2(1.0 + rank) if rank <= 10 else 0.0
