"""How much a training does: ``full``, or ``cheap`` where seconds count and most of the quality will do.

Cheap keeps the closed forms (EASE and linAR, over fewer items), fits no towers, the listwise linear model on a sample
of the decisions, and a forest so small that it takes a second or two. The same line, features, judge and artefact.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from palate.config import Settings, Tier, TrainSettings
from palate.errors import InvalidInput

CHEAP: dict[str, int] = {"decisions": 2000, "candidates": 60, "trees": 60, "ease_items": 3000}
"""What ``cheap`` does at most of each setting of ``[train]``."""


def planned(settings: Settings, tier: Tier | None = None) -> Settings:
    """The settings as training takes them: bounded where the tier (``train.tier`` by default) is the cheap one.

    Errors: ``InvalidInput`` for a tier that there isn't.
    """
    if tier is not None and tier not in get_args(Tier):
        raise InvalidInput(f"tier is {tier!r}; it is one of {', '.join(get_args(Tier))}.", "tier")
    train = settings.train if tier is None else msgspec.structs.replace(settings.train, tier=tier)
    if train.tier == "cheap":
        train = _bounded(train)
    return settings if train is settings.train else msgspec.structs.replace(settings, train=train)


def _bounded(train: TrainSettings) -> TrainSettings:
    least = {name: min(getattr(train, name), most) for name, most in CHEAP.items()}
    return msgspec.structs.replace(train, **least, towers=())
