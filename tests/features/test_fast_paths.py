"""The compiled short cuts of a request give what the long way gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from palate.engine import Engine
from palate.explain import Explainer
from palate.features import NAMES, column
from palate.features.neighbours import CHANNELS
from palate.features.speakers import TOP, neighbours_of, strongest
from palate.line import prior_model
from palate.reasons import Reasons
from palate.testing.world import make_world
from tests.engines import did, filled
from tests.features.test_features import ease_of

WORLD = make_world(people=12, interactions=700)


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled([*WORLD.events, did(900_000, "p0", "garden-0", "hide")]) as engine:
        yield engine


@pytest.mark.parametrize("user", ["p0", "p3", "p7"])
@pytest.mark.parametrize("few", [False, True])
def test_strengths_of_some_are_those_of_all(world: Engine, user: str, few: bool) -> None:
    computer, ease = world.line.computer, ease_of(world.state.n_items)
    subject = computer.subject(world.state.users.get(user), world.catalogue.side())
    rows = np.random.default_rng(1).permutation(world.state.n_items).astype(np.int32)
    rows = rows[:2] if few else rows
    computer.reach(subject, ease)
    wanted = computer.strengths(rows).copy()
    assert wanted.any()
    for _ in range(2):  # the marks are cleared
        np.testing.assert_array_equal(computer.strengths_of(subject, rows, ease), wanted)


@pytest.mark.parametrize("user", ["p0", "p5"])
def test_speakers_are_the_strongest_parts(world: Engine, user: str) -> None:
    computer, ease, state = world.line.computer, ease_of(world.state.n_items), world.state
    subject = computer.subject(state.users.get(user), world.catalogue.side())
    named = 0
    for row in range(state.n_items):
        parts = computer.parts(subject, row, ease)
        for channel in range(CHANNELS):
            pairs = state.pairs
            found = neighbours_of(
                row, channel, subject.items, subject.weights, pairs.keys, pairs.columns["fwd"], pairs.columns["co"],
                pairs.start, pairs.cap, state.item_columns["count"], ease.indptr, ease.indices, ease.values,
            )  # fmt: skip
            speak = np.where((subject.weights > 0) & (subject.items != row), parts[channel], 0.0)
            best = [q for q in np.argsort(-speak, kind="stable").tolist() if speak[q] > 0]
            wanted = list(dict.fromkeys(subject.items[best].tolist()))[:2]
            assert [one for one in found if one >= 0] == wanted
            named += len(wanted)
    assert named > 100


@pytest.mark.parametrize("name", ["taste_long", "taste_short", "taste_interest", "taste_last"])
def test_tastes_name_what_the_explanation_names(world: Engine, name: str) -> None:
    computer, catalogue = world.line.computer, world.catalogue
    model = prior_model()
    for user in ("p0", "p2", "p9"):
        subject = computer.subject(world.state.users.get(user), catalogue.side())
        explainer = Explainer(computer, catalogue, subject, model)
        reasons = Reasons(computer, catalogue, subject, model.ease)
        x = np.full((1, len(NAMES)), 0.5, np.float32)
        weights = np.zeros((1, len(NAMES)))
        weights[0, column(name)] = 1.0
        for row in range(0, world.state.n_items, 3):
            shares = explainer._shares(column(name), row)
            assert shares is not None
            speak = np.where((subject.weights > 0) & (subject.items != row), shares, 0.0)
            best = [q for q in np.argsort(-speak, kind="stable").tolist() if speak[q] > 1e-6]
            wanted = list(dict.fromkeys(subject.items[best].tolist()))[:2]
            (found,) = reasons.of(np.array([row], np.int32), weights, x)
            ids = [world.state.items.ids[one] for one in wanted]
            assert (found[0].items if found else []) == ids


def test_the_strongest_features_come_first() -> None:
    weights = np.random.default_rng(3).normal(size=(50, 39)).round(1)
    weights[7] = -1.0
    places = np.empty((50, TOP), np.int32)
    strongest(weights, places)
    for row, found in zip(weights, places.tolist(), strict=True):
        wanted = [place for place in np.argsort(-row, kind="stable").tolist() if row[place] > 0][:TOP]
        assert [place for place in found if place >= 0] == wanted
