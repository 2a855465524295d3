"""Artefacts: written whole or not at all, activated and rolled back, and never half-loaded when anything is off."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import safetensors.numpy

from palate.errors import Conflict, CorruptArtefact, InvalidInput, NotFound, Unavailable
from palate.score import load_scorer
from palate.score.linear import LinearScorer
from palate.train import artefact
from palate.train.artefact import Manifest
from palate.train.manifest import ArrayEntry, FileEntry, encode, sealed

ARRAYS = {
    "weights": np.array([1.0, -2.0]),
    "rows": np.arange(6, dtype=np.int32).reshape(2, 3),
    "flags": np.array([True, False, True]),
    "scalar": np.array(3.5),
    "nothing": np.zeros((0, 4), dtype=np.float32),
}


def manifest(**fields: Any) -> Manifest:
    return Manifest(kind="linear", features=["a", "b"], **fields)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_what_is_saved_is_what_loads(models: Path) -> None:
    saved = artefact.save(
        models,
        ARRAYS,
        manifest(
            encoder="hashing-1",
            log_position=42,
            events=40,
            metrics={"nDCG@10": 0.1},
            settings={"trees": 3, "half_lives": (1.0, 7.0)},
            extra={"note": "ü", "nested": {"list": [1, None, 2.5, True]}},
        ),
    )
    loaded = artefact.load(models / "v0001")
    assert loaded.manifest == saved == artefact.read_manifest(models / "v0001")
    assert saved.version == "v0001"
    assert saved.settings["half_lives"] == [1.0, 7.0]
    assert saved.extra == {"note": "ü", "nested": {"list": [1, None, 2.5, True]}}
    assert abs(saved.created - time.time() * 1000) < 60_000
    assert {"palate", "numpy", "lightgbm"} <= set(saved.libraries)
    assert set(loaded.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].flags.writeable
        np.testing.assert_array_equal(loaded.arrays[name], array)


def test_arrays_may_lie_in_memory_in_any_way(models: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    views = {
        "transposed": base.T,
        "strided": base[::2, ::3],
        "reversed": base[::-1],
        "fortran": np.asfortranarray(base),
    }
    artefact.save(models, views, manifest())
    for name, array in artefact.load(models / "v0001").arrays.items():
        np.testing.assert_array_equal(array, views[name])


def test_a_scorer_travels_through_an_artefact(models: Path) -> None:
    scorer = LinearScorer(["a", "b"], [0.5, 2.0], [1.0, 1.0], [2.0, 4.0])
    artefact.save(models, scorer.arrays(), manifest(extra={"scorer": scorer.meta()}))
    loaded = artefact.load(models / "v0001")
    again = load_scorer(loaded.arrays, loaded.manifest.extra["scorer"])
    x = np.array([[1.0, 3.0], [np.nan, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(again.score(x), scorer.score(x))


def test_versions_count_up_and_are_never_used_twice(models: Path) -> None:
    assert artefact.list_versions(models) == []
    for number in range(1, 4):
        assert artefact.save(models, ARRAYS, manifest()).version == f"v{number:04d}"
    artefact.activate(models, "v0003")
    for file in (models / "v0003").iterdir():
        file.unlink()
    (models / "v0003").rmdir()
    assert artefact.save(models, ARRAYS, manifest()).version == "v0004"
    (models / "v10000").mkdir()
    (models / "notes").mkdir()
    assert artefact.list_versions(models) == ["v0001", "v0002", "v0004", "v10000"]
    assert artefact.save(models, ARRAYS, manifest()).version == "v10001"


def test_writers_at_the_same_time_get_versions_of_their_own(models: Path) -> None:
    versions: list[str] = []

    def write(index: int) -> None:
        for _ in range(3):
            versions.append(artefact.save(models, {"of": np.array([index])}, manifest(events=index)).version)

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(versions) == artefact.list_versions(models) == [f"v{number:04d}" for number in range(1, 13)]
    for version in versions:
        loaded = artefact.load(models / version)
        assert loaded.arrays["of"][0] == loaded.manifest.events


def test_activation_and_rollback(models: Path) -> None:
    for _ in range(3):
        artefact.save(models, ARRAYS, manifest())
    assert artefact.active(models) is None
    with pytest.raises(Conflict, match="no earlier model"):
        artefact.rollback(models)
    for version in ("v0001", "v0003", "v0003", "v0002"):
        assert artefact.activate(models, version).version == version
        assert artefact.active(models) == version
    assert artefact.rollback(models).version == "v0003"
    assert artefact.rollback(models).version == "v0001"
    assert artefact.active(models) == "v0001"
    with pytest.raises(Conflict, match="no earlier model"):
        artefact.rollback(models)
    assert artefact.active(models) == "v0001"


@pytest.mark.parametrize("name", ["v0009", "v1", "", ".", "..", "../v0001", "v0001/..", "v0001\n", "ACTIVE"])
def test_versions_that_do_not_exist(models: Path, name: str) -> None:
    artefact.save(models, ARRAYS, manifest())
    artefact.activate(models, "v0001")
    with pytest.raises(NotFound, match="There is no model"):
        artefact.activate(models, name)
    with pytest.raises(NotFound, match="There is no model"):
        artefact.load(models / "sub" / name)
    assert artefact.active(models) == "v0001"


def test_a_corrupt_version_is_not_activated_nor_rolled_back_to(models: Path) -> None:
    for _ in range(2):
        artefact.save(models, ARRAYS, manifest())
    artefact.activate(models, "v0001")
    artefact.activate(models, "v0002")
    flip(models / "v0001" / "arrays.safetensors", 200)
    with pytest.raises(CorruptArtefact, match="doesn't match its checksum"):
        artefact.activate(models, "v0001")
    with pytest.raises(CorruptArtefact, match="doesn't match its checksum"):
        artefact.rollback(models)
    assert artefact.active(models) == "v0002"


def test_pruning_keeps_the_newest_the_active_and_the_way_back(models: Path) -> None:
    for _ in range(8):
        artefact.save(models, ARRAYS, manifest())
    for version in ("v0001", "v0002", "v0004"):
        artefact.activate(models, version)
    assert artefact.prune(models, keep=2) == ["v0001", "v0003", "v0005", "v0006"]
    assert artefact.list_versions(models) == ["v0002", "v0004", "v0007", "v0008"]
    assert artefact.prune(models, keep=2) == []
    assert artefact.rollback(models).version == "v0002"
    with pytest.raises(Conflict):
        artefact.rollback(models)
    assert sorted(path.name for path in models.iterdir()) == ["ACTIVE", "v0002", "v0004", "v0007", "v0008"]


def test_pruning_clears_what_crashed_writers_left(models: Path) -> None:
    artefact.save(models, ARRAYS, manifest())
    for name, age in ((".new-old", 200_000), (".new-young", 10), (".old-any", 10)):
        (models / name).mkdir()
        (models / name / "arrays.safetensors").write_bytes(b"half")
        os.utime(models / name, (time.time() - age,) * 2)
    assert artefact.list_versions(models) == ["v0001"]
    artefact.prune(models)
    assert sorted(path.name for path in models.iterdir()) == [".new-young", "v0001"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "can't be read"),
        (b"{", "can't be read"),
        (b"\xff\xfe", "can't be read"),
        (b'{"active": "v0001", "hist": []}', "can't be read"),
        (b'{"active": "../v0001"}', "is no version"),
        (b'{"active": "v0001", "history": ["/etc"]}', "is no version"),
    ],
)
def test_a_broken_pointer_is_an_error_and_activating_mends_it(models: Path, body: bytes, message: str) -> None:
    artefact.save(models, ARRAYS, manifest())
    (models / "ACTIVE").write_bytes(body)
    for attempt in (artefact.active, artefact.rollback, artefact.prune):
        with pytest.raises(CorruptArtefact, match=message):
            attempt(models)
    artefact.save(models, ARRAYS, manifest())
    artefact.activate(models, "v0001")
    assert artefact.active(models) == "v0001"


# ------------------------------------------------------------------------------------- corruption


def flip(path: Path, position: int, bit: int = 0) -> None:
    body = bytearray(path.read_bytes())
    body[position] ^= 1 << bit
    path.write_bytes(body)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_any_flipped_bit_is_noticed(models: Path, name: str) -> None:
    artefact.save(models, ARRAYS, manifest(metrics={"nDCG@10": 0.25}, extra={"a": [1, 2]}))
    path = models / "v0001" / name
    whole = path.read_bytes()
    for position in range(len(whole)):
        flip(path, position, position % 8)
        with pytest.raises(
            CorruptArtefact, match=r"v0001 in .* is corrupt: .* Activate another version or train again"
        ):
            artefact.load(models / "v0001")
        path.write_bytes(whole)
    artefact.load(models / "v0001")


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_truncated_extended_and_missing_files(models: Path, name: str) -> None:
    artefact.save(models, ARRAYS, manifest())
    path = models / "v0001" / name
    whole = path.read_bytes()
    for body in (b"", whole[:1], whole[: len(whole) // 2], whole[:-1], whole + b"\n", whole + whole):
        path.write_bytes(body)
        with pytest.raises(CorruptArtefact):
            artefact.load(models / "v0001")
    path.unlink()
    with pytest.raises(CorruptArtefact, match=f"{name} is missing"):
        artefact.load(models / "v0001")
    path.mkdir()
    with pytest.raises(CorruptArtefact, match=name):
        artefact.load(models / "v0001")


@pytest.mark.parametrize("name", ["manifest.json", "arrays.safetensors"])
def test_links_are_not_followed(models: Path, tmp_path: Path, name: str) -> None:
    artefact.save(models, ARRAYS, manifest())
    path = models / "v0001" / name
    path.rename(tmp_path / name)
    path.symlink_to(tmp_path / name)
    with pytest.raises(CorruptArtefact, match="can't be read"):
        artefact.load(models / "v0001")


def test_a_pipe_in_place_of_a_file_does_not_hang(models: Path) -> None:
    artefact.save(models, ARRAYS, manifest())
    path = models / "v0001" / "arrays.safetensors"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CorruptArtefact, match="not a plain file"):
        artefact.load(models / "v0001")


def test_a_version_under_another_name(models: Path) -> None:
    artefact.save(models, ARRAYS, manifest())
    (models / "v0001").rename(models / "v0007")
    with pytest.raises(CorruptArtefact, match="says that it is 'v0001'"):
        artefact.load(models / "v0007")


def entry_of(body: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(body).hexdigest(), len(body))


Forgery = Callable[[Manifest], Manifest]


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (lambda m: msgspec.structs.replace(m, format=2), "it has format 2"),
        (lambda m: msgspec.structs.replace(m, files={}), "lists the files"),
        (lambda m: msgspec.structs.replace(m, files=m.files | {"extra.bin": entry_of(b"")}), "lists the files"),
        *[
            (lambda m, name=name: msgspec.structs.replace(m, files={name: entry_of(b"")}), "not a plain file name")
            for name in ("../v0002/arrays.safetensors", "/etc/passwd", "a/b", "..", ".", "", "a\\b", ".hidden", "a\0b")
        ],
        (lambda m: with_array(m, "weights", "float32", [2]), "of float64 instead of"),
        (lambda m: with_array(m, "weights", "float64", [1, 2]), "instead of [1, 2] of float64"),
        (lambda m: with_array(m, "other", "float64", [2]), "it holds the arrays"),
        (lambda m: msgspec.structs.replace(m, arrays={}), "it holds the arrays"),
        (
            lambda m: msgspec.structs.replace(m, files={"arrays.safetensors": FileEntry("0" * 64, 10**18)}),
            "bytes instead",
        ),
    ],
)
def test_sealed_manifests_that_do_not_fit(models: Path, forge: Forgery, message: str) -> None:
    """Their own checksums are right: what is wrong is what they say."""
    saved = artefact.save(models, ARRAYS, manifest())
    (models / "v0001" / "manifest.json").write_bytes(encode(sealed(forge(saved), "v0001")))
    with pytest.raises(CorruptArtefact) as caught:
        artefact.load(models / "v0001")
    assert message in str(caught.value)


def with_array(given: Manifest, name: str, dtype: str, shape: list[int]) -> Manifest:
    return msgspec.structs.replace(given, arrays=given.arrays | {name: ArrayEntry(dtype, shape)})


@pytest.mark.parametrize(
    "body",
    [b"", b"not safetensors at all", (2**63).to_bytes(8, "little") + b"{}", safetensors.numpy.save({})],
)
def test_sealed_artefacts_whose_arrays_are_something_else(models: Path, body: bytes) -> None:
    saved = artefact.save(models, ARRAYS, manifest())
    (models / "v0001" / "arrays.safetensors").write_bytes(body)
    forged = msgspec.structs.replace(saved, files={"arrays.safetensors": entry_of(body)})
    (models / "v0001" / "manifest.json").write_bytes(encode(sealed(forged, "v0001")))
    with pytest.raises(CorruptArtefact, match=r"not a safetensors file|it holds the arrays"):
        artefact.load(models / "v0001")


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"kind"', '"kind2": 1, "kind"'),
        lambda text: text.replace('"kind"', '"owner": "me", "kind"'),
        lambda text: text.replace('"linear"', "5"),
        lambda text: "[" * 5000 + "]" * 5000,
        lambda text: text.replace("\n", " "),
    ],
)
def test_manifests_that_were_edited(models: Path, edit: Callable[[str], str]) -> None:
    artefact.save(models, ARRAYS, manifest())
    path = models / "v0001" / "manifest.json"
    path.write_text(edit(path.read_text()))
    with pytest.raises(CorruptArtefact):
        artefact.load(models / "v0001")


# ------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metrics_must_be_finite(models: Path, value: float) -> None:
    with pytest.raises(InvalidInput, match=r"The metric 'MRR' is .*; leave out what could not be measured"):
        artefact.save(models, ARRAYS, manifest(metrics={"MRR": value}))
    assert artefact.list_versions(models) == []


def test_what_json_cannot_hold_is_refused(models: Path) -> None:
    with pytest.raises(InvalidInput, match="can't be written as JSON"):
        artefact.save(models, ARRAYS, manifest(extra={"call": print}))
    assert artefact.list_versions(models) == []


@pytest.mark.parametrize("fails_at", range(4))
def test_a_disk_that_fails_leaves_nothing_behind(models: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    artefact.save(models, ARRAYS, manifest())
    fsync, calls = os.fsync, iter(range(100))

    def failing(descriptor: int) -> None:
        if next(calls) == fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(Unavailable, match=r"could not be written to .*No space left on device"):
            artefact.save(models, ARRAYS, manifest())
    for version in artefact.list_versions(models):
        artefact.load(models / version)
    assert not [path for path in models.iterdir() if path.name.startswith(".")]


def test_a_disk_that_fails_keeps_the_active_version(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        artefact.save(models, ARRAYS, manifest())
    artefact.activate(models, "v0001")

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(Unavailable, match="Input/output error"):
            artefact.activate(models, "v0002")
    assert artefact.active(models) == "v0001"
    assert sorted(path.name for path in models.iterdir()) == ["ACTIVE", "v0001", "v0002"]
