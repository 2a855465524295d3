"""The vector cache: once per distinct text, across restarts, threads, processes, torn and spoiled files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import Unavailable
from palate.language.cache import VectorCache, examine
from palate.language.hashing import HashingEncoder
from palate.types import F32


class Counting(HashingEncoder):
    """The real encoder; it remembers what it was asked to encode."""

    def __init__(self, dim: int = 256) -> None:
        super().__init__(dim)
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> F32:
        self.seen.extend(texts)
        return super().encode(texts)


TEXTS = ["red shoe", "blue shoe", "red shoe", "", "跑步鞋", "blue shoe"]


def file_of(directory: Path) -> Path:
    (found,) = directory.iterdir()
    return found


@pytest.mark.parametrize("persistent", [True, False])
def test_each_distinct_text_is_encoded_once(tmp_path: Path, persistent: bool) -> None:
    encoder = Counting()
    cache = VectorCache(tmp_path / "vectors" if persistent else None, encoder)
    rows = cache.get(TEXTS)
    assert sorted(encoder.seen) == sorted(set(TEXTS))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, HashingEncoder().encode(TEXTS), atol=5e-4)
    norms = np.linalg.norm(rows, axis=1)
    np.testing.assert_allclose(norms, [1, 1, 1, 0, 1, 1], atol=1e-6)
    assert cache.get(TEXTS).tobytes() == rows.tobytes()
    assert len(encoder.seen) == len(set(TEXTS)) == len(cache)
    assert cache.missing(cache.digests(["new", *TEXTS, "new", "newer"])) == {"new", "newer"}
    assert cache.get([]).shape == (0, 256)


def test_distinct_rows_and_places() -> None:
    cache = VectorCache(None, HashingEncoder())
    vectors, place = cache.distinct(TEXTS)
    assert place.tolist() == [0, 1, 0, 2, 3, 1]
    assert place.dtype == np.int32
    assert vectors[place].tobytes() == cache.get(TEXTS).tobytes()


def test_a_restart_and_no_file_give_the_same_bits(tmp_path: Path) -> None:
    first = VectorCache(tmp_path, HashingEncoder())
    rows = first.get(TEXTS)
    first.close()
    first.close()
    encoder = Counting()
    again = VectorCache(tmp_path, encoder)
    assert again.get(TEXTS).tobytes() == rows.tobytes()
    assert encoder.seen == []
    assert VectorCache(None, HashingEncoder()).get(TEXTS).tobytes() == rows.tobytes()


def test_each_encoder_has_its_own_file(tmp_path: Path) -> None:
    one, other = VectorCache(tmp_path, HashingEncoder(64)), VectorCache(tmp_path, HashingEncoder(32))
    assert one.get(["a"]).shape == (1, 64)
    assert other.get(["a"]).shape == (1, 32)
    assert one.digest("a") != other.digest("a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashing-32-1.bin", "hashing-64-1.bin"]


def test_progress_counts_distinct_unseen_texts() -> None:
    calls: list[tuple[int, int]] = []
    cache = VectorCache(None, HashingEncoder())
    cache.get(["known"])
    cache.get([f"text {i % 600}" for i in range(2000)] + ["known"], lambda done, total: calls.append((done, total)))
    assert calls[-1] == (600, 600)
    assert all(total == 600 for _, total in calls)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


@given(cut=st.integers(1, 2000))
def test_any_torn_tail_is_ignored_and_mended(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    directory = tmp_path_factory.mktemp("torn")
    texts = [f"text {i}" for i in range(5)]
    cache = VectorCache(directory, HashingEncoder())
    whole = cache.get(texts)
    cache.close()
    path = file_of(directory)
    os.truncate(path, max(0, path.stat().st_size - cut))
    again = VectorCache(directory, HashingEncoder())
    assert len(again) < 5
    assert again.get(texts).tobytes() == whole.tobytes()
    again.close()
    encoder = Counting()
    assert VectorCache(directory, encoder).get(texts).tobytes() == whole.tobytes()
    assert encoder.seen == []


@given(st.data())
def test_a_spoiled_record_is_encoded_anew(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = tmp_path_factory.mktemp("spoiled")
    texts = [f"text {i}" for i in range(3)]
    cache = VectorCache(directory, HashingEncoder())
    whole = cache.get(texts)
    cache.close()
    path = file_of(directory)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(64, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    encoder = Counting()
    assert VectorCache(directory, encoder).get(texts).tobytes() == whole.tobytes()
    assert len(encoder.seen) == 1


@pytest.mark.parametrize("content", [b"not a vector file", b"x" * 5000])
def test_a_broken_file_is_set_aside_and_begun_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hashing-256-1.bin"
    path.write_bytes(content)
    kept, sentence = examine(tmp_path, HashingEncoder())
    assert (kept, sentence.startswith(f"{path} is damaged, or not a vector file of")) == (0, True)
    assert path.read_bytes() == content, "looking changes nothing"
    cache = VectorCache(tmp_path, HashingEncoder())
    assert sentence in caplog.text
    assert (tmp_path / "hashing-256-1.bin.broken").read_bytes() == content
    rows = cache.get(TEXTS)
    cache.close()
    caplog.clear()
    encoder = Counting()
    assert VectorCache(tmp_path, encoder).get(TEXTS).tobytes() == rows.tobytes()
    assert (encoder.seen, caplog.text) == ([], "")
    assert examine(tmp_path, encoder) == (len(set(TEXTS)), "")


def test_damaged_records_are_named_and_left_out_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = [f"text {i}" for i in range(20)]
    cache = VectorCache(tmp_path, HashingEncoder())
    whole = cache.get(texts)
    cache.close()
    path = file_of(tmp_path)
    content = bytearray(path.read_bytes())
    size = (len(content) - 64) // 20
    for record in (3, 7, 19):
        content[64 + record * size + 30] ^= 1
    path.write_bytes(bytes(content))
    assert examine(tmp_path, HashingEncoder()) == (
        17,
        f"3 of the 20 vectors in {path} are damaged: their texts are encoded anew.",
    )
    again = VectorCache(tmp_path, HashingEncoder())
    assert "3 of the 20 vectors" in caplog.text
    assert len(again) == 17
    assert path.stat().st_size == 64 + 17 * size
    assert again.get(texts).tobytes() == whole.tobytes()
    again.close()
    assert examine(tmp_path, HashingEncoder()) == (20, "")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "vectors").write_text("in the way")
    with pytest.raises(Unavailable, match="can't be opened"):
        VectorCache(tmp_path / "vectors", HashingEncoder())


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = VectorCache(tmp_path, HashingEncoder())
    kept = cache.get(["kept"])
    write = os.write

    def full(file: int, data: bytes) -> int:
        write(file, bytes(data)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Unavailable, match="No space left"):
            cache.get(["new"])
    assert cache.get(["kept"]).tobytes() == kept.tobytes()
    new = cache.get(["new"])
    cache.close()
    assert VectorCache(tmp_path, HashingEncoder()).get(["kept", "new"]).tobytes() == np.vstack([kept, new]).tobytes()


def test_a_closed_cache_says_so(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, HashingEncoder())
    cache.get(["a"])
    cache.close()
    with pytest.raises(Unavailable, match="is closed"):
        cache.get(["a"])
    with pytest.raises(Unavailable, match="is closed"):
        cache.get(["b"])


def test_two_caches_share_one_file(tmp_path: Path) -> None:
    one, other = VectorCache(tmp_path, Counting()), VectorCache(tmp_path, Counting())
    for i in range(20):
        (one, other)[i % 2].get([f"text {i}", f"text {i // 2}"])
    encoder = Counting()
    third = VectorCache(tmp_path, encoder)
    expected = HashingEncoder().encode([f"text {i}" for i in range(20)])
    for cache in (one, other, third):
        np.testing.assert_allclose(cache.get([f"text {i}" for i in range(20)]), expected, atol=5e-4)
    assert encoder.seen == []


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = VectorCache(tmp_path, HashingEncoder())
    texts = [f"text {i}" for i in range(400)]
    expected = HashingEncoder().encode(texts)
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        try:
            for _ in range(30):
                some: list[int] = random.integers(0, 400, 20).tolist()
                np.testing.assert_allclose(cache.get([texts[i] for i in some]), expected[some], atol=5e-4)
        except BaseException as error:  # handed to the main thread, which fails the test with it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


class Moody(HashingEncoder):
    """Differs by the call, as where sums depend on what else is in the batch; ``also`` happens first."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.also: list[Callable[[], object]] = []

    def encode(self, texts: Sequence[str]) -> F32:
        while self.also:
            self.also.pop()()
        self.calls += 1
        found = super().encode(texts)
        found[:, 0] += 0.1 * self.calls
        return found


