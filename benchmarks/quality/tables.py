"""From ranks to tables: the mean over events of each system, with an interval over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.quality.found import Found
from palate.evaluate.bootstrap import Estimate, by_user, paired
from palate.evaluate.metrics import by_rank
from palate.evaluate.protocol import Plan
from palate.types import F64, I64, Bools

SHOWN = ("ndcg", "hit_rate", "mrr")


@dataclass(frozen=True)
class Line:
    """A system in one table. cold: NDCG on cold items; spread: the standard deviation of NDCG between seeds, None of
    one seed; ahead: Palate's NDCG less this one's, paired by event; failed: why there is nothing of the rest;
    cold_ahead: as ahead, on cold items."""

    name: str
    label: str
    ndcg: Estimate
    hit_rate: Estimate
    mrr: Estimate
    cold: Estimate
    spread: float | None
    ahead: Estimate | None
    start_seconds: float
    test_seconds: float
    peak_mb: float
    failed: str = ""
    cold_ahead: Estimate | None = None


def lines(systems: Sequence[Sequence[Found]], plan: Plan, users: I64, mode: str, frozen: bool, k: int) -> list[Line]:
    """A line for each system, in their order. systems: of each the runs with its seeds; users: (e,) of the plan.

    With several seeds an event's value is the mean over them, and so are seconds; memory is the most of any.
    """
    main, cold = plan.main[mode], plan.scored[mode] & plan.cold_item
    palate: F64 | None = None
    palate_cold = np.zeros(0)
    for runs in systems:
        if runs[0].name == "palate" and not failed(runs):
            palate = _mean(runs, mode, frozen, k, main)["ndcg"]
            palate_cold = _mean(runs, mode, frozen, k, cold)["ndcg"]
    found: list[Line] = []
    for runs in systems:
        reason = failed(runs)
        if reason:
            none = Estimate(None)
            found.append(Line(runs[0].name, runs[0].label, none, none, none, none, None, None, 0, 0, 0, reason))
            continue
        values = _mean(runs, mode, frozen, k, main)
        shown = by_user(np.stack([values[name] for name in SHOWN], axis=1), users[main])
        seeds = [float(_mean([run], mode, frozen, k, main)["ndcg"].mean()) for run in runs]
        rare = _mean(runs, mode, frozen, k, cold)["ndcg"]
        ours = palate is not None and runs[0].name != "palate"
        found.append(
            Line(
                runs[0].name, runs[0].label, *shown, by_user(rare[:, None], users[cold])[0],
                float(np.std(seeds, ddof=1)) if len(seeds) > 1 else None,
                paired(palate, values["ndcg"], users[main]) if ours and palate is not None else None,
                float(np.mean([run.start_seconds for run in runs])),
                float(np.mean([run.test_seconds for run in runs])),
                max(run.peak_mb for run in runs),
                cold_ahead=paired(palate_cold, rare, users[cold]) if ours else None,
            )
        )  # fmt: skip
    return found


def failed(runs: Sequence[Found]) -> str:
    """Why one of them failed; empty where none did."""
    return next((run.failed for run in runs if run.failed), "")


def _mean(runs: Sequence[Found], mode: str, frozen: bool, k: int, chosen: Bools) -> dict[str, F64]:
    """By metric, (chosen events,) means over the runs."""
    each = [by_rank((run.frozen if frozen else run.ranks)[mode][chosen], k) for run in runs]
    return {name: np.mean([one[name] for one in each], axis=0) for name in SHOWN}


def markdown(found: Sequence[Line], k: int, seeds: int, costs: bool) -> str:
    """A table; the highest NDCG is bold. ``costs``: with seconds and memory."""
    against = any(line.ahead is not None for line in found)
    heads = ["system", f"NDCG@{k}", f"HR@{k}", f"MRR@{k}", f"cold items, NDCG@{k}"]
    heads += ["between seeds"] * (seeds > 1) + ["Palate's lead"] * against
    heads += ["seconds before", "seconds in", "MB"] * costs
    rows = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    best = max((line.ndcg.value for line in found if line.ndcg.value is not None), default=None)
    for line in found:
        if line.failed:
            # A cell can't hold a line of its own, nor the sign that parts cells.
            reason = line.failed.replace("|", "/")
            rows.append(f"| {line.label} | failed: {reason} |" + " – |" * (len(heads) - 2))
            continue
        cells = [line.label, _within(line.ndcg, bold=line.ndcg.value == best)]
        cells += [_number(line.hit_rate.value), _number(line.mrr.value), _within(line.cold)]
        if seeds > 1:
            cells.append("–" if line.spread is None else f"± {line.spread:.4f}")
        if against:
            cells.append("" if line.ahead is None else _within(line.ahead, sign=True))
        if costs:
            cells += [f"{line.start_seconds:,.0f}", f"{line.test_seconds:,.0f}", f"{line.peak_mb:,.0f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _number(value: float | None, sign: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.4f}" if sign else f"{value:.4f}"


def _within(found: Estimate, bold: bool = False, sign: bool = False) -> str:
    text = _number(found.value, sign)
    text = f"**{text}**" if bold else text
    return text if found.low is None else f"{text} ({_number(found.low, sign)}–{_number(found.high, sign)})"


def chosen(systems: Sequence[Sequence[Found]], mode: str) -> str:
    """What each system chose on validation, a line each."""
    found: list[str] = []
    for runs in systems:
        notes: dict[str, Any] = runs[0].notes
        if mode in notes:
            said = ", ".join(f"{name} {value}" for name, value in notes[mode].items())
            found.append(f"- {runs[0].label}: {said}")
    return "\n".join(found)
