"""The data report: what an import kept, what it refused and why, and what looks odd.

Every import ends with one. It is made from the columns of the events (see ``palate.datasets.dataset``), so it
costs about a second for 1.5 million events and holds no copy of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from palate.types import F64, I32, I64

MAX_REJECTIONS = 100
"""How many refused rows a report lists; the rest are only counted."""

MAX_SUSPECTS = 20
SUSPICIOUS_TIMES_MEDIAN = 100
SUSPICIOUS_EVENTS = 1_000
SUSPICIOUS_PER_MINUTE = 1_000
_MINUTE_MS = 60_000


class RejectedRow(msgspec.Struct, frozen=True):
    """A row that was refused. ``row`` is the line of the file, counted from 1, with the header, if any, as line 1;
    in a Parquet file or a JSON array, which have no lines, the record, counted from 1."""

    file: str
    row: int
    error: str


class Suspect(msgspec.Struct, frozen=True):
    """A user who behaves like a machine, and the sentence that says why."""

    user: str
    events: int
    reason: str


class DataReport(msgspec.Struct, kw_only=True):
    """What an import did. Times are Unix milliseconds.

    rows: data rows read, in all files. kept: rows used. rejected: rows refused; the first ``MAX_REJECTIONS`` are in
    ``rejections``. duplicates: events equal to an earlier one in user, item, time, type and value; they are kept,
    because two equal lines of a receipt are two purchases. missing_text: items, of the catalogue or named by an event,
    without any text. missing_timestamps: events of files without times, and rows refused for having none.
    repeat_rate: share of the events whose user and item had met before. catalogue: items described.
    skipped: files left out, each with its reason. notes: anything else worth a sentence.
    """

    name: str
    source: str
    rows: int = 0
    kept: int = 0
    rejected: int = 0
    rejections: list[RejectedRow] = []
    events: int = 0
    types: dict[str, int] = {}
    users: int = 0
    items: int = 0
    catalogue: int = 0
    duplicates: int = 0
    missing_text: int = 0
    missing_timestamps: int = 0
    first: int | None = None
    last: int | None = None
    repeat_rate: float = 0.0
    suspicious: list[Suspect] = []
    suspicious_users: int = 0
    skipped: list[str] = []
    notes: list[str] = []

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, ready for JSON."""
        return msgspec.to_builtins(self)

    def sentences(self) -> list[str]:
        """The report for a reader, one sentence a line."""
        lines = [
            f"{self.name}: {self.rows:,} rows read from {self.source}; {self.kept:,} kept, {self.rejected:,} rejected.",
            f"{self.events:,} events of {self.users:,} users with {self.items:,} items"
            + (f" ({', '.join(f'{kind} {count:,}' for kind, count in self.types.items())})." if self.types else "."),
            f"{self.catalogue:,} items are described; {self.missing_text:,} have no text.",
        ]
        if self.first is not None and self.last is not None:
            lines.append(f"The events span {_day(self.first)} to {_day(self.last)}.")
        lines.append(
            f"{self.repeat_rate:.1%} of the events repeat a user and item that had met before; "
            f"{self.duplicates:,} are equal in every respect to an earlier one."
        )
        if self.missing_timestamps:
            lines.append(f"{self.missing_timestamps:,} rows have no timestamp.")
        if self.suspicious_users:
            lines.append(f"{self.suspicious_users:,} users look like machines:")
            lines.extend(f"  user {suspect.user}: {suspect.reason}" for suspect in self.suspicious)
        lines.extend(self.skipped)
        lines.extend(self.notes)
        lines.extend(f"{bad.file}, row {bad.row}: {bad.error}" for bad in self.rejections)
        if self.rejected > len(self.rejections):
            lines.append(f"{self.rejected - len(self.rejections):,} further rejected rows are not listed.")
        return lines


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def count_types(codes: I32, names: Sequence[str]) -> dict[str, int]:
    """Events per type, most frequent first."""
    counts = np.bincount(codes, minlength=len(names)).tolist()
    found = [(name, count) for name, count in zip(names, counts, strict=True) if count]
    return dict(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def repeats(subject: I64, item: I32) -> float:
    """Share of the events whose pair occurred before. Cost: one sort of the pairs."""
    if len(item) == 0:
        return 0.0
    pairs = np.sort(subject * (int(item.max()) + 1) + item)
    return float(np.count_nonzero(pairs[1:] == pairs[:-1]) / len(pairs))


def equal_events(subject: I64, item: I32, kind: I32, timestamp: I64, value: F64) -> int:
    """How many events equal an earlier one in all five columns (no value equals no value)."""
    if len(item) < 2:
        return 0
    plain = np.nan_to_num(value, nan=-np.inf)
    order = np.lexsort((plain, kind, timestamp, item, subject))
    same = np.ones(len(order) - 1, dtype=np.bool_)
    for column in (subject, item, kind, timestamp, plain):
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    return int(same.sum())


def suspects(subject: I64, timestamp: I64, names: Sequence[str]) -> list[Suspect]:
    """Users with at least ``SUSPICIOUS_EVENTS`` events and ``SUSPICIOUS_TIMES_MEDIAN`` times the median user's, and
    those with ``SUSPICIOUS_PER_MINUTE`` or more events within one minute of the clock. Most active first."""
    if len(subject) == 0:
        return []
    counts = np.bincount(subject, minlength=len(names))
    median = float(np.median(counts[counts > 0]))
    keys, per_minute = np.unique(
        subject * (int(timestamp.max()) // _MINUTE_MS + 1) + timestamp // _MINUTE_MS, return_counts=True
    )
    busy = per_minute >= SUSPICIOUS_PER_MINUTE
    owners = keys[busy] // (int(timestamp.max()) // _MINUTE_MS + 1)
    reasons: dict[int, str] = {}
    for owner, count in zip(owners.tolist(), per_minute[busy].tolist(), strict=True):
        reasons.setdefault(owner, f"{count:,} events within one minute.")
    many = np.flatnonzero((counts >= SUSPICIOUS_EVENTS) & (counts > SUSPICIOUS_TIMES_MEDIAN * median))
    for owner in many.tolist():
        reasons[owner] = f"{int(counts[owner]):,} events, where the median user has {median:g}."
    ordered = sorted(reasons, key=lambda owner: (-int(counts[owner]), owner))
    return [Suspect(names[owner], int(counts[owner]), reasons[owner]) for owner in ordered]