@pytest.mark.parametrize("persistent", [True, False])
def test_a_text_keeps_the_vector_it_was_first_seen_with(tmp_path: Path, persistent: bool) -> None:
    path = tmp_path if persistent else None
    encoder = Moody()
    cache = VectorCache(path, encoder)
    other = VectorCache(path, encoder) if persistent else cache
    # While one encodes, another thread or process has found the same text missing, and is first to keep it.
    encoder.also.append(lambda: cache.get(["tea"]))
    found = other.get(["tea", "cup"])
    assert np.array_equal(found, other.get(["tea", "cup"]))
    assert np.array_equal(found[:1], cache.get(["tea"]))
    assert len(other) == 2
    for again in (cache, VectorCache(path, encoder)) if persistent else ():
        assert np.array_equal(again.get(["tea", "cup"]), found)
    if persistent:
        assert examine(tmp_path, encoder) == (2, "")


def test_a_reader_takes_the_vectors_of_the_file_and_leaves_it_alone(tmp_path: Path) -> None:
    encoder = Moody()
    kept = VectorCache(tmp_path, encoder).get(["tea", "cup"])
    before = file_of(tmp_path).read_bytes()
    reader = VectorCache(tmp_path, encoder, read_only=True)
    assert reader.missing(reader.digests(["tea", "pot", "cup"])) == {"pot"}
    found = reader.get(["cup", "pot", "tea", "urn"])
    assert np.array_equal(found[[2, 0]], kept)
    assert np.array_equal(found, reader.get(["cup", "pot", "tea", "urn"]))
    assert encoder.calls == 2
    reader.close()
    assert file_of(tmp_path).read_bytes() == before


