"""A process that follows learns the vectors that another one has written, and writes none itself."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from palate.errors import Unavailable
from palate.language.cache import VectorCache
from palate.language.followed import FollowedVectors
from palate.language.hashing import HashingEncoder

ENCODER = HashingEncoder()


def test_what_the_other_writes_is_known_after_a_refresh(tmp_path: Path) -> None:
    writer = VectorCache(tmp_path, ENCODER)
    first = writer.get(["tea", "wine"])
    follower = FollowedVectors(tmp_path, ENCODER)
    np.testing.assert_array_equal(follower.get(["wine", "tea"]), first[[1, 0]])
    second = writer.get(["bread"])
    assert follower.missing(follower.digests(["tea", "bread"])) == {"bread"}
    follower.refresh()
    np.testing.assert_array_equal(follower.get(["bread"]), second)
    size = (tmp_path / f"{ENCODER.name}.bin").stat().st_size
    with pytest.raises(Unavailable):
        follower.get(["cheese"])
    assert follower.query("cheese").shape == (ENCODER.dim,)
    assert (tmp_path / f"{ENCODER.name}.bin").stat().st_size == size
    follower.close()
    with pytest.raises(Unavailable):
        follower.refresh()
    writer.close()


def test_the_index_of_a_cache_of_the_same_file_is_taken_over(tmp_path: Path) -> None:
    writer = VectorCache(tmp_path, ENCODER)
    expected = writer.get(["tea", "wine"])
    follower = FollowedVectors(tmp_path, ENCODER, writer)
    assert len(follower) == 2
    np.testing.assert_array_equal(follower.get(["tea", "wine"]), expected)
    elsewhere = tmp_path / "elsewhere"
    VectorCache(elsewhere, ENCODER).close()
    other = FollowedVectors(elsewhere, ENCODER, writer)
    assert len(other) == 0
    for cache in (writer, follower, other):
        cache.close()


def test_a_file_put_in_the_place_of_the_other_is_followed(tmp_path: Path) -> None:
    writer = VectorCache(tmp_path, ENCODER)
    writer.get(["tea", "wine"])
    follower = FollowedVectors(tmp_path, ENCODER)
    writer.close()
    (tmp_path / f"{ENCODER.name}.bin").unlink()
    writer = VectorCache(tmp_path, ENCODER)
    expected = writer.get(["bread"])
    follower.refresh()
    assert follower.missing(follower.digests(["tea", "bread"])) == {"tea"}
    np.testing.assert_array_equal(follower.get(["bread"]), expected)
    writer.close()
    follower.close()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        FollowedVectors(tmp_path, ENCODER)


def test_reading_while_the_other_writes_takes_nothing_half(tmp_path: Path) -> None:
    writer = VectorCache(tmp_path, ENCODER)
    follower = FollowedVectors(tmp_path, ENCODER)
    texts = [f"text {number}" for number in range(3000)]
    thread = threading.Thread(target=writer.get, args=(texts,))
    thread.start()
    while thread.is_alive():
        follower.refresh()
    thread.join()
    follower.refresh()
    assert follower.missing(follower.digests(texts)) == set()
    np.testing.assert_array_equal(follower.get(texts), writer.get(texts))
    writer.close()
    follower.close()
