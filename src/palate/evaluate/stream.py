"""An event log as arrays: what every system of an evaluation is driven by.

Positions are indices into the interactions sorted by time, events of equal time in their original order. An item can
be ranked from position ``known_from[item]`` on: the first position whose time is not before its item event, or the
one after its first interaction, whichever comes first. Item codes count in that order, so that the catalogue at
position p is the codes ``0 .. catalogue(p) − 1`` (less what was deleted).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import InvalidInput
from palate.feedback.kinds import kind_of
from palate.kernels import kernel
from palate.types import F64, I32, I64, Bools, Event, FieldValue, Impression, Interaction, Item, User
from palate.wire import parse_timestamp, read_event

NEVER = np.iinfo(np.int64).max


class EventColumns(Protocol):
    """Interactions as codes, n rows each, in the order of the source; −1 in ``user`` or ``session``: none."""

    user: I32
    item: I32
    type: I32
    timestamp: I64
    value: F64
    session: I32 | None
    users: list[str]
    sessions: list[str]
    items: list[str]
    types: list[str]
    texts: dict[int, str]


@runtime_checkable
class DatasetLike(Protocol):
    """What ``palate.datasets.load`` returns, as far as an evaluation needs it."""

    name: str
    events: Any
    items: Any
    users: Any
    others: Any


@dataclass(frozen=True)
class EventStream:
    """users, items: (n,) int32 codes; times: (n,) ms, ascending; kinds: (n,) codes into ``kind_names``; positive:
    (n,) whether the type's weight is above 0 (only these are targets, and only these teach the baselines);
    known_from, gone_from: (items,) positions; side: other events with the position before which they are fed;
    fields: (items,) the latest fields of each item; originals: the interactions where they came as events.
    """

    name: str
    user_ids: list[str]
    item_ids: list[str]
    users: I32
    items: I32
    times: I64
    kinds: I32
    kind_names: list[str]
    positive: Bools
    anonymous: Bools
    known_from: I64
    gone_from: I64
    fields: list[dict[str, FieldValue]]
    side: list[tuple[int, Event]]
    values: F64 | None
    texts: dict[int, str]
    originals: Sequence[Interaction] | None

    def __len__(self) -> int:
        return len(self.times)

    def catalogue(self, position: int) -> int:
        """How many items exist just before the event at ``position``."""
        return int(np.searchsorted(self.known_from, position, side="right"))

    def interaction(self, position: int) -> Interaction:
        """The event at ``position`` as a struct, with an id that is unique in the stream."""
        name = f"e{position}"
        if self.originals is not None:
            return msgspec.structs.replace(self.originals[position], id=name, timestamp=int(self.times[position]))
        user = int(self.users[position])
        value = None if self.values is None else float(self.values[position])
        return Interaction(
            id=name,
            timestamp=int(self.times[position]),
            item=self.item_ids[int(self.items[position])],
            user=None if self.anonymous[user] else self.user_ids[user],
            session=self.user_ids[user] if self.anonymous[user] else None,
            type=self.kind_names[int(self.kinds[position])],
            value=None if value is None or value != value else value,
            text=self.texts.get(position),
        )


def from_source(source: object, settings: Settings) -> EventStream:
    """A stream from a ``Dataset``, a frame, or events (structs or dicts, in any order).

    Errors: ``InvalidInput`` for a bad event (with its index) or where there are too few interactions to split.
    """
    if isinstance(source, DatasetLike):
        side: list[Event] = [*source.items, *source.users, *source.others]
        return _from_dataset(source.name, cast(EventColumns, source.events), side, settings)
    if isinstance(source, Mapping) or hasattr(source, "columns"):
        return _from_columns("frame", source, [], settings)
    if isinstance(source, Iterable):
        return _from_events(cast("Iterable[object]", source), settings)
    raise InvalidInput(
        f"An evaluation can't read a {type(source).__name__}: give a data set, a frame with the columns user, item and "
        "timestamp, or events."
    )


def _from_events(source: Iterable[object], settings: Settings) -> EventStream:
    rows: list[Interaction] = []
    side: list[Event] = []
    for index, raw in enumerate(_flatten(source)):
        try:
            event = read_event(raw, settings.limits)
        except InvalidInput as error:
            raise InvalidInput(f"Event {index}: {error.message}") from None
        if isinstance(event, Interaction):
            if event.timestamp is None:
                raise InvalidInput(f"Event {index} has no timestamp: an evaluation splits by time.", "timestamp")
            rows.append(event)
        else:
            side.append(event)
    # A session and a user may share an id; the prefix keeps them two people.
    subject, subjects = _codes(["u" + row.user if row.user is not None else f"s{row.session}" for row in rows])
    item, items = _codes([row.item for row in rows])
    kind, kinds = _codes([row.type for row in rows])
    times = np.array([parse_timestamp(cast(int, row.timestamp)) for row in rows], dtype=np.int64)
    people = ([key[1:] for key in subjects], np.array([key[0] == "s" for key in subjects], dtype=np.bool_))
    return _build("events", (subject, *people), (item, items), (kind, kinds), times, side, settings, originals=rows)


def _flatten(source: Iterable[object]) -> Iterator[object]:
    for part in source:
        if isinstance(part, list):
            yield from cast("list[object]", part)
        else:
            yield part


def _column(frame: Any, name: str) -> list[Any] | None:
    names = list(frame.columns) if hasattr(frame, "columns") else list(frame)
    if name not in names:
        return None
    column = frame[name]
    return column.to_list() if hasattr(column, "to_list") else np.asarray(column).tolist()


def _from_columns(name: str, frame: Any, side: list[Event], settings: Settings) -> EventStream:
    users, item, times = (_column(frame, column) for column in ("user", "item", "timestamp"))
    sessions = _column(frame, "session")
    if item is None or times is None or (users is None and sessions is None):
        raise InvalidInput("The events need the columns user (or session), item and timestamp.", "events")
    keys: list[str] = []
    for index in range(len(item)):
        user = None if users is None else users[index]
        anonymous = user is None or user != user
        keys.append(f"s{sessions[index]}" if anonymous and sessions is not None else f"u{user}")
    subject, subjects = _codes(keys)
    people = ([key[1:] for key in subjects], np.array([key[0] == "s" for key in subjects], dtype=np.bool_))
    values, texts = _column(frame, "value"), _column(frame, "text")
    return _build(
        name,
        (subject, *people),
        _codes([str(value) for value in item]),
        _codes([str(kind) for kind in _column(frame, "type") or ["click"] * len(item)]),
        np.asarray(times, dtype=np.int64),
        side,
        settings,
        values=None if values is None else np.array(values, dtype=np.float64),
        texts={index: text for index, text in enumerate(texts or []) if isinstance(text, str) and text},
    )


def _from_dataset(name: str, events: EventColumns, side: list[Event], settings: Settings) -> EventStream:
    people = len(events.users)
    user = events.user
    if events.session is not None:
        user = np.where(user >= 0, user, events.session + people).astype(np.int32)
    anonymous = np.arange(people + len(events.sessions)) >= people
    return _build(
        name,
        (user, [*events.users, *events.sessions], anonymous),
        (events.item, events.items),
        (events.type, events.types),
        events.timestamp,
        side,
        settings,
        values=events.value,
        texts=events.texts,
    )


def _codes(ids: Sequence[str]) -> tuple[I32, list[str]]:
    table: dict[str, int] = {}
    codes = np.fromiter((table.setdefault(name, len(table)) for name in ids), dtype=np.int32, count=len(ids))
    return codes, list(table)


def _build(
    name: str,
    people: tuple[I32, list[str], Bools],
    items: tuple[I32, list[str]],
    kinds: tuple[I32, list[str]],
    times: I64,
    side: list[Event],
    settings: Settings,
    *,
    values: F64 | None = None,
    texts: dict[int, str] | None = None,
    originals: Sequence[Interaction] | None = None,
) -> EventStream:
    """Codes in the order of the source → a stream. ``texts`` by position in the source."""
    n = len(times)
    if n < 20:
        raise InvalidInput(f"{n} interactions can't be split into train, validation and test: give at least 20.")
    order = np.argsort(times, kind="stable")
    times = times[order].astype(np.int64)
    item = items[0][order]
    table = {key: code for code, key in enumerate(items[1])}
    known = np.full(len(table), NEVER, dtype=np.int64)
    np.minimum.at(known, item, np.arange(1, n + 1))
    known_from: list[int] = known.tolist()
    gone_from = [NEVER] * len(known)
    fields: list[dict[str, FieldValue]] = [{} for _ in known_from]
    dated = sorted(((_moment(event), event) for event in side), key=lambda pair: pair[0])
    placed: list[tuple[int, Event]] = []
    for moment, event in dated:
        position = 0 if moment < 0 else int(np.searchsorted(times, moment, side="left"))
        placed.append((position, event))
        if not isinstance(event, Item):
            continue
        code = table.setdefault(event.item, len(table))
        if code == len(fields):
            known_from.append(NEVER)
            gone_from.append(NEVER)
            fields.append({})
        if event.deleted:
            gone_from[code] = position
        else:
            gone_from[code] = NEVER
            known_from[code] = min(known_from[code], position)
            fields[code] = {**fields[code], **event.fields}
    ids = list(table)
    # Ties by id: the order of first interaction would tell of the future.
    rank = np.array(sorted(range(len(ids)), key=lambda code: (known_from[code], ids[code])), dtype=np.int64)
    back = np.empty(len(rank), dtype=np.int32)
    back[rank] = np.arange(len(rank), dtype=np.int32)
    weights = np.array([settings.weight(kind_name) > 0 for kind_name in kinds[1]], dtype=np.bool_)
    place = np.argsort(order)
    positive = weights[kinds[0][order]]
    rows = {at: row for at, row in enumerate(originals or ()) if row.text is not None}
    for at, text in (texts or {}).items():
        value = None if values is None or np.isnan(values[at]) else float(values[at])
        rows[at] = Interaction(item="", type=kinds[1][int(kinds[0][at])], value=value, text=text)
    for at, row in rows.items():  # what somebody writes badly of isn't what they wanted
        positive[place[at]] = settings.weight(kind_of(row, settings)) > 0
    return EventStream(
        name=name,
        user_ids=people[1],
        item_ids=[ids[code] for code in rank.tolist()],
        users=people[0][order],
        items=back[item],
        times=times,
        kinds=kinds[0][order],
        kind_names=kinds[1],
        positive=positive,
        anonymous=people[2],
        known_from=np.array(known_from, dtype=np.int64)[rank],
        gone_from=np.array(gone_from, dtype=np.int64)[rank],
        fields=[fields[code] for code in rank.tolist()],
        side=placed,
        values=None if values is None else values[order],
        texts={int(place[at]): text for at, text in (texts or {}).items()},
        originals=None if originals is None else [originals[int(at)] for at in order],
    )


def _moment(event: Item | User | Impression | Interaction) -> int:
    return -1 if event.timestamp is None else parse_timestamp(event.timestamp)


@dataclass(frozen=True)
class Before:
    """What was so just before each event. user, item: (n,) earlier events of its user and of its item; repeat: (n,)
    whether its user had had its item; known: (n,) whether its item could be ranked."""

    user: I64
    item: I64
    repeat: Bools
    known: Bools


def before(stream: EventStream) -> Before:
    """Counts just before each event. Cost: O(n log n)."""
    positions = np.arange(len(stream))
    pairs = stream.users.astype(np.int64) * len(stream.item_ids) + stream.items
    known = (stream.known_from[stream.items] <= positions) & (stream.gone_from[stream.items] > positions)
    return Before(_occurrence(stream.users), _occurrence(stream.items), _occurrence(pairs) > 0, known)


def _occurrence(codes: Any) -> I64:
    """(n,) how often each value stood earlier in ``codes``."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(codes)])
    found = np.empty(len(codes), dtype=np.int64)
    found[order] = np.arange(len(codes)) - np.repeat(starts, lengths)
    return found


