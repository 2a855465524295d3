"""The context of a candidate for a person: what a bandit's reward is linear in.

A factorisation trained on what people chose (ALS; Hu et al. 2008) and one trained on pairs of what was and wasn't
chosen (BPR; Rendle et al. 2009) are the map: the element-wise product of a person's and an item's vector holds every
term of the score that such a model gives, and a bandit over it learns which of these terms still hold (contextual
bandits: Li et al. 2010; a trained representation below a linear one: Riquelme et al. 2018). Beside it stand the served
scorer's output and a few features, which mean the same whatever is trained: ``SHARED`` components, by which a belief
goes on when the model changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palate.features import Placed, Subject, column
from palate.kernels import kernel, reassociating
from palate.line import Model, Scored
from palate.types import F32, F64, I32, I64

FEATURES: tuple[tuple[str, float], ...] = (
    ("pop_medium", 3.0), ("age", 3.0), ("click_rate", 2.0), ("taste_short", 0.5), ("again_count", 1.0), ("next_5", 3.0)
)  # fmt: skip
"""Features of a context, and the value at which each counts half."""
NAMES: tuple[str, ...] = ("one", "score", "edge", *(name for name, _ in FEATURES))
SHARED = len(NAMES)
"""Components that mean the same in every model."""
_COLUMNS: I64 = np.array([column(name) for name, _ in FEATURES])
_HALVES: F64 = np.array([half for _, half in FEATURES])
_LARGEST = 3.0
_EDGE = 3.0
"""Standard deviations of the scores at which an edge is 1."""
_WORTH = 0.2
"""What a reward is expected to grow by from the worst to the best candidate, before anything is known."""


@kernel
def _shared(x: F32, columns: I64, halves: F64, out: F32) -> None:
    """one, then each feature as v / (half + |v|); components 1 and 2, of the scores, are left."""
    for i in range(len(x)):
        out[i, 0] = np.float32(1.0)
        for f in range(len(columns)):
            value = np.float64(x[i, columns[f]])
            if np.isfinite(value):
                out[i, 3 + f] = np.float32(value / (halves[f] + abs(value)))


@reassociating
def _products(rows: I32, vectors: F32, person: F32, directions: F32, out: F32) -> None:
    """out[i, c] = Σ directions[c, e] personₑ itemₑ / (|person| |item|), within ±3; 0 where either is."""
    size, d = directions.shape
    mine = np.float32(0.0)
    for e in range(d):
        mine += person[e] * person[e]
    if mine <= 0.0:
        return
    weighed = np.empty((size, d), np.float32)
    for c in range(size):
        for e in range(d):
            weighed[c, e] = directions[c, e] * person[e] / np.sqrt(mine)
    for i in range(len(rows)):
        row = rows[i]
        if row < 0 or row >= len(vectors):
            continue
        length = np.float32(0.0)
        for e in range(d):
            length += vectors[row, e] * vectors[row, e]
        if length <= 0.0:
            continue
        length = np.sqrt(length)
        for c in range(size):
            total = np.float32(0.0)
            for e in range(d):
                total += weighed[c, e] * vectors[row, e]
            out[i, c] = max(np.float32(-3.0), min(np.float32(3.0), total / length))


@kernel
def _with_scores(scores: F64, edge: float, out: F32) -> None:
    """Components 1 and 2: where a score lies between the least and the largest, and above their mean, in units of
    ``edge`` standard deviations within ±1. Halves, so that no difference overflows. Where a score isn't finite, the
    whole context is 0: nothing is learnt from it."""
    low, high, finite = np.inf, -np.inf, 0
    for i in range(len(scores)):
        if np.isfinite(scores[i]):
            low, high, finite = min(low, scores[i]), max(high, scores[i]), finite + 1
    half = high * 0.5 - low * 0.5
    for i in range(len(scores)):
        if np.isfinite(scores[i]):
            out[i, 1] = out[i, 2] = np.float32(0.0)
        else:
            out[i, :] = np.float32(0.0)
    if finite == 0 or not half > 0.0:
        return
    total = square = 0.0
    for i in range(len(scores)):
        if np.isfinite(scores[i]):
            place = (scores[i] * 0.5 - low * 0.5) / half
            total += place
            square += place * place
    mean = total / finite
    spread = np.sqrt(max(1e-12, square / finite - mean * mean))
    for i in range(len(scores)):
        if np.isfinite(scores[i]):
            place = (scores[i] * 0.5 - low * 0.5) / half
            out[i, 1] = np.float32(place)
            out[i, 2] = np.float32(max(-1.0, min(1.0, (place - mean) / (edge * spread))))


class Contexts:
    """Contexts of one request's candidates, a function of their scores. base: (n, d), all but the scores' components.

    The scores that it is first asked about are those of the request: it answers as for these ever after, so that a
    slate that is filled in two parts goes by one context an item.
    """

    def __init__(self, base: F32) -> None:
        self.matrix = base
        self._made: F64 | None = None

    def __call__(self, scores: F64) -> F64:
        if self._made is None:
            _with_scores(scores, _EDGE, self.matrix)
            self._made = self.matrix.astype(np.float64)
        return self._made


class ContextMap:
    """Contexts by one model. key: names the model and the width, so that a belief is never asked about others."""

    def __init__(self, model: Model, dimensions: int) -> None:
        self.key = f"{model.version}/{dimensions}"
        self.dimensions = dimensions
        self._towers: list[tuple[Placed, int, F32]] = []
        begin, left = SHARED, list(model.towers[:2])
        while left and begin < dimensions:
            size = min(-(-(dimensions - begin) // len(left)), left[0].tower.dim)
            self._towers.append((left.pop(0), begin, np.zeros((0, 0), np.float32)))
            placed = self._towers[-1][0]
            self._towers[-1] = placed, begin, directions(placed.tower.dim, size)
            begin += size

    def of(self, scored: Scored, now: int) -> Contexts:
        """Of the candidates of a request; under the engine's lock. now: event time, ms. Cost: O(n d D)."""
        return self.contexts(scored.x, scored.candidates.rows, scored.subject, now)

    def contexts(self, x: F32, rows: I32, subject: Subject, now: int) -> Contexts:
        """See ``of``. x: (n, f) features, rows: (n,) of the catalogue, −1 for none."""
        base = np.zeros((len(rows), self.dimensions), np.float32)
        _shared(x, _COLUMNS, _HALVES, base)
        for placed, begin, way in self._towers:
            person = placed.person(subject, now)
            if person is not None:
                _products(rows, placed.vectors, person, way, base[:, begin : begin + len(way)])
        return Contexts(base)


def directions(dimensions: int, size: int) -> F32:
    """(size, D) ways to add up the D terms of a product, the same for the same arguments.

    The first adds them all, and so is the cosine, doubled; the others are orthogonal to it and to one another, drawn
    once, and scaled so that terms of a usual size give a component of about 1.
    """
    rng = np.random.default_rng((dimensions, size))
    start = np.concatenate([np.ones((dimensions, 1)), rng.standard_normal((dimensions, size - 1))], axis=1)
    found, triangle = np.linalg.qr(start)
    found = found * np.sign(np.diag(triangle))
    found[:, 0] *= 2.0 * np.sqrt(dimensions)
    found[:, 1:] *= dimensions
    return np.ascontiguousarray(found.T, np.float32)


def prior_of(dimensions: int, ridge: float) -> tuple[F64, F64]:
    """Λ (d, d) and μ (d,): nothing is known, but that the scorer knows something."""
    prior = np.zeros(dimensions)
    prior[NAMES.index("score")] = _WORTH
    return np.eye(dimensions) * ridge, prior


def named(values: Sequence[float]) -> dict[str, float]:
    """The shared components of a vector (d,) by their names."""
    return {name: float(value) for name, value in zip(NAMES, values, strict=False)}
