"""Names on the disk: a file is safe from a power loss once it is synced, its name once its directory is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in ``path`` durable. Errors: ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make ``path``, and what is missing above it, durably. Errors: ``OSError``."""
    above = [one.parent for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for parent in reversed(above):
        with contextlib.suppress(PermissionError):  # one may write to a directory that one may not read
            sync_directory(parent)
