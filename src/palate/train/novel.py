"""Copies of training decisions in which some items are as new as if nobody had ever chosen them.

Few decisions of a log are for an item that was hardly known, so that a blend learns from the others that nobody
chooses what nobody chose, and never looks at the text of such an item. In a copy the chosen one and a share of
the other candidates have lost what only interactions tell; what is left must tell them apart (DropoutNet, Volkovs, Yu
and Poutanen 2017, does so with the inputs of a network).
"""

from __future__ import annotations

import numpy as np

from palate.features import FEATURES, column
from palate.features.columns import NEVER
from palate.train.examples import Examples
from palate.types import F32, I64

SHARE = 0.1
"""Of the decisions that are copied."""
_OTHERS = 0.3
"""Of the candidates that weren't chosen, those that are made new too: or being new alone would tell the chosen one."""
_LOWEST = ("pop_all", "pop_short", "pop_medium", "pop_long")
_KEPT = ("age", "idle", "pop_segment", *_LOWEST)
_GROUPS = ("popularity", "item_to_item", "people", "towers")
_NOTHING: I64 = np.array([column(f.name) for f in FEATURES if f.group in _GROUPS and f.name not in _KEPT], np.int64)
_PLACES: I64 = np.array([column(name) for name in _LOWEST], np.int64)
_IDLE = column("idle")
_ALL, _FAME, _GAP = column("pop_all"), column("user_fame"), column("fame_gap")


def novel(examples: Examples, seed: int, share: float = SHARE) -> Examples:
    """The copies alone. Popularity is the lowest that any candidate of ``examples`` has. Deterministic in ``seed``.

    Decisions somebody was shown (``positions``) are not copied: what was clicked there was clicked for what it was.
    """
    able = [n for n in range(len(examples)) if examples.placed(n) is None]
    out = Examples()
    if not able:
        return out
    lowest: F32 = np.min([examples.x[n][:, _PLACES].min(axis=0) for n in able], axis=0)
    rng = np.random.default_rng(seed)
    drawn: list[int] = np.sort(rng.permutation(able)[: int(share * len(able))]).tolist()
    for n in drawn:
        x, chosen = examples.x[n].copy(), examples.chosen[n]
        new = rng.random(len(x)) < _OTHERS
        new[chosen] = True
        x[np.ix_(new, _NOTHING)] = 0.0
        x[np.ix_(new, _PLACES)] = lowest
        x[new, _IDLE] = NEVER
        if np.any(x[:, _FAME]):
            x[new, _GAP] = np.abs(x[new, _ALL] - x[new, _FAME])
        out.x.append(x)
        out.chosen.append(chosen)
        out.positions.append(None)
        out.weights.append(1.0)
    return out
