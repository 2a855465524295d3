"""The contract of an encoder, as tests: inherit ``EncoderContract`` and say how to make yours."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from palate.language import Encoder

TEXTS = [
    "red running shoes",
    "Toy Story (1995). Adventure, Animation, Children",
    "一部关于太空旅行的电影",
    "Die unendliche Geschichte",
    "スタジオジブリの映画",
    "a",
    "🎬🍿",
    "A long text. " * 40,
    "lone surrogate \ud800 inside",
    "line\nbreaks\tand\0control",
]
"""Several languages and lengths, and what careless encoders fall over."""


class EncoderContract(ABC):
    """Unit rows, order kept, a batch equals its texts one by one, nothing gives (0, dim), names fit for files."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """The encoder under test; may be one for all tests."""

    def test_shape_and_type(self) -> None:
        encoder = self.encoder()
        rows = encoder.encode(TEXTS)
        assert rows.shape == (len(TEXTS), encoder.dim)
        assert rows.dtype == np.float32
        assert np.isfinite(rows).all()

    def test_rows_have_unit_length(self) -> None:
        norms = np.linalg.norm(self.encoder().encode(TEXTS), axis=1)
        np.testing.assert_allclose(norms, 1.0, atol=1e-5)

    def test_no_texts_give_no_rows(self) -> None:
        encoder = self.encoder()
        rows = encoder.encode([])
        assert rows.shape == (0, encoder.dim)
        assert rows.dtype == np.float32

    def test_blank_texts_give_zero_rows_and_leave_others_alone(self) -> None:
        encoder = self.encoder()
        rows = encoder.encode(["", TEXTS[0], " \n\t ", TEXTS[2]])
        assert not rows[[0, 2]].any()
        np.testing.assert_allclose(rows[[1, 3]], encoder.encode([TEXTS[0], TEXTS[2]]), atol=1e-5)

    def test_a_batch_equals_its_texts_one_by_one(self) -> None:
        encoder = self.encoder()
        together = encoder.encode(TEXTS)
        for text, row in zip(TEXTS, together, strict=True):
            np.testing.assert_allclose(encoder.encode([text])[0], row, atol=1e-5)

    def test_order_is_kept(self) -> None:
        encoder = self.encoder()
        forward = encoder.encode(TEXTS)
        backward = encoder.encode(TEXTS[::-1])
        np.testing.assert_allclose(backward[::-1], forward, atol=1e-5)

    def test_the_same_batch_gives_the_same_bits(self) -> None:
        encoder = self.encoder()
        assert encoder.encode(TEXTS).tobytes() == encoder.encode(TEXTS).tobytes()

    def test_different_texts_differ(self) -> None:
        rows = self.encoder().encode(TEXTS)
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, 0.0)
        assert cosines.max() < 0.999

    def test_a_huge_text_is_no_error(self) -> None:
        encoder = self.encoder()
        rows = encoder.encode(["word " * 20_000, "字" * 50_000])
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)

    def test_the_name_is_fit_for_a_file(self) -> None:
        name = self.encoder().name
        assert name
        assert all(character.isalnum() or character in "._+-" for character in name)
        assert not name.startswith(".")
