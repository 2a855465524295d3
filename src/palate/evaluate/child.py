"""A measurement in a process of its own, so that what it loads and how it fails are its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import Protocol, TypeVar

import msgspec

from palate.train.history import Progress


class Saying(Protocol):
    """What a line of a child says: how far it is, and its name once it has one."""

    name: str
    done: int
    total: int


T = TypeVar("T", bound=Saying)


def told_by(module: str, asked: object, told: T, label: str, progress: Progress | None = None) -> tuple[T, str]:
    """Run ``python -m module``, which reads ``asked`` as JSON and says a line of ``told``'s type again and again.

    Returns the last line (``told`` where there was none), and what went wrong in a sentence, '' for nothing.
    progress(label, done, total). The child ends with the caller, whatever ends that.
    """
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile() as words,  # not a pipe, which would be full after 64 kB of warnings
        subprocess.Popen([sys.executable, "-m", module], stdin=pipe, stdout=pipe, stderr=words) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(msgspec.json.encode(asked))
            child.stdin.close()
            for line in child.stdout:
                told = msgspec.json.decode(line, type=type(told))
                if progress is not None and told.total:
                    progress(label, told.done, told.total)
            child.wait()
            words.seek(0)
            said = words.read().decode("utf-8", "replace").strip().splitlines()
        except BaseException:
            child.kill()
            raise
    if child.returncode != 0 or not told.name:
        return told, said[-1][:300] if said else f"exit code {child.returncode}."
    return told, ""
