"""The successive protocol: a global split by time, then predict, learn, predict, learn.

The plan (which events are scored) is drawn before any system runs and is the same for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from palate.config import Settings
from palate.errors import InvalidInput
from palate.evaluate import Progress, Query, SeenMode, System
from palate.evaluate.metrics import rank_and_top
from palate.evaluate.result import EvaluationResult
from palate.evaluate.stream import EventStream, Histories, before, from_source
from palate.train.replay import COLD
from palate.types import F64, I32, I64, Bools

COLD_CAP = 1500
TEST_SHARE = 0.1


@dataclass(frozen=True)
class Plan:
    """positions: (e,) scored test events, ascending. main, scored: by seen, (e,) whether an event is of the seeded
    sample, and whether it is scored at all (the sample, and the cold items beyond it). cold_item, cold_user: (e,)."""

    train: int
    test: int
    positions: I64
    main: dict[str, Bools]
    scored: dict[str, Bools]
    cold_item: Bools
    cold_user: Bools
    counts: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """rank: by seen, (e,) mid-ranks, NaN where the event isn't scored. top: by seen, (e, k) item codes, −1 for none."""

    rank: dict[str, F64]
    top: dict[str, I32]
    start_seconds: float
    seconds: float


def draw(stream: EventStream, seen: Sequence[SeenMode], test: int | Literal["all"], seed: int) -> Plan:
    """Split by time and draw the scored events. Errors: ``InvalidInput`` where no test event can be scored."""
    n = len(stream)
    start = n - max(1, round(n * TEST_SHARE))
    train = start - max(1, round(n * TEST_SHARE))
    past = before(stream)
    window = np.arange(start, n)
    able = (stream.positive & past.known)[window]
    order = np.random.default_rng(seed).permutation(len(window))
    order = order[able[order]]
    cold = past.item <= COLD
    main: dict[str, Bools] = {}
    scored: dict[str, Bools] = {}
    counts: dict[str, Any] = {}
    for mode in seen:
        candidates = window[order]
        if mode == "drop":
            candidates = candidates[~past.repeat[candidates]]
        sample = candidates if test == "all" else candidates[:test]
        extra = candidates[len(sample) :]
        extra = extra[cold[extra]][:COLD_CAP]
        main[mode], scored[mode] = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        main[mode][sample] = True
        scored[mode][sample] = True
        scored[mode][extra] = True
        counts[mode] = {"test_events": len(sample), "cold_items_beyond_the_sample": len(extra)}
    union = np.flatnonzero(np.logical_or.reduce(list(scored.values())))
    if not len(union):
        raise InvalidInput(
            f"None of the {len(window)} test events can be scored: their items are unknown until met, or were all "
            "had before. Give item events, or evaluate with seen='keep'."
        )
    counts["unrankable"] = int((stream.positive & ~past.known)[window].sum())
    counts["negative"] = int((~stream.positive[window]).sum())
    for mode in seen:
        slices = {
            "cold_items": scored[mode] & cold,
            "cold_users": main[mode] & (past.user <= COLD),
            "warm": main[mode] & ~cold & (past.user > COLD),
        }
        counts[mode] |= {name: int(chosen.sum()) for name, chosen in slices.items()}
    return Plan(
        train,
        start,
        union,
        {mode: chosen[union] for mode, chosen in main.items()},
        {mode: chosen[union] for mode, chosen in scored.items()},
        cold[union],
        past.user[union] <= COLD,
        counts,
    )


def query_at(stream: EventStream, position: int, seen: SeenMode) -> Query:
    """The question that the event at ``position`` answers; it holds nothing of that event but its user and time."""
    return Query(position, int(stream.users[position]), int(stream.times[position]), stream.catalogue(position), seen)


def removed(stream: EventStream, histories: Histories, query: Query) -> Bools:
    """(size,) what is out of the ranking: deleted items, and with ``drop`` those the user had."""
    gone = stream.gone_from[: query.size] <= query.position
    if query.seen == "drop":
        gone[histories.seen(query.user, query.position)] = True
    return gone


def drive(system: System, stream: EventStream, plan: Plan, histories: Histories, k: int, progress: Progress) -> Outcome:
    """Start ``system`` on everything before the test window, then rank and feed in time order."""
    began = time.perf_counter()
    system.start(stream, plan.train, plan.test, progress)
    started = time.perf_counter()
    rank, top = walk(system, stream, plan, histories, k, progress)
    return Outcome(rank, top, started - began, time.perf_counter() - started)


