"""What questions of requests cost: a line for each that a conversation, or reasons in words, put to the generator.

A line names no person, and holds nothing that was asked or answered. Two files are kept (``FILE`` and the one before
it), the newest 30,000 to 60,000 questions; what a ranking asks stands in its decision, what a night's run asks in
``offline.RUNS``.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Literal

import msgspec

from palate.disk import make_directory
from palate.language.prompt import Reply

FILE = Path("language") / "asked.jsonl"
BEFORE = Path("language") / "asked.before.jsonl"
"""Below an engine's directory."""
BYTES = 6_000_000
"""Of ``FILE``, above which it becomes the one before."""
_IN_MEMORY = 10_000
Use = Literal["chat", "words"]
_log = logging.getLogger("palate")


class Asked(msgspec.Struct, frozen=True):
    """at: Unix ms. ms: what the caller waited. kept: an earlier answer did. used: whether it became something, a wish
    or a text. degraded: why there was no answer, '' for none."""

    at: int
    use: Use
    prompt: str
    model: str
    ms: float
    tokens_in: int = 0
    tokens_out: int = 0
    kept: bool = False
    used: bool = False
    degraded: str = ""


_decode = msgspec.json.Decoder(Asked).decode


class AskedLog:
    """directory: an engine's, None for one in memory. Safe for several threads and processes. Trouble with the disk
    costs lines, never a request. Cost: some 50 µs a question."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._memory: deque[Asked] = deque(maxlen=_IN_MEMORY)
        self._lock = threading.Lock()

    def add(self, use: Use, prompt: str, model: str, reply: Reply[Any], used: bool) -> None:
        """A question that was answered, or not."""
        one = Asked(
            time.time_ns() // 1_000_000, use, prompt, model, round(reply.seconds * 1000, 3), reply.tokens_in,
            reply.tokens_out, reply.kept, used, reply.degraded or "",
        )  # fmt: skip
        if self._directory is None:
            self._memory.append(one)
            return
        try:
            with self._lock:
                _append(self._directory, msgspec.json.encode(one) + b"\n")
        except OSError as error:
            _log.warning("What a question cost can't be kept: %s", error)

    def read(self) -> list[Asked]:
        """Oldest first; lines that can't be read are left out: they are figures, not facts."""
        if self._directory is None:
            return list(self._memory)
        found: list[Asked] = []
        for name in (BEFORE, FILE):
            with contextlib.suppress(FileNotFoundError):
                for row in (self._directory / name).read_bytes().splitlines():
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        found.append(_decode(row))
        return found


def _append(directory: Path, line: bytes) -> None:
    """One write; a full file is put aside first, by one process alone."""
    path = directory / FILE
    make_directory(path.parent)
    with open(path, "ab") as file:
        if os.fstat(file.fileno()).st_size >= BYTES:
            fcntl.flock(file, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    os.replace(path, directory / BEFORE)
        else:
            file.write(line)
            return
    with open(path, "ab") as file:
        file.write(line)
