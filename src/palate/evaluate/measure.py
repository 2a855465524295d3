"""What an encoder costs and is worth here: measured in a process of its own, so that its memory can be told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy

from palate.config import LanguageSettings
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.child import told_by
from palate.evaluate.probe import Judged, Probe, estimate, judge
from palate.types import F32

Progress = Callable[[str, int, int], None]
FEWEST = 30
"""Questions below which nothing is concluded."""


class Asked(msgspec.Struct):
    """What the child is told, on its standard input. seconds: for the texts of the probe."""

    settings: LanguageSettings
    folder: str
    texts: list[str]
    titles: list[str]
    seconds: float
    out: str


class Told(msgspec.Struct):
    """A line of the child's: how far it is, and in the end what it measured (``name`` is set)."""

    done: int = 0
    total: int = 0
    name: str = ""
    width: int = 0
    load_seconds: float = 0.0
    one_ms: float = 0.0
    texts_per_second: float = 0.0
    memory_mb: float = 0.0


class Measured(msgspec.Struct):
    """encoder: the setting; name: weights and version. one_ms: a text alone, median; texts_per_second: in batches, wall
    clock; memory_mb: the most it took beyond an empty process. questions: of the probe that were asked; auc, hit: see
    ``probe``; accuracy: of classes from titles. values: a number a question, to compare encoders question by question;
    error: why there is nothing else."""

    encoder: str
    name: str = ""
    width: int = 0
    load_seconds: float = 0.0
    one_ms: float = 0.0
    texts_per_second: float = 0.0
    memory_mb: float = 0.0
    questions: int = 0
    auc: Estimate = Estimate(None)
    hit: Estimate = Estimate(None)
    accuracy: Estimate = Estimate(None)
    values: dict[str, list[float | None]] = {}
    error: str = ""


def measure(
    settings: LanguageSettings, folder: Path, probe: Probe, seconds: float = 60.0, progress: Progress | None = None
) -> Measured:
    """Measure the encoder of ``settings``; what fails is said in ``error``.

    folder: of the directory's vectors, where a projection or a server's width is kept. seconds: about how long the
    texts of the probe may take; a slow encoder is asked fewer of its questions, at least ``FEWEST``.
    """
    with tempfile.TemporaryDirectory(prefix="palate-") as place:
        out = Path(place) / "vectors.safetensors"
        asked = Asked(settings, str(folder), probe.texts, probe.titles, seconds, str(out))
        told, wrong = told_by("palate.evaluate.measure_child", asked, Told(), f"measuring {settings.encoder}", progress)
        if wrong:
            return Measured(settings.encoder, error=wrong)
        arrays = safetensors.numpy.load(out.read_bytes())
    return conclude(settings.encoder, told, probe, judge(probe, arrays["texts"], arrays["titles"]))


def conclude(encoder: str, told: Told, probe: Probe, judged: Judged) -> Measured:
    """What was measured and judged, in one."""
    titles = np.arange(len(judged.classified))
    return Measured(
        encoder,
        told.name,
        told.width,
        round(told.load_seconds, 3),
        round(told.one_ms, 3),
        round(told.texts_per_second, 1),
        round(told.memory_mb, 1),
        int((~np.isnan(judged.auc)).sum()),
        estimate(judged.auc, probe.users),
        estimate(judged.hit, probe.users),
        estimate(judged.classified, titles),
        {
            "embed": [None if np.isnan(value) else value for value in judged.auc.tolist()],
            "rerank": [None if np.isnan(value) else value for value in judged.hit.tolist()],
            "classify": [None if np.isnan(value) else value for value in judged.classified.tolist()],
        },
    )


def save(path: Path, measured: list[Measured]) -> None:
    """Keep them in ``path``, whole or not at all. A directory that can't be written to keeps nothing."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(msgspec.json.encode(measured))
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)


def load(path: Path) -> list[Measured]:
    """What was kept in ``path``; nothing where there is none, or it is another version's."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Measured])
    except (OSError, msgspec.MsgspecError):
        return []


def vectors_of(rows: list[F32], dim: int) -> F32:
    """Batches as one array."""
    return np.concatenate(rows) if rows else np.zeros((0, dim), np.float32)