def walk(
    system: System, stream: EventStream, plan: Plan, histories: Histories, k: int, progress: Progress
) -> tuple[dict[str, F64], dict[str, I32]]:
    """Rank and feed a started ``system`` in time order: ``rank`` and ``top`` of an ``Outcome``."""
    total = len(plan.positions)
    rank = {mode: np.full(total, np.nan) for mode in plan.scored}
    top = {mode: np.full((total, k), -1, dtype=np.int32) for mode in plan.scored}
    for index, position in enumerate(plan.positions.tolist()):
        system.feed(position)
        for mode, scored in plan.scored.items():
            if not scored[index]:
                continue
            query = query_at(stream, position, cast(SeenMode, mode))
            scores = system.score(query)
            target = int(stream.items[position])
            rank[mode][index], top[mode][index] = rank_and_top(scores, removed(stream, histories, query), target, k)
        if index % 50 == 0 or index == total - 1:
            progress(system.name, index + 1, total)
    return rank, top


def run(
    source: object,
    *,
    seen: tuple[SeenMode, ...],
    test: int | Literal["all"],
    seed: int,
    systems: Sequence[str | System] | None,
    progress: Progress | None,
    settings: Settings,
    k: int,
) -> EvaluationResult:
    """See ``palate.evaluate.evaluate``."""
    from palate.evaluate.summary import summarise
    from palate.evaluate.systems import make_systems

    _check(seen, test, k)
    began = time.perf_counter()
    made = make_systems(systems, settings, seed)
    report: Progress = progress if progress is not None else (lambda stage, done, total: None)
    stream = from_source(source, settings)
    plan = draw(stream, seen, test, seed)
    histories = Histories(stream)
    outcomes: dict[str, Outcome] = {}
    notes: dict[str, Any] = {}
    for system in made:
        try:
            outcomes[system.name] = drive(system, stream, plan, histories, k, report)
            notes[system.name] = system.notes()
        finally:
            system.close()
    protocol = describe(stream, plan, seen, test, seed, k) | {"systems": notes}
    return summarise(stream, plan, outcomes, protocol, settings, k, seed, began)


def _check(seen: tuple[str, ...], test: int | str, k: int) -> None:
    if not seen or len(set(seen)) != len(seen) or any(mode not in ("drop", "keep") for mode in seen):
        raise InvalidInput(f"seen is {list(seen)}: name 'drop', 'keep', or both.", "seen")
    if test != "all" and (not isinstance(test, int) or isinstance(test, bool) or test < 1):
        raise InvalidInput(f"test is {test!r}: it must be 'all' or a number of events above 0.", "test")
    if k < 1:
        raise InvalidInput(f"k is {k}; it must be above 0.", "k")


def describe(
    stream: EventStream, plan: Plan, seen: Sequence[str], test: int | str, seed: int, k: int
) -> dict[str, Any]:
    """How it is measured, in numbers and sentences."""
    return {
        "name": "successive",
        "data": stream.name,
        "k": k,
        "seed": seed,
        "seen": list(seen),
        "test": test,
        "users": len(stream.user_ids),
        "items": len(stream.item_ids),
        "events": len(stream),
        "train_events": plan.train,
        "valid_events": plan.test - plan.train,
        "test_window_events": len(stream) - plan.test,
        "test_starts": int(stream.times[plan.test]),
        "scored": plan.counts,
        "sentences": [
            "Split by time: the last 10 % of the interactions are the test window, the 10 % before chose "
            "hyper-parameters.",
            "Successive: before each scored event every system ranks all the items that exist at that moment from all "
            "the events before it, then learns the event; events between are learnt too. No sampled negatives.",
            "Equal scores share the middle of their ranks; sorts are stable.",
            "drop: what a user had before is not ranked, and repeats are not scored; keep: everything is.",
            "Impressions are not fed: a list that held the next target would tell of it. Palate is trained once, "
            "before the test window, and learns every event; EASE is refitted five times across it.",
            "An event whose item nobody could know at its moment (no item event, no earlier interaction) and an event "
            "of a type with negative weight are learnt but not scored.",
            f"Cold items have at most {COLD} events before: all of them are scored for the cold table, at most "
            f"{COLD_CAP} beyond the sample. Cold users have at most {COLD} events before. Warm is neither.",
            "Intervals: 95 %, 1,000 resamples of users with all their events. Coverage has none: a resample holds "
            "fewer distinct users, so its quantiles would lie below the value.",
        ],
    }
