"""Factors of implicit feedback by alternating least squares (Hu, Koren, Volinsky 2008), and their map from texts.

Rows are solved by a few steps of conjugate gradients that begin where the last round ended (Takács, Pilászy, Tikk
2011). Regularisation grows with how much is known of a row, to the power ``exponent`` (Rendle and others 2021). The
vector of an item is a mean of its own factors and of what its text says of them, by the number of its interactions, so
that a rare item is mostly its text and a frequent one itself.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from palate.kernels import kernel, reassociating
from palate.towers.als import AlsTower, advance
from palate.train.history import Progress
from palate.train.towers import Interactions
from palate.types import F32, F64, I32, I64


class AlsSettings(NamedTuple):
    """dim: factors. rounds: of users and items. unobserved: weight a of a pair that never was. penalty: λ. exponent:
    of how λ grows with a row's confidence. fading: of a history that is folded in. fade: half-life of what is learnt
    from, days (0: none). text: interactions that the text of an item counts for."""

    dim: int = 64
    rounds: int = 10
    unobserved: float = 0.1
    penalty: float = 0.1
    exponent: float = 0.5
    fading: float = 2.0
    fade: float = 0.0
    text: float = 0.5


class Factors(NamedTuple):
    """items (n_items, d), users (n_users, d), text_map (t, d), and the weight of the identity in a fold-in."""

    items: F32
    users: F32
    text_map: F32
    penalty: float


STEPS = 3
_DAY_MS = 86_400_000.0
_RIDGES = (1.0, 10.0, 100.0, 1000.0)
_SAMPLE = 20_000
_KAPPA = 5.0
"""Interactions from which on an item is more itself than its text."""


@reassociating
def _round(
    indptr: I64, others: I32, confidence: F32, fixed: F32, base: F32, penalty: F32, out: F32, steps: int
) -> None:
    """One half of a round: rows ``out`` (n, d) towards (base + penalty I + Σ c f fᵀ)⁻¹ Σ c f."""
    d = fixed.shape[1]
    residual, step, image = np.empty(d, np.float32), np.empty(d, np.float32), np.empty(d, np.float32)
    for row in range(len(out)):
        x, lam = out[row], penalty[row]
        for i in range(d):
            residual[i] = -lam * x[i]
        for j in range(d):
            value = x[j]
            if value != 0.0:
                for i in range(d):
                    residual[i] -= value * base[j, i]
        for at in range(indptr[row], indptr[row + 1]):
            f, along = fixed[others[at]], np.float32(0.0)
            for i in range(d):
                along += f[i] * x[i]
            along = confidence[at] * (np.float32(1.0) - along)
            for i in range(d):
                residual[i] += along * f[i]
        size = np.float32(0.0)
        for i in range(d):
            step[i] = residual[i]
            size += residual[i] * residual[i]
        for _ in range(steps):
            if size < 1e-14:
                break
            for i in range(d):
                image[i] = lam * step[i]
            for j in range(d):
                value = step[j]
                for i in range(d):
                    image[i] += value * base[j, i]
            for at in range(indptr[row], indptr[row + 1]):
                f, along = fixed[others[at]], np.float32(0.0)
                for i in range(d):
                    along += f[i] * step[i]
                along *= confidence[at]
                for i in range(d):
                    image[i] += along * f[i]
            size = advance(size, image, step, residual, x)


@kernel
def _merged(rows: I64, columns: I32, values: F64, starts: I64, into: I32, sums: F32) -> int:
    """Values of equal (row, column), which lie together, added up; how many are left. starts: (n + 1,) of the rows."""
    n = 0
    for at in range(len(rows)):
        if at > 0 and rows[at] == rows[at - 1] and columns[at] == columns[at - 1]:
            sums[n - 1] += np.float32(values[at])
        else:
            into[n], sums[n] = columns[at], np.float32(values[at])
            starts[rows[at] + 1] += 1
            n += 1
    for row in range(len(starts) - 1):
        starts[row + 1] += starts[row]
    return n


def _pairs(rows: I32, columns: I32, values: F64, n: int) -> tuple[I64, I32, F32]:
    """Sparse rows: starts (n + 1,), columns and summed values."""
    order = np.lexsort((columns, rows))
    starts, into, sums = np.zeros(n + 1, np.int64), np.empty(len(rows), np.int32), np.empty(len(rows), np.float32)
    count = _merged(rows[order].astype(np.int64), columns[order], values[order], starts, into, sums)
    return starts, into[:count].copy(), sums[:count].copy()


def fit_map(text: F32, items: F32, counts: F64) -> F32:
    """(t, d) ridge regression of ``items`` (n, d) on ``text`` (n, t), each by how far its ``counts`` (n,) are to be
    trusted; zeros where there is nothing to learn from. The penalty is what predicts every fifth item best."""
    known = np.flatnonzero((counts > 0) & text.any(axis=1)) if text.shape[1] else np.zeros(0, np.int64)
    if len(known) < 10:
        return np.zeros((text.shape[1], items.shape[1]), np.float32)
    if len(known) > _SAMPLE:
        known = np.sort(known[np.argsort(-counts[known], kind="stable")[:_SAMPLE]])
    trust = np.sqrt(counts[known] / (counts[known] + _KAPPA)).astype(np.float32)[:, None]
    x, y = text[known] * trust, items[known] * trust
    judged = np.arange(len(known)) % 5 == 4
    best, chosen = np.inf, _RIDGES[-1]
    values, turned = np.linalg.eigh((x[~judged].T @ x[~judged]).astype(np.float64))
    right = turned.T @ (x[~judged].T @ y[~judged]).astype(np.float64)
    probe = x[judged].astype(np.float64) @ turned
    for ridge in _RIDGES:
        error = float(np.square(probe @ (right / (np.maximum(values, 0.0) + ridge)[:, None]) - y[judged]).sum())
        if error < best:
            best, chosen = error, ridge
    gram = (x.T @ x).astype(np.float64)
    gram[np.diag_indices_from(gram)] += chosen
    return np.linalg.solve(gram, (x.T @ y).astype(np.float64)).astype(np.float32)


def factorise(
    data: Interactions, settings: AlsSettings, seed: int, progress: Progress | None = None, seconds: float | None = None
) -> Factors:
    """Factors of users and items. seconds: no round begins after so many. Cost: O(rounds · (pairs d + rows d²))."""
    begun = time.perf_counter()
    n_users = int(data.users.max()) + 1 if len(data.users) else 0
    d, a = settings.dim, np.float32(settings.unobserved)
    worth = data.weights.astype(np.float64)
    if settings.fade > 0 and len(worth):
        worth = worth * 0.5 ** ((data.times[-1] - data.times) / (_DAY_MS * settings.fade))
    by_user = _pairs(data.users, data.items, worth, n_users)
    by_item = _pairs(data.items, data.users, worth, data.n_items)
    counts = np.bincount(data.items, minlength=data.n_items).astype(np.float64)
    rng = np.random.default_rng(seed)
    items = (rng.normal(size=(data.n_items, d)) * 0.1 / np.sqrt(d)).astype(np.float32)
    items[counts == 0] = 0.0
    users = np.zeros((n_users, d), np.float32)
    lam_users = _penalties(by_user, settings, float((counts > 0).sum()))
    lam_items = _penalties(by_item, settings, float(n_users))
    typical = float(np.mean(lam_users)) if n_users else settings.penalty
    for turn in range(settings.rounds):
        if seconds is not None and turn > 2 and time.perf_counter() - begun > seconds:
            break
        _round(*by_user, items, a * (items.T @ items), lam_users, users, STEPS)
        _round(*by_item, users, a * (users.T @ users), lam_items, items, STEPS)
        if progress is not None:
            progress("factors", turn + 1, settings.rounds)
    text_map = fit_map(data.text, items, counts)
    if settings.text > 0 and text_map.any():
        has = data.text.any(axis=1)
        own = (counts[has] / (counts[has] + settings.text)).astype(np.float32)[:, None]
        items[has] = own * items[has] + (1 - own) * (data.text[has] @ text_map)
    return Factors(items, users, text_map, typical)


def _penalties(pairs: tuple[I64, I32, F32], settings: AlsSettings, others: float) -> F32:
    """(n,) λ of each row: ``penalty`` (Σ c + a · others)^``exponent``."""
    starts, _, values = pairs
    sums = np.concatenate([[0.0], np.cumsum(values.astype(np.float64))])
    known = sums[starts[1:]] - sums[starts[:-1]] + settings.unobserved * others
    return (settings.penalty * known**settings.exponent).astype(np.float32)


def fit_als(
    data: Interactions,
    settings: AlsSettings | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    seconds: float | None = None,
) -> tuple[AlsTower, F32]:
    """The tower, and vectors (n_items, d) of all items; those without interactions by their text.

    Cost: about 10 s for a million interactions of 64 factors on one core.
    """
    settings = settings or AlsSettings()
    found = factorise(data, settings, seed, progress, seconds)
    return tower_of(found, settings)


def tower_of(found: Factors, settings: AlsSettings) -> tuple[AlsTower, F32]:
    """Factors as they are served: turned so that the fold-in of nobody is the identity."""
    items = found.items.astype(np.float64)
    gram = settings.unobserved * (items.T @ items) + (found.penalty + 1e-9) * np.eye(settings.dim)
    lower = np.linalg.cholesky(gram)
    vectors = np.linalg.solve(lower, items.T).T
    text_map = np.linalg.solve(lower, found.text_map.astype(np.float64).T).T
    tower = AlsTower(text_map.astype(np.float32), settings.fading)
    return tower, np.ascontiguousarray(vectors, np.float32)
