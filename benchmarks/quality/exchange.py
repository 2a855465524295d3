"""The files between this benchmark and a peer.

``events.npz``: users, items (int32 codes; items in the order in which they begin to exist), times (ms), weights of
all events with a weight above 0, in their order, and what describes items: ``words`` with ``word_starts``.
``asked.npz``: fits, fit_sizes (how much of the log each fit learns, how many items exist then), and for each ranking
users, now, until (how much of the log is history), sizes (items that exist), fit and reading (which to use), sorted by
fit, then by reading. ``request.json``: settings, readings, seed, threads. Back come ``scores.f32`` ((rankings, widest)
float32) and ``costs.json``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from palate.config import Settings
from palate.content.text import item_tags, item_text
from palate.evaluate import Query
from palate.evaluate.stream import EventStream
from palate.types import F32, I64

PEERS = Path(__file__).parent / "peers"
Told = Callable[[str, int, int], None]


class PeerFailed(Exception):
    """Why a peer has no figures, in a sentence."""


@dataclass(frozen=True)
class Row:
    """A ranking that is asked for: ``query`` from the events before ``until`` (a position of the stream), by fit
    number ``fit`` and reading number ``reading``."""

    query: Query
    until: int
    fit: int
    reading: int


@dataclass(frozen=True)
class Answer:
    """Seconds of each fit and of all scoring; the peak of memory in MB."""

    fit_seconds: list[float]
    score_seconds: float
    peak_mb: float
    _scores: F32
    _place: I64

    def scores(self, row: int, size: int) -> F32:
        """(size,) scores of the row at that place of what was asked for."""
        return self._scores[self._place[row], :size]


class Exchange:
    """The log of ``stream`` in ``folder``, for peers to be asked about. weights: of the event types."""

    def __init__(self, stream: EventStream, folder: Path, settings: Settings) -> None:
        self._stream, self._folder = stream, folder
        self._kept = np.flatnonzero(stream.positive)
        kinds = np.array([settings.weight(name) for name in stream.kind_names], dtype=np.float32)
        words, starts, count = _words(stream, settings)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "events.npz",
            users=stream.users[self._kept],
            items=stream.items[self._kept],
            times=stream.times[self._kept],
            weights=kinds[stream.kinds[self._kept]],
            n_users=len(stream.user_ids),
            words=words,
            word_starts=starts,
            n_words=count,
        )

    def ask(
        self, python: Path, script: Path, settings: Any, readings: Any, seed: int, fits: list[int], rows: list[Row],
        folder: Path, told: Told,
    ) -> Answer:  # fmt: skip
        """Run ``script`` by ``python`` in ``folder``. fits: positions of the stream, ascending.

        Errors: ``PeerFailed`` with what the peer said last.
        """
        folder.mkdir(parents=True, exist_ok=True)
        order = sorted(range(len(rows)), key=lambda at: (rows[at].fit, rows[at].reading))
        asked = [rows[at] for at in order]
        sizes = [row.query.size for row in asked]
        np.savez(
            folder / "asked.npz",
            fits=self._known(fits),
            fit_sizes=np.array([self._stream.catalogue(stop) for stop in fits], dtype=np.int64),
            users=np.array([row.query.user for row in asked], dtype=np.int64),
            now=np.array([row.query.now for row in asked], dtype=np.int64),
            until=self._known([row.until for row in asked]),
            sizes=np.array(sizes, dtype=np.int64),
            fit=np.array([row.fit for row in asked], dtype=np.int64),
            reading=np.array([row.reading for row in asked], dtype=np.int64),
        )
        threads = os.cpu_count() or 1
        request = {"settings": settings, "readings": readings, "seed": seed, "threads": threads}
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        _run(python, script, folder, self._folder, told)
        costs = json.loads((folder / "costs.json").read_text(encoding="utf-8"))
        found = np.memmap(folder / "scores.f32", dtype=np.float32, mode="r", shape=(len(rows), max(sizes)))
        back = np.empty(len(rows), dtype=np.int64)
        back[order] = np.arange(len(rows))
        return Answer(costs["fit_seconds"], costs["score_seconds"], costs["peak_mb"], found, back)

    def _known(self, positions: list[int]) -> I64:
        """How much of the log lies before each position of the stream."""
        return np.searchsorted(self._kept, positions).astype(np.int64)


def _words(stream: EventStream, settings: Settings) -> tuple[I64, I64, int]:
    """What describes each item: codes, where each item's begin ((items + 1,)), and how many codes there are.

    Words of the text and tags, those of two items or more.
    """
    language = settings.language
    spoken: list[set[str]] = []
    for fields in stream.fields:
        text = item_text(fields, language.text_fields, language.max_chars).lower()
        spoken.append({*re.findall(r"\w+", text), *item_tags(fields, language.tag_fields)})
    often = Counter(word for own in spoken for word in own)
    codes = {word: code for code, word in enumerate(sorted(word for word, count in often.items() if count > 1))}
    found = [sorted(codes[word] for word in own if word in codes) for own in spoken]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in found])]).astype(np.int64)
    return np.array([code for own in found for code in own], dtype=np.int64), starts, len(codes)


def _run(python: Path, script: Path, folder: Path, data: Path, told: Told) -> None:
    # The peers see the contract and nothing of Palate.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PALATE"))}
    command = [str(python), str(script), str(folder), str(data)]
    run_told(command, folder, told, environment | {"PYTHONPATH": str(PEERS)})


def run_told(
    command: list[str], folder: Path, told: Told, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run a process that tells of its progress in lines of JSON; what it says on stderr goes into ``folder``.

    Errors: ``PeerFailed`` with the last line of that.
    """
    with (folder / "errors.txt").open("w+", encoding="utf-8") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=cwd
        ) as process:
            try:
                for line in process.stdout or ():
                    # Libraries print, too.
                    if line.startswith('{"stage"'):
                        step = json.loads(line)
                        told(step["stage"], step["done"], step["total"])
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            raise PeerFailed(last_line(errors.read()) or f"it ended with status {process.returncode}")


def last_line(text: str) -> str:
    """The last line that isn't empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
