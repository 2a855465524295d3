"""BM25 against a reference that follows the formula word by word, while items come, change and go."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.content.text import tokens
from palate.retrieve import Retriever
from palate.retrieve.lexical import K1, MAX_TERMS, B, LexicalIndex
from palate.testing.retriever import RetrieverContract

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "h"]), max_size=8)
CHANGES = st.lists(st.tuples(st.integers(0, 9), st.none() | WORDS), max_size=40)


def reference(documents: Mapping[int, Sequence[str]], query: Sequence[str]) -> dict[int, float]:
    documents = {row: words for row, words in documents.items() if words}
    count = len(documents)
    average = sum(map(len, documents.values())) / count if count else 0.0
    scores: dict[int, float] = {}
    for row, words in documents.items():
        for term in query:
            tf = words.count(term)
            if tf:
                n = sum(term in other for other in documents.values())
                idf = math.log(1 + (count - n + 0.5) / (n + 0.5))
                gain = idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * len(words) / average))
                scores[row] = scores.get(row, 0.0) + gain
    return scores


def built(documents: Mapping[int, Sequence[str]]) -> LexicalIndex:
    index = LexicalIndex()
    for row, words in documents.items():
        index.set(row, words)
    return index


def check(index: LexicalIndex, documents: Mapping[int, Sequence[str]], query: Sequence[str], k: int) -> None:
    expected = reference(documents, query)
    rows, scores = index.search(query, 100)
    assert set(rows.tolist()) == set(expected)
    np.testing.assert_allclose(scores, [expected[row] for row in rows.tolist()], rtol=1e-6)
    assert [row for _, row in sorted(zip((-scores).tolist(), rows.tolist(), strict=True))] == rows.tolist()
    assert index.search(query, k)[0].tolist() == rows[:k].tolist()
    asked = np.arange(-1, 14)
    np.testing.assert_allclose(index.score(query, asked), [expected.get(row, 0.0) for row in asked.tolist()], rtol=1e-6)


@settings(deadline=None)  # the first example compiles the kernel
@given(CHANGES, WORDS, st.integers(0, 12))
def test_bm25_equals_the_reference_through_any_changes(
    changes: list[tuple[int, list[str] | None]], query: list[str], k: int
) -> None:
    index = LexicalIndex()
    documents: dict[int, Sequence[str]] = {}
    for row, words in changes:
        if words is None:
            index.remove(row)
            documents.pop(row, None)
        else:
            index.set(row, words)
            documents[row] = words
    assert len(index) == sum(bool(words) for words in documents.values())
    check(index, documents, query, k)


def test_sweeping_retired_texts_changes_nothing() -> None:
    random = np.random.default_rng(5)
    index = LexicalIndex()
    documents: dict[int, Sequence[str]] = {}
    for i in range(5000):
        row = int(random.integers(0, 10))
        words = [f"w{word}" for word in random.integers(0, 9, random.integers(0, 6))]
        index.set(row, words)
        documents[row] = words
        if i % 250 == 0:
            check(index, documents, ["w1", "w2", "w1", "absent"], 3)
    rebuilt = built(documents)
    for word in range(9):
        for one, other in zip(index.search([f"w{word}"], 5), rebuilt.search([f"w{word}"], 5), strict=True):
            assert one.tobytes() == other.tobytes()


def test_equal_texts_stand_in_order_of_rows() -> None:
    index = built({row: ["same", "text"] for row in (5, 3, 9, 1, 7)})
    assert index.search(["same"], 3)[0].tolist() == [1, 3, 5]


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    index = built({row: ["common", "rare" if row == 7 else "filler"] for row in range(20)})
    rows, scores = index.search(["common", "rare"], 2)
    assert rows.tolist() == [7, 0]
    assert scores[0] > 10 * scores[1] > 0


def test_a_long_query_is_cut_after_its_first_known_words() -> None:
    index = built({row: [f"w{row}"] for row in range(MAX_TERMS + 5)})
    rows, _ = index.search(["unknown"] * 200 + [f"w{row}" for row in range(MAX_TERMS + 5)], 1000)
    assert sorted(rows.tolist()) == list(range(MAX_TERMS))


def test_an_empty_index() -> None:
    index = LexicalIndex()
    assert index.search(["a"], 5)[0].tolist() == []
    assert index.score(["a"], np.array([0, 1])).tolist() == [0.0, 0.0]
    index.remove(3)
    index.set(0, ["a"])
    index.set(0, [])
    assert len(index) == 0
    assert index.search(["a"], 5)[0].tolist() == []


def test_a_word_said_a_thousand_times_saturates() -> None:
    index = built({0: ["spam"] * 1000, 1: ["spam"] * 2000, 2: ["ham"]})
    rows, scores = index.search(["spam"], 5)
    assert set(rows.tolist()) == {0, 1}
    assert np.isfinite(scores).all()


def test_readers_beside_a_writer() -> None:
    index = built({row: ["a", f"w{row % 5}"] for row in range(200)})
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                rows, scores = index.search(["a"], 300)
                assert len(set(rows.tolist())) == len(rows) == len(scores) >= 199
                index.score(["w1"], np.arange(200))
        except BaseException as error:  # handed to the main thread, which fails the test with it
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(5000):
        index.set(i % 200, ["a", f"w{i % 7}"])
    done.set()
    for reader in readers:
        reader.join()
    assert not errors


@pytest.mark.parametrize(
    ("query", "best"),
    [("running shoe", 0), ("跑步", 1), ("鞋", 1), ("太空 电影", 2), ("Space MOVIES", 3), ("女鞋", 1)],
)
def test_chinese_and_english_queries(query: str, best: int) -> None:
    texts = ["Red running shoes", "女士红色跑步鞋", "一部关于太空旅行的电影", "A movie about space travel", "Coffee"]
    index = built({row: tokens(text) for row, text in enumerate(texts)})
    assert index.search(tokens(query), 5)[0][0] == best


class TestContract(RetrieverContract):
    def bound(self, *words: str) -> Retriever:
        index = built({row: ["shoe", ("red", "blue", "green")[row % 3]] for row in range(12)} | {12: ["lamp"]})
        index.remove(4)
        return lambda k, alive: index.search(words, k, alive)

    def retriever(self) -> Retriever:
        return self.bound("red", "shoe")

    def items(self) -> int:
        return 13

    def nobody(self) -> Retriever:
        return self.bound("unheard")
