"""The closed-form sequence model: which item comes next, linear in the decayed items before it (SLIT, Choi 2021).

Each interaction of a subject is a row: x the subject's items before it, the last ``LINAR_ENTRIES``, each worth δ^q at
recency q, y the item itself. Ridge regression of all y on all x has the closed form

    L = D (D XᵀW X D + λI)⁻¹ D XᵀW Y,   D = diag(n^−α),

n the interaction counts, so that frequent items are shrunk more nearly as rare ones are, and W what each row counts, as
in ``ease``. Serving forgets faster than δ (``LINAR_DECAY`` and .5 an entry): weights that are fitted to long memories
and read with short ones ranked best. The diagonal is left out: whether people come back has features of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.features.neighbours import LINAR_ENTRIES
from palate.kernels import kernel
from palate.train.ease import prune, weights_of
from palate.types import F32, F64, I32, I64

STRENGTH = 100.0
"""λ."""
DECAY = 0.9
"""δ."""
DISCOUNT = 0.25
"""α."""
HALF_LIFE = 0.25
"""In training, of what a row counts, as a share of the log."""


def fit_linar(
    users: I32, items: I32, n_items: int, limit: int = 6000, strength: float = STRENGTH, half_life: float = 0.0
) -> tuple[I64, I32, F32]:
    """L over the ``limit`` most frequent of ``n_items`` items, as sparse rows: indptr, indices, values.

    users, items: (n,) codes of interactions in time order; half_life: of what a row counts, as a share of n (0: all
    count 1). Each item keeps its ``NEIGHBOURS`` largest |weights|.
    Cost: O(n · entries² + limit³) and 12·limit² bytes; nothing for fewer than two items.
    """
    counts = np.bincount(items, minlength=n_items)
    kept = np.sort(np.argsort(-counts, kind="stable")[: min(limit, n_items)])
    kept = kept[counts[kept] > 0].astype(np.int64)
    size = len(kept)
    if size < 2:
        return np.zeros(n_items + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    code = np.full(n_items, -1, np.int32)
    code[kept] = np.arange(size)
    order = np.argsort(users, kind="stable")
    decays: F64 = np.asarray(DECAY ** np.arange(LINAR_ENTRIES), np.float64)
    gram, following = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    worth = weights_of(len(items), half_life)[order]
    _sums(users[order], code[items[order]], worth, decays, gram, following)
    n = counts[kept].astype(np.float64)
    inner = (n**-DISCOUNT).astype(np.float32)
    gram *= inner[:, None]
    gram *= inner
    gram[np.diag_indices_from(gram)] += strength
    following *= inner[:, None]
    import scipy.linalg  # training alone needs it: a service starts without

    lapack: Any = scipy.linalg.lapack
    # Transposed views: what is C order here is Fortran order there, and nothing is copied.
    factor = lapack.spotrf(gram.T, lower=0, overwrite_a=True)[0]
    weights: F32 = np.asarray(lapack.spotrs(factor, np.asfortranarray(following), lower=0, overwrite_b=True)[0])

    def row(h: int) -> F32:
        found: F32 = inner[h] * weights[h]
        found[h] = 0.0
        return found

    return prune(row, kept, n_items)


@kernel
def _sums(users: I32, items: I32, worth: F32, decays: F64, gram: F32, following: F32) -> None:
    """XᵀW X (its lower half, seen from rows) into ``gram`` and XᵀW Y into ``following``, both zeros.

    users: (n,) in runs; items: (n,) codes in the order of each run, −1 for one that takes no part; worth: what each
    counts. decays: of the entries that are looked at, newest first.
    """
    first = 0
    for t in range(len(users)):
        if t > 0 and users[t] != users[t - 1]:
            first = t
        if items[t] < 0:
            continue
        entries = min(t - first, len(decays))
        for a in range(entries):
            i = items[t - 1 - a]
            if i < 0:
                continue
            following[i, items[t]] += worth[t] * np.float32(decays[a])
            for b in range(entries):
                j = items[t - 1 - b]
                if j >= 0 and j <= i:
                    gram[i, j] += worth[t] * np.float32(decays[a] * decays[b])