class Histories:
    """Each user's events, so that any history up to any position is a slice. Cost: O(n log n) once, O(log n) a look."""

    def __init__(self, stream: EventStream) -> None:
        self._order = np.argsort(stream.users, kind="stable").astype(np.int64)
        self._start = np.searchsorted(stream.users[self._order], np.arange(len(stream.user_ids) + 1))
        self._items = stream.items
        self._positive = stream.positive

    def positions(self, user: int, position: int) -> I64:
        """Positions of the user's events before ``position``, oldest first."""
        own = self._order[self._start[user] : self._start[user + 1]]
        return own[: np.searchsorted(own, position)]

    def seen(self, user: int, position: int) -> I32:
        """Every item that the user had, with repeats, oldest first."""
        return self._items[self.positions(user, position)]

    def latest(self, user: int, position: int, limit: int = 0) -> I32:
        """Distinct items of the user's positive events, latest first; at most ``limit`` where it is above 0."""
        own = self.positions(user, position)
        return _latest(self._items, self._positive, own, limit if limit > 0 else len(own))


@kernel
def _latest(items: I32, positive: Bools, own: I64, limit: int) -> I32:
    found = np.empty(min(limit, len(own)), dtype=np.int32)
    size = 0
    have: Any = set([np.int32(-1)])  # noqa: C405 (numba's typed set)
    for at in range(len(own) - 1, -1, -1):
        if size == limit:
            break
        item = items[own[at]]
        if positive[own[at]] and item not in have:
            have.add(item)
            found[size] = item
            size += 1
    return found[:size]
