"""What texts say of each aspect, for people to read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palate.feedback.words import aspects


class AspectOpinion(msgspec.Struct):
    """Mentions of an aspect in texts: of an item, or by a user. aspect: its name, ``chinese`` in Chinese; good, bad:
    how many praise and blame; share: of good ones."""

    aspect: str
    chinese: str
    good: int
    bad: int
    share: float


def chinese_names(names: Sequence[str]) -> list[str]:
    """Of aspects by their English names."""
    told = aspects()
    return [told.chinese[told.names.index(name)] for name in names]


def summary(good: Sequence[int], bad: Sequence[int]) -> list[AspectOpinion]:
    """Of (aspects,) counts, the most mentioned first."""
    told = aspects()
    places = sorted(range(len(good)), key=lambda place: (-(good[place] + bad[place]), place))
    return [
        AspectOpinion(
            told.names[n], told.chinese[n], int(good[n]), int(bad[n]), round(int(good[n]) / int(good[n] + bad[n]), 4)
        )
        for n in places
        if good[n] + bad[n]
    ]
