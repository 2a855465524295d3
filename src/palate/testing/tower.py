"""The contract of a tower, as tests: inherit ``TowerContract`` and say how to make yours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import msgspec
import numpy as np
import safetensors.numpy

from palate.towers import Reading, Tower
from palate.towers.load import load_tower
from palate.types import F32, I32

DAY = 86_400_000
NOW = 1_700_000_000_000


class TowerContract(ABC):
    """A person is their history, read the same with and without memory; what is saved is what loads."""

    @abstractmethod
    def fitted(self) -> tuple[Tower, F32]:
        """The tower under test and vectors (n, d) of at least twenty items; may be one for all tests."""

    def texts(self, count: int) -> F32:
        """(count, t) text vectors as the tower was trained with; override where they have another width."""
        rng = np.random.default_rng(11)
        rows = rng.normal(size=(count, 16)).astype(np.float32)
        return cast(F32, rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def reading(self, items: list[int], now: int = NOW, weights: list[float] | None = None) -> Reading:
        """A history of ``items``, oldest first, a day between two, read newest first."""
        rows: I32 = np.array(items[::-1], np.int32)
        worth = np.ones(len(rows)) if weights is None else np.array(weights[::-1], np.float64)
        first = NOW - 40 * DAY
        ts = first + np.arange(len(rows), dtype=np.int64)[::-1] * DAY
        return Reading(rows, self.fitted()[1][rows], worth, ts, now)

    def person(self, items: list[int], memory: object = None) -> F32:
        return self.fitted()[0].read(self.reading(items), memory)[0]

    def test_shapes_and_types(self) -> None:
        tower, items = self.fitted()
        assert items.dtype == np.float32
        assert items.shape[0] >= 20
        assert items.shape[1] == tower.dim
        assert np.isfinite(items).all()
        vector = self.person([0, 3, 2, 3])
        assert vector.dtype == np.float32
        assert vector.shape == (tower.dim,)
        assert np.isfinite(vector).all()
        assert vector.any()

    def test_an_empty_history_is_nobody(self) -> None:
        tower = self.fitted()[0]
        vector, _ = tower.read(self.reading([]))
        assert vector.shape == (tower.dim,)
        assert not vector.any()

    def test_items_that_it_knows_nothing_of_are_no_error(self) -> None:
        tower, _ = self.fitted()
        known = self.reading([1, 4, 2])
        blank = known._replace(vectors=np.zeros_like(known.vectors))
        vector, _ = tower.read(blank)
        assert np.isfinite(vector).all()

    def test_dislikes_are_no_error(self) -> None:
        tower, _ = self.fitted()
        for weights in ([1.0, -2.0, 0.5], [-2.0, -2.0, -2.0], [0.0, 0.0, 0.0]):
            assert np.isfinite(tower.read(self.reading([1, 4, 2], weights=weights))[0]).all()

    def test_memory_only_saves_work(self) -> None:
        tower, items = self.fitted()
        history = np.random.default_rng(5).integers(0, len(items), 30).tolist()
        memory: object = None
        for stop in range(1, len(history) + 1):
            vector, memory = tower.read(self.reading(history[:stop]), memory)
            np.testing.assert_allclose(vector, self.person(history[:stop]), rtol=1e-4, atol=1e-5)

    def test_memory_that_does_not_fit_is_read_anew(self) -> None:
        tower, items = self.fitted()
        some = np.random.default_rng(6).integers(0, len(items), 12).tolist()
        others = np.random.default_rng(7).integers(0, len(items), 9).tolist()
        memory = tower.read(self.reading(others))[1]
        for history in (some, others[1:], others[:-1], [*others[:4], *some], []):
            np.testing.assert_allclose(self.person(history, memory), self.person(history), rtol=1e-4, atol=1e-5)

    def test_the_same_history_is_the_same_person(self) -> None:
        first, again = self.person([5, 2, 9, 2]), self.person([5, 2, 9, 2])
        assert first.tobytes() == again.tobytes()

    def test_long_histories_stay_finite(self) -> None:
        items = self.fitted()[1]
        history = np.random.default_rng(8).integers(0, len(items), 400).tolist()
        assert np.isfinite(self.person(history)).all()

    def test_inputs_are_left_alone(self) -> None:
        tower, _ = self.fitted()
        reading = self.reading([3, 1, 4, 1, 5])
        arrays = [reading.items, reading.vectors, reading.weights, reading.ts]
        before = [array.copy() for array in arrays]
        for array in arrays:
            array.flags.writeable = False
        tower.read(reading)
        texts = self.texts(3)
        texts.flags.writeable = False
        tower.place(texts)
        assert all((array == kept).all() for array, kept in zip(arrays, before, strict=True))

    def test_new_items_are_placed_by_their_text(self) -> None:
        tower, _ = self.fitted()
        texts = self.texts(7)
        placed = tower.place(texts)
        assert placed.dtype == np.float32
        assert placed.shape == (7, tower.dim)
        assert np.isfinite(placed).all()
        alone = np.concatenate([tower.place(texts[n : n + 1]) for n in range(7)])
        np.testing.assert_allclose(alone, placed, rtol=1e-4, atol=1e-5)
        assert tower.place(texts[:0]).shape == (0, tower.dim)
        assert not tower.place(np.zeros((2, texts.shape[1]), np.float32)).any()

    def test_what_is_saved_is_what_loads(self) -> None:
        tower, _ = self.fitted()
        arrays = cast(dict[str, Any], safetensors.numpy.load(safetensors.numpy.save(dict(tower.arrays()))))
        again = load_tower(tower.kind, arrays, msgspec.json.decode(msgspec.json.encode(tower.meta())))
        assert (again.kind, again.dim) == (tower.kind, tower.dim)
        for history in ([0], [4, 7, 1], list(range(20))):
            mine, theirs = (one.read(self.reading(history))[0] for one in (tower, again))
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(again.place(self.texts(5)), tower.place(self.texts(5)))

    def test_threads_agree(self) -> None:
        items = self.fitted()[1]
        histories = [np.random.default_rng(n).integers(0, len(items), 10 + n).tolist() for n in range(8)]
        expected = [self.person(history) for history in histories]
        with ThreadPoolExecutor(4) as pool:
            for found, due in zip(pool.map(self.person, histories * 4), expected * 4, strict=True):
                np.testing.assert_array_equal(found, due)
