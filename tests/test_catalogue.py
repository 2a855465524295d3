"""The catalogue: tags and words at once, vectors as soon as encoded, nothing that is gone."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import palate
from palate.catalogue import Catalogue
from palate.config import LanguageSettings, Settings
from palate.errors import NotFound
from palate.language.cache import VectorCache
from palate.language.hashing import HashingEncoder
from palate.state import State
from palate.testing.world import START
from palate.types import F32, Item
from tests.engines import did, filled, ids, item, memory


class Counted:
    """The hashing encoder, counting what it encodes; it can be made to wait."""

    def __init__(self) -> None:
        self.inner = HashingEncoder()
        self.name, self.dim = self.inner.name, self.inner.dim
        self.texts: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def encode(self, texts: Any) -> F32:
        assert self.gate.wait(30)
        self.texts += list(texts)
        return self.inner.encode(texts)


def catalogue_of(items: list[Item], **language: Any) -> tuple[Catalogue, Counted]:
    settings = Settings(language=LanguageSettings(encoder="hashing", **language))
    state, encoder = State(settings), Counted()
    catalogue = Catalogue(state, VectorCache(None, encoder), settings.language)
    catalogue.update(state.apply([(int(one.timestamp or 0), 10**13, one) for one in items]))
    return catalogue, encoder


def test_equal_texts_are_encoded_once() -> None:
    items = [item(f"i{n}", title=f"shirt {n % 3}") for n in range(30)]
    catalogue, encoder = catalogue_of(items)
    assert catalogue.pending == 30
    assert catalogue.encode_now() == 30
    assert sorted(encoder.texts) == ["shirt 0", "shirt 1", "shirt 2"]
    side = catalogue.side()
    assert side.vectors.shape == (3, encoder.dim)
    assert [int(side.text_of[n]) for n in range(6)] == [int(side.text_of[n % 3]) for n in range(6)]
    np.testing.assert_allclose(np.linalg.norm(side.vectors, axis=1), 1.0, atol=1e-3)
    assert catalogue.encode_now() == 0


def test_a_text_that_changed_while_it_was_encoded_does_not_come_back() -> None:
    catalogue, _ = catalogue_of([item("a", title="old words"), item("b", title="b")])
    texts = catalogue.take_pending(64)
    encoded = catalogue.encode(texts)
    catalogue.update(catalogue.state.apply([(START + 5, 10**13, item("a", 5, title="new words"))]))
    catalogue.encode_now()
    catalogue.place(texts, *encoded)
    side = catalogue.side()
    np.testing.assert_array_equal(side.vectors[side.text_of[0]], catalogue.cache.get(["new words"])[0])
    np.testing.assert_array_equal(side.vectors[side.text_of[1]], catalogue.cache.get(["b"])[0])
    assert catalogue.pending == 0


def test_texts_that_no_item_has_any_more_leave_nothing_behind() -> None:
    catalogue, _ = catalogue_of([item("a", title="0"), item("b", title="still"), item("c", title="still")])
    catalogue.encode_now()
    for day in range(1, 200):
        catalogue.update(catalogue.state.apply([(START + day, 10**13, item("a", day, title=f"price {day}"))]))
        catalogue.encode_now()
    side = catalogue.side()
    assert len(side.vectors) <= 3
    assert len(catalogue._text_rows) == 2
    assert side.text_of[1] == side.text_of[2]
    for row, text in enumerate(["price 199", "still", "still"]):
        np.testing.assert_array_equal(side.vectors[side.text_of[row]], catalogue.cache.get([text])[0])


def test_a_text_row_that_is_used_again_gives_people_another_taste() -> None:
    with filled([item("a", title="red shoes"), item("b", title="b"), did(1, "u", "a")]) as engine:

        def retitle(day: int) -> F32:
            """The taste after a change of text that nobody has told the cache of: no call of ``forget``."""
            engine.catalogue.update(engine.state.apply([(START + day, 10**13, item("a", day, title=f"blue {day}"))]))
            engine.catalogue.encode_now()
            return engine.line.computer.subject(0, engine.catalogue.side()).tastes[0]

        before = retitle(2)
        texts = len(engine.catalogue.vectors.vectors)
        after = retitle(3)
        side = engine.catalogue.side()
        assert len(side.vectors) == texts
        np.testing.assert_allclose(after, side.vectors[side.text_of[0]], atol=1e-6)
        assert not np.allclose(before, after)


def test_tags_follow_the_fields_and_the_settings() -> None:
    catalogue, _ = catalogue_of([item("a", title="t", genres=["Drama", "Crime"], brand="Acme", year=1999)])
    assert set(catalogue.tags_of(0)) == {"genre:Drama", "genre:Crime", "brand:Acme"}
    chosen, _ = catalogue_of([item("a", genres=["Drama"], year=1999)], tag_fields=("year",))
    assert chosen.tags_of(0) == ["year:1999"]
    assert catalogue.tags_of(99) == []


def test_text_fields_of_the_settings() -> None:
    fields = {"title": "Hat", "plot": "A long story", "brand": "Acme"}
    assert catalogue_of([item("a", **fields)])[0].text(0).startswith("Hat")
    assert catalogue_of([item("a", **fields)], text_fields=("plot",))[0].text(0) == "A long story"
    assert catalogue_of([item("a", price=3)])[0].text(0) == ""


def test_an_item_without_text_has_no_vector_and_still_ranks() -> None:
    with filled([item("a", price=3), item("b", title="b"), did(1, "u", "b"), did(2, "v", "a")]) as engine:
        assert engine.catalogue.side().text_of[engine.state.items.get("a")] == -1
        assert set(ids(engine.recommend("v", seen="keep"))) == {"a", "b"}


def test_a_changed_text_moves_the_item() -> None:
    with filled([item("a", title="rocket planet"), item("b", title="flower soil"), did(1, "u", "b")]) as engine:
        assert ids(engine.recommend(None, 1, query="rocket")) == ["a"]
        engine.ingest([item("a", 5, title="noodle soup"), item("b", 5, title="rocket planet")])
        assert engine.wait_encoded(20)
        assert ids(engine.recommend(None, 1, query="rocket")) == ["b"]
        assert engine.item("a") == {"title": "noodle soup"}


def test_a_deleted_item_is_nowhere_until_it_is_created_again() -> None:
    with filled([item("a", title="rocket"), item("b", title="flower"), did(1, "u", "a"), did(2, "u", "b")]) as engine:
        engine.ingest([Item(id="gone", timestamp=START + 10**6, item="a", deleted=True)])
        words = engine.recommend(None, 10, query="rocket")
        for ranking in (engine.recommend("u", 10, seen="keep"), words, engine.rank("u", ["a", "b"])):
            assert "a" not in ids(ranking)
        with pytest.raises(NotFound, match="There is no item 'a' in the catalogue"):
            engine.item("a")
        assert engine.counts().items == 1
        engine.ingest([item("a", 2 * 10**6, title="rocket again")])
        assert ids(engine.recommend(None, 1, query="rocket")) == ["a"]
        assert engine.counts().items == 2


def test_titles_and_unknown_items() -> None:
    with filled([item("a", title="Tent"), did(1, "u", "mute")]) as engine:
        assert [engine.title(name) for name in ("a", "mute", "unknown")] == ["Tent", "mute", "unknown"]
        assert engine.item("mute") == {}
        with pytest.raises(NotFound, match="There is no item 'unknown'"):
            engine.item("unknown")


def test_encoding_is_off_the_path_of_requests_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Counted()
    monkeypatch.setattr("palate.opening.encoder_of", lambda *_: encoder)
    with memory() as engine:
        engine.ingest([item("a", title="rocket"), did(1, "u", "a")])
        assert engine.wait_encoded(20)
        encoder.gate.clear()
        try:
            engine.ingest([item("b", title="rocket planet")])
            ranking = engine.recommend("u", seen="keep")
            assert set(ids(ranking)) == {"a", "b"}, "answered while the encoder works"
            assert not engine.wait_encoded(0.05)
            assert engine.recommend("u", seen="keep").degraded == ["vectors_pending"]
            assert engine.counts().pending_texts == 1
        finally:
            encoder.gate.set()
        assert engine.wait_encoded(20)
        assert engine.recommend("u").degraded == []
        assert engine.counts().pending_texts == 0


def test_vectors_outlive_a_restart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Counted()
    monkeypatch.setattr("palate.language.served.encoder_of", lambda *_: encoder)
    for _ in range(2):
        with palate.open(tmp_path / "e.palate") as engine:
            engine.ingest([item("a", title="rocket"), item("b", title="rocket"), item("c", title="soup")])
            assert engine.wait_encoded(20)
            assert len(engine.catalogue.side().vectors) == 2
    assert sorted(encoder.texts) == ["rocket", "soup"]
