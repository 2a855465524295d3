"""Every ranking feature, declared once, computed by the same code when serving, training and evaluating."""

from palate.features.company import Hints
from palate.features.compute import Computer, ItemSide, Query
from palate.features.crowd import Crowd
from palate.features.declared import FEATURES, NAMES, OWN, PRIOR, Feature, column
from palate.features.groups import NO_GROUPS, Groups
from palate.features.lifts import NO_LIFTS, SegmentLifts
from palate.features.neighbours import NO_EASE, Neighbours
from palate.features.off import Off, off
from palate.features.placed import Placed
from palate.features.reach import Reach
from palate.features.signals import Signals
from palate.profile import Subject

__all__ = [
    "FEATURES",
    "NAMES",
    "NO_EASE",
    "NO_GROUPS",
    "NO_LIFTS",
    "OWN",
    "PRIOR",
    "Computer",
    "Crowd",
    "Feature",
    "Groups",
    "Hints",
    "ItemSide",
    "Neighbours",
    "Off",
    "Placed",
    "Query",
    "Reach",
    "SegmentLifts",
    "Signals",
    "Subject",
    "column",
    "off",
]
