"""Codes of words: whatever the text, those of the words that ``tokens`` gives, in their order."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.content.codes import words_of
from palate.content.text import INVARIABLE, tokens
from palate.features.wording import SLOTS, WIDTH

ENDINGS = ["", "s", "es", "ies", "ie", "ches", "shes", "sses", "xes", "oes", "ss", "us", "is", "7s", "'s", "’s", "é"]
WORDS = st.tuples(st.text("abosxy27", max_size=4), st.sampled_from(ENDINGS)).map("".join)
PLAIN = st.lists(st.one_of(WORDS, st.sampled_from(sorted(INVARIABLE)), WORDS.map(str.upper)), max_size=16).map(" ".join)
ANY = st.one_of(PLAIN, st.text(max_size=40), st.text(st.characters(max_codepoint=127), max_size=40))


def by_tokens(text: str) -> list[int]:
    codes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) & (SLOTS - 1) for word in tokens(text)]
    row = list(dict.fromkeys(codes))[:WIDTH]
    return row + [-1] * (WIDTH - len(row))


@settings(deadline=None)
@given(st.lists(ANY, max_size=12))
def test_codes_are_those_of_the_words(texts: list[str]) -> None:
    assert words_of(texts).tolist() == [by_tokens(text) for text in texts]


def test_many_texts_are_read_in_parts() -> None:
    texts = [f"Text {n} of its series" if n % 3 else f"第{n}部电影" for n in range(40_000)]
    found = words_of(texts)
    assert found.shape == (len(texts), WIDTH)
    for place in (0, 1, 16_383, 24_575, 24_576, 24_577, 39_999):
        assert found[place].tolist() == by_tokens(texts[place])
    np.testing.assert_array_equal(words_of([]), np.zeros((0, WIDTH), np.int32))
