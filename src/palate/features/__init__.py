"""Every ranking feature, declared once, computed by the same code when serving, training and evaluating."""

from palate.features.company import Hints
from palate.features.compute import Computer, ItemSide, Query
from palate.features.declared import FEATURES, NAMES, OWN, PRIOR, Feature, column
from palate.features.groups import NO_GROUPS, Groups
from palate.features.neighbours import NO_EASE, Neighbours
from palate.features.reach import Reach
from palate.profile import Subject

__all__ = [
    "FEATURES",
    "NAMES",
    "NO_EASE",
    "NO_GROUPS",
    "OWN",
    "PRIOR",
    "Computer",
    "Feature",
    "Groups",
    "Hints",
    "ItemSide",
    "Neighbours",
    "Query",
    "Reach",
    "Subject",
    "column",
]
