"""Scorers: from features to scores, and from scores back to what each feature added.

``Scorer`` is the contract (``palate.testing.scorer.ScorerContract`` is its executable form);
``load_scorer`` rebuilds one from the arrays and metadata that an artefact holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from palate.errors import CorruptArtefact
from palate.types import F32, F64


class Scorer(Protocol):
    """Scores candidates one by one: a candidate's score depends on its own row only.

    Immutable after construction, and safe to call from several threads at once.
    """

    @property
    def kind(self) -> str:
        """The word by which ``load_scorer`` knows the class."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns of ``x``, in order."""
        ...

    def score(self, x: F32) -> F64:
        """Scores (n,) of feature rows (n, f), higher is better. NaN in ``x`` means missing.

        Finite wherever a row has one value that is not missing. Errors: ``ValueError`` for another shape.
        """
        ...

    def contributions(self, x: F32) -> tuple[F64, F64]:
        """Contributions (n, f) and base (n,): ``base + contributions.sum(1) == score`` to 1e-6 relative."""
        ...

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything numeric, for the artefact."""
        ...

    def meta(self) -> dict[str, Any]:
        """Everything else, JSON-compatible; with ``arrays`` it makes an equal scorer through ``load_scorer``."""
        ...


def load_scorer(arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]) -> Scorer:
    """The scorer that ``arrays()`` and ``meta()`` came from.

    Errors: ``CorruptArtefact`` for an unknown kind, or arrays that don't make a scorer of that kind.
    """
    from palate.score.blend import BlendScorer
    from palate.score.linear import LinearScorer
    from palate.score.trees import TreeScorer

    kinds: dict[str, type[LinearScorer] | type[TreeScorer] | type[BlendScorer]] = {
        "linear": LinearScorer,
        "trees": TreeScorer,
        "blend": BlendScorer,
    }
    kind = meta.get("kind")
    if kind not in kinds:
        raise CorruptArtefact(f"The artefact's scorer is of kind {kind!r}; this version knows {', '.join(kinds)}.")
    return kinds[str(kind)].load(arrays, meta)
