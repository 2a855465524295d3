"""What stands between a caller's events and the log: shapes accepted, ids and times given, records made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import msgspec

from palate import wire
from palate.config import Settings
from palate.errors import InvalidInput, Overloaded
from palate.feedback.opinion import understand
from palate.frames import frame_events, is_frame
from palate.ids import new_id
from palate.redact import redact
from palate.state.state import Stamped, subject_of
from palate.store import AppendResult, Committer, Record
from palate.types import Assigned, Event, Impression, IngestResult, Interaction, Item, Rejected, User
from palate.wishes import PROFILING

BATCH = 5_000
AHEAD = 2
MOST_ASSIGNED = 100_000
"""Ids and times given to events of one ``ingest`` that are returned; a whole frame's are not."""


_KINDS: dict[type[Event], str] = {
    Interaction: "interaction",
    Impression: "impression",
    Item: "item",
    User: "user",
}


Settle = Callable[[IngestResult | BaseException], None]
Recorded = tuple[list[Record], list[Assigned], int]


class EventRecord(Record):
    """A record that still holds its event, so that the fold needn't decode what was just encoded."""

    event: Event


def each(events: object) -> Iterable[object]:
    """One event or many as an iterable. Errors: ``InvalidInput`` for anything else."""
    if isinstance(events, Mapping | msgspec.Struct):
        return [cast(object, events)]
    if isinstance(events, Iterable) and not isinstance(events, str | bytes):
        return cast("Iterable[object]", events)
    hint = ""
    if isinstance(events, str | Path):
        hint = " Files and folders are read by `palate import`, and in Python by palate.datasets.load(…).stream()."
    raise InvalidInput(
        f"Events must be a struct, a dict, a list of them, or a frame; this is a {type(events).__name__}.{hint}",
        "events",
    )


def records_of(good: Sequence[tuple[int, Event]], slack_ms: int, now: int, masked: bool = False) -> Recorded:
    """Log records of checked events, the ids and times given where they lacked one, and how many lie too far ahead.

    masked: texts of interactions are kept without personal data (``redact``). An event without a time gets ``now``,
    event time in ms: on a history of years ago, its own present. The log keeps the time that the sender named; the fold
    clamps it (``State.apply``).
    """
    received = wire.now_ms()
    latest = received + slack_ms
    records: list[Record] = []
    assigned: list[Assigned] = []
    clamped = 0
    encode = wire.encode_event
    for index, event in good:
        name, ts = event.id, event.timestamp
        if name is None or ts is None:
            name = event.id = name or new_id()
            ts = event.timestamp = now if ts is None else ts
            assigned.append(Assigned(index, name, int(ts)))
        if isinstance(event, Item):
            subject = None
        elif event.user:
            subject = event.user
        else:
            subject = subject_of(None, event.session)
        ts = int(ts)
        clamped += ts > latest
        kind = _KINDS[type(event)]
        if kind == "interaction":
            if masked and isinstance(event, Interaction) and event.text is not None:
                event.text = redact(event.text)
        elif isinstance(event, User) and PROFILING in event.fields:
            event.deleted = True  # as the fold has it: so everybody who reads the log knows that it forgets
        records.append(EventRecord(0, name, ts, kind, subject, received, encode(event), event))
    return records, assigned, clamped


def offer(
    committer: Committer, made: Recorded, bad: list[Rejected], seq: int, settle: Settle, withheld: int = 0
) -> None:
    """Queue what ``records_of`` made; ``settle`` takes the result once it is durable and folded, or the error.

    bad, withheld: events that were rejected or left out before, for the result. seq: the log position, for the case
    that there are no others.
    Errors: those of ``GroupCommitter.offer``.
    """
    records, assigned, clamped = made
    if not records:
        settle(IngestResult(0, 0, bad, seq, withheld=withheld))
        return

    def stored(outcome: AppendResult | BaseException) -> None:
        if isinstance(outcome, BaseException):
            settle(outcome)
            return
        accepted = len(records) - outcome.seqs.count(0)
        settle(IngestResult(accepted, len(records) - accepted, bad, outcome.seq, assigned, clamped, withheld))

    committer.offer(records, stored)


def resolve(future: Future[IngestResult], outcome: IngestResult | BaseException) -> None:
    """The outcome into ``future``."""
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def stamped_records(records: Sequence[Record]) -> list[Stamped]:
    """Just committed records as the fold takes them."""
    return [(one.timestamp, one.received, one.event) for one in cast("Sequence[EventRecord]", records)]


def listen(records: Sequence[Record], settings: Settings) -> None:
    """Understand the texts of interactions now, before the lock that the fold needs; the newest thousand are kept."""
    for one in cast("Sequence[EventRecord]", records if settings.language.feedback else ()):
        event = one.event
        if isinstance(event, Interaction) and event.text is not None:
            try:
                understand(event.text)
            except Exception:  # the fold meets it again, and tells which event it was
                return


def merge(total: IngestResult, part: IngestResult, start: int, with_assigned: bool) -> None:
    """Add the result of a batch that began at event ``start`` to that of the whole."""
    total.accepted += part.accepted
    total.duplicates += part.duplicates
    total.clamped += part.clamped
    total.withheld += part.withheld
    total.seq = max(total.seq, part.seq)
    total.rejected += [Rejected(bad.index + start, bad.error) for bad in part.rejected]
    if with_assigned and len(total.assigned) < MOST_ASSIGNED:
        total.assigned += [Assigned(a.index + start, a.id, a.timestamp) for a in part.assigned]


def pour(
    submit: Callable[[Sequence[object]], Future[IngestResult]],
    events: object,
    seq: int,
    progress: Callable[[int], None] | None,
) -> IngestResult:
    """``Engine.ingest``: everything in ``events`` through ``submit``, a few batches ahead of the one waited for.

    Errors: ``InvalidInput`` when there are events and none is good; whatever the futures raise.
    """
    frame = is_frame(events)
    total = IngestResult(0, 0, [], seq)
    waiting: deque[tuple[Future[IngestResult], int]] = deque()
    batch: list[object] = []
    done = 0

    def settle(most: int) -> None:
        while len(waiting) > most:
            future, start = waiting.popleft()
            merge(total, future.result(), start, not frame)
            if progress is not None:
                progress(start)

    def send() -> Future[IngestResult]:
        while True:
            try:
                return submit(batch)
            except Overloaded:  # large events: fewer batches ahead; with none ahead the queue is full of others'
                if not waiting:
                    raise
            settle(len(waiting) - 1)

    for raw in frame_events(events) if frame else each(events):
        batch.append(raw)
        if len(batch) == BATCH:
            waiting.append((send(), done))
            done += len(batch)
            batch = []
            settle(AHEAD)
    if batch:
        waiting.append((send(), done))
        done += len(batch)
    settle(0)
    if done and len(total.rejected) == done:
        first = total.rejected[0]
        raise InvalidInput(f"None of {done} events is good; the first (index {first.index}): {first.error}")
    if progress is not None:
        progress(done)
    return total
