"""The contract of an event log, as tests: inherit ``StoreContract``, or ``DurableStoreContract`` for one on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import pytest

from palate.errors import Unavailable
from palate.store import Record, Store
from palate.types import Event, Impression, Interaction


def record(number: int, **changes: Any) -> Record:
    """Record ``e<number>``: a click of user ``u<number % 3>`` on item ``i<number % 5>``, a second apart."""
    user, item = f"u{number % 3}", f"i{number % 5}"
    event: Event = Interaction(id=f"e{number}", timestamp=number * 1000, item=item, user=user)
    plain = Record(
        0, f"e{number}", number * 1000, "interaction", user, number * 1000 + 5, msgspec.msgpack.encode(event)
    )
    return msgspec.structs.replace(plain, **changes)


def everything(store: Store, chunk: int = 10_000) -> list[Record]:
    """The whole log."""
    return [one for part in store.read(chunk=chunk) for one in part]


class StoreContract(ABC):
    """Idempotent by id, dense positions, reading in order and each once, look-ups, refusal once closed."""

    @abstractmethod
    def make(self, path: Path) -> Store:
        """A store of which ``path``, a name in an empty directory, may hold the file."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        store = self.make(tmp_path / "events.db")
        yield store
        store.close()

    def test_an_empty_log(self, store: Store) -> None:
        assert (store.seq, store.count(), everything(store), store.find("u0", None, None)) == (0, 0, [], [])
        result = store.append([])
        assert (result.seqs, result.seq) == ([], 0)

    def test_positions_are_dense_from_one(self, store: Store) -> None:
        assert store.append([record(0), record(1)]).seqs == [1, 2]
        result = store.append([record(2)])
        assert (result.seqs, result.seq, store.seq, store.count()) == ([3], 3, 3, 3)

    def test_a_round_trip_keeps_every_field(self, store: Store) -> None:
        odd = [
            record(1),
            Record(0, "日本語 'id'; --", 0, "item", None, 253_402_300_799_999, b""),
            Record(0, "x" * 512, -1, "user", "ü", -(2**63), bytes(range(256)) * 300),
        ]
        store.append(odd)
        assert everything(store) == odd
        assert [one.seq for one in odd] == [1, 2, 3]

    def test_the_log_does_not_change_with_the_caller(self, store: Store) -> None:
        mine = record(1)
        store.append([mine])
        mine.payload = b"changed"
        read = everything(store)[0]
        read.id = "changed"
        assert everything(store) == [record(1, seq=1)]

    def test_idempotent_across_appends(self, store: Store) -> None:
        store.append([record(0), record(1)])
        result = store.append([record(1, payload=b"other"), record(2), record(0)])
        assert (result.seqs, result.seq) == ([0, 3, 0], 3)
        assert everything(store) == [record(0, seq=1), record(1, seq=2), record(2, seq=3)]
        assert store.append([record(2)]).seq == 3

    def test_idempotent_inside_a_batch(self, store: Store) -> None:
        assert store.append([record(0), record(0, payload=b"second"), record(1), record(0)]).seqs == [1, 0, 2, 0]
        assert everything(store) == [record(0, seq=1), record(1, seq=2)]

    def test_the_same_object_twice(self, store: Store) -> None:
        one = record(0)
        assert store.append([one, one]).seqs == [1, 0]
        assert one.seq == 1
        store.append([one])
        assert one.seq == 1

    @pytest.mark.parametrize("chunk", [1, 7, 100, 1000])
    def test_reading_gives_each_once_in_order(self, store: Store, chunk: int) -> None:
        for start in range(0, 100, 10):
            store.append([record(number) for number in range(start, start + 10)])
        parts = list(store.read(chunk=chunk))
        assert all(1 <= len(part) <= chunk for part in parts)
        assert [one.seq for part in parts for one in part] == list(range(1, 101))

    @pytest.mark.parametrize(
        ("after", "until", "expected"),
        [
            (0, 3, [1, 2, 3]),
            (7, None, [8, 9, 10]),
            (3, 5, [4, 5]),
            (10, None, []),
            (99, None, []),
            (5, 5, []),
            (8, 99, [9, 10]),
        ],
    )
    def test_reading_a_part(self, store: Store, after: int, until: int | None, expected: list[int]) -> None:
        store.append([record(number) for number in range(10)])
        assert [one.seq for part in store.read(after, until) for one in part] == expected

    def test_reading_ends_where_the_log_ended_when_it_began(self, store: Store) -> None:
        store.append([record(number) for number in range(4)])
        seen: list[int] = []
        for part in store.read(chunk=2):
            seen.extend(one.seq for one in part)
            store.append([record(100 + len(seen))])
        assert seen == [1, 2, 3, 4]

    def test_an_abandoned_reader_blocks_nothing(self, store: Store) -> None:
        store.append([record(number) for number in range(10)])
        reader = store.read(chunk=2)
        next(reader)
        assert store.append([record(10)]).seqs == [11]
        del reader
        assert store.append([record(11)]).seqs == [12]

    def test_finding(self, store: Store) -> None:
        store.append([record(number) for number in range(30)])
        assert [one.id for one in store.find("u1", None, None)] == [f"e{number}" for number in range(1, 30, 3)]
        assert [one.id for one in store.find("u1", "i2", None)] == ["e7", "e22"]
        assert [one.id for one in store.find("u1", "i2", 22_000)] == ["e22"]
        assert [one.id for one in store.find("u1", None, 7_000)] == ["e7"]
        assert store.find("u1", "i3", 22_000) == []
        assert store.find("nobody", None, None) == []

    def test_finding_an_impression_by_any_of_its_items(self, store: Store) -> None:
        shown: Event = Impression(id="e", timestamp=5, items=["a", "b"], user="u")
        store.append([Record(0, "e", 5, "impression", "u", 5, msgspec.msgpack.encode(shown))])
        assert [one.id for one in store.find("u", "b", None)] == ["e"]
        assert store.find("u", "c", None) == []

    @pytest.mark.parametrize("gone", [[1], [30], [4, 5, 6, 7], list(range(1, 31)), [29, 30, 2]])
    @pytest.mark.parametrize("chunk", [1, 4, 100])
    def test_what_is_erased_keeps_its_place_and_its_id(self, store: Store, gone: list[int], chunk: int) -> None:
        store.append([record(number) for number in range(30)])
        assert store.erase(gone) == len(gone)
        assert store.erase(gone) == 0
        left = [record(number, seq=number + 1) for number in range(30) if number + 1 not in gone]
        parts = list(store.read(chunk=chunk))
        assert [one for part in parts for one in part] == left
        assert all(1 <= len(part) <= chunk for part in parts)
        assert (store.seq, store.count()) == (30, 30)
        found = [one for user in ("u0", "u1", "u2") for one in store.find(user, None, None)]
        assert sorted(one.seq for one in found) == [one.seq for one in left]
        again = [record(number) for number in range(31)]
        assert store.append(again).seqs == [0] * 30 + [31]
        assert store.append([record(5), record(31)]).seqs == [0, 32]

    def test_erasing_nothing(self, store: Store) -> None:
        assert store.erase([]) == 0
        store.append([record(0)])
        assert store.erase([]) == 0
        assert everything(store) == [record(0, seq=1)]

    def test_threads_share_one_order(self, store: Store) -> None:
        def work(worker: int) -> None:
            for number in range(40):  # every id is sent by two workers
                store.append([record((worker // 2) * 1000 + number)])

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log = everything(store, chunk=9)
        assert [one.seq for one in log] == list(range(1, 121))
        assert len({one.id for one in log}) == 120

    def test_once_closed_it_says_so(self, store: Store) -> None:
        store.append([record(0)])
        store.close()
        store.close()
        with pytest.raises(Unavailable, match="is closed: open the engine again"):
            store.append([record(1)])
        with pytest.raises(Unavailable, match="is closed"):
            next(store.read())
        with pytest.raises(Unavailable, match="is closed"):
            store.find("u0", None, None)


CHILD = """
import importlib, os, sys, threading
from pathlib import Path
from palate.store.commit import GroupCommitter
from palate.testing.store import record

module, name = sys.argv[1].split(":")
store = getattr(importlib.import_module(module), name)(Path(sys.argv[2]), *sys.argv[4:])
first = int(sys.argv[3])
committer = GroupCommitter(store)

def work(worker):
    number = first + worker * 100_000
    while True:
        batch = [record(n) for n in range(max(0, number - 2), number + 5)]  # the first two are sent again
        committer.append(batch)
        os.write(1, "".join(f"{one.id}\\n" for one in batch).encode())
        number += 5

for worker in range(3):
    threading.Thread(target=work, args=(worker,)).start()
"""


class DurableStoreContract(StoreContract):
    """What a store on disk promises besides: it survives being closed, and being killed at any moment."""

    opener: tuple[str, ...] = ("palate.store:open_store",)
    """``module:function`` that opens the store at a path, and further arguments: for the process that gets killed."""

    def test_reopened_it_is_the_same(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "events.db")
        store.append([record(number) for number in range(5)])
        store.close()
        store = self.make(tmp_path / "events.db")
        assert store.seq == 5
        assert store.append([record(2), record(9)]).seqs == [0, 6]
        assert [one.id for one in everything(store)] == ["e0", "e1", "e2", "e3", "e4", "e9"]
        store.close()

    def test_reopened_what_was_erased_is_still_known(self, tmp_path: Path) -> None:
        store = self.make(tmp_path / "events.db")
        store.append([record(number) for number in range(5)])
        store.erase([2, 5])
        store.close()
        kept = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
        assert b"e3" in kept
        assert (b"e1" in kept, b"e4" in kept) == (False, False)
        store = self.make(tmp_path / "events.db")
        assert [one.seq for one in everything(store)] == [1, 3, 4]
        assert store.append([record(1), record(4), record(9)]).seqs == [0, 0, 6]
        assert store.find("u1", None, None) == []
        store.close()

    def test_kill_9_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "events.db"
        acknowledged: set[str] = set()
        for cycle in range(6):
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, self.opener[0], str(path), str(cycle * 1_000_000), *self.opener[1:]],
                stdout=subprocess.PIPE,
            )
            assert child.stdout is not None
            lines = [child.stdout.readline() for _ in range(200 + 37 * cycle)]
            os.kill(child.pid, signal.SIGKILL)
            lines += child.stdout.readlines()
            child.stdout.close()
            assert child.wait() == -signal.SIGKILL
            acknowledged.update(line.decode().strip() for line in lines)
            store = self.make(path)
            log = everything(store)
            ids = [one.id for one in log]
            assert [one.seq for one in log] == list(range(1, len(log) + 1))
            assert len(set(ids)) == len(ids)
            assert acknowledged <= set(ids)
            assert store.seq == len(log)
            store.close()
        assert len(acknowledged) > 1000
