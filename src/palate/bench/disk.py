"""What the disk gives, and what a directory takes of it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path


def commits(directory: Path, seconds: float = 1.0) -> float:
    """Appends of 100 bytes with fdatasync that the disk of ``directory`` takes in a second."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        begun = time.perf_counter()
        done = 0
        while time.perf_counter() - begun < seconds:
            file.write(b"x" * 100)
            file.flush()
            os.fdatasync(file.fileno())
            done += 1
        return done / (time.perf_counter() - begun)


def taken(directory: Path) -> int:
    """Bytes of the files below ``directory``."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
