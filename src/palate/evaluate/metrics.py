"""Metrics of one ranking with one relevant item, from the item's rank, and of what was shown.

The rank counts from 1; among equal scores it is the middle of the tie, so it may end in .5. With one relevant item
an event's recall, its hit rate and its accuracy are the same number: whether the item stood in the top k. All three
names are reported, because readers look for different ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palate.kernels import kernel
from palate.types import F32, F64, I32, I64, Bools

RANK_METRICS = ("ndcg", "mrr", "hit_rate", "recall", "precision", "f1", "accuracy")
SHOWN_METRICS = ("coverage", "novelty", "diversity")
METRICS = (*RANK_METRICS, *SHOWN_METRICS)


def by_rank(rank: F64, k: int) -> dict[str, F64]:
    """Each rank metric at ``k`` of each event.

    rank: (n,) from 1. NDCG is 1/log2(1 + rank) (Järvelin & Kekäläinen 2002; the ideal is 1), MRR 1/rank, precision
    1/k, F1 the harmonic mean of precision and recall; each is 0 beyond k.
    """
    hit = (rank <= k).astype(np.float64)
    precision = hit / k
    return {
        "ndcg": hit / np.log2(1 + rank),
        "mrr": hit / rank,
        "hit_rate": hit,
        "recall": hit,
        "precision": precision,
        "f1": 2 * precision * hit / np.where(hit > 0, precision + hit, 1.0),
        "accuracy": hit,
    }


def rank_and_top(scores: F32 | F64, removed: Bools, target: int, k: int) -> tuple[float, I32]:
    """The mid-rank of ``target``, and the codes of the ``k`` best (ties by code; −1 where there are fewer).

    scores: (n,), higher is better; NaN counts as −inf. removed: (n,), items out of the ranking. A target that is
    removed has no rank: NaN. Cost: O(n).
    """
    if len(scores) != len(removed):
        raise ValueError(f"{len(scores)} scores for {len(removed)} items: give one score for each item that exists.")
    top = np.empty(k, dtype=np.int32)
    if not 0 <= target < len(scores):
        raise ValueError(f"The target's code {target} is not among the {len(scores)} items that exist.")
    return float(_rank_and_top(scores, removed, target, top)), top


@kernel
def _rank_and_top(scores: F32 | F64, removed: Bools, target: int, top: I32) -> float:
    k = len(top)
    best = np.empty(k, dtype=np.float64)
    size = 0
    mine = np.float64(scores[target])
    if np.isnan(mine):
        mine = -np.inf
    above, equal = 0, 0
    for code in range(len(scores)):
        if removed[code]:
            continue
        score = np.float64(scores[code])
        if np.isnan(score):
            score = -np.inf
        if score > mine:
            above += 1
        elif score == mine:
            equal += 1
        if size < k or score > best[size - 1]:
            at = size if size < k else k - 1
            while at > 0 and best[at - 1] < score:
                best[at] = best[at - 1]
                top[at] = top[at - 1]
                at -= 1
            best[at] = score
            top[at] = code
            if size < k:
                size += 1
    top[size:] = -1
    return np.nan if removed[target] else above + (equal + 1) / 2


def novelty(top: I32, counts: I64, events: int) -> float:
    """Mean −log2 of the popularity share of what was shown (Castells 2011), in bits.

    top: (k,) codes, −1 is skipped; counts: (n,) events of each item so far; events: their sum. Shares are smoothed by
    one event for each item, so that a new item has a finite novelty. NaN where nothing was shown.
    """
    shown = top[top >= 0]
    if not len(shown):
        return float("nan")
    return float(-np.log2((counts[shown] + 1) / (events + len(counts))).mean())


def coverage(top: I32, catalogue: int) -> float:
    """Distinct items in all the lists over the items of the catalogue. top: (n, k) codes, −1 is skipped."""
    return len(np.unique(top[top >= 0])) / catalogue if catalogue else float("nan")


def cosine_diversity(vectors: F32) -> float:
    """1 − mean pairwise cosine. vectors: (m, d), unit rows; NaN where fewer than two are not zero."""
    rows = vectors[np.abs(vectors).sum(axis=1) > 0].astype(np.float64)
    m = len(rows)
    if m < 2:
        return float("nan")
    total = rows.sum(axis=0)
    return float(1 - (total @ total - (rows * rows).sum()) / (m * (m - 1)))


def jaccard_diversity(tags: Sequence[frozenset[str]]) -> float:
    """1 − mean pairwise Jaccard similarity of tag sets; NaN where fewer than two have tags."""
    sets = [tag for tag in tags if tag]
    pairs = [len(a & b) / len(a | b) for i, a in enumerate(sets) for b in sets[i + 1 :]]
    return float(1 - np.mean(pairs)) if pairs else float("nan")
