"""The contract of a retriever, as tests: inherit ``RetrieverContract`` and say how to make yours."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from palate.retrieve import Retriever


class RetrieverContract(ABC):
    """At most k rows, none twice, best first with ties by row, the same each time, none that is not alive."""

    @abstractmethod
    def retriever(self) -> Retriever:
        """A retriever over at least five items of which it finds at least four, one of them row 0 to ``items`` − 1."""

    @abstractmethod
    def items(self) -> int:
        """Rows of the catalogue of ``retriever()``."""

    @abstractmethod
    def nobody(self) -> Retriever:
        """The same, bound to a request of which nothing is known: an unknown user, or words that no item has."""

    def test_at_most_k(self) -> None:
        retriever = self.retriever()
        for k in (0, 1, 2, 3, self.items(), 10 * self.items()):
            rows, scores = retriever(k, None)
            assert len(rows) == len(scores) <= k

    def test_types_and_range(self) -> None:
        rows, scores = self.retriever()(self.items(), None)
        assert len(rows) >= 4
        assert rows.dtype == np.int32
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert rows.min() >= 0
        assert rows.max() < self.items()

    def test_no_row_twice(self) -> None:
        rows, _ = self.retriever()(self.items(), None)
        assert len(set(rows.tolist())) == len(rows)

    def test_best_first_and_ties_by_row(self) -> None:
        rows, scores = self.retriever()(self.items(), None)
        keys = list(zip((-scores).tolist(), rows.tolist(), strict=True))
        assert keys == sorted(keys)

    def test_fewer_are_the_beginning_of_more(self) -> None:
        retriever = self.retriever()
        rows, _ = retriever(self.items(), None)
        for k in range(len(rows) + 1):
            assert retriever(k, None)[0].tolist() == rows[:k].tolist()

    def test_deterministic(self) -> None:
        first = self.retriever()(self.items(), None)
        second = self.retriever()(self.items(), None)
        assert first[0].tobytes() == second[0].tobytes()
        assert first[1].tobytes() == second[1].tobytes()

    def test_only_rows_that_are_alive(self) -> None:
        retriever = self.retriever()
        rows, _ = retriever(self.items(), None)
        alive = np.ones(self.items(), np.bool_)
        alive[rows[::2]] = False
        left, _ = retriever(self.items(), alive)
        assert left.tolist() == rows[1::2].tolist()
        assert len(retriever(self.items(), np.zeros(self.items(), np.bool_))[0]) == 0

    def test_rows_beyond_the_mask_are_not_alive(self) -> None:
        retriever = self.retriever()
        rows, _ = retriever(self.items(), None)
        short = int(rows.max())
        left, _ = retriever(self.items(), np.ones(short, np.bool_))
        assert left.tolist() == [row for row in rows.tolist() if row < short]
        assert len(retriever(self.items(), np.zeros(0, np.bool_))[0]) == 0

    def test_the_mask_is_not_changed(self) -> None:
        alive = np.ones(self.items(), np.bool_)
        alive[0] = False
        before = alive.copy()
        self.retriever()(3, alive)
        assert (alive == before).all()

    def test_nothing_known_is_no_error(self) -> None:
        rows, scores = self.nobody()(5, None)
        assert len(rows) == len(scores) <= 5
