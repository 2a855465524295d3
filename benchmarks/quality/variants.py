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
    "towers": "all towers",
    "people": "what people alike did",
    "company": "what people alike and followed do, and what was asked for",
}
"""Of groups; others are called by their names."""
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "next": ("transitions", ("next",)),
    "near": ("co-occurrence", ("near",)),
    "ease": ("EASE", ("ease",)),
    "linar": ("the linear sequence model (linAR)", ("linar",)),
    "segments": ("popularity in segments", ("pop_segment",)),
    "due": ("repeat-purchase timing", ("again_due", "again_late")),
    "factors": ("factors (ALS)", ("factors",)),
    "hybrid": ("the hybrid factorisation", ("hybrid",)),
    "sequence": ("the sequence model", ("sequence",)),
    "user_knn": ("user-kNN", ("user_knn",)),
}
"""Parts of groups: a label, and how the names of their features begin; only where such are declared."""
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
    for family, (label, begins) in FAMILIES.items():
        own = [name for name in NAMES if any(name == begin or name.startswith(f"{begin}_") for begin in begins)]
        if own:
            found.append(Variant(f"{family}-off", f"without {label}", {"features": {"off": own}}))
    found += [
        Variant(
            "language-off", "without language: no encoder, no text vectors",
            {"features": {"off": ["content", "query"]}, "language": {"encoder": "none"}},
        ),
        Variant("hashing", "hashed words instead of the encoder", {"language": {"encoder": "hashing"}}),
        Variant("linear", "a linear blend, no trees", {"train": {"ranker": "linear"}}),
        Variant("cheap", "the cheap tier", {"train": {"tier": "cheap"}}),
        Variant(
            "sasrec", "with a transformer over sequences (SASRec) as well, which needs PyTorch",
            {"train": {"towers": ["factors", "hybrid", "sasrec"]}},
        ),
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
