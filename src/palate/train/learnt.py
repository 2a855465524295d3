"""Everything that is fitted beside the scorer: neighbours, segments, towers and what is known of
people; as arrays of an artefact and back.

Fitted twice in a training: on what came before the replayed window, so that no example sees its own future, and on
everything, to serve. Both go through the same arrays, so that what is learnt from is what will serve.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings, TrainSettings
from palate.features import Neighbours
from palate.retrieve.vector import VectorIndex
from palate.state.state import Names, subject_of
from palate.train import ease, linar
from palate.train.history import History, Progress
from palate.train.neighbours import bind_neighbours, pack_neighbours
from palate.train.people import fit_people, load_people, people_arrays, people_meta
from palate.train.segments import bind_segments, fit_segments, pack_segments
from palate.train.topics import fit_topics, load_topics, topic_arrays, topic_meta
from palate.train.towers.fit import Choices, fit_towers, interactions, until
from palate.train.towers.pack import bind_towers, pack_towers
from palate.types import I32, FieldValue, Interaction


class Learnt(NamedTuple):
    """arrays: for the artefact; told: for its manifest's ``extra``."""

    arrays: dict[str, np.ndarray[Any, Any]]
    told: dict[str, Any]


class Learner:
    """Learns from a history of interactions. items: (n,) codes of ``ids``; the catalogue's texts must be encoded."""

    def __init__(self, history: History, items: I32, ids: list[str], catalogue: Catalogue, settings: Settings) -> None:
        self.history = history
        self.items = items
        self.ids = ids
        self.settings = settings
        self.catalogue = catalogue
        self.data = interactions(history, items, ids, catalogue, settings)
        self.fields = _user_fields(history, catalogue)
        self.choices = Choices()

    def learn(self, stop: int, progress: Progress | None = None) -> Learnt:
        """From the first ``stop`` interactions. Cost: O(ease_items³), and the towers'."""
        users, items, train = self.history.users[:stop], self.items[:stop], self.settings.train
        n = len(self.ids)
        neighbours = fit_neighbours(users, items, n, train)
        segments, told = pack_segments(fit_segments(users, items, n, self.fields, train.ease_items))
        met = np.bincount(items, minlength=n) > 0
        fitted = fit_towers(until(self.data, stop), self.settings, self.choices, progress)
        towers, built = pack_towers(fitted, self.ids, met)
        state, everything = self.catalogue.state, stop >= len(self.history.interactions)
        people = fit_people(state, self.catalogue, train.people, train.seed, state.clock_ts, everything)
        topics = fit_topics(self.catalogue, train) if everything else None
        return Learnt(
            pack_neighbours(neighbours, self.ids) | segments | towers | people_arrays(people) | topic_arrays(topics),
            {"segments": told, "towers": built, "people": people_meta(people), "topics": topic_meta(topics)},
        )  # fmt: skip


def bind(
    arrays: Mapping[str, np.ndarray[Any, Any]], told: Mapping[str, Any], names: Names, texts: VectorIndex
) -> dict[str, Any]:
    """The same over the rows of ``names``: what a ``Model`` takes by name. Errors: ``CorruptArtefact``."""
    people, groups, gains = load_people(arrays, told.get("people", {}))
    return {
        "people": people,
        "topics": load_topics(arrays, told.get("topics", {})),
        "groups": groups,
        "gains": gains,
        "ease": bind_neighbours(arrays, names),
        "lifts": bind_segments(arrays, told.get("segments", ()), names),
        "towers": bind_towers(arrays, told.get("towers", {}), names, texts),
    }


def fit_neighbours(users: I32, items: I32, n_items: int, settings: TrainSettings) -> Neighbours:
    """EASE and the linear sequence model of the same interactions, (n,) codes in time order."""
    limit = settings.ease_items
    together = ease.fit_ease(users, items, n_items, limit, half_life=ease.HALF_LIFE)
    follows = linar.fit_linar(users, items, n_items, limit, half_life=linar.HALF_LIFE)
    return Neighbours(*together[:3], *follows)


def _user_fields(history: History, catalogue: Catalogue) -> list[dict[str, FieldValue]]:
    """Of every code of ``history.users`` the user's fields."""
    state = catalogue.state
    fields: list[dict[str, FieldValue]] = []
    for place, code in enumerate(history.users.tolist()):
        if code == len(fields):  # codes count in this order
            _, _, event = history.events[int(history.interactions[place])]
            assert isinstance(event, Interaction)
            name = subject_of(event.user, event.session) or ""
            fields.append(state.user_fields.get(state.users.get(name), {}))
    return fields
