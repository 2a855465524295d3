"""What is popular, kept between requests, is what counting anew would find."""

from __future__ import annotations

import numpy as np
import pytest

from palate.config import Settings
from palate.retrieve import Retriever, recent_popular
from palate.retrieve.recent_popular import RecentPopular
from palate.retrieve.topk import top_k
from palate.state import State
from palate.testing.retriever import RetrieverContract
from palate.types import Bools, Interaction

NOW = 1_700_000_000_000
DAY = 86_400_000


def touch(state: State, rng: np.random.Generator, count: int, items: int) -> None:
    """``count`` clicks within the ten days before ``NOW``."""
    number = state.events
    events = [
        Interaction(
            id=f"e{number + n}",
            timestamp=NOW - int(rng.integers(0, 10 * DAY)),
            item=f"i{int(items * rng.random() ** 3)}",
            user=f"u{rng.integers(0, 50)}",
        )
        for n in range(count)
    ]
    state.apply([(int(event.timestamp or 0), NOW, event) for event in events])


def anew(state: State, column: int | None, k: int, alive: Bools | None) -> list[int]:
    counts = state.item("count").astype(np.float64) if column is None else state.decayed(NOW)[:, column]
    rows = np.flatnonzero(counts > 0).astype(np.int32)
    if alive is not None:
        rows = rows[rows < len(alive)]
        rows = rows[alive[rows]]
    return top_k(rows, counts[rows], k)[0].tolist()


@pytest.mark.parametrize("kept", [20, 4096])
@pytest.mark.parametrize("column", [0, 2, None])
def test_it_keeps_up_with_what_is_touched(monkeypatch: pytest.MonkeyPatch, kept: int, column: int | None) -> None:
    monkeypatch.setattr(recent_popular, "KEPT", kept)
    rng = np.random.default_rng(kept + (column or 0))
    state = State(Settings())
    popular = RecentPopular(state, column)
    assert popular(5, None)[0].tolist() == []
    for step in range(60):
        touch(state, rng, int(rng.choice([0, 1, 5, 400, 9000 if step == 30 else 1])), 300)
        alive = None if step % 3 else rng.random(state.n_items) > (0.3 if step % 2 else 0.95)
        for k in (1, 10, 40):
            rows, scores = popular(k, alive)
            assert rows.tolist() == anew(state, column, k, alive), (step, k)
            assert (np.diff(scores) <= 0).all()


def test_the_order_is_that_of_any_later_moment() -> None:
    rng = np.random.default_rng(5)
    state = State(Settings())
    touch(state, rng, 500, 60)
    found = RecentPopular(state, 1)(30, None)[0]
    for days in (0, 3, 25):
        counts = state.decayed(NOW + days * DAY)[found, 1]
        assert (np.diff(counts) <= 1e-12).all()


class TestContract(RetrieverContract):
    def bound(self, clicks: int) -> Retriever:
        state = State(Settings())
        touch(state, np.random.default_rng(7), clicks, 40)
        return RecentPopular(state, 0)

    def retriever(self) -> Retriever:
        return self.bound(200)

    def items(self) -> int:
        state = State(Settings())
        touch(state, np.random.default_rng(7), 200, 40)
        return state.n_items

    def nobody(self) -> Retriever:
        return self.bound(0)
