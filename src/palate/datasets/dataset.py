"""A data set in memory: events as columns, items and users as wire events, and the data report.

Events stay columns of NumPy codes until ``Dataset.stream`` turns them, chunk by chunk, into the structs of the wire;
1.5 million events take about 50 MB that way, and over a GB as objects.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from palate.datasets.report import (
    MAX_SUSPECTS,
    DataReport,
    count_types,
    equal_events,
    repeats,
    suspects,
)
from palate.errors import MissingExtra
from palate.types import F64, I32, I64, Event, Interaction, Item, User

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""

CHUNK = 10_000


@dataclass(slots=True)
class Events:
    """Interactions as columns, n rows each, in the order of the source.

    user, session, item, type: int32 codes into ``users``, ``sessions``, ``items``, ``types`` (−1: none).
    timestamp: int64 Unix ms. value: float64, NaN where there is none. row: int64, the row of the source from 0,
    which makes the event's id. ids, texts, rankings: what only some rows have, by position in the columns.
    parts: where the source has several files, the position at which each begins and the prefix of its events' ids.
    """

    user: I32
    item: I32
    type: I32
    timestamp: I64
    value: F64
    row: I64
    users: list[str]
    items: list[str]
    types: list[str]
    session: I32 | None = None
    sessions: list[str] = field(default_factory=list[str])
    ids: dict[int, str] = field(default_factory=dict[int, str])
    texts: dict[int, str] = field(default_factory=dict[int, str])
    rankings: dict[int, str] = field(default_factory=dict[int, str])
    parts: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    def __len__(self) -> int:
        return len(self.item)

    def order(self) -> I64:
        """Positions by time; ties keep the order of the source. Shape (n,)."""
        return np.argsort(self.timestamp, kind="stable").astype(np.int64, copy=False)

    def subjects(self) -> tuple[I64, list[str]]:
        """One code an event for its user, or its session where it has no user, and the names of the codes."""
        user = self.user.astype(np.int64)
        if self.session is None:
            return user, self.users
        shifted = self.session.astype(np.int64) + len(self.users)
        return np.where(user >= 0, user, shifted), [*self.users, *self.sessions]


class EventColumns:
    """Grows ``Events`` row by row, in compact arrays (44 bytes an event)."""

    def __init__(self) -> None:
        self._user, self._session = array("i"), array("i")
        self._item, self._type = array("i"), array("i")
        self._timestamp, self._row = array("q"), array("q")
        self._value = array("d")
        self._codes: tuple[dict[str, int], dict[str, int], dict[str, int], dict[str, int]] = ({}, {}, {}, {})
        self.ids: dict[int, str] = {}
        self.texts: dict[int, str] = {}
        self.rankings: dict[int, str] = {}
        self._parts: list[tuple[int, str]] = []

    def begin(self, prefix: str) -> None:
        """What is added from here on comes from another file, whose events have ids that begin with ``prefix``."""
        self._parts.append((len(self), prefix))

    def __len__(self) -> int:
        return len(self._item)

    def add(
        self,
        row: int,
        user: str | None,
        item: str,
        kind: str,
        timestamp: int,
        value: float | None = None,
        session: str | None = None,
        text: str | None = None,
        event_id: str | None = None,
        ranking: str | None = None,
    ) -> None:
        """Append one interaction. About 1 µs."""
        users, sessions, items, types = self._codes
        position = len(self._item)
        self._user.append(-1 if user is None else users.setdefault(user, len(users)))
        self._session.append(-1 if session is None else sessions.setdefault(session, len(sessions)))
        self._item.append(items.setdefault(item, len(items)))
        self._type.append(types.setdefault(kind, len(types)))
        self._timestamp.append(timestamp)
        self._row.append(row)
        self._value.append(np.nan if value is None else value)
        if text:
            self.texts[position] = text
        if event_id is not None:
            self.ids[position] = event_id
        if ranking is not None:
            self.rankings[position] = ranking

    def number_times(self, positions: Sequence[int], start: int, step: int) -> None:
        """Give the events at ``positions`` the times ``start``, ``start + step`` … (ms)."""
        for count, position in enumerate(positions):
            self._timestamp[position] = start + count * step

    def finish(self, dropped: Collection[int] = ()) -> Events:
        """The columns as NumPy arrays that share this object's memory, without the positions ``dropped``."""
        users, sessions, items, types = self._codes
        events = Events(
            user=np.frombuffer(self._user, dtype=np.int32) if self._user else np.empty(0, np.int32),
            item=np.frombuffer(self._item, dtype=np.int32) if self._item else np.empty(0, np.int32),
            type=np.frombuffer(self._type, dtype=np.int32) if self._type else np.empty(0, np.int32),
            timestamp=np.frombuffer(self._timestamp, dtype=np.int64) if self._timestamp else np.empty(0, np.int64),
            value=np.frombuffer(self._value, dtype=np.float64) if self._value else np.empty(0, np.float64),
            row=np.frombuffer(self._row, dtype=np.int64) if self._row else np.empty(0, np.int64),
            users=list(users),
            items=list(items),
            types=list(types),
            session=np.frombuffer(self._session, dtype=np.int32) if sessions else None,
            sessions=list(sessions),
            ids=self.ids,
            texts=self.texts,
            rankings=self.rankings,
            parts=self._parts,
        )
        return _without(events, dropped) if dropped else events


