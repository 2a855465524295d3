"""The log as training reads it: content first, then every interaction in time order."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import CorruptArtefact
from palate.feedback.kinds import kind_of
from palate.state.keys import subject_of, tie_keys
from palate.state.state import Stamped
from palate.store import Record, Store
from palate.types import I32, I64, Event, Impression, Interaction, User

_DECODER = msgspec.msgpack.Decoder(Event)
Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class History:
    """content: item and user events. events: interactions and impressions by (timestamp, tie key), clamped.

    interactions: places in ``events`` of interactions whose type isn't negative; users, items: (n,) codes of these,
    in their order; names of neither matter here, only equality. positions: (n,) of these in the log. seq: of its end.
    """

    content: list[Stamped]
    events: list[Stamped]
    interactions: I64
    users: I32
    items: list[str]
    positions: I64
    seq: int


def event_of(record: Record) -> Event:
    """The event of a log record. Errors: ``CorruptArtefact`` for one that the disk has spoiled."""
    try:
        return _DECODER.decode(record.payload)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
        raise CorruptArtefact(
            f"The event at position {record.seq:,} of the log is damaged ({error}): restore events.db from a backup."
        ) from None


def stamped(records: list[Record]) -> Iterator[Stamped]:
    """Records as the fold takes them. Errors: as ``event_of``."""
    for record in records:
        yield record.timestamp, record.received, event_of(record)


def read_history(
    store: Store, settings: Settings, progress: Progress | None = None, dead: Iterable[int] = ()
) -> History:
    """Read the whole log, without what users did before they were deleted. Memory: about 300 bytes an interaction.

    dead: positions of events that can't be folded (``State.dead``), which are left out here too.
    """
    with _paused_collector():
        return _read(store, settings, progress, dead)


@contextlib.contextmanager
def _paused_collector() -> Generator[None]:
    """Nothing that is read here becomes garbage, and walking all of it again and again takes as long as reading it."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _read(store: Store, settings: Settings, progress: Progress | None, dead: Iterable[int]) -> History:
    skipped = frozenset(dead)
    slack = int(settings.state.future_seconds * 1000)
    content: list[Stamped] = []
    events: list[Stamped] = []
    keys: list[I64] = []
    erased: dict[str, tuple[int, int]] = {}
    positions: I64 = np.zeros(0, np.int64)
    total, done, seq = store.seq, 0, 0
    for whole in store.read():
        records = [one for one in whole if one.seq not in skipped] if skipped else whole
        ties = tie_keys([record.id for record in records])
        at = np.array([record.seq for record in records], np.int64)
        sent = np.array([record.timestamp for record in records], np.int64)
        arrived = np.array([record.received for record in records], np.int64)
        when = np.where(sent > arrived + slack, arrived, sent)
        told = np.zeros(len(records), np.bool_)
        for place, (clamped, one) in enumerate(zip(when.tolist(), stamped(records), strict=True)):
            event = one[2]
            if isinstance(event, Interaction | Impression):
                told[place] = True
                events.append(one if clamped == one[0] else (clamped, one[1], event))
            else:
                content.append(one)
                if isinstance(event, User) and event.deleted:
                    stamp = (clamped, int(ties[place]))
                    who = event.user or subject_of(None, event.session) or ""
                    erased[who] = max(stamp, erased.get(who, stamp))
        keys.append(np.stack([when[told], ties[told], at[told]]))
        done += len(whole)
        seq = whole[-1].seq
        if progress is not None:
            progress("read", done, total)
    if keys:
        stamps = np.concatenate(keys, axis=1)
        order = np.lexsort(stamps[1::-1])
        if erased:
            places: list[int] = order.tolist()
            kept = [not _is_erased(events[n][2], (int(stamps[0, n]), int(stamps[1, n])), erased) for n in places]
            order = order[np.array(kept, np.bool_)]
        events = [events[place] for place in order.tolist()]
        positions = stamps[2, order]
    interactions, users, items = _chosen(events, settings)
    return History(content, events, interactions, users, items, positions[interactions], seq)


def _chosen(events: list[Stamped], settings: Settings) -> tuple[I64, I32, list[str]]:
    """Places of interactions that aren't negative, codes of who, and names of with what."""
    worth: dict[str, bool] = {}
    places: list[int] = []
    for place, (_, _, event) in enumerate(events):
        if isinstance(event, Interaction):
            kind = event.type if event.text is None else kind_of(event, settings)
            if kind not in worth:
                worth[kind] = settings.weight(kind) >= 0
            if worth[kind]:
                places.append(place)
    found = [cast(Interaction, events[place][2]) for place in places]
    codes: dict[str, int] = {}
    names = [event.user if event.user is not None else subject_of(None, event.session) or "" for event in found]
    users = np.fromiter((codes.setdefault(name, len(codes)) for name in names), np.int32, len(names))
    return np.array(places, np.int64), users, [event.item for event in found]


def _is_erased(event: Event, key: tuple[int, int], erased: dict[str, tuple[int, int]]) -> bool:
    """Whether the event's user was deleted after it."""
    user = event.user if isinstance(event, Interaction | Impression) else None
    return user is not None and user in erased and key < erased[user]
