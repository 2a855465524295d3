"""Everything that Palate knows, folded from the event log.

Law: the state is a function of the log. The same log order gives the same bits, with or without a snapshot in
between; events up to 24 hours out of order give equal counts and histories, and decayed counts to 1e-6. Histories
sort by timestamp, then by ``short_tie`` of the event id. Newest timestamp wins for every field of an item or user.
Deleting a user empties their history as it is then, and what is older than the deletion never comes back, however
late it arrives; what they gave to the counts of items stays (it names nobody). To opt out, or in, deletes too; in
between, in log order, nothing of theirs is folded. A silence of more than a month counts as a day wherever something
decays (``silence``); decayed counts follow log order for events late across its end.

Bounds per user: ``state.history`` newest interactions; the items of those, and so many others that were seen that there
are at most ``state.seen_per_user`` in all. Per item:
``state.neighbours`` pairs (a full row keeps its stronger half; exactness of late corrections ends there, as it does
for the pairs of an event so late that the entries around it have left the history).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress, groupby
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from palate.config import Settings
from palate.feedback.kinds import kind_of
from palate.state.arena import Arena, grow
from palate.state.fold import BUCKETS, CROWD, DAY_MS, MAX_WINDOW, fold
from palate.state.history import entries
from palate.state.keys import subject_of, tie_key, tie_keys
from palate.state.names import Names
from palate.state.opinions import Opinions, tell
from palate.state.recent import KEPT, Recent
from palate.state.seen import had, seen_of
from palate.state.silence import Silences
from palate.state.stamps import Stamps
from palate.types import F32, F64, I32, I64, Bools, Event, FieldValue, Impression, Interaction, Item, User
from palate.wishes import PROFILING

Stamped = tuple[int, int, Event]
"""An event as the fold takes it: (timestamp, received, event), both in milliseconds."""

_DELETED = "\0deleted"


class State:
    """Histories, counters and pairs of one directory. Not thread-safe: the engine holds its lock around every call."""

    FORMAT = 9

    def __init__(self, settings: Settings) -> None:
        bounds = settings.state
        if not 1 <= bounds.window <= MAX_WINDOW - 1:
            raise ValueError(f"state.window is {bounds.window}; it must lie between 1 and {MAX_WINDOW - 1}.")
        self.settings = settings
        self.users, self.items, self.types = Names(), Names(), Names()
        self.half_lives: F64 = np.asarray(bounds.half_lives, np.float64)
        self.user_columns: dict[str, npt.NDArray[Any]] = {
            "count": np.zeros(0, np.int64),
            "last": np.zeros(0, np.int64),
            "rating_sum": np.zeros(0, np.float64),
            "ratings": np.zeros(0, np.int64),
        }
        self.item_columns: dict[str, npt.NDArray[Any]] = {
            "count": np.zeros(0, np.int64),
            "first": np.zeros(0, np.int64),
            "last": np.zeros(0, np.int64),
            "decayed": np.zeros((0, 3), np.float64),
            "decayed_ts": np.zeros(0, np.int64),
            "buckets": np.zeros((0, BUCKETS), np.int32),
            "gaps": np.zeros((0, 3), np.int64),  # between two times of a person: how many, sum, squares (``gap_of``)
            "crowd": np.zeros((0, CROWD), np.int64),  # who had it last (``remember``)
            "shown": np.zeros(0, np.int64),
            "created": np.zeros(0, np.int64),
            "alive": np.zeros(0, np.bool_),
        }
        # 0 interactions, 1 positive, 2 repeated, 3 ratings, 4 their sum, 5 of squares, 8–10 decayed totals at time 6,
        # 11–13 gaps, their sum, of their squares
        self.totals: F64 = np.zeros(16, np.float64)
        self.bucket_totals: I64 = np.zeros(BUCKETS, np.int64)
        self.seen = Arena({"count": np.int32, "last": np.int64, "neg": np.int64}, hashed=True)
        self.pairs = Arena({"fwd": np.int32, "co": np.int32}, hashed=True)
        self.history = Arena({"tie": np.uint32, "word": np.int64})
        self.wide = Arena({"value": np.float32})  # of histories; the keys are types
        self.item_fields: dict[int, dict[str, FieldValue]] = {}
        self.user_fields: dict[int, dict[str, FieldValue]] = {}
        self.item_stamps = Stamps()
        self.user_stamps = Stamps()
        self.said_of, self.said_by = Opinions(bounds.half_lives[2]), Opinions(bounds.half_lives[2])  # items, users
        self.seq = 0
        self.last = ""
        self.events = self.impressions = self.clamped = 0
        self.dead: list[int] = []  # positions of events that couldn't be folded (``folding``)
        self.clock_ts = 0
        self.clock_received = 0
        self.silences = Silences()
        self._deleted: set[int] | None = None  # users deleted at some time; None: not looked for yet
        self.opted_out: set[int] = set()  # users who don't want to be profiled
        self._waiting: list[tuple[I64, F32]] = []  # interactions as ``fold`` takes them: (6, n) and their values
        self._signs: tuple[I32, I32] = np.zeros(0, np.int32), np.zeros(0, np.int32)
        self._touched = Recent()
        self.described = Recent()  # users whose fields changed

    # ---------------------------------------------------------------------- reading

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def item(self, column: str) -> npt.NDArray[Any]:
        """A column over the items, (n_items, …); a view, not a copy."""
        return self.item_columns[column][: self.n_items]

    @property
    def alive(self) -> Bools:
        """(n_items,) True where the item isn't deleted."""
        return self.item("alive")

    def now(self, wall: int) -> int:
        """Event time of the wall clock ``wall``: the newest event's time plus what has passed since it arrived.

        On live traffic this is the wall clock; on an imported history of years ago it is that history's own present.
        """
        return min(wall, self.clock_ts + max(0, wall - self.clock_received)) if self.clock_ts else wall

    def decayed(self, now: int) -> F64:
        """(n_items, 3) decayed interaction counts at ``now`` (ms), one column a half-life. O(n_items)."""
        days = np.maximum(0, self.silences.live(now) - self.item("decayed_ts")) / DAY_MS
        return self.item("decayed") * np.exp2(-days[:, None] / self.half_lives)

    def decayed_totals(self, now: int) -> F64:
        """(3,) the same over all items."""
        days = max(0.0, self.silences.live(now) - float(self.totals[6])) / DAY_MS
        return self.totals[8:11] * np.exp2(-days / self.half_lives)

    def history_of(self, user: int) -> tuple[I32, I64, I32, F32]:
        """Items, timestamps, type codes and values (NaN where none) of a user's history, oldest first."""
        return entries(self.history, self.wide, user)

    def seen_row(self, user: int) -> tuple[I32, I32, I64, I64]:
        """Items seen by a user (unordered), how often, when last (ms, 0 never), when last hidden (ms, 0 never)."""
        items, times, kinds, _ = self.history_of(user)
        return seen_of(self.seen, user, items, times, kinds, self._known_signs()[0].astype(np.float64))[1:]

    def has_seen(self, user: int, item: int) -> bool:
        """Whether a user had an item, other than to hide it."""
        if user < 0 or item < 0 or user >= len(self.history.cap):
            return False
        h, w, s = self.history, self.wide, self.seen
        return had(
            h.keys, h.columns["word"], h.start[user], h.size[user], w.keys, w.start[user], self._known_signs()[0],
            s.keys, s.columns["count"], s.start[user], s.cap[user], item,
        )  # fmt: skip

    def touched_since(self, at: int) -> tuple[set[int] | None, int]:
        """Item rows with an interaction since position ``at``, and the position now; None where that is forgotten.

        Positions begin anew with the process; −1 is one that was always forgotten.
        """
        return self._touched.since(at)

    @property
    def repeat_rate(self) -> float:
        """Share of interactions whose user had that item before."""
        return float(self.totals[2] / self.totals[1]) if self.totals[1] else 0.0

    # ---------------------------------------------------------------------- folding

    def apply(self, events: Iterable[Stamped], seq: int | None = None) -> list[int]:
        """Fold events in log order. Returns the rows of items whose fields or presence changed, in order, once each.

        Timestamps further ahead of their arrival than ``state.future_seconds`` are clamped to it and counted.
        Cost: 4 to 7 µs an interaction in batches of a hundred, most of it pairs; 20 µs a call.
        """
        stamped = list(events)
        changed: dict[int, None] = {}
        if stamped:
            times = self._clamped(stamped)
            found = [event for _, _, event in stamped]
            self.events += len(found)
            self.last = found[-1].id or ""
            if len(set(map(type, found))) == 1:
                self._apply_run(type(found[0]), found, times, changed)
            else:
                start = 0
                for kind, some in groupby(found, type):
                    run = list(some)
                    self._apply_run(kind, run, times[start : start + len(run)], changed)
                    start += len(run)
            self._fold()
        if seq is not None:
            self.seq = seq
        return list(changed)

    def _clamped(self, stamped: Sequence[Stamped]) -> list[int]:
        """The times that count; moves the clock."""
        times = [one[0] for one in stamped]
        slack = int(self.settings.state.future_seconds * 1000)
        if max(times) > min([one[1] for one in stamped]) + slack:
            for place, (ts, received, _) in enumerate(stamped):
                if ts > received + slack:
                    times[place] = received
                    self.clamped += 1
        newest = max(times)
        if newest > self.clock_ts:
            self.clock_ts, self.clock_received = newest, stamped[times.index(newest)][1]
        return times

    def _apply_run(self, kind: type, events: list[Any], times: list[int], changed: dict[int, None]) -> None:
        """Events of one kind that follow one another."""
        if kind is Interaction:
            self._interactions(events, times, changed)
        elif kind is Impression:
            self.impressions += len(events)
            for event in events:
                for name in event.items:
                    # An impression alone makes no item of the catalogue: anybody may have sent it.
                    row = self._new_item(name)
                    self.item_columns["shown"][row] += 1
        elif kind is Item:
            for event, ts in zip(events, times, strict=True):
                self._apply_item(event, (ts, tie_key(event.id or "")), changed)
        else:
            self._fold()
            for event, ts in zip(events, times, strict=True):
                self._apply_user(event, (ts, tie_key(event.id or "")))

    def _interactions(self, events: list[Interaction], times: list[int], changed: dict[int, None]) -> None:
        """Queue interactions for the kernel, a column at a time."""
        items = self._item_rows([event.item for event in events], changed)
        users = self.users.array_of(
            [event.user if event.user is not None else subject_of(None, event.session) or "" for event in events]
        )
        ties = tie_keys([event.id or "" for event in events])
        texts = [event.text for event in events]
        speak = self.settings.language.feedback and texts.count(None) < len(texts)
        kinds = self.types.array_of([kind_of(event, self.settings) if speak else event.type for event in events])
        values = [event.value for event in events]
        given = np.empty(len(values), np.float32)
        given[:] = np.nan if values.count(None) == len(values) else values
        when = times
        if self._deleted_users and not self._deleted_users.isdisjoint(users.tolist()):
            stamps = zip(users.tolist(), times, ties.tolist(), strict=True)
            off = self.opted_out
            kept = np.array([not (user in off or self._erased(user, (ts, tie))) for user, ts, tie in stamps], np.bool_)
            users, items, ties, kinds, given = users[kept], items[kept], ties[kept], kinds[kept], given[kept]
            when, texts = list(compress(times, kept.tolist())), list(compress(texts, kept.tolist()))
        batch = np.empty((6, len(when)), np.int64)
        batch[0], batch[1], batch[2], batch[4], batch[5] = users, items, when, ties, kinds
        lives = self.silences.heard(when)
        batch[3] = batch[2] if lives is when else lives
        if speak:
            tell(self.said_of, self.said_by, texts, batch)
        self._waiting.append((batch, given))

    def _item_rows(self, names: list[str], changed: dict[int, None]) -> I64:
        """Rows of items that somebody did something with; new ones are alive from now on."""
        rows = self.items.find(names)
        try:
            known = np.array(cast("list[int]", rows), np.int64)
        except TypeError:  # one of them is new
            pass
        else:
            if self.item_columns["alive"].take(known).all():
                return known
        return np.array([self._met(name, changed) for name in names], np.int64)

    def _met(self, name: str, changed: dict[int, None]) -> int:
        row = self.items.get(name)
        if row < 0 or not (self.item_columns["alive"][row] or row in self.item_stamps):
            row = self._new_item(name)
            self.item_columns["alive"][row] = True
            changed[row] = None
        return row

    def _apply_item(self, event: Item, stamp: tuple[int, int], changed: dict[int, None]) -> None:
        row = self._new_item(event.item)
        fields = self.item_fields.setdefault(row, {})
        for name in self.item_stamps.set(row, (*event.fields, _DELETED), stamp):
            if name == _DELETED:
                self.item_columns["alive"][row] = not event.deleted
            else:
                fields[name] = event.fields[name]
        created = self.item_columns["created"]
        created[row] = stamp[0] if created[row] == 0 else min(created[row], stamp[0])
        changed[row] = None

    def _new_item(self, name: str) -> int:
        """The row of an item, made now where it is new; not alive until an item event or an interaction says so."""
        if (row := self.items.get(name)) >= 0:
            return row
        row = self.items.row(name)
        columns = self.item_columns
        if row >= len(columns["count"]):
            grow(columns, row + 1)
        return row

    def _apply_user(self, event: User, stamp: tuple[int, int]) -> None:
        row = self.users.row(event.user or subject_of(None, event.session) or "")
        self._ensure(self.n_users, self.n_items)
        clears = event.deleted or PROFILING in event.fields
        if self._erased(row, stamp) or (row in self.opted_out and not clears):
            return
        self.described.add([row])
        fields = self.user_fields.setdefault(row, {})
        for name in self.user_stamps.set(row, event.fields, stamp):
            fields[name] = event.fields[name]
        if clears and self.user_stamps.set(row, [_DELETED], stamp):
            self._deleted_users.add(row)
            stamps = self.user_stamps.of(row)
            newer = {name: value for name, value in self.user_fields.pop(row).items() if stamps[name] > stamp}
            self.opted_out.discard(row)
            if event.fields.get(PROFILING) is False:
                newer[PROFILING] = False
                self.opted_out.add(row)
            if newer:
                self.user_fields[row] = newer
            self._ensure(self.n_users, self.n_items)
            for arena in (self.history, self.wide, self.seen):
                arena.clear(row)
            self.said_by.clear(row)
            for column in self.user_columns.values():
                column[row] = 0

    def is_deleted(self, user: int) -> bool:
        """Whether the user was deleted, and nothing is known of them since."""
        if self.user_stamps.get(user, _DELETED) is None:
            return False
        counts = self.user_columns["count"]
        return user not in self.user_fields and not (user < len(counts) and counts[user])

    @property
    def _deleted_users(self) -> set[int]:
        if self._deleted is None:
            self._deleted = {row for row in self.user_stamps if self.user_stamps.get(row, _DELETED)}
        return self._deleted

    def _erased(self, user: int, stamp: tuple[int, int]) -> bool:
        """Whether the user was deleted after ``stamp``."""
        return (deleted := self.user_stamps.get(user, _DELETED)) is not None and stamp < deleted

    def _ensure(self, users: int, items: int) -> None:
        if users > min(len(self.user_columns["count"]), len(self.seen.start), len(self.history.start)):
            grow(self.user_columns, users)
            for arena in (self.history, self.wide, self.seen):
                arena.rows(users)
        if items > min(len(self.item_columns["count"]), len(self.pairs.start)):
            grow(self.item_columns, items)
            self.pairs.rows(items)

    def _fold(self) -> None:
        """The interactions that wait, through the kernel."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        batch = waiting[0] if len(waiting) == 1 else _one_batch(waiting)
        self._ensure(self.n_users, self.n_items)
        newest: list[int] = batch[0][1, -KEPT:].tolist()
        self._touched.add(newest, len(batch[1]) - len(newest))
        bounds = self.settings.state
        u, i = self.user_columns, self.item_columns
        done, stuck = 0, -1
        while True:
            s, p, h, w = self.seen, self.pairs, self.history, self.wide
            done = fold(
                *batch, done, *self._known_signs(),
                bounds.window, bounds.history, max(0, bounds.seen_per_user - bounds.history), bounds.neighbours,
                self.half_lives,
                u["count"], u["last"], u["rating_sum"], u["ratings"],
                i["count"], i["first"], i["last"], i["decayed"], i["decayed_ts"], i["buckets"], i["gaps"], i["crowd"],
                self.totals, self.bucket_totals,
                s.meta, s.keys, s.columns["count"], s.columns["last"], s.columns["neg"], s.start, s.cap, s.size,
                p.meta, p.keys, p.columns["fwd"], p.columns["co"], p.start, p.cap, p.size,
                h.meta, h.keys, h.columns["tie"], h.columns["word"], h.start, h.cap, h.size,
                w.meta, w.keys, w.columns["value"], w.start, w.cap, w.size,
            )  # fmt: skip
            if done >= len(batch[1]):
                return
            scale = 2 if done == stuck else 1
            stuck = done
            self.seen.room(4 * bounds.seen_per_user * scale)
            for arena in (self.history, self.wide):
                arena.room(4 * bounds.history * scale, pack=True)
            self.pairs.room(16 * bounds.neighbours * (2 * bounds.window + 2) * scale)

    def _known_signs(self) -> tuple[I32, I32]:
        """By type: the sign of its weight, and whether it is the rating."""
        if len(self._signs[0]) < len(self.types):
            sign = [int(np.sign(self.settings.weight(name))) for name in self.types.ids]
            self._signs = np.array(sign, np.int32), np.array([name == "rating" for name in self.types.ids], np.int32)
        return self._signs


def _one_batch(waiting: list[tuple[I64, F32]]) -> tuple[I64, F32]:
    return np.concatenate([one for one, _ in waiting], axis=1), np.concatenate([values for _, values in waiting])
