"""A virtual environment for each list of requirements, made when it is first needed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.quality.exchange import PeerFailed, last_line


def python_of(requirements: Path, folder: Path) -> Path:
    """A Python with what ``requirements`` pins, in a folder named by its content under ``folder``. Minutes at first.

    Errors: ``PeerFailed`` where it can't be installed.
    """
    text = requirements.read_bytes() + sys.version.encode()
    place = folder / hashlib.blake2b(text, digest_size=8).hexdigest()
    python = place / "bin" / "python"
    ready = place / "ready"
    if ready.exists():
        return python
    shutil.rmtree(place, ignore_errors=True)
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for command in (
        [str(base if base.exists() else sys.executable), "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)],
    ):
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise PeerFailed(f"it can't be installed: {last_line(done.stderr)}")
    ready.touch()
    return python
