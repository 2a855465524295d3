"""The table of features: name, group, unit, what it means, and its weight in the blend that works from event one.

``prior`` weights multiply the feature as it is. They were set once, by the scale of each feature, and are the
fall-back until training has something better; training never changes them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from palate.types import F64

Group = Literal[
    "popularity", "item_to_item", "content", "tags", "again", "towers", "query", "person", "context", "people",
    "company", "said",
]  # fmt: skip


class Feature(NamedTuple):
    """``unit`` of the value; ``prior`` weight; ``reason`` code that a positive contribution stands for, or ''."""

    name: str
    group: Group
    unit: str
    prior: float
    reason: str
    meaning: str


FEATURES: tuple[Feature, ...] = (
    Feature("pop_all", "popularity", "log lift", 0.05, "popular", "interactions, all time, over the mean item's"),
    Feature("pop_short", "popularity", "log lift", 0.25, "trending", "decayed interactions, first half-life"),
    Feature("pop_medium", "popularity", "log lift", 0.15, "popular", "decayed interactions, second half-life"),
    Feature("pop_long", "popularity", "log lift", 0.10, "popular", "decayed interactions, third half-life"),
    Feature("trend", "popularity", "log ratio", 0.0, "trending", "short over long decayed interactions"),
    Feature("age", "popularity", "log days", 0.0, "new", "time since the item appeared"),
    Feature("idle", "popularity", "log days", 0.0, "", "time since anybody's last interaction"),
    Feature("click_rate", "popularity", "log ratio", 0.0, "", "interactions per impression; 0 without any"),
    Feature("daypart", "popularity", "log lift", 0.1, "", "share of interactions in this part of the week"),
    Feature(
        "pop_segment", "popularity", "log lift", 0.2, "", "popularity among people of the same segments over all's"
    ),
    Feature("next_1", "item_to_item", "asinh(1000 p)", 0.30, "because_of", "how often it followed the last item"),
    Feature("next_5", "item_to_item", "asinh(1000 p)", 0.20, "because_of", "how often it followed the last five"),
    Feature("next_cos", "item_to_item", "asinh(1000 c)", 0.15, "because_of", "the same, over both items' counts"),
    Feature("near_last", "item_to_item", "asinh(1000 c)", 0.15, "because_of", "seen near the last few (.5 decay)"),
    Feature("near_20", "item_to_item", "asinh(1000 c)", 0.20, "because_of", "seen near the last twenty (cosine)"),
    Feature("near_all", "item_to_item", "asinh(1000 c)", 0.10, "because_of", "seen near the whole history (cosine)"),
    Feature("near_max", "item_to_item", "asinh(1000 c)", 0.05, "because_of", "the strongest of these"),
    Feature("ease", "item_to_item", "asinh(1000 w)", 0.0, "because_of", "EASE over the history (Steck 2019)"),
    Feature("ease_recent", "item_to_item", "asinh(1000 w)", 0.0, "because_of", "EASE, .9 decay an event"),
    Feature("ease_last", "item_to_item", "asinh(1000 w)", 0.0, "because_of", "EASE, .5 decay an event"),
    Feature("linar", "item_to_item", "asinh(1000 w)", 0.0, "because_of", "linear sequence model, .8 decay an event"),
    Feature("linar_last", "item_to_item", "asinh(1000 w)", 0.0, "because_of", "linear sequence model, .5 decay"),
    Feature(
        "near_session", "item_to_item", "asinh(1000 c)", 0.0, "because_of", "seen near this session's (30 minutes)"
    ),
    Feature("taste_long", "content", "cosine", 1.0, "taste", "text against the long-term taste"),
    Feature("taste_short", "content", "cosine", 1.0, "taste", "text against the last five"),
    Feature("taste_interest", "content", "cosine", 0.5, "taste", "text against the nearest of several interests"),
    Feature("taste_newest", "content", "cosine", 0.5, "taste", "text against the nearest of the last five, fading"),
    Feature("dislike", "content", "cosine", -1.0, "", "text against the nearest hidden or disliked item"),
    Feature("words_last", "content", "share", 0.0, "taste", "rare words that its text has of the last one's"),
    Feature("words_newest", "content", "share", 0.0, "", "the most that it has of one of the last five's, fading"),
    Feature("tags_long", "tags", "share", 0.5, "tag", "weight of its tags in the long-term profile"),
    Feature("tags_short", "tags", "share", 0.5, "tag", "weight of its tags in the last five"),
    Feature("again_count", "again", "log count", 1.0, "again", "how often this user had it"),
    Feature("again_share", "again", "share", 1.0, "again", "its share of this user's interactions"),
    Feature("again_day", "again", "2^(−days)", -0.5, "again", "had in the last day"),
    Feature("again_month", "again", "2^(−days/30)", 1.0, "again", "had in the last month"),
    Feature("again_gap", "again", "log hours", 0.0, "again", "time since this user had it; 0 if never"),
    Feature("again_due", "again", "density", 0.0, "again", "whether it is time to have it again, by its usual gaps"),
    Feature("again_late", "again", "deviations", 0.0, "", "how far the gap lies above the usual one; 0 if never"),
    Feature("factors", "towers", "asinh(1000 p)", 0.0, "people", "matrix factorisation over the history (Hu 2008)"),
    Feature("hybrid", "towers", "product", 0.0, "people", "factors of ids and of what items are like"),
    Feature("sequence", "towers", "product", 0.0, "people", "what comes after such a sequence"),
    Feature("query_words", "query", "BM25", 1.0, "query", "words of the query"),
    Feature("query_meaning", "query", "cosine", 8.0, "query", "meaning of the query"),
    Feature("user_knn", "people", "log votes", 0.0, "", "what people with the same last items did next"),
    Feature("user_count", "person", "log count", 0.0, "", "how much is known of the user"),
    Feature("user_repeats", "person", "share", 0.0, "", "share of the user's interactions that repeat"),
    Feature("user_idle", "person", "log hours", 0.0, "", "time since the user's last interaction"),
    Feature("session_length", "person", "log count", 0.0, "", "interactions in the last half hour"),
    Feature("user_fame", "person", "log lift", 0.0, "", "how well known the items of the last twenty are"),
    Feature("fame_gap", "person", "log lift", 0.0, "", "how far from that the item lies, either way"),
    Feature("hour", "context", "hour of day", 0.0, "", "UTC, or context.hour"),
    Feature("weekday", "context", "0 Monday", 0.0, "", "UTC, or context.weekday"),
    Feature("friends_had", "company", "log count", 0.5, "friends", "had by people whom the user follows, by recency"),
    Feature("friends_share", "company", "share", 0.5, "", "the same, over how many these are"),
    Feature("friends_new", "company", "log count", 1.0, "friends", "friends_had of somebody nearly unknown, fading"),
    Feature("asked_tags", "company", "log odds", 1.0, "asked", "what of it the user asked for, by its tags, fading"),
    Feature("asked_taste", "company", "cosine", 2.0, "asked", "text against the nearest wish, fading with history"),
    Feature("alike_tags", "company", "share", 1.0, "", "its tags among people like a new user, over everybody's"),
    Feature("alike_taste", "company", "cosine", 2.0, "", "text against their taste, less everybody's"),
    Feature("carried", "company", "score", 0.25, "", "text, by a map learnt in another catalogue, against their taste"),
    Feature("said", "said", "sentiment", 0.5, "said", "what texts say of it, over the mean of all"),
    Feature("said_lately", "said", "sentiment", 0.0, "said", "the same, decayed, third half-life"),
    Feature("said_own", "said", "balance", 0.5, "said", "what they say of the aspects that this user writes of"),
)

NAMES: tuple[str, ...] = tuple(f.name for f in FEATURES)
PRIOR: F64 = np.array([f.prior for f in FEATURES])
_UNLEARNT = ("friends_new", "asked_tags", "asked_taste", "alike_tags", "alike_taste")
OWN: tuple[int, ...] = tuple(NAMES.index(name) for name in _UNLEARNT)
"""Columns that no scorer learns: too few people of a log are ever in this position, and they chose to be. Their prior
weights, in the scale of the scorer, are terms of their own of every score."""
_COLUMN = {name: place for place, name in enumerate(NAMES)}


def column(name: str) -> int:
    """Column of a feature in the matrix. Errors: ``KeyError`` for a name that isn't declared."""
    return _COLUMN[name]
