"""The taxonomy of a catalogue as a training fits it, and as an artefact carries it (``content.taxonomy``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from palate.catalogue import Catalogue
from palate.config import TrainSettings
from palate.content import annotate
from palate.content.taxonomy import Taxonomy, fit, load

MOST = 20_000
"""Texts that a taxonomy is fitted on; of more, a seeded sample."""


def fit_topics(catalogue: Catalogue, settings: TrainSettings) -> Taxonomy | None:
    """Of the distinct texts of the items that are there; None without topics. Cost: seconds."""
    if not settings.topics:
        return None
    state = catalogue.state
    rows: list[int] = np.flatnonzero(state.alive).tolist()
    texts = sorted({text for row in rows if (text := catalogue.text(row))})
    if len(texts) > MOST:
        chosen = np.random.default_rng(settings.seed).choice(len(texts), MOST, replace=False)
        kept: list[int] = np.sort(chosen).tolist()
        texts = [texts[n] for n in kept]
    reader = annotate.reader() if settings.reader == "auto" else annotate.PlainReader()
    found = fit(texts, reader, settings.topics, settings.seed)
    return found if len(found.topics) else None


def topic_arrays(found: Taxonomy | None) -> dict[str, np.ndarray[Any, Any]]:
    """For the artefact, beside its own arrays."""
    return {} if found is None else {f"topics.{name}": array for name, array in found.arrays().items()}


def topic_meta(found: Taxonomy | None) -> dict[str, Any]:
    """For its manifest; empty without a taxonomy."""
    return {} if found is None else {"terms": list(found.terms), "reader": found.reader, "names": found.names()}


def load_topics(arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> Taxonomy | None:
    """The inverse of both. Errors: ``CorruptArtefact``."""
    if not meta:
        return None
    mine = {name.removeprefix("topics."): array for name, array in arrays.items() if name.startswith("topics.")}
    return load(mine, meta.get("terms", ()), str(meta.get("reader", "")))
