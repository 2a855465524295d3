"""Everything that Palate knows, folded from the event log.

Law: the state is a function of the log. The same log order gives the same bits, with or without a snapshot in
between; events up to 24 hours out of order give equal counts and histories, and decayed counts to 1e-6. Histories
sort by timestamp, then by ``tie_key`` of the event id. Newest timestamp wins for every field of an item or user.
Deleting a user empties their history as it is then, and what is older than the deletion never comes back, however
late it arrives; what they gave to the counts of items stays (it names nobody). A silence of more than a month counts
as a day wherever something decays (``silence``); decayed counts follow log order for events late across its end.

Bounds per user: ``state.history`` newest interactions, ``state.seen_per_user`` items seen. Per item:
``state.neighbours`` pairs (a full row keeps its stronger half; exactness of late corrections ends there, as it does
for the pairs of an event so late that the entries around it have left the history).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.config import Settings
from palate.state.arena import Arena
from palate.state.fold import BUCKETS, DAY_MS, MAX_WINDOW, fold
from palate.state.rows import find
from palate.state.silence import Silences
from palate.types import F32, F64, I32, I64, Bools, Event, FieldValue, Impression, Interaction, Item, User

Stamped = tuple[int, int, Event]
"""An event as the fold takes it: (timestamp, received, event), both in milliseconds."""

_DELETED = "\0deleted"
_TOUCHED = 4096
"""Touched item rows remembered for those who keep something derived of items."""


def tie_key(event_id: str) -> int:
    """Order of events that share a timestamp: ids that end in a number sort by it, others by a stable hash.

    63 bits: 15 of a hash of the part before the number, 48 of the number; or 63 of BLAKE2b.
    """
    head = event_id.rstrip("0123456789")
    tail = event_id[len(head) :]
    if tail and len(tail) <= 14 and (len(tail) >= 6 or not any(c.isdigit() for c in head)):
        return (zlib.crc32(head.encode()) & 0x7FFF) << 48 | int(tail)
    return int.from_bytes(hashlib.blake2b(event_id.encode(), digest_size=8).digest(), "big") >> 1


def subject_of(user: str | None, session: str | None) -> str | None:
    """The key of a history: the user, or an anonymous session (ids hold no NUL, so they can't clash)."""
    if user is not None:
        return user
    return None if session is None else "\0" + session


class Names:
    """Two-way table of ids and rows; rows are dense and given in order of first mention."""

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self.ids: list[str] = list(ids)
        self.rows: dict[str, int] = {name: row for row, name in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def row(self, name: str) -> int:
        """The row of ``name``, given now if it is new."""
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = len(self.ids)
            self.ids.append(name)
        return row

    def get(self, name: str) -> int:
        """The row of ``name``, or −1."""
        return self.rows.get(name, -1)


class State:
    """Histories, counters and pairs of one directory. Not thread-safe: the engine holds its lock around every call."""

    FORMAT = 3

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
            "shown": np.zeros(0, np.int64),
            "created": np.zeros(0, np.int64),
            "alive": np.zeros(0, np.bool_),
        }
        # 0 interactions, 1 positive, 2 repeated, 3 ratings, 4 their sum, 5 of squares, 8–10 decayed totals at time 6
        self.totals: F64 = np.zeros(16, np.float64)
        self.bucket_totals: I64 = np.zeros(BUCKETS, np.int64)
        self.seen = Arena({"count": np.int32, "last": np.int64, "neg": np.int64})
        self.pairs = Arena({"fwd": np.int32, "co": np.int32})
        self.history = Arena({"ts": np.int64, "key": np.int64, "kind": np.int32, "value": np.float32})
        self.item_fields: dict[int, dict[str, FieldValue]] = {}
        self.user_fields: dict[int, dict[str, FieldValue]] = {}
        self.item_stamps: dict[int, dict[str, tuple[int, int]]] = {}
        self.user_stamps: dict[int, dict[str, tuple[int, int]]] = {}
        self.seq = 0
        self.last = ""
        self.events = self.impressions = self.clamped = 0
        self.dead: list[int] = []  # positions of events that couldn't be folded (``folding``)
        self.clock_ts = 0
        self.clock_received = 0
        self.silences = Silences()
        self._touched: list[int] = []
        self._touched_from = 0

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
        if user < 0:
            return np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
        start, stop = self.history.span(user)
        columns = self.history.columns
        return (
            self.history.keys[start:stop],
            columns["ts"][start:stop],
            columns["kind"][start:stop],
            columns["value"][start:stop],
        )

    def seen_row(self, user: int) -> tuple[I32, I32, I64, I64]:
        """Items seen by a user (unordered), how often, when last (ms, 0 never), when last hidden (ms, 0 never)."""
        keys, columns = self.seen.entries_of(user)
        return keys, columns["count"], columns["last"], columns["neg"]

    def has_seen(self, user: int, item: int) -> bool:
        if user < 0 or item < 0 or user >= len(self.seen.cap):
            return False
        slot = find(self.seen.keys, self.seen.start[user], self.seen.cap[user], item)
        return slot >= 0 and bool(self.seen.columns["count"][slot] > 0)

    def touched_since(self, at: int) -> tuple[set[int] | None, int]:
        """Item rows with an interaction since position ``at``, and the position now; None where that is forgotten.

        Positions begin anew with the process; −1 is one that was always forgotten.
        """
        now = self._touched_from + len(self._touched)
        known = self._touched_from <= at <= now
        return (set(self._touched[at - self._touched_from :]) if known else None), now

    @property
    def repeat_rate(self) -> float:
        """Share of interactions whose user had that item before."""
        return float(self.totals[2] / self.totals[1]) if self.totals[1] else 0.0

    # ---------------------------------------------------------------------- folding

    def apply(self, events: Iterable[Stamped], seq: int | None = None) -> list[int]:
        """Fold events in log order. Returns the rows of items whose fields or presence changed, in order, once each.

        Timestamps further ahead of their arrival than ``state.future_seconds`` are clamped to it and counted.
        """
        slack = int(self.settings.state.future_seconds * 1000)
        changed: dict[int, None] = {}
        users: list[int] = []
        items: list[int] = []
        times: list[int] = []
        lives: list[int] = []
        ties: list[int] = []
        kinds: list[int] = []
        values: list[float] = []
        for ts, received, event in events:
            self.events += 1
            self.last = event.id or ""
            if ts > received + slack:
                ts = received
                self.clamped += 1
            if ts > self.clock_ts:
                self.clock_ts, self.clock_received = ts, received
            if isinstance(event, Interaction):
                row = self.items.get(event.item)
                if row < 0 or not (self.item_columns["alive"][row] or row in self.item_stamps):
                    row = self._new_item(event.item)
                    self.item_columns["alive"][row] = True
                    changed[row] = None
                user, tie = self.users.row(subject_of(event.user, event.session) or ""), tie_key(event.id or "")
                if user in self.user_stamps and self._erased(user, (ts, tie)):
                    continue
                users.append(user)
                items.append(row)
                times.append(ts)
                lives.append(self.silences.heard(ts))
                ties.append(tie)
                kinds.append(self.types.row(event.type))
                values.append(float("nan") if event.value is None else event.value)
            elif isinstance(event, Item):
                row = self._new_item(event.item)
                stamp = (ts, tie_key(event.id or ""))
                self._set_fields(self.item_fields, self.item_stamps, row, event.fields, stamp)
                deleted = self._newest(self.item_stamps[row], _DELETED, stamp)
                if deleted:
                    self.item_columns["alive"][row] = not event.deleted
                created = self.item_columns["created"]
                created[row] = ts if created[row] == 0 else min(created[row], ts)
                changed[row] = None
            elif isinstance(event, Impression):
                self.impressions += 1
                for name in event.items:
                    # An impression alone makes no item of the catalogue: anybody may have sent it.
                    row = self._new_item(name)
                    self.item_columns["shown"][row] += 1
            else:
                self._fold(users, items, times, lives, ties, kinds, values)
                self._apply_user(event, (ts, tie_key(event.id or "")))
        self._fold(users, items, times, lives, ties, kinds, values)
        if seq is not None:
            self.seq = seq
        return list(changed)

    def _new_item(self, name: str) -> int:
        """The row of an item, made now where it is new; not alive until an item event or an interaction says so."""
        row = self.items.get(name)
        if row >= 0:
            return row
        row = self.items.row(name)
        columns = self.item_columns
        if row >= len(columns["count"]):
            _grow(columns, row + 1)
        return row

    def _apply_user(self, event: User, stamp: tuple[int, int]) -> None:
        row = self.users.row(event.user)
        if self._erased(row, stamp):
            return
        self._set_fields(self.user_fields, self.user_stamps, row, event.fields, stamp)
        stamps = self.user_stamps[row]
        if event.deleted and self._newest(stamps, _DELETED, stamp):
            newer = {name: value for name, value in self.user_fields.pop(row).items() if stamps[name] > stamp}
            if newer:
                self.user_fields[row] = newer
            self._ensure(self.n_users, self.n_items)
            self.history.clear(row)
            self.seen.clear(row)
            for column in self.user_columns.values():
                column[row] = 0

    def is_deleted(self, user: int) -> bool:
        """Whether the user was deleted, and nothing is known of them since."""
        if _DELETED not in self.user_stamps.get(user, {}):
            return False
        counts = self.user_columns["count"]
        return user not in self.user_fields and not (user < len(counts) and counts[user])

    def _erased(self, user: int, stamp: tuple[int, int]) -> bool:
        """Whether the user was deleted after ``stamp``."""
        deleted = self.user_stamps.get(user, {}).get(_DELETED)
        return deleted is not None and stamp < deleted

    @staticmethod
    def _newest(stamps: dict[str, tuple[int, int]], name: str, stamp: tuple[int, int]) -> bool:
        old = stamps.get(name)
        if old is not None and old > stamp:
            return False
        stamps[name] = stamp
        return True

    def _set_fields(
        self,
        store: dict[int, dict[str, FieldValue]],
        stamps: dict[int, dict[str, tuple[int, int]]],
        row: int,
        fields: dict[str, FieldValue],
        stamp: tuple[int, int],
    ) -> None:
        mine = stamps.setdefault(row, {})
        values = store.setdefault(row, {})
        for name, value in fields.items():
            if self._newest(mine, name, stamp):
                values[name] = value

    def _ensure(self, users: int, items: int) -> None:
        _grow(self.user_columns, users)
        _grow(self.item_columns, items)
        self.seen.rows(users)
        self.history.rows(users)
        self.pairs.rows(items)

    def _fold(
        self,
        users: list[int],
        items: list[int],
        times: list[int],
        lives: list[int],
        ties: list[int],
        kinds: list[int],
        values: list[float],
    ) -> None:
        if not users:
            return
        self._ensure(self.n_users, self.n_items)
        self._touched += items[-_TOUCHED:]
        if len(self._touched) > _TOUCHED or len(items) > _TOUCHED:
            self._touched_from += len(items) - len(items[-_TOUCHED:]) + len(self._touched)
            self._touched = []
        bounds = self.settings.state
        sign = np.array([int(np.sign(self.settings.weight(name))) for name in self.types.ids], np.int32)
        rating = np.array([name == "rating" for name in self.types.ids], np.int32)
        batch = (
            np.array(users, np.int32),
            np.array(items, np.int32),
            np.array(times, np.int64),
            np.array(lives, np.int64),
            np.array(ties, np.int64),
            np.array(kinds, np.int32),
            np.array(values, np.float32),
        )
        for column in (users, items, times, lives, ties, kinds, values):
            column.clear()
        u, i = self.user_columns, self.item_columns
        done, stuck = 0, -1
        while True:
            s, p, h = self.seen, self.pairs, self.history
            done = fold(
                *batch, done, sign, rating,
                bounds.window, bounds.history, bounds.seen_per_user, bounds.neighbours, self.half_lives,
                u["count"], u["last"], u["rating_sum"], u["ratings"],
                i["count"], i["first"], i["last"], i["decayed"], i["decayed_ts"], i["buckets"],
                self.totals, self.bucket_totals,
                s.meta, s.keys, s.columns["count"], s.columns["last"], s.columns["neg"], s.start, s.cap, s.size,
                p.meta, p.keys, p.columns["fwd"], p.columns["co"], p.start, p.cap, p.size,
                h.meta, h.keys, h.columns["ts"], h.columns["key"], h.columns["kind"], h.columns["value"],
                h.start, h.cap, h.size,
            )  # fmt: skip
            if done >= len(batch[0]):
                return
            scale = 2 if done == stuck else 1
            stuck = done
            self.seen.room(4 * bounds.seen_per_user * scale)
            self.history.room(4 * bounds.history * scale)
            self.pairs.room(8 * bounds.neighbours * (2 * bounds.window + 16) * scale)


def _grow(columns: dict[str, npt.NDArray[Any]], n: int) -> None:
    """Make every column at least ``n`` long, by doubling, new rows zero."""
    for name, column in columns.items():
        if len(column) < n:
            size = max(n, 2 * len(column), 256)
            fresh = np.zeros((size, *column.shape[1:]), column.dtype)
            fresh[: len(column)] = column
            columns[name] = fresh
