"""The cache of data sets: whole files with the right checksum, or a sentence that says why not. No network."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from palate.datasets.download import cache_dir, cached, fetch, pip_download
from palate.errors import Unavailable


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The smallest wheel that pip takes."""
    path = tmp_path / "tiny_thing-1.0-py3-none-any.whl"
    info = "tiny_thing-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_thing.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_where_the_cache_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == cache
    monkeypatch.delenv("PALATE_CACHE_DIR")
    assert cache_dir() == Path.home() / ".cache" / "palate" / "datasets"


def test_a_cached_file_is_checked_and_a_damaged_one_deleted(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "a.zip").write_bytes(b"good")
    assert cached("a.zip", digest(b"good")) == cache / "a.zip"
    assert fetch("https://localhost/a.zip", "a.zip", digest(b"good")) == cache / "a.zip"
    assert cached("a.zip", digest(b"other")) is None
    assert not (cache / "a.zip").exists()
    assert cached("b.zip", digest(b"good")) is None


def test_a_server_that_refuses(cache: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        fetch("https://127.0.0.1:9/a.zip", "a.zip", digest(b""), timeout=2)
    assert caught.value.message == "https://127.0.0.1:9/a.zip can't be fetched: [Errno 111] Connection refused."
    assert list(cache.iterdir()) == []


def test_only_https() -> None:
    with pytest.raises(Unavailable, match="is not an https address"):
        fetch("file:///etc/hosts", "a.zip", digest(b""))


def test_pip_brings_a_wheel_whole(cache: Path, wheel: Path) -> None:
    content = wheel.read_bytes()
    told: list[str] = []
    found = pip_download(
        str(wheel), wheel.name, digest(content), progress=lambda stage, done, total: told.append(stage)
    )
    assert found == cache / wheel.name
    assert found.read_bytes() == content
    assert [entry.name for entry in cache.iterdir()] == [wheel.name]
    assert told == [f"downloading {wheel.name} with pip"]
    wheel.unlink()
    assert pip_download(str(wheel), wheel.name, digest(content)) == found


def test_a_wheel_with_another_checksum_never_enters_the_cache(cache: Path, wheel: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        pip_download(str(wheel), wheel.name, "0" * 64)
    assert caught.value.message == (
        f"{wheel.name} from {wheel} has the SHA-256 {digest(wheel.read_bytes())}, not {'0' * 64}: "
        "it is damaged or not the file that it should be."
    )
    assert list(cache.iterdir()) == []


def test_what_pip_says_is_passed_on(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^pip can't download .*absent-1\.0-py3-none-any\.whl: .+"):
        pip_download(str(tmp_path / "absent-1.0-py3-none-any.whl"), "absent-1.0-py3-none-any.whl", "0" * 64)
    assert list(cache.iterdir()) == []
