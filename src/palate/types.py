"""The words of Palate: events, requests, answers, and the arrays that pass between stages.

Everything on the wire is one of these ``msgspec`` structs; HTTP, command line and library use the same. Unknown keys
are errors. Timestamps are Unix milliseconds, UTC (``int``); of events sent also ISO-8601. Higher scores are better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from palate.feedback.summary import AspectOpinion
from palate.model_info import Against as Against
from palate.model_info import Margin as Margin
from palate.model_info import ModelInfo as ModelInfo
from palate.model_info import TrainReport as TrainReport
from palate.summary import Summary
from palate.wishes import Wish

FieldValue = bool | int | float | str | list[str]
"""What a field of an item, a user or a context may hold."""
Seen = Literal["auto", "drop", "keep"]
Timestamp = int | str
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


class _Event(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="event"):
    id: str | None = None
    timestamp: Timestamp | None = None


class Item(_Event, tag="item"):
    """An item of the catalogue: created, changed (named fields are replaced) or deleted."""

    item: str
    fields: dict[str, FieldValue] = {}
    deleted: bool = False


class User(_Event, tag="user"):
    """A user, or an anonymous session: created, changed (named fields are replaced) or deleted."""

    user: str = ""
    session: str | None = None
    fields: dict[str, FieldValue] = {}
    deleted: bool = False


class Impression(_Event, tag="impression"):
    """What somebody saw, in the order in which it was shown."""

    items: list[str]
    user: str | None = None
    session: str | None = None
    ranking: str | None = None


class Interaction(_Event, tag="interaction"):
    """What somebody did with an item. Any ``type`` is accepted; its weight is configuration."""

    item: str
    user: str | None = None
    session: str | None = None
    type: str = "click"
    value: float | None = None
    text: str | None = None
    ranking: str | None = None


Event = Item | User | Impression | Interaction


class Rejected(msgspec.Struct):
    """One event that was not accepted: its index in what was sent, and a sentence."""

    index: int
    error: str


class Assigned(msgspec.Struct):
    """The id and timestamp that Palate gave to an event that came without one of them."""

    index: int
    id: str
    timestamp: int


class IngestResult(msgspec.Struct):
    """What became of events. seq: the log position after them. withheld: not kept, as their person opted out."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    seq: int
    assigned: list[Assigned] = []
    clamped: int = 0
    withheld: int = 0

    def __repr__(self) -> str:
        """The counts: ids given and events refused may be thousands."""
        first = f", the first: {self.rejected[0]!r}" if self.rejected else ""
        return (
            f"IngestResult(accepted={self.accepted}, duplicates={self.duplicates}, seq={self.seq}, "
            f"clamped={self.clamped}, withheld={self.withheld}, {len(self.assigned)} assigned, "
            f"{len(self.rejected)} rejected{first})"
        )


# ------------------------------------------------------------------------- requests


class Candidate(msgspec.Struct, forbid_unknown_fields=True):
    """A candidate of a rank request; ``fields`` override the catalogue's for this request only."""

    id: str
    fields: dict[str, FieldValue] = {}


class RecommendRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Retrieve, then rank. ``k`` defaults to 10 when retrieving, to all candidates when ranking."""

    user: str | None = None
    session: str | None = None
    k: int | None = None
    query: str | None = None
    context: dict[str, FieldValue] = {}
    filter: dict[str, Any] | None = None
    exclude: list[str] = []
    seen: Seen = "auto"
    policy: str | None = None
    explain: bool = False


class RankRequest(RecommendRequest, kw_only=True, forbid_unknown_fields=True):
    """Rank the caller's candidates, each an id or an object with per-candidate fields."""

    items: list[str | Candidate]


# -------------------------------------------------------------------------- answers


class Source(msgspec.Struct, omit_defaults=True, gc=False):
    """An event of the user's own history that a contribution comes from. ``share`` sums to 1 or less."""

    item: str
    type: str
    timestamp: int
    share: float
    id: str | None = None


class Contribution(msgspec.Struct, omit_defaults=True, gc=False):
    """What one feature (or the policy, as a term of its own) adds to an item's score."""

    feature: str
    value: float | None
    contribution: float
    sources: list[Source] = []


class Reason(msgspec.Struct, omit_defaults=True, gc=False):
    """A verified reason for an item, the one to show first: a code, and the items of the user's history it comes from.

    Codes: ``because_of``, ``again``, ``popular``, ``trending``, ``people``, ``new``, ``taste``, ``tag``, ``query``,
    ``friends``, ``asked``, ``said``, ``ranked`` (nothing stands out), ``exploration``, ``language``, ``unscored``.
    """

    code: str
    text: str
    items: list[str] = []
    tags: list[str] = []


class RankedItem(msgspec.Struct, omit_defaults=True, gc=False):
    id: str
    score: float | None
    position: int
    propensity: float
    cold: bool
    reasons: list[Reason]
    contributions: list[Contribution] = []


