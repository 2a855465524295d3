"""Learning the map of ``language.transfer``: ridge regression from text vectors to factors of what is chosen together.

Behaviour is the cosine of co-occurrence among the items with the most people, S_ij = n_ij / √(n_i n_j); its leading
eigenvectors, each times the root of its eigenvalue, are the items' vectors. How strongly to shrink is decided on a
fifth of the items, held out: by how well the products of mapped texts order the pairs of these (Spearman's ρ with S).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import scipy.stats

from palate.catalogue import Catalogue
from palate.errors import InvalidInput
from palate.language.transfer import Map
from palate.state import State
from palate.types import F64, I64

ITEMS = 4000
WIDTH = 32
LEAST = 200
"""Items with a text and three people or more that a map needs."""
_SHRINK = (1.0, 10.0, 100.0, 1000.0)
_sparse: Any = scipy.sparse
_linalg: Any = scipy.sparse.linalg
_stats: Any = scipy.stats


def fit_map(state: State, catalogue: Catalogue, seed: int = 1) -> Map:
    """Learn a map from the histories of ``state`` and the texts of its items.

    Errors: ``InvalidInput`` with fewer than ``LEAST`` items to learn from, or where texts tell nothing of what is
    chosen together. Cost: seconds.
    """
    side = catalogue.side()
    rows, cosines = _together(state, side.text_of)
    if len(rows) < LEAST:
        raise InvalidInput(
            f"{len(rows)} items have a text and three people or more; a map from meaning to behaviour needs {LEAST}."
        )
    texts = side.vectors[side.text_of[rows]].astype(np.float64)
    mean = texts.mean(axis=0)
    order = np.random.default_rng(seed).permutation(len(rows))
    test, train = np.sort(order[: len(order) // 5]), np.sort(order[len(order) // 5 :])
    own = _factors(cosines[train][:, train], seed)
    truth = cosines[test][:, test].toarray()
    pairs = np.triu_indices(len(test), 1)
    found = {
        shrink: _order(texts[test] - mean, _ridge(texts[train] - mean, own, shrink), truth, pairs) for shrink in _SHRINK
    }
    best = max(_SHRINK, key=lambda shrink: found[shrink])
    plain = float(_stats.spearmanr(((texts[test] - mean) @ (texts[test] - mean).T)[pairs], truth[pairs]).statistic)
    if not found[best] > 0.02:
        raise InvalidInput(
            "The texts of these items tell nothing of what is chosen together: there is no map to carry."
        )
    weights = _ridge(texts - mean, _factors(cosines, seed), best)
    mapped = (texts - mean) @ weights
    spread = float(np.std((mapped @ mapped.T)[np.triu_indices(len(rows), 1)]))
    report = {"items": float(len(rows)), "spearman": round(found[best], 4), "spearman_text": round(plain, 4)}
    scaled = weights / np.sqrt(max(spread, 1e-12))
    return Map(scaled.astype(np.float32), mean.astype(np.float32), catalogue.cache.encoder.name, report)


def _together(state: State, text_of: Any) -> tuple[I64, Any]:
    """Rows of the items that count, and the sparse cosines of their co-occurrence, without the diagonal."""
    users: list[int] = []
    items: list[int] = []
    signs = np.array([np.sign(state.settings.weight(name)) for name in state.types.ids] or [1.0])
    for user in range(len(state.users)):
        rows, _, kinds, _ = state.history_of(user)
        liked = np.unique(rows[signs[kinds] > 0]).tolist()
        users += [user] * len(liked)
        items += liked
    had: Any = _sparse.csr_matrix((np.ones(len(items)), (users, items)), (len(state.users), state.n_items))
    count = np.asarray(had.sum(axis=0)).ravel()
    able = np.flatnonzero((count >= 3) & (text_of[: len(count)] >= 0))
    rows = np.sort(able[np.argsort(-count[able], kind="stable")[:ITEMS]])
    scaled: Any = had[:, rows] @ _sparse.diags(1 / np.sqrt(count[rows]))
    cosines: Any = (scaled.T @ scaled).tolil()
    cosines.setdiag(0)
    return rows.astype(np.int64), cosines.tocsr()


def _factors(cosines: Any, seed: int) -> F64:
    """(n, ≤ WIDTH) leading eigenvectors, times the roots of their eigenvalues; only positive ones."""
    size = int(cosines.shape[0])
    start: F64 = np.random.default_rng(seed).normal(size=size)
    values, vectors = _linalg.eigsh(cosines, k=min(WIDTH, size - 2), which="LA", v0=start)
    good = values > 1e-9
    return np.asarray(vectors[:, good] * np.sqrt(values[good]), np.float64)


def _ridge(texts: F64, factors: F64, shrink: float) -> F64:
    """(d, k) argmin |texts W − factors|² + shrink |W|²; factors are centred, for nobody is liked by his mean."""
    centred = factors - factors.mean(axis=0)
    return np.asarray(np.linalg.solve(texts.T @ texts + shrink * np.eye(texts.shape[1]), texts.T @ centred), np.float64)


def _order(texts: F64, weights: F64, truth: F64, pairs: Any) -> float:
    """Spearman's ρ of mapped products with the cosines of held-out pairs."""
    mapped = texts @ weights
    found = float(_stats.spearmanr((mapped @ mapped.T)[pairs], truth[pairs]).statistic)
    return found if np.isfinite(found) else -1.0
