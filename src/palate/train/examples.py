"""Decisions become training examples: groups of candidates, one or more of them chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from palate.features import NAMES, OWN
from palate.line import context_columns
from palate.store.decision import Decision
from palate.types import F32, F64, I64

CONTEXT_FIELDS = 8


@dataclass(slots=True)
class Examples:
    """x: one (m, f) matrix a group, chosen: which of its rows were. missed: groups whose choice was no candidate."""

    x: list[F32] = field(default_factory=list[F32])
    chosen: list[I64] = field(default_factory=list[I64])
    missed: int = 0

    def add(self, decision: Decision, context: tuple[str, ...]) -> None:
        """One decision's candidates; a choice that was no candidate counts as missed."""
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
        x[:, OWN] = 0.0
        if context:
            fields = decision.request.context if decision.request else {}
            x = np.concatenate([x, context_columns(context, fields, len(x))], axis=1)
        self.x.append(x)
        self.chosen.append(chosen)

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
    total = 0.0
    for score, chosen in zip(scores, examples.chosen, strict=True):
        value = score[chosen[0]]
        rank = 1.0 + np.count_nonzero(score > value) + 0.5 * (np.count_nonzero(score == value) - 1)
        total += 1.0 / np.log2(1.0 + rank) if rank <= 10 else 0.0
    count = len(examples) + examples.missed
    return float(total / count) if count else 0.0
