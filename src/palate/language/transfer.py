"""A map from meaning to behaviour, learnt on one catalogue and of use in another that has no behaviour yet.

People choose together what no encoder puts together. Where a catalogue has a history, ``palate.train.transfer`` learns
the matrix W (d, k) that turns a text vector into an item's vector of behaviour; of two texts a, b, the product
(a − m)ᵀ W Wᵀ (b − m) then says how well their items go together. The map needs no ids, so that it may be carried into
the directory of another shop, where it is a feature of its own, which a training weighs by the shop's own history.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from palate.errors import Conflict, CorruptArtefact, NotFound, Unavailable
from palate.types import F32

FILE = "transfer.safetensors"
"""Its name in the folder of vectors of a directory."""
_library: Any = safetensors
_MOST_BYTES = 64 * 1024 * 1024


class Map(NamedTuple):
    """weights: (d, k), scaled so that products of unlike items have a standard deviation of 1; mean: (d,) of the texts;
    encoder: whose vectors it maps; report: what it was worth on items held out."""

    weights: F32
    mean: F32
    encoder: str
    report: dict[str, float]

    def taste(self, text: F32) -> F32:
        """(d,) v such that (t − mean) · v is the product of text t with ``text`` (d,). Cost: 2 d k."""
        return np.asarray(self.weights @ (self.weights.T @ (text - self.mean)), np.float32)


def save(path: Path, found: Map) -> None:
    """Write to ``path``, whole or not at all. Errors: ``Unavailable``."""
    meta = {"encoder": found.encoder, "report": msgspec.json.encode(found.report).decode()}
    body = safetensors.numpy.save({"weights": found.weights, "mean": found.mean}, meta)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(body)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Unavailable(f"{path} can't be written: {error.strerror}.") from error


def load(path: Path, encoder: str) -> Map:
    """The map in ``path``. Errors: ``NotFound``; ``CorruptArtefact``; ``Conflict`` where another encoder's vectors are
    its input."""
    if not path.is_file():
        raise NotFound(f"There is no map {path}: `palate models carry DIRECTORY --out MAP` makes one.", "path")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CorruptArtefact(f"{path} is larger than any map is.")
        with _library.safe_open(path, "np") as file:
            meta: dict[str, str] = file.metadata() or {}
        arrays = safetensors.numpy.load(path.read_bytes())
        weights, mean = arrays["weights"], arrays["mean"]
        report = msgspec.json.decode(meta["report"], type=dict[str, float])
    except (safetensors.SafetensorError, KeyError, ValueError, OSError, msgspec.MsgspecError) as error:
        raise CorruptArtefact(f"{path} is no map from meaning to behaviour: {error}.") from None
    if weights.ndim != 2 or weights.dtype != np.float32 or mean.shape != (len(weights),) or mean.dtype != np.float32:
        raise CorruptArtefact(f"{path} doesn't fit together.")
    if not (np.isfinite(weights).all() and np.isfinite(mean).all()):
        raise CorruptArtefact(f"{path} holds numbers that are none.")
    check_encoder(meta.get("encoder", ""), encoder, str(path))
    return Map(weights, mean, encoder, report)


def check_encoder(mapped: str, encoder: str, named: str = "The map") -> None:
    """Whether the map ``named`` is of the vectors that ``encoder`` makes. Errors: ``Conflict`` where it is of those of
    ``mapped``, another one."""
    if mapped != encoder:
        raise Conflict(
            f"{named} maps the vectors of {mapped!r}; here texts are encoded by {encoder!r}: set language.encoder, or "
            "carry a map that was learnt with it."
        )
