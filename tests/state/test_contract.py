"""The law of state holds for the fold, with and without a snapshot after every batch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from palate.config import Settings
from palate.state import State, snapshot
from palate.testing.state import Batches, StateContract


def fold(batches: Batches, settings: Settings) -> State:
    state = State(settings)
    seq = 0
    for batch in batches:
        seq += len(batch)
        state.apply(batch, seq)
    return state


class TestInOneGo(StateContract):
    def fold(self, batches: Batches, settings: Settings) -> State:
        return fold(batches, settings)


class TestWithSnapshots(StateContract):
    """Written to disk and read back after every batch."""

    def fold(self, batches: Batches, settings: Settings) -> State:
        state = State(settings)
        seq = 0
        with tempfile.TemporaryDirectory() as directory:
            for batch in batches:
                seq += len(batch)
                state.apply(batch, seq)
                if len(batch) > 1 or seq % 8 == 0:  # not after every single event: each is three synced files
                    path = snapshot.write(Path(directory), seq, snapshot.freeze(state, "none"))
                    state, _ = snapshot.read(path, settings)
        return state