def _without(events: Events, dropped: Collection[int]) -> Events:
    keep = np.ones(len(events), dtype=np.bool_)
    keep[list(dropped)] = False
    place = np.cumsum(keep) - 1
    events.parts = [(int(keep[:start].sum()), prefix) for start, prefix in events.parts]
    for name in ("user", "item", "type", "timestamp", "value", "row"):
        setattr(events, name, getattr(events, name)[keep])
    events.session = None if events.session is None else events.session[keep]
    for name in ("ids", "texts", "rankings"):
        sparse: dict[int, str] = getattr(events, name)
        setattr(events, name, {int(place[at]): text for at, text in sparse.items() if keep[at]})
    return events


@dataclass
class Dataset:
    """A data set, ready to be ingested or evaluated.

    events: the interactions as columns. items, users: the catalogue and what is known of users, as wire events with
    ids and timestamps. others: wire events of any other kind that the source held (impressions, deletions), each with
    a timestamp. extras: further columns of the source, one value an event, in the order of ``events``.
    tables: further tables of the source, read when asked for.
    """

    name: str
    source: str
    events: Events
    items: list[Item]
    users: list[User]
    report: DataReport
    prefix: str = ""
    others: list[Event] = field(default_factory=list[Event])
    extras: dict[str, npt.NDArray[Any]] = field(default_factory=dict[str, npt.NDArray[Any]])
    tables: dict[str, Callable[[], Any]] = field(default_factory=dict[str, Callable[[], Any]])

    def __post_init__(self) -> None:
        self.prefix = self.prefix or self.name

    def __len__(self) -> int:
        """How many events ``stream`` yields in all."""
        return len(self.items) + len(self.users) + len(self.others) + len(self.events)

    @property
    def promotions(self) -> Any:
        """The promotions table of ``grocery`` as a pandas frame (item, store, week, display, mailer), else None.
        20.9 million rows, about 500 MB, read on every access."""
        reader = self.tables.get("promotions")
        return None if reader is None else reader()

    def stream(self, chunk: int = CHUNK) -> Iterator[list[Event]]:
        """Every event once, in lists of at most ``chunk``: items, users, then the rest by time, ties in source order.

        Ids are a function of the source and the row (of what is said, for items and users), so importing the same data
        twice adds nothing, and a changed description is news. About a million events a second, a list at a time.
        """
        described: list[Event] = [*self.items, *self.users]
        for start in range(0, len(described), chunk):
            yield described[start : start + chunk]
        if not self.others:
            for positions in self._parts(chunk):
                yield self._structs(positions)
            return
        others = sorted(self.others, key=_time)
        interactions = (event for positions in self._parts(chunk) for event in self._structs(positions))
        batch: list[Event] = []
        for event in heapq.merge(others, interactions, key=_time):
            batch.append(event)
            if len(batch) == chunk:
                yield batch
                batch = []
        if batch:
            yield batch

    def _parts(self, chunk: int) -> Iterator[I64]:
        order = self.events.order()
        for start in range(0, len(order), chunk):
            yield order[start : start + chunk]

    def _prefixes(self, positions: I64) -> list[str]:
        parts = self.events.parts
        if not parts:
            return [self.prefix] * len(positions)
        starts = np.array([start for start, _ in parts], dtype=np.int64)
        # Of several files that begin at one position all but the last are empty; side="right" finds the last.
        which: list[int] = (np.searchsorted(starts, positions, side="right") - 1).tolist()
        return [parts[part][1] for part in which]

    def _structs(self, positions: I64) -> list[Event]:
        events = self.events
        users: list[str | None] = [*events.users, None]
        items, types = events.items, events.types
        values: list[float | None] = events.value[positions].tolist()
        rows: list[int] = events.row[positions].tolist()
        times: list[int] = events.timestamp[positions].tolist()
        who: list[int] = events.user[positions].tolist()
        what: list[int] = events.item[positions].tolist()
        how: list[int] = events.type[positions].tolist()
        ids = [f"{prefix}-{row:09d}" for prefix, row in zip(self._prefixes(positions), rows, strict=True)]
        structs = [
            Interaction(
                id=name,
                timestamp=time,
                user=users[user],
                item=items[item],
                type=types[kind],
                value=None if value != value else value,  # NaN is the one value unequal to itself
            )
            for (name, time), user, item, kind, value in zip(
                zip(ids, times, strict=True), who, what, how, values, strict=True
            )
        ]
        if events.session is not None or events.ids or events.texts or events.rankings:
            self._rare(structs, positions)
        return list[Event](structs)

    def _rare(self, structs: list[Interaction], positions: I64) -> None:
        events = self.events
        for struct, position in zip(structs, positions.tolist(), strict=True):
            if events.session is not None and events.session[position] >= 0:
                struct.session = events.sessions[int(events.session[position])]
            struct.text = events.texts.get(position)
            struct.ranking = events.rankings.get(position)
            struct.id = events.ids.get(position, struct.id)

    def frame(self) -> Any:
        """The interactions as a pandas frame, by time, ties in source order: user, item (str), timestamp (int64 ms),
        type (str), value (float64). ``user`` is the session where an event has no user.

        Errors: ``MissingExtra`` without pandas. About 0.3 s and 150 MB for 1.5 million events.
        """
        pandas = _import("pandas", "data", "Dataset.frame")
        order = self.events.order()
        subject, names = self.events.subjects()
        return pandas.DataFrame(
            {
                "user": _take(pandas, names, subject[order]),
                "item": _take(pandas, self.events.items, self.events.item[order]),
                "timestamp": self.events.timestamp[order],
                "type": _take(pandas, self.events.types, self.events.type[order]),
                "value": self.events.value[order],
            }
        )


