"""Exact nearest items against brute force, and the top-k rule that every retriever shares."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.errors import InvalidInput
from palate.retrieve import Retriever
from palate.retrieve.topk import top_k
from palate.retrieve.vector import VectorIndex
from palate.testing.retriever import RetrieverContract
from palate.types import F32


def units(random: np.random.Generator, n: int, dim: int = 16) -> F32:
    rows = random.normal(size=(n, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@settings(deadline=None)  # the first example compiles the kernel
@given(
    seed=st.integers(0, 2**32 - 1),
    texts=st.integers(1, 30),
    items=st.integers(1, 80),
    k=st.integers(0, 90),
    masked=st.booleans(),
)
def test_search_and_scores_equal_brute_force(seed: int, texts: int, items: int, k: int, masked: bool) -> None:
    random = np.random.default_rng(seed)
    index = VectorIndex(16)
    vectors = units(random, texts)
    assert index.add_texts(vectors).tolist() == list(range(texts))
    text_of = random.integers(-1, texts, items)
    for row in random.permutation(items):
        index.set_item(int(row), int(text_of[row]))
    assert index.text_of.tolist() == text_of.tolist()
    queries = units(random, 3)
    alive = random.random(int(random.integers(0, items + 10))) < 0.7 if masked else None

    cosines = queries @ vectors.T
    found = index.search(queries, k, alive)
    assert len(found) == 3
    for cosine, (rows, scores) in zip(cosines, found, strict=True):
        allowed = [r for r in range(items) if text_of[r] >= 0 and (alive is None or (r < len(alive) and alive[r]))]
        assert len(rows) == min(k, len(allowed))
        best = sorted(allowed, key=lambda r: (-cosine[text_of[r]], r))[:k]
        assert rows.tolist() == best
        np.testing.assert_allclose(scores, cosine[text_of[rows]], atol=1e-6)

    asked = random.integers(-1, items + 5, 40)
    expected = [[c[text_of[r]] if 0 <= r < items and text_of[r] >= 0 else 0.0 for r in asked] for c in cosines]
    np.testing.assert_allclose(index.scores(queries, asked), expected, atol=1e-6)
    np.testing.assert_allclose(index.score(queries[1], asked), expected[1], atol=1e-6)


def test_items_with_one_text_tie_and_stand_in_order_of_rows() -> None:
    index = VectorIndex(2)
    far, near = index.add_text([0.0, 1.0]), index.add_text([1.0, 0.0])
    for row in (8, 2, 5):
        index.set_item(row, near)
    index.set_item(0, far)
    ((rows, scores),) = index.search([[1.0, 0.0]], 3)
    assert rows.tolist() == [2, 5, 8]
    assert scores.tolist() == [1.0, 1.0, 1.0]


def test_an_item_changes_its_text_and_loses_it() -> None:
    index = VectorIndex(2)
    index.add_texts([[1.0, 0.0], [0.0, 1.0]])
    index.set_item(0, 0)
    index.set_item(0, 1)
    assert index.score([1.0, 0.0], np.array([0])).tolist() == [0.0]
    assert index.score([0.0, 1.0], np.array([0])).tolist() == [1.0]
    index.set_item(0, -1)
    assert index.search([[0.0, 1.0]], 5)[0][0].tolist() == []


def test_many_texts_through_changes_equal_brute_force() -> None:
    random = np.random.default_rng(11)
    index = VectorIndex(32)
    vectors = units(random, 3000, 32)
    index.add_texts(vectors[:2000])
    text_of = random.integers(-1, 2000, 5000)
    index.set_items(np.arange(5000), text_of)
    for step in range(60):
        if step == 20:
            index.add_texts(vectors[2000:])
        changed = random.integers(0, 5000 + step, random.integers(1, 200))
        now = random.integers(-1, len(index.vectors), len(changed))
        text_of = np.concatenate([text_of, np.full(max(0, changed.max() + 1 - len(text_of)), -1)])
        for item, text in zip(changed.tolist(), now.tolist(), strict=True):
            text_of[item] = text
            index.set_item(item, text)
        alive = random.random(len(text_of)) < (1.0, 0.5, 0.01, 0.0)[step % 4]
        queries = np.vstack([units(random, 2, 32), vectors[step][None, :], np.zeros((1, 32), np.float32)])
        for query, (rows, scores) in zip(queries, index.search(queries, 50, alive), strict=True):
            allowed = np.flatnonzero(alive & (text_of >= 0))
            cosine = np.einsum("d,td->t", query, vectors)[text_of[allowed]]
            best = allowed[np.lexsort((allowed, -cosine))[:50]]
            assert rows.tolist() == best.tolist()
            np.testing.assert_allclose(scores, np.sort(cosine)[::-1][:50], atol=1e-6)


def test_rows_of_freed_texts_are_reused_and_search_stays_exact() -> None:
    random = np.random.default_rng(13)
    index = VectorIndex(16)
    held: dict[int, F32] = {}  # by item, the vector it must be found by
    for step in range(400):
        items = random.integers(0, 60, random.integers(1, 8))
        fresh = units(random, len(items))
        rows = index.add_texts(fresh)
        index.free_texts(index.set_items(items, rows))
        unused = np.setdiff1d(rows, index.text_of)  # of an item drawn twice the last text counts
        index.free_texts(unused)
        held.update(zip(items.tolist(), fresh, strict=True))
        if step % 7 == 0:
            gone = int(random.integers(0, 60))
            index.free_texts(index.set_items(np.array([gone]), np.array([-1])))
            held.pop(gone, None)
        if step % 150 == 149:  # more changes than are looked through one by one
            index.set_items(np.arange(len(index.text_of)).repeat(20), index.text_of.repeat(20))
        query = units(random, 1)[0] if step % 3 else fresh[0]
        names = np.array(sorted(held))
        cosine = np.einsum("d,td->t", query, np.array([held[name] for name in names.tolist()]))
        best = names[np.lexsort((names, -cosine))[:10]]
        ((found, scores),) = index.search(query[None, :], 10)
        assert found.tolist() == best.tolist()
        np.testing.assert_allclose(scores, np.sort(cosine)[::-1][:10], atol=1e-6)
        np.testing.assert_allclose(index.score(query, names), cosine, atol=1e-6)
    assert len(index.vectors) <= 60 + 8


def test_a_freed_text_is_zero_and_must_have_no_items() -> None:
    index = VectorIndex(2)
    index.add_texts([[1.0, 0.0], [0.0, 1.0]])
    assert index.set_items(np.array([0, 1]), np.array([0, 0])).tolist() == []
    assert index.set_items(np.array([0]), np.array([1])).tolist() == []
    with pytest.raises(InvalidInput, match="has items"):
        index.free_texts(np.array([0]))
    changes = index.changes
    assert index.set_items(np.array([1]), np.array([1])).tolist() == [0]
    index.free_texts(np.array([0]))
    assert index.vectors[0].tolist() == [0.0, 0.0]
    for free in (np.array([0]), np.array([2]), np.array([-1])):
        with pytest.raises(InvalidInput, match="free already"):
            index.free_texts(free)
    with pytest.raises(InvalidInput, match="not among"):
        index.set_item(0, 0)
    assert index.add_text([0.6, 0.8]) == 0
    assert index.changes == changes + 1


def test_vectors_survive_growth() -> None:
    random = np.random.default_rng(1)
    index = VectorIndex(8)
    vectors = units(random, 1000, 8)
    for row, vector in enumerate(vectors):
        assert index.add_text(vector) == row
    assert index.vectors.tobytes() == vectors.tobytes()


@pytest.mark.parametrize("wrong", [np.zeros((2, 3)), np.zeros(4), np.full((1, 4), np.nan), np.full((1, 4), np.inf)])
def test_vectors_that_do_not_fit_are_refused(wrong: F32) -> None:
    with pytest.raises(InvalidInput, match=r"don't fit|NaN or infinity"):
        VectorIndex(4).add_texts(wrong)


def test_rows_that_do_not_exist_are_refused() -> None:
    index = VectorIndex(4)
    index.add_text([1.0, 0.0, 0.0, 0.0])
    for item, text in ((-1, 0), (0, 1), (0, -2)):
        with pytest.raises(InvalidInput, match="not among the 1 of this index"):
            index.set_item(item, text)
    with pytest.raises(InvalidInput, match="don't fit this index"):
        index.search(np.zeros((1, 3)), 1)
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        index.score(np.full(4, np.nan), np.array([0]))


def test_an_empty_index() -> None:
    index = VectorIndex(4)
    index.set_items(np.array([], np.int64), np.array([], np.int64))
    assert [len(rows) for rows, _ in index.search(np.zeros((2, 4)), 5)] == [0, 0]
    assert index.search(np.zeros((0, 4)), 5) == []
    assert index.score(np.zeros(4), np.array([0, -1])).tolist() == [0.0, 0.0]


def test_readers_beside_a_writer() -> None:
    random = np.random.default_rng(2)
    index = VectorIndex(8)
    vectors = units(random, 3000, 8)
    index.set_item(0, index.add_text(vectors[0]))
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                ((rows, scores),) = index.search(vectors[:1], 5)
                assert rows[0] == 0
                np.testing.assert_allclose(scores[0], 1.0, atol=1e-5)
                np.testing.assert_allclose(index.score(vectors[0], rows), scores, atol=1e-5)
        except BaseException as error:  # handed to the main thread, which fails the test with it
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for row in range(1, 3000):
        index.set_item(row, index.add_text(vectors[row]))
    done.set()
    for reader in readers:
        reader.join()
    assert not errors


@settings(deadline=None)  # the first example compiles the kernel
@given(
    scores=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), max_size=40),
    k=st.integers(-1, 50),
    seed=st.integers(0, 1000),
)
def test_top_k_is_the_head_of_the_sorted_list(scores: list[float], k: int, seed: int) -> None:
    rows = np.random.default_rng(seed).permutation(len(scores)).astype(np.int32)
    found, values = top_k(rows, np.array(scores, np.float32), k)
    expected = sorted((-score, row) for score, row in zip(scores, rows.tolist(), strict=True))[: max(k, 0)]
    assert found.tolist() == [row for _, row in expected]
    assert values.tolist() == [-score for score, _ in expected]


class TestContract(RetrieverContract):
    def bound(self, query: F32) -> Retriever:
        index = VectorIndex(16)
        index.add_texts(units(np.random.default_rng(4), 6))
        index.set_items(np.arange(14), np.arange(14) % 6)
        index.set_item(3, -1)
        return lambda k, alive: index.search(query[None, :], k, alive)[0]

    def retriever(self) -> Retriever:
        return self.bound(units(np.random.default_rng(5), 1)[0])

    def items(self) -> int:
        return 14

    def nobody(self) -> Retriever:
        return self.bound(np.zeros(16, np.float32))
