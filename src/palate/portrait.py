"""The profile of a user as a person reads it: history with titles, tags with weights, interests in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from palate import wishes
from palate.catalogue import Catalogue
from palate.content.taxonomy import Taxonomy
from palate.errors import NotFound
from palate.features import Computer, Subject
from palate.features.company import LIKES, PRIVATE
from palate.feedback.grades import sent
from palate.feedback.summary import AspectOpinion, summary
from palate.line import Model
from palate.people.attributes import People
from palate.people.extract import Extractor, behaviour_of
from palate.people.interests import Interests, interests
from palate.portrayal import shown
from palate.state import State
from palate.state.fold import DAY_MS
from palate.state.opinions import Said
from palate.summary import FIELD as IN_WORDS
from palate.summary import digest_of, read
from palate.types import (
    F32,
    Counts,
    FieldValue,
    Habits,
    HistoryEntry,
    InterestTag,
    PredictedField,
    TagWeight,
    UserProfile,
)
from palate.wished import muted, pinned

HIDDEN = {*PRIVATE, wishes.PROFILING} - {LIKES}
"""Fields that a profile doesn't show as fields."""
TAGS = 12
TOPICS = 5


def own_fields(fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """A copy that shares nothing with the state, lists included."""
    return {name: list(value) if isinstance(value, list) else value for name, value in fields.items()}


def known_users(state: State, prefix: str = "") -> list[tuple[str, int]]:
    """Users whose id begins with ``prefix`` and their interactions, without sessions and those deleted. O(users)."""
    counts = state.user_columns["count"]
    return [
        (name, int(counts[row]) if row < len(counts) else 0)
        for row, name in enumerate(state.users.ids)
        if name.startswith(prefix) and not name.startswith("\0") and not state.is_deleted(row)
    ]


def draw_counts(state: State, rankings: int, non_finite: int, pending: int) -> Counts:
    """Live counts. O(users)."""
    return Counts(
        users=len(known_users(state)),
        items=int(state.alive.sum()),
        events=state.events,
        interactions=int(state.totals[0]),
        impressions=state.impressions,
        rankings=rankings,
        clamped=state.clamped,
        seq=state.seq,
        repeat_rate=round(state.repeat_rate, 6),
        non_finite=non_finite,
        pending_texts=pending,
        dead_letters=len(state.dead),
    )


def draw_profile(
    state: State, catalogue: Catalogue, computer: Computer, user: str, now: int, model: Model
) -> UserProfile:
    """What is believed of ``user`` at ``now`` (ms), newest history first; ``known`` is False where nothing is.

    model: the one that serves, for what it learnt of people and texts.
    """
    row = state.users.get(user)
    subject = computer.subject(row, catalogue.side())
    said = state.user_fields.get(row, {})
    _, _, _, values = state.history_of(row)
    history = [
        HistoryEntry(
            state.items.ids[item],
            sent(state.types.ids[kind]),
            ts,
            None if np.isnan(value) else float(value),
            catalogue.title(item),
        )
        for item, ts, kind, value in zip(
            map(int, subject.items), map(int, subject.ts), map(int, subject.kinds), values[::-1], strict=True
        )
    ]
    interests: list[list[str]] = []
    for number in range(max(0, len(subject.tastes) - 2)):
        members = subject.items[subject.interest_of == number]
        if len(members):
            interests.append([catalogue.title(item) for item in dict.fromkeys(members.tolist())][:5])
    held = wishes.read(said.get(wishes.FIELD))[0]
    unwanted = muted(held, catalogue.settings.tag_fields)
    profile = UserProfile(
        user=user,
        known=subject.count > 0 or row in state.user_fields,
        fields=own_fields({name: value for name, value in said.items() if name not in HIDDEN}),
        interactions=subject.count,
        history=history,
        long_term=[one for one in _tags(subject.tags_long, catalogue) if one.tag not in unwanted],
        short_term=[one for one in _tags(subject.tags_short, catalogue) if one.tag not in unwanted],
        interests=interests,
        as_of=state.seq,
        tags=[one for one in _interests(state, catalogue, subject, now) if one.tag not in unwanted]
        + _topics(state, catalogue, subject, now, model.topics),
        habits=_habits(state, computer, subject, now),
        wishes=held,
        predicted=_predicted(state, catalogue, computer, subject, now, model.people),
        opinions=_summed(state.said_by.of(row)),
        muted=unwanted,
        pinned=pinned(held),
        profiling=row not in state.opted_out,
    )
    profile.summary = shown(profile, read(said.get(IN_WORDS)), digest_of(wishes.write(held)))
    return profile


def item_fields(state: State, item: str) -> dict[str, FieldValue]:
    """The fields of an item, a copy. Errors: ``NotFound``."""
    row = state.items.get(item)
    if row < 0 or not state.alive[row]:
        raise NotFound(f"There is no item {item[:80]!r} in the catalogue.", "item")
    return own_fields(state.item_fields.get(row, {}))


def item_opinions(state: State, item: str) -> list[AspectOpinion]:
    """What texts say of the aspects of an item; nothing of one that isn't known."""
    return _summed(state.said_of.of(state.items.get(item)))


def _summed(found: Said | None) -> list[AspectOpinion]:
    return [] if found is None else summary(found.good.tolist(), found.bad.tolist())


def _interests(state: State, catalogue: Catalogue, subject: Subject, now: int) -> list[InterestTag]:
    days = state.silences.since(subject.ts, now) / DAY_MS
    _, short, long = state.settings.state.half_lives
    found = interests(subject.items, subject.weights, subject.ts, days, catalogue.side().tags, short, long)
    return _tagged(found, catalogue.tags.ids, TAGS)


def _topics(state: State, catalogue: Catalogue, subject: Subject, now: int, topics: object) -> list[InterestTag]:
    """Interests by topics of the catalogue's texts, tags that begin with ``topic:``."""
    if not isinstance(topics, Taxonomy) or not len(subject.items):
        return []
    rows, of = np.unique(subject.items, return_inverse=True)
    codes = topics.of([catalogue.text(int(row)) for row in rows])
    days = state.silences.since(subject.ts, now) / DAY_MS
    _, short, long = state.settings.state.half_lives
    found = interests(of.astype(np.int32), subject.weights, subject.ts, days, codes, short, long)
    return _tagged(found, [f"topic:{name}" for name in topics.names()], TOPICS)


def _tagged(found: Interests, names: Sequence[str], most: int) -> list[InterestTag]:
    return [
        InterestTag(
            names[int(found.code[n])], round(float(found.weight[n]), 4), round(float(found.half_life[n]), 2),
            found.trend(n), int(found.evidence[n]), int(found.since[n]), int(found.last[n]),
        )
        for n in range(min(most, len(found.code)))
    ]  # fmt: skip


def _habits(state: State, computer: Computer, subject: Subject, now: int) -> Habits:
    found = behaviour_of(state, computer, subject, now)
    names = ("night", "morning", "day", "evening")
    parts = {} if found.dayparts is None else {n: round(v, 4) for n, v in zip(names, found.dayparts, strict=True)}
    return Habits(
        round(found.repeats, 4), _rounded(found.silence_days), parts, _rounded(found.weekend), _rounded(found.price),
        _rounded(found.rating), found.follows,
    )  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _predicted(
    state: State, catalogue: Catalogue, computer: Computer, subject: Subject, now: int, people: object
) -> list[PredictedField]:
    if not isinstance(people, People):
        return []
    reports = {one.field: one.report for one in people.attributes}
    extractor = Extractor(state, catalogue, computer, people.layout)
    return [
        PredictedField(
            one.field, one.value, round(one.probability, 4), reports[one.field]["accuracy"],
            reports[one.field]["majority"],
        )
        for one in people.predict(extractor, subject, now, state.user_fields.get(subject.row, {}))
    ]  # fmt: skip


def _tags(shares: F32, catalogue: Catalogue) -> list[TagWeight]:
    best = np.argsort(-shares, kind="stable")[:TAGS]
    return [TagWeight(catalogue.tags.ids[c], round(float(shares[c]), 4)) for c in map(int, best) if shares[c] > 0]
