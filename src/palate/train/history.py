"""The log as training reads it: content first, then every interaction in time order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import CorruptArtefact
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
    in their order; names of neither matter here, only equality.
    """

    content: list[Stamped]
    events: list[Stamped]
    interactions: I64
    users: I32
    items: list[str]
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
    skipped = frozenset(dead)
    slack = int(settings.state.future_seconds * 1000)
    content: list[Stamped] = []
    events: list[Stamped] = []
    keys: list[tuple[int, int]] = []
    erased: dict[str, tuple[int, int]] = {}
    total, done, seq = store.seq, 0, 0
    for whole in store.read():
        records = [one for one in whole if one.seq not in skipped] if skipped else whole
        ties: list[int] = tie_keys([record.id for record in records]).tolist()
        for tie, (ts, received, event) in zip(ties, stamped(records), strict=True):
            when = received if ts > received + slack else ts
            if isinstance(event, Interaction | Impression):
                keys.append((when, tie))
                events.append((when, received, event))
            else:
                content.append((ts, received, event))
                if isinstance(event, User) and event.deleted:
                    stamp = (when, tie)
                    erased[event.user] = max(stamp, erased.get(event.user, stamp))
        done += len(whole)
        seq = whole[-1].seq
        if progress is not None:
            progress("read", done, total)
    order = sorted(range(len(events)), key=keys.__getitem__)
    events = [events[place] for place in order if not (erased and _is_erased(events[place][2], keys[place], erased))]
    chosen: list[int] = []
    codes: dict[str, int] = {}
    users: list[int] = []
    items: list[str] = []
    for place, (_, _, event) in enumerate(events):
        if isinstance(event, Interaction) and settings.weight(event.type) >= 0:
            chosen.append(place)
            name = subject_of(event.user, event.session) or ""
            users.append(codes.setdefault(name, len(codes)))
            items.append(event.item)
    return History(content, events, np.array(chosen, np.int64), np.array(users, np.int32), items, seq)


def _is_erased(event: Event, key: tuple[int, int], erased: dict[str, tuple[int, int]]) -> bool:
    """Whether the event's user was deleted after it."""
    user = event.user if isinstance(event, Interaction | Impression) else None
    return user is not None and user in erased and key < erased[user]
