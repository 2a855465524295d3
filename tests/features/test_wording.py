"""Words that texts share: by their definition, whatever came and went before, and what they and fame are for."""

from __future__ import annotations

import math

import numpy as np
import pytest

import palate
from palate.content.codes import words_of
from palate.explain import Explainer
from palate.features import NAMES, column
from palate.features.wording import SLOTS, WIDTH, Wording, packed, shared
from palate.line import prior_model
from palate.types import F32, I32

TEXTS = ["red tea pot", "red tea", "red mug", "blue tea pot with a lid", "saw", "saw two", ""]


def wording(texts: list[str]) -> Wording:
    words = Wording()
    words.put(np.arange(len(texts), dtype=np.int32), words_of(texts))
    return words


def told(words: Wording, last: list[int], decay: float = 0.8, rows: I32 | None = None) -> F32:
    rows = np.arange(len(words.codes), dtype=np.int32) if rows is None else rows
    out = np.zeros((len(rows), 2), np.float32)
    of = np.arange(len(words.codes), dtype=np.int32)
    shared(of[rows].astype(np.int64), words.codes, words.frequency, words.texts, np.array(last, np.int32), decay, out)
    return out


def by_definition(texts: list[str], last: int, here: int) -> float:
    n = len(texts)
    f = {w: sum(w in t.split() for t in texts) for t in texts for w in t.split()}
    mine, theirs = texts[here].split(), texts[last].split()
    weight = {w: math.log((n + 1) / f[w]) ** 2 for w in theirs}
    if not mine or not theirs:
        return 0.0
    return sum(weight[w] for w in theirs if w in mine) / sum(weight.values()) * math.sqrt(len(theirs) / len(mine))


def test_shared_words_weigh_by_rarity_and_fade() -> None:
    out = told(wording(TEXTS), [4, 0])
    for here in range(len(TEXTS)):
        first, second = by_definition(TEXTS, 4, here), by_definition(TEXTS, 0, here)
        np.testing.assert_allclose(out[here], [first, max(first, 0.8 * second)], rtol=1e-5)
    assert out[5, 0] > out[3, 1] > 0.0


def test_texts_that_came_and_went_leave_nothing() -> None:
    words = wording(["saw pot", *TEXTS[1:]])
    words.free(np.array([0], np.int32))
    words.put(np.array([0], np.int32), words_of(TEXTS[:1]))
    fresh = wording(TEXTS)
    np.testing.assert_array_equal(words.frequency, fresh.frequency)
    np.testing.assert_array_equal(told(words, [0, 4]), told(fresh, [0, 4]))


def test_a_text_has_few_words_and_none_twice() -> None:
    codes = packed([[1, 1, SLOTS + 1, 2], list(range(40)), []])
    assert codes[0].tolist() == [1, 2] + [-1] * (WIDTH - 2)
    assert codes[1].tolist() == list(range(WIDTH))
    assert (codes[2] == -1).all()


@pytest.mark.parametrize("last", [[], [6], [6, 6, 6, 6, 6]])
def test_nothing_is_shared_with_what_has_no_words(last: list[int]) -> None:
    assert not told(wording(TEXTS), last).any()


def test_an_explanation_names_the_item_whose_words_are_shared() -> None:
    titles = {"a": "red teapot", "b": "saw of steel", "c": "steel saw, long", "d": "mug", "e": "red mug"}
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        engine.ingest([{"event": "item", "item": item, "fields": {"title": title}} for item, title in titles.items()])
        engine.ingest([{"event": "interaction", "user": "u", "item": item, "type": "click"} for item in "bad"])
        engine.wait_encoded()
        line = engine.line
        subject = line.computer.subject(engine.state.users.get("u"), engine.catalogue.side())
        explainer = Explainer(line.computer, engine.catalogue, subject, prior_model())
        row = engine.state.items.get("c")
        found = {name: explainer.sources(column(name), row, 1.0) for name in NAMES}  # every feature can be asked
        assert [source.item for source in found["words_last"]] == ["d"]
        assert [source.item for source in found["words_newest"]] == ["b"]
