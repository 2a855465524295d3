"""Features that are switched off: ``features.off`` names groups or single features.

A feature that is off reads 0 for every candidate, when serving and when training, and a retriever whose order rests on
such features alone finds nothing. What it is for: to see what a part of the ranking is worth, and to leave one out.
"""

from __future__ import annotations

import difflib
import functools

import numpy as np

from palate.errors import ConfigError
from palate.features.declared import FEATURES, NAMES
from palate.types import I64

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(feature.group for feature in FEATURES))

RETRIEVERS: dict[str, tuple[str, ...]] = {
    "trending": ("pop_short",),
    "popular": ("pop_long",),
    "all_time": ("pop_all",),
    "segment": ("pop_segment",),
    "next": ("next_cos", "next_5"),
    "near": ("near_20", "near_all"),
    "near_last": ("near_last",),
    "ease": ("ease_recent", "ease_last"),
    "linar": ("linar", "linar_last"),
    "people": ("user_knn",),
    "friends": ("friends_had", "friends_share"),
    "asked": ("asked_tags", "asked_taste"),
    "alike": ("alike_tags", "alike_taste"),
    "again": ("again_count", "again_month"),
    "taste": ("content",),
    "lexical": ("query_words",),
    "vector": ("query_meaning",),
}
"""By the name of a retriever's list, the features or groups that it is ordered by; others are called as theirs is."""


class Off:
    """What ``features.off`` comes to. columns: of the feature matrix, ascending; names: of those features."""

    def __init__(self, wanted: tuple[str, ...]) -> None:
        """Errors: ``ConfigError`` for a name that is neither a group nor a feature."""
        for name in wanted:
            if name not in GROUPS and name not in NAMES:
                near = difflib.get_close_matches(name, [*GROUPS, *NAMES], 1)
                meant = f"did you mean {near[0]!r}? " if near else ""
                raise ConfigError(
                    f"features.off names {name!r}, which is no feature and no group of them: {meant}The groups are "
                    f"{', '.join(GROUPS)}; the features {', '.join(NAMES)}.",
                    "features.off",
                )
        self.names = frozenset(one.name for one in FEATURES if one.name in wanted or one.group in wanted)
        self.columns: I64 = np.array([place for place, name in enumerate(NAMES) if name in self.names], np.int64)

    def __bool__(self) -> bool:
        return bool(self.names)

    def hides(self, retriever: str) -> bool:
        """Whether everything that the list called ``retriever`` is ordered by is off."""
        if not self.names:
            return False
        label = retriever.removesuffix("_again")
        if label not in RETRIEVERS and label.partition("_")[0] in ("asked", "taste"):
            label = label.partition("_")[0]  # one list for each wish, or interest
        rests = [
            one.name for name in RETRIEVERS.get(label, (label,)) for one in FEATURES if name in (one.name, one.group)
        ]
        return bool(rests) and all(name in self.names for name in rests)


@functools.lru_cache(16)
def off(wanted: tuple[str, ...]) -> Off:
    """The same ``Off`` for the same names."""
    return Off(wanted)
