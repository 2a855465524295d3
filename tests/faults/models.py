"""Models that are made, not trained: a shelf of linear ones that differ a little."""

from __future__ import annotations

from pathlib import Path

from palate.features import NAMES, PRIOR
from palate.score.linear import LinearScorer
from palate.train import artefact
from palate.train.manifest import Manifest


def put(directory: Path, count: int) -> list[str]:
    """Put ``count`` models on the shelf of an engine's directory and activate the first; their versions."""
    versions: list[str] = []
    for number in range(count):
        scorer = LinearScorer(NAMES, [weight * (1 + 0.1 * number) for weight in PRIOR])
        arrays = {f"scorer.{name}": array for name, array in scorer.arrays().items()}
        manifest = Manifest(kind="linear", features=list(NAMES), extra={"scorer": scorer.meta()})
        versions.append(artefact.save(directory / "models", arrays, manifest).version)
    artefact.activate(directory / "models", versions[0])
    return versions
