"""Both event logs keep the contract of an event log."""

from __future__ import annotations

from pathlib import Path

from palate.store import Store, open_store
from palate.store.memory import MemoryStore
from palate.store.sqlite import SqliteStore
from palate.testing.store import DurableStoreContract, StoreContract


class TestMemory(StoreContract):
    def make(self, path: Path) -> Store:
        return MemoryStore()


class TestSqlite(DurableStoreContract):
    def make(self, path: Path) -> Store:
        return SqliteStore(path)


class TestSqliteFast(DurableStoreContract):
    opener = ("palate.store:open_store", "fast")

    def make(self, path: Path) -> Store:
        return SqliteStore(path, "fast")


def test_the_factory(tmp_path: Path) -> None:
    memory = open_store(":memory:")
    assert isinstance(memory, MemoryStore)
    disk = open_store(str(tmp_path / "events.db"))
    assert isinstance(disk, SqliteStore)
    disk.close()