def test_a_reader_of_no_file_or_of_another_encodes_for_itself(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    want = VectorCache(None, encoder).get(["tea"])
    assert np.array_equal(VectorCache(tmp_path / "none", encoder, read_only=True).get(["tea"]), want)
    assert not (tmp_path / "none").exists()
    (tmp_path / f"{encoder.name}.bin").write_bytes(b"something else" * 20)
    assert np.array_equal(VectorCache(tmp_path, encoder, read_only=True).get(["tea"]), want)


def test_a_killed_process_leaves_a_readable_file(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from palate.language.cache import VectorCache;"
        "from palate.language.hashing import HashingEncoder;"
        "cache = VectorCache(pathlib.Path(sys.argv[1]), HashingEncoder());"
        "sys.stdout.write('ready'); sys.stdout.flush();"
        "[cache.get([f'text {i}']) for i in range(10**9)]"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.read(5) == b"ready"
        while file_of(tmp_path).stat().st_size < 50_000:
            pass
        process.kill()
    process.wait()
    cache = VectorCache(tmp_path, HashingEncoder())
    assert len(cache) > 50
    texts = [f"text {i}" for i in range(len(cache) + 5)]
    np.testing.assert_allclose(cache.get(texts), HashingEncoder().encode(texts), atol=5e-4)


def test_queries_are_kept_in_memory_only(tmp_path: Path) -> None:
    encoder = Counting()
    cache = VectorCache(tmp_path, encoder)
    size = file_of(tmp_path).stat().st_size
    first = cache.query("a private question")
    assert cache.query("a private question").tobytes() == first.tobytes()
    assert encoder.seen == ["a private question"]
    assert file_of(tmp_path).stat().st_size == size
    for i in range(1100):
        cache.query(f"question {i}")
    cache.query("a private question")
    assert encoder.seen.count("a private question") == 2
    cache.get(["kept"])
    cache.query("kept")
    assert encoder.seen.count("kept") == 1


def test_the_file_is_private(tmp_path: Path) -> None:
    VectorCache(tmp_path, HashingEncoder()).get(["a"])
    assert file_of(tmp_path).stat().st_mode & 0o077 == 0