class Stage(msgspec.Struct, omit_defaults=True, gc=False):
    """One stage of the fixed line: how long it took, and whether it ran. ``counts`` says what it kept or removed."""

    name: str
    ms: float
    status: Literal["ran", "skipped", "failed"]
    reason: str | None = None
    counts: dict[str, int] = {}


class Cold(msgspec.Struct):
    """``user``: no interaction known of this user. ``items``: how many shown items have at most 3."""

    user: bool
    items: int = 0


class Ranking(msgspec.Struct):
    """The answer to ``rank`` and ``recommend``. arm: ``experiment/arm`` that ranked, '' outside of experiments."""

    ranking: str
    as_of: int
    model: str
    items: list[RankedItem]
    stages: list[Stage]
    degraded: list[str]
    cold: Cold
    seen: Literal["drop", "keep"] = "keep"
    policy: str = "greedy"
    arm: str = ""


class Explanation(msgspec.Struct):
    """Why one item stood where it stood: ``base`` + the sum of contributions = ``score``, exactly."""

    ranking: str
    item: str
    model: str
    as_of: int
    position: int | None
    score: float | None
    base: float
    contributions: list[Contribution]
    reasons: list[Reason]


class HistoryEntry(msgspec.Struct):
    item: str
    type: str
    timestamp: int
    value: float | None
    title: str | None = None


class TagWeight(msgspec.Struct):
    tag: str
    weight: float


class InterestTag(msgspec.Struct):
    """What a history says of a tag. weight: its share, decayed in live time with its own half-life, in days; trend:
    ``rising``, ``falling`` or ``steady``, the last days beside the last months; evidence: entries; since, last: ms."""

    tag: str
    weight: float
    half_life: float
    trend: Literal["rising", "falling", "steady"]
    evidence: int
    since: int
    last: int


class PredictedField(msgspec.Struct):
    """What a user didn't say, predicted from what they do; never used in a ranking. ``accuracy`` on people held out,
    beside ``majority``, that of always naming the commonest value."""

    field: str
    value: str
    probability: float
    accuracy: float
    majority: float


class Habits(msgspec.Struct):
    """How a user behaves. repeats: share of interactions; silence_days: since the last, live time; night, morning, day,
    evening: shares by quarter of the day, UTC; weekend: share; price: geometric mean of the prices of what was chosen,
    where items have one; rating: mean; follows: known people followed."""

    repeats: float
    silence_days: float | None = None
    dayparts: dict[str, float] = {}
    weekend: float | None = None
    price: float | None = None
    rating: float | None = None
    follows: int = 0


class UserProfile(msgspec.Struct):
    """What Palate believes of a user. fields: said, without whom they follow; tags, predicted: concluded; wishes: in
    force, muted and pinned among them; opinions: of their texts; profiling: not opted out; summary: it all in words."""

    user: str
    known: bool
    fields: dict[str, FieldValue]
    interactions: int
    history: list[HistoryEntry]
    long_term: list[TagWeight]
    short_term: list[TagWeight]
    interests: list[list[str]]
    as_of: int
    tags: list[InterestTag] = []
    habits: Habits | None = None
    predicted: list[PredictedField] = []
    wishes: list[Wish] = []
    opinions: list[AspectOpinion] = []
    muted: list[str] = []
    pinned: list[str] = []
    profiling: bool = True
    summary: Summary | None = None


class Counts(msgspec.Struct):
    """Live counts of an engine. dead_letters: events of the log that could not be folded, and are left out."""

    users: int
    items: int
    events: int
    interactions: int
    impressions: int
    rankings: int
    clamped: int
    seq: int
    repeat_rate: float
    non_finite: int
    pending_texts: int
    dead_letters: int = 0


# --------------------------------------------------------------- arrays between stages


@dataclass(slots=True)
class Candidates:
    """Candidates on their way through the line.

    rows: (m,) int32, catalogue rows, −1 where the item is unknown. ids: the caller's ids, same order.
    fields: overrides by position. held: (m,) bit masks of the retrievers in ``retrievers`` that named each.
    """

    rows: I32
    ids: Sequence[str]
    fields: dict[int, dict[str, FieldValue]]
    held: I64
    retrievers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def sources(self, place: int) -> tuple[str, ...]:
        """The retrievers that named the candidate at ``place``; empty for given ones."""
        mask = int(self.held[place])
        return tuple(name for bit, name in enumerate(self.retrievers) if mask >> bit & 1)


@dataclass(slots=True)
class Slate:
    """What a policy chose. order: (k,) positions into the candidates; propensity: (k,) float64 in (0, 1], of each item
    at its place given those above it; explored: (k,) bool. penalty: (k,) what MMR took from the utility of each in its
    draw, λ times the largest similarity to those above, 0 where it took nothing; None without diversity."""

    order: I64
    propensity: F64
    explored: Bools
    penalty: F64 | None = None
