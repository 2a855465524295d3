"""Contributions by group, as people name what speaks for an item; groups add up to what contributions add up to.

What moved an item without being part of its score (the policy, rules, a language model) is a group of its own, which
contributes 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from palate.features import FEATURES
from palate.types import Contribution

NAMES: dict[str, tuple[str, str]] = {
    "together": ("goes with what you had", "与你有过的内容常在一起"),
    "taste": ("your taste", "你的口味"),
    "again": ("you had it before", "你以前有过"),
    "people": ("people like you", "与你相似的人"),
    "company": ("people whom you follow", "你关注的人"),
    "words": ("your words", "你的搜索词"),
    "asked": ("what you asked for", "你主动的要求"),
    "popularity": ("popularity", "热门程度"),
    "new": ("how new it is", "新旧程度"),
    "said": ("what people write of it", "大家的文字评价"),
    "you": ("how you use this", "你的使用习惯"),
    "context": ("time and place", "时间与情境"),
    "online": ("what was learnt from answers lately", "近来从反馈中学到的"),
    "policy": ("how the order is drawn", "排序策略"),
    "rules": ("rules", "规则"),
    "language": ("a language model", "语言模型"),
}
"""Groups by code: English and Chinese."""
OUTSIDE = ("policy", "rules", "language")
"""Groups that are no part of a score."""
_OF_GROUP = {
    "popularity": "popularity", "item_to_item": "together", "content": "taste", "tags": "taste", "again": "again",
    "towers": "people", "query": "words", "person": "you", "context": "context", "people": "people",
    "company": "company", "said": "said",
}  # fmt: skip
_OF_FEATURE = {
    "age": "new", "pop_segment": "people", "sequence": "together", "asked_tags": "asked", "asked_taste": "asked",
    "alike_tags": "people", "alike_taste": "people", "carried": "taste",
}  # fmt: skip
_GROUP_OF = {one.name: _OF_FEATURE.get(one.name, _OF_GROUP[one.group]) for one in FEATURES}


def group_of(feature: str) -> str:
    """The group of a term: of a declared feature, of ``context.*``, of ``policy.*`` and the like."""
    found = _GROUP_OF.get(feature)
    if found is not None:
        return found
    head = feature.partition(".")[0]
    return head if head in NAMES else "context"


class GroupTerm(msgspec.Struct, omit_defaults=True):
    """What a group adds to a score. name, chinese: what people call it; share: its part of all that speaks for or
    against, by size; features: its terms, largest first."""

    group: str
    name: str
    chinese: str
    contribution: float
    share: float = 0.0
    features: list[str] = []


def grouped(terms: Iterable[Contribution], rules: Mapping[str, int] | None = None) -> list[GroupTerm]:
    """The groups of ``terms``, largest first, those outside of the score last. rules: how many candidates each rule
    took. Σ contributions of the groups is Σ contributions of the terms."""
    parts: dict[str, list[Contribution]] = {}
    for term in terms:
        parts.setdefault(group_of(term.feature), []).append(term)
    found = [
        GroupTerm(
            code,
            *NAMES[code],
            math.fsum(term.contribution for term in mine),
            features=[term.feature for term in sorted(mine, key=lambda term: -abs(term.contribution))],
        )
        for code, mine in parts.items()
    ]
    if rules:
        found.append(GroupTerm("rules", *NAMES["rules"], 0.0, features=[f"rules.{name}" for name in rules]))
    whole = math.fsum(abs(one.contribution) for one in found)
    for one in found:
        one.share = round(abs(one.contribution) / whole, 4) if whole > 0 else 0.0
    return sorted(found, key=lambda one: (one.group in OUTSIDE, -abs(one.contribution), one.group))
