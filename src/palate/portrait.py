"""The profile of a user as a person reads it: history with titles, tags with weights, interests in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from palate.catalogue import Catalogue
from palate.features import Computer
from palate.state import State
from palate.types import F32, Counts, FieldValue, HistoryEntry, TagWeight, UserProfile

TAGS = 12


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


def draw_profile(state: State, catalogue: Catalogue, computer: Computer, user: str) -> UserProfile:
    """What is believed of ``user``, newest history first; ``known`` is False where nothing is."""
    row = state.users.get(user)
    subject = computer.subject(row, catalogue.side())
    _, _, _, values = state.history_of(row)
    history = [
        HistoryEntry(
            state.items.ids[item],
            state.types.ids[kind],
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
    return UserProfile(
        user=user,
        known=subject.count > 0 or row in state.user_fields,
        fields=own_fields(state.user_fields.get(row, {})),
        interactions=subject.count,
        history=history,
        long_term=_tags(subject.tags_long, catalogue),
        short_term=_tags(subject.tags_short, catalogue),
        interests=interests,
        as_of=state.seq,
    )


def _tags(shares: F32, catalogue: Catalogue) -> list[TagWeight]:
    best = np.argsort(-shares, kind="stable")[:TAGS]
    return [TagWeight(catalogue.tags.ids[c], round(float(shares[c]), 4)) for c in map(int, best) if shares[c] > 0]