def _take(pandas: Any, names: Sequence[str], codes: npt.NDArray[Any]) -> Any:
    return pandas.array(list(names), dtype="str").take(codes)


def _time(event: Event) -> int:
    return event.timestamp if isinstance(event.timestamp, int) else 0


def _import(name: str, extra: str, purpose: str) -> Any:
    """The optional module ``name``. Errors: ``MissingExtra``."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtra(name.partition(".")[0], extra, purpose) from None


need = _import


def describe(
    name: str,
    events: Events,
    items: Iterable[tuple[str, dict[str, Any]]],
    users: Iterable[tuple[str, dict[str, Any]]],
    prefix: str | None = None,
) -> tuple[list[Item], list[User]]:
    """Items and users as wire events, a millisecond before the first event (or at 0 when there is none).

    Their ids are made from what they say.
    """
    prefix = prefix or name
    moment = max(int(events.timestamp.min()) - 1, 0) if len(events) else 0
    return (
        [
            Item(id=f"{prefix}-item-{_digest(item, fields)}", timestamp=moment, item=item, fields=fields)
            for item, fields in items
        ],
        [
            User(id=f"{prefix}-user-{_digest(user, fields)}", timestamp=moment, user=user, fields=fields)
            for user, fields in users
        ],
    )


def _digest(name: str, fields: dict[str, Any]) -> str:
    return hashlib.blake2b(msgspec.msgpack.encode((name, fields)), digest_size=8).hexdigest()


def measure(report: DataReport, events: Events, items: Sequence[Item]) -> DataReport:
    """Fill in what can be told from the events and the catalogue; returns the same report.

    items: what describes items, an item perhaps several times; it counts once, and has text where one of them has.
    """
    subject, names = events.subjects()
    report.events = len(events)
    report.types = count_types(events.type, events.types)
    report.users = int(np.count_nonzero(np.bincount(subject, minlength=len(names))))
    described = {item.item for item in items if not item.deleted}
    report.catalogue = len(described)
    worded = {item.item for item in items if any(_is_text(value) for value in item.fields.values())}
    known = described | set(events.items)
    report.items = len(known)
    report.missing_text = len(known - worded)
    report.duplicates = equal_events(subject, events.item, events.type, events.timestamp, events.value)
    report.repeat_rate = repeats(subject, events.item)
    if len(events):
        report.first, report.last = int(events.timestamp.min()), int(events.timestamp.max())
    found = suspects(subject, events.timestamp, names)
    report.suspicious, report.suspicious_users = found[:MAX_SUSPECTS], len(found)
    return report


def _is_text(value: object) -> bool:
    return any(map(str.isalpha, value)) if isinstance(value, str) else isinstance(value, list)
