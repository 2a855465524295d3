"""Palate with a part of it off: what each part is worth is the difference to the whole, on the same events.

A part is a group of features, or some of one, with the retrievers that rest on them (``features.off``); the language;
training; or what training may ship. The list follows the features that are declared, so that a new part is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palate.config import Settings, load
from palate.errors import ConfigError
from palate.features.declared import NAMES
from palate.features.off import GROUPS, off

WHOLE = "palate"
LABELS = {
    "popularity": "popularity",
    "item_to_item": "all item-to-item",
    "content": "content (text vectors of the history)",
    "tags": "tags",
    "again": "what people come back to",
    "person": "how much is known of the person",
    "context": "hour and weekday",
}
"""Of groups; others are called by their names."""
FAMILIES = {
    "ease": "EASE",
    "linar": "linear sequence model (linAR)",
    "next": "transitions",
    "near": "co-occurrence",
    "factors": "factors (ALS)",
    "hybrid": "hybrid factorisation",
    "sequence": "sequence model",
    "neighbours": "user-kNN",
    "user_knn": "user-kNN",
    "due": "repeat-purchase timing",
    "basket": "baskets",
}
"""Features whose names begin so are a part of their own, too, where they are declared."""
_UNASKED = ("query",)
"""No evaluation asks with words."""


@dataclass(frozen=True)
class Variant:
    """name: of its results; label: for people; settings: over the defaults; trained: whether it is trained at all."""

    name: str
    label: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trained: bool = True

    def made(self, seed: int) -> Settings:
        """The settings, training with ``seed``. Errors: ``ConfigError`` where this Palate has no such setting."""
        own = {name: dict(part) for name, part in self.settings.items()}
        found = load(None, own | {"train": own.get("train", {}) | {"seed": seed}}, {})
        off(found.features.off)
        return found


def variants() -> list[Variant]:
    """Every variant but the whole that this Palate knows, in the order of the table."""
    found = [
        Variant(f"{group}-off", f"without {LABELS.get(group, group)}", {"features": {"off": [group]}})
        for group in GROUPS
        if group not in _UNASKED
    ]
    for family, label in FAMILIES.items():
        own = [name for name in NAMES if name == family or name.startswith(f"{family}_")]
        if own and family not in GROUPS:
            found.append(Variant(f"{family}-off", f"without {label}", {"features": {"off": own}}))
    found += [
        Variant(
            "language-off", "without language: no encoder, no text vectors",
            {"features": {"off": ["content", "query"]}, "language": {"encoder": "none"}},
        ),
        Variant("hashing", "hashed words instead of the encoder", {"language": {"encoder": "hashing"}}),
        Variant("linear", "a linear blend, no trees", {"train": {"ranker": "linear"}}),
        Variant("cheap", "the cheap tier", {"train": {"tier": "cheap"}}),
        Variant("untrained", "without training: the prior blend", trained=False),
    ]  # fmt: skip
    return [variant for variant in found if _known(variant)]


def named(name: str) -> Variant:
    """The variant ``name``, or the whole. Errors: ``KeyError``."""
    return {WHOLE: Variant(WHOLE, "Palate"), **{variant.name: variant for variant in variants()}}[name]


def _known(variant: Variant) -> bool:
    try:
        variant.made(1)
    except ConfigError:
        return False
    return True
