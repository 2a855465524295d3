"""What the figures should be, and whether they are; remarks on a run that its figures need."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

from palate.bench.common import Figures
from palate.bench.posting import BATCH, CONNECTIONS

Rule = Literal["at most", "at least"]
_SHARE_OF_DISK = 0.8
_BUSY = 0.5
"""Processes that wanted a core, by cores, from which on seconds and rates are also those of others."""
_DISTURBED = 0.05
"""Of the CPU of a ranking: waiting longer than that for the core, latency is also that of others."""


class Goal(NamedTuple):
    """``name`` as in the figures, dots between the levels; ``limit`` in its unit."""

    name: str
    rule: Rule
    limit: float

    def met(self, measured: float) -> bool:
        """Whether ``measured`` lies on the right side of the limit."""
        return measured <= self.limit if self.rule == "at most" else measured >= self.limit


GOALS: tuple[Goal, ...] = (
    Goal("rank.times_empty", "at most", 8.0),
    Goal("rank.times_less_than_baseline", "at least", 12.0),
    Goal("rank.p99_times_empty", "at most", 3.0),
    Goal("trees.times", "at least", 12.0),
    Goal("trees.missing_times", "at least", 6.0),
    Goal("trees.categories_times", "at least", 1.0),
    Goal("trees.max_abs_diff", "at most", 1e-5),
    Goal("events.durable_per_s", "at least", 10_000.0),
    Goal("events.batch_per_s", "at least", 150_000.0),
    Goal("memory.fold_us", "at most", 1_000.0),
    Goal("workers.times_rank_cpu", "at most", 1.1),
    Goal("recommend.100k_cpu_us", "at most", 3_000.0),
    Goal("recommend.1m_cpu_us", "at most", 15_000.0),
    Goal("recommend.recall_at_100", "at least", 0.99),
    Goal("scale.rank_growth", "at most", 1.1),
    Goal("scale.events_growth", "at most", 1.1),
    Goal("memory.user_100_events_bytes", "at most", 2_000.0),
    Goal("scale.rss_user_bytes", "at most", 3_500.0),
    Goal("memory.item_bytes", "at most", 1_000.0),
    Goal("memory.item_sparse_bytes", "at most", 4_000.0),
    Goal("rebuild.million_s", "at most", 20.0),
    Goal("start.snapshot_s", "at most", 3.0),
    Goal("train.million_s", "at most", 60.0),
)
_DISK: dict[str, int] = {"events.durable_per_s": CONNECTIONS, "events.batch_per_s": BATCH}
"""Goals that the disk may lower, and how many events can share a commit."""


def value(found: Figures, name: str) -> Any:
    """The figure of that name, None where it wasn't measured."""
    inner: Any = found
    for part in name.split("."):
        inner = cast("Figures", inner).get(part) if isinstance(inner, dict) else None
    return inner


def judged(found: Figures) -> list[Figures]:
    """Every goal whose figure was measured: goal, measured, rule, limit, met.

    A goal of events is lower where the disk is slow: four fifths of the commits a second that it gives, by as many
    events as can share one.
    """
    answer: list[Figures] = []
    for goal in GOALS:
        measured = value(found, goal.name)
        if measured is None:
            continue
        limit = goal.limit
        if goal.name in _DISK:
            limit = min(limit, round(_SHARE_OF_DISK * _DISK[goal.name] * float(value(found, "events.fsync_per_s"))))
        met = goal._replace(limit=limit).met(measured)
        answer.append({"goal": goal.name, "measured": measured, "rule": goal.rule, "limit": limit, "met": met})
    return answer


def remarks(found: Figures, quick: bool) -> list[tuple[str, Figures]]:
    """What to say of this run beside its figures: keys of messages and what they need."""
    said: list[tuple[str, Figures]] = []
    rank = found.get("rank")
    if quick:
        said.append(("bench.quick", {}))
    machine = found["machine"]
    if machine["load"] > _BUSY * machine["cores"]:
        said.append(("bench.busy", {"load": machine["load"]}))
    if rank is None:
        return said
    if not rank["kept_up"]:
        said.append(("bench.behind", {"per_s": rank["per_s"], "rate": rank["rate_per_s"]}))
        if "steady_per_s" in rank:
            names = {"rate": "steady_per_s", "p99": "steady_p99_ms", "empty": "steady_empty_p99_ms"}
            said.append(("bench.steady", {name: rank[key] for name, key in names.items()}))
    if "baseline_cpu_us" not in rank:
        said.append(("bench.obvious", {}))
    waited = max((row["waited_us"] for row in rank["latency"] if row["kept_up"]), default=0.0)
    if waited > _DISTURBED * rank["cpu_us"]:
        said.append(("bench.disturbed", {"waited": waited}))
    return said
