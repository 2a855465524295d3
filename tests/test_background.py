"""The encoder's thread outlives whatever an encoder does."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import pytest

from palate import background
from palate.types import F32
from tests.engines import item, memory


def test_vectors_come_where_the_fast_search_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with memory() as engine:

        def fails(*_: object, **__: object) -> None:
            raise MemoryError("no room for codes")

        monkeypatch.setattr(engine.catalogue.vectors, "prepare", fails)
        with caplog.at_level(logging.ERROR, "palate"):
            engine.ingest([item("a", title="tea")])
            end = time.monotonic() + 30
            while "all texts are compared" not in caplog.text and time.monotonic() < end:
                time.sleep(0.005)
        monkeypatch.undo()
        engine.ingest([item("b", title="cup")])
        assert engine.wait_encoded(30)
        assert (engine.catalogue.side().text_of >= 0).all()


def test_a_text_that_breaks_the_encoder_keeps_no_other_from_its_vector(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "_PAUSE", 0.01)
    monkeypatch.setattr(background, "_BATCH", 1)
    with memory() as engine:
        encoder: Any = engine.catalogue.cache.encoder
        plain = encoder.encode
        broken = True

        def encode(texts: Sequence[str]) -> F32:
            if broken and "poison" in texts:
                raise RuntimeError("the weights don't like this")
            return plain(texts)

        monkeypatch.setattr(encoder, "encode", encode)
        caplog.set_level(logging.CRITICAL + 1, "palate")
        engine.ingest([item("a", title="poison"), item("b", title="good")])
        end = time.monotonic() + 30
        while engine.catalogue.vectors.text_of[1:].tolist() != [0] and time.monotonic() < end:
            time.sleep(0.005)
        ranking = engine.rank(None, ["a", "b"])
        assert ranking.degraded == ["vectors_pending"]
        assert engine.catalogue.side().text_of.tolist() == [-1, 0]
        broken = False
        assert engine.wait_encoded(30)
        assert engine.catalogue.side().text_of.tolist() == [1, 0]
