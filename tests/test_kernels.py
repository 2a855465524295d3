"""Compiled kernels: their cache is private, and they work without one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from palate import kernels
from palate.kernels import cache_directory, of_sources, sources

PROGRAM = """
from palate.kernels import CACHE
import numpy as np
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
arrays = {
    "offset": np.array([0, 3], dtype=np.int32), "feature": np.array([0, -1, -1], dtype=np.int32),
    "left": np.array([1, -1, -1], dtype=np.int32), "right": np.array([2, -1, -1], dtype=np.int32),
    "default_left": np.zeros(3, dtype=np.bool_), "threshold": np.zeros(3), "value": np.array([0.0, 1.0, 2.0]),
    "cover": np.array([2.0, 1.0, 1.0]),
}
model = TreeScorer.load(arrays, {"features": ["a"]})
assert model.score(np.array([[-1.0], [1.0]], dtype=np.float32)).tolist() == [1.0, 2.0]
print(CACHE)
"""


def run(**environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "PALATE_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_cache_is_private_and_used(tmp_path: Path) -> None:
    used = Path(run(PALATE_CACHE_DIR=str(tmp_path / "cache"), HOME=str(tmp_path)))
    assert used.parent == tmp_path / "cache" / "numba"
    assert used.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "cache" / "numba").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "cache" / "numba").rglob("*.nbi"))


def test_another_checkout_uses_what_is_compiled(tmp_path: Path) -> None:
    place = str(tmp_path / "cache")
    used = Path(run(PALATE_CACHE_DIR=place, HOME=str(tmp_path)))
    compiled = {file: file.stat().st_mtime_ns for file in used.rglob("*.nb?")}
    assert {file.parent.relative_to(used) for file in compiled} == {Path("score")}
    other = tmp_path / "other"
    shutil.copytree(Path(kernels.__file__).parent, other / "palate", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(PALATE_CACHE_DIR=place, HOME=str(tmp_path), PYTHONPATH=str(other)) == str(used)
    assert {file: file.stat().st_mtime_ns for file in used.rglob("*.nb?")} == compiled


def test_kernels_compile_without_a_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert run(PALATE_CACHE_DIR=str(blocked)) == "None"


def test_the_cache_is_closed_to_others_and_never_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    (tmp_path / "numba").mkdir(mode=0o777)
    (tmp_path / "numba").chmod(0o777)
    assert cache_directory() == tmp_path / "numba"
    assert (tmp_path / "numba").stat().st_mode & 0o777 == 0o700
    (tmp_path / "numba").rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "numba").symlink_to(tmp_path / "elsewhere")
    assert cache_directory() is None
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


def test_the_cache_is_never_a_directory_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path / "numba"
    assert (tmp_path / "numba").stat().st_uid == os.getuid()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)  # what is there belongs to somebody else then
    assert cache_directory() is None


def test_the_default_is_in_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALATE_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "palate" / "numba"


def test_other_sources_have_another_cache_and_few_are_kept(tmp_path: Path) -> None:
    source, cache = tmp_path / "source", tmp_path / "cache"
    (source / "serve").mkdir(parents=True)
    cache.mkdir()
    (source / "store").mkdir()
    uses = "from palate.declared import (\n    CONSTANT,\n)\nfrom palate.store import rows\n"
    (source / "store" / "sums.py").write_text(f"{uses}from palate.kernels import kernel\n")
    (source / "store" / "__init__.py").write_text("from palate.store.pages import write\n")
    (source / "store" / "pages.py").write_text("def write(): ...\n")
    (source / "store" / "rows.py").write_text("import palate.wide\n")
    (source / "wide.py").write_text("WIDE = 8\n")
    assert set(sources(source)) == {"store.sums", "store.rows", "wide"}
    found: list[Path] = []
    for version in range(6):
        (source / "declared.py").write_text(f"CONSTANT = {version}")
        found.append(of_sources(cache, source))
        os.utime(found[-1], (version, version))
    assert len(set(found)) == 6
    assert {one for one in found if one.exists()} == set(found[-4:])
    (source / "serve" / "page.py").write_text("nothing that a kernel imports")
    (source / "store" / "pages.py").write_text("def write(): return 1\n")
    assert of_sources(cache, source) == found[-1]
    (source / "wide.py").write_text("WIDE = 9\n")
    assert of_sources(cache, source) != found[-1]
