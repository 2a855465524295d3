"""Every ranking feature, declared once, computed by the same code when serving, training and evaluating."""

from palate.features.compute import Computer, ItemSide, Query
from palate.features.declared import FEATURES, NAMES, PRIOR, Feature, column
from palate.features.neighbours import NO_EASE, Neighbours
from palate.features.off import Off, off
from palate.features.reach import Reach
from palate.profile import Subject

__all__ = [
    "FEATURES",
    "NAMES",
    "NO_EASE",
    "PRIOR",
    "Computer",
    "Feature",
    "ItemSide",
    "Neighbours",
    "Off",
    "Query",
    "Reach",
    "Subject",
    "column",
    "off",
]
