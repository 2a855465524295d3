"""Vectors of a set width: the principal directions of a catalogue's texts, or the first components of a Matryoshka.

The texts of the catalogue say which directions tell them apart: their vectors are turned onto the directions in which
they are longest (the eigenvectors of VᵀV; their mean isn't taken off, which costs more than it gives, see
docs/decisions.md), and get unit length again. A Matryoshka's first components are a vector by themselves (Kusupati et
al. 2022): they may be cut off instead. The directions lie beside the vectors as ``NAME.safetensors``, under their hash,
and are the same for items and for queries.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from palate.errors import ConfigError, CorruptArtefact, Unavailable
from palate.language.readable import unit
from palate.types import F32

if TYPE_CHECKING:
    from palate.language import Encoder

FEWEST = 4
"""Texts a component that a projection is fitted on, at least."""
_SAMPLE = 50_000
_FORMAT = {"palate": "projection"}


class Projection(NamedTuple):
    """axes: (d, width), orthonormal; digest: eight digits of their hash."""

    axes: F32
    digest: str

    def apply(self, rows: F32) -> F32:
        """(n, width) unit rows of (n, d); a row of zeros stays one. Cost: 2·d·width a row."""
        return unit(np.asarray(rows @ self.axes, np.float32))


def fit(rows: F32, width: int) -> Projection:
    """The projection of (n, d) unit rows onto the ``width`` directions in which they are longest. d³ + 2·n·d²; n is at
    most 50,000, taken evenly. Errors: ``ConfigError`` where ``width`` isn't below d."""
    check(width, rows.shape[1])
    some = rows[:: max(1, len(rows) // _SAMPLE)].astype(np.float64)
    _, vectors = np.linalg.eigh(some.T @ some)
    axes = vectors[:, ::-1][:, :width]
    axes *= np.sign(
        axes[np.abs(axes).argmax(axis=0), np.arange(width)]
    )  # a sign is as good as the other: one is chosen
    return _made(np.ascontiguousarray(axes, np.float32))


def _made(axes: F32) -> Projection:
    return Projection(axes, hashlib.sha256(axes.tobytes()).hexdigest()[:8])


def file_of(folder: Path, encoder: Encoder, width: int) -> Path:
    """Where the projection of ``encoder``'s vectors lies."""
    return folder / f"{encoder.name}-pca{width}.safetensors"


def save(path: Path, found: Projection) -> None:
    """Write to ``path``, whole or not at all. Errors: ``Unavailable``."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(safetensors.numpy.save({"axes": found.axes}, _FORMAT))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Unavailable(f"{path} can't be written: {error.strerror}.") from error


def load(path: Path, dim: int, width: int) -> Projection | None:
    """The projection in ``path``; None where there is none yet. Errors: ``CorruptArtefact``."""
    try:
        axes = safetensors.numpy.load(path.read_bytes())["axes"]
    except FileNotFoundError:
        return None
    except (safetensors.SafetensorError, KeyError, ValueError, OSError) as error:
        raise CorruptArtefact(f"{path} is no projection ({error}): remove it, and it is fitted anew.") from None
    if axes.shape != (dim, width) or axes.dtype != np.float32 or not np.isfinite(axes).all():
        raise CorruptArtefact(f"{path} doesn't fit vectors of {dim} components: remove it, and it is fitted anew.")
    return _made(axes)


class NarrowEncoder:
    """``base`` with vectors of ``width`` components: cut where ``projection`` is None, else projected. See ``Encoder``.

    Errors: ``ConfigError`` where ``width`` isn't below the encoder's own."""

    def __init__(self, base: Encoder, width: int, projection: Projection | None = None) -> None:
        check(width, base.dim)
        self.base = base
        self._width = width
        self._projection = projection

    @property
    def name(self) -> str:
        how = f"cut{self._width}" if self._projection is None else f"pca{self._width}-{self._projection.digest}"
        return f"{self.base.name}-{how}"

    @property
    def dim(self) -> int:
        return self._width

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``."""
        return self._narrow(self.base.encode(texts))

    def encode_queries(self, texts: Sequence[str]) -> F32:
        """See ``AskingEncoder``."""
        ask = getattr(self.base, "encode_queries", self.base.encode)
        return self._narrow(ask(texts))

    def _narrow(self, rows: F32) -> F32:
        return unit(rows[:, : self._width]) if self._projection is None else self._projection.apply(rows)


def check(width: int, dim: int) -> None:
    """Errors: ``ConfigError`` where ``width`` isn't below ``dim``."""
    if not 0 < width < dim:
        raise ConfigError(
            f"language.width is {width}, and the encoder's vectors have {dim} components: choose fewer, or 0.",
            "language.width",
        )
