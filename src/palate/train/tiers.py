"""How much a training does: ``full``, or ``cheap`` where seconds count and most of the quality will do.

Cheap keeps everything that has a closed form (EASE, over fewer items) and the listwise linear model, on a sample of the
decisions, and a forest so small that it takes a second or two. The same line, features, judge and artefact as ever.
"""

from __future__ import annotations

import msgspec

from palate.config import Settings, Tier, TrainSettings

CHEAP: dict[str, int] = {"decisions": 2000, "candidates": 60, "trees": 60, "ease_items": 3000}
"""What ``cheap`` does at most of each setting of ``[train]``."""


def planned(settings: Settings, tier: Tier | None = None) -> Settings:
    """The settings as training takes them: bounded where the tier (``train.tier`` by default) is the cheap one."""
    train = settings.train if tier is None else msgspec.structs.replace(settings.train, tier=tier)
    if train.tier == "cheap":
        train = _bounded(train)
    return settings if train is settings.train else msgspec.structs.replace(settings, train=train)


def _bounded(train: TrainSettings) -> TrainSettings:
    return msgspec.structs.replace(train, **{name: min(getattr(train, name), most) for name, most in CHEAP.items()})
