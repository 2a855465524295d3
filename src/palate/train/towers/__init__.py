"""Trainers of towers: from what people did to a ``palate.towers.Tower`` and the vectors of the items that it met."""

from __future__ import annotations

from typing import NamedTuple

from palate.types import F32, I32, I64


class Interactions(NamedTuple):
    """What towers are trained on, in time order: users (n,) and items (n,) codes, times (n,) ms, weights (n,) > 0
    (about 1 for a plain view), n_items, text (n_items, t) unit rows of the items' text vectors, zeros where there is
    none, tags (n_items, 8) tag codes or −1, n_tags."""

    users: I32
    items: I32
    times: I64
    weights: F32
    n_items: int
    text: F32
    tags: I32
    n_tags: int
