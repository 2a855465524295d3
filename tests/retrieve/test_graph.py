"""The graph of near texts: it finds what the exact search finds, at once what is new, and never what isn't there."""

from __future__ import annotations

import logging
import multiprocessing
import sys
from typing import Any

import numpy as np
import pytest

import palate
from palate.config import RetrieveSettings
from palate.errors import ConfigError
from palate.retrieve import graph
from palate.retrieve.vector import VectorIndex
from palate.types import F32
from tests.engines import HASHING

pytest.importorskip("usearch", reason="needs the extra `ann`")
DIM = 48


def texts(count: int, seed: int = 0) -> F32:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, DIM))
    found = (centres[rng.integers(0, 40, count)] + 0.6 * rng.normal(size=(count, DIM))).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def tastes(vectors: F32, count: int, seed: int) -> F32:
    """What people who had a few of the texts would be asked for with."""
    rng = np.random.default_rng(seed)
    found = vectors[rng.integers(0, len(vectors), (count, 3))].sum(axis=1)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def built(vectors: F32, above: int) -> VectorIndex:
    index = VectorIndex(vectors.shape[1])
    index.use_graph(above)
    rows = np.arange(len(vectors))
    index.prepare(vectors)
    index.add_texts(vectors)
    index.set_items(rows, rows)
    assert (index.graph is not None) is (0 < above <= len(vectors))
    if index.graph is not None:
        assert index.graph.wait(60.0)
    return index


@pytest.fixture(scope="module")
def vectors() -> F32:
    return texts(4000)


@pytest.fixture(scope="module")
def exact(vectors: F32) -> VectorIndex:
    return built(vectors, 0)


def recall(index: VectorIndex, exact: VectorIndex, queries: F32, k: int, alive: Any = None) -> float:
    shares: list[float] = []
    for (found, values), (want, _) in zip(
        index.search(queries, k, alive), exact.search(queries, k, alive), strict=True
    ):
        assert (np.diff(values) <= 0).all()
        assert len(found) == len(want) == len(set(found.tolist()))
        shares.append(float(np.isin(want, found).mean()))
    return float(np.mean(shares))


def test_it_finds_what_the_exact_search_finds(vectors: F32, exact: VectorIndex) -> None:
    index = built(vectors, 1000)
    assert index.graph is not None
    assert index.graph.near(vectors[:1], 10) is not None, "it is in use"
    assert recall(index, exact, tastes(vectors, 50, seed=1), 100) >= graph.SOUND
    alive = np.random.default_rng(2).random(len(vectors)) < 0.4
    assert recall(index, exact, tastes(vectors, 50, seed=1), 40, alive) >= graph.SOUND
    for rows, _ in index.search(tastes(vectors, 20, seed=3), 40, alive):
        assert alive[rows].all()


def test_few_allowed_and_more_than_there_are_stay_exact(vectors: F32, exact: VectorIndex) -> None:
    index = built(vectors, 1000)
    alive = np.zeros(len(vectors), np.bool_)
    alive[::200] = True
    assert recall(index, exact, texts(5, seed=1), 100, alive) == 1.0
    assert recall(index, exact, texts(2, seed=1), 10_000) == 1.0
    assert recall(index, exact, np.zeros((1, DIM), np.float32), 10) == 1.0


def test_new_texts_are_found_at_once_and_freed_ones_never(vectors: F32) -> None:
    index = built(vectors, 1000)
    near = texts(1, seed=9)[0]
    row = index.add_text(near)
    index.set_item(len(vectors), row)
    assert index.search(near[None], 1)[0][0].tolist() == [len(vectors)]  # in the graph or not
    assert index.graph is not None
    assert index.graph.wait(60.0)
    assert index.search(near[None], 1)[0][0].tolist() == [len(vectors)]
    freed = index.set_items(np.array([len(vectors)]), np.array([-1]))
    index.free_texts(freed)
    for _ in range(2):
        assert len(vectors) not in index.search(near[None], 50)[0][0]
        assert index.graph.wait(60.0)
    other = texts(1, seed=10)[0]
    assert index.add_text(other) == row, "the row is used again"
    index.set_item(7, row)
    assert index.graph.wait(60.0)
    assert index.search(other[None], 1)[0][0].tolist() == [7]
    assert index.search(near[None], 1)[0][0].tolist() != [7]


def test_one_that_finds_too_little_is_not_used(
    vectors: F32, exact: VectorIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(graph, "SOUND", 1.1)
    with caplog.at_level(logging.WARNING, "palate"):
        index = built(vectors, 1000)
    assert "texts are searched exactly instead" in caplog.text
    assert index.graph is not None
    assert index.graph.near(vectors[:1], 10) is None
    assert recall(index, exact, texts(20, seed=1), 100) == 1.0


def test_below_the_bound_there_is_none(vectors: F32) -> None:
    assert built(vectors[:500], 1000).graph is None


def child(index: VectorIndex, query: F32, answers: Any) -> None:
    assert index.graph is not None
    first = index.graph.near(query[None], 10) is None  # what the parent built can't be kept current here
    done = index.graph.wait(60.0)
    answers.put((first, done, index.graph.near(query[None], 10) is not None))


def test_a_forked_process_builds_its_own(vectors: F32) -> None:
    index = built(vectors, 1000)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=child, args=(index, vectors[0], answers))
    process.start()
    assert answers.get(timeout=120) == (True, True, True)
    process.join()


def test_an_engine_asks_for_it_by_its_settings() -> None:
    with palate.open(":memory:", language=HASHING, retrieve=RetrieveSettings(graph_above=300)) as engine:
        engine.ingest(
            {"event": "item", "item": f"i{n}", "fields": {"title": f"word{n} and word{n % 50} of {n % 7}"}}
            for n in range(600)
        )
        assert engine.wait_encoded()
        graph = engine.catalogue.vectors.graph
        assert graph is not None
        assert graph.wait(60.0)
        found = engine.recommend("somebody", 5, query="word17 and word17 of 3")
        assert found.items[0].id == "i17"


def test_without_usearch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ConfigError, match=r"pip install 'palate\[ann\]'"):
        palate.open(":memory:", language=HASHING, retrieve=RetrieveSettings(graph_above=1))
