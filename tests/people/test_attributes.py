"""Attributes and groups in a planted world: learnt where they can be, left out where not, and served as fitted."""

from __future__ import annotations

import numpy as np
import pytest

import palate
from palate.errors import CorruptArtefact, MissingExtra
from palate.features import NO_GROUPS, Groups
from palate.features.groups import SURE, posterior
from palate.people.attributes import People
from palate.people.extract import Extractor
from palate.testing.world import START, make_world
from palate.train.people import (
    check_kind,
    fit_people,
    kind_is_there,
    load_people,
    macro_f1,
    people_arrays,
    people_meta,
)
from palate.types import User
from tests.engines import SMALL, did, filled

WORLD = make_world(people=260, per_genre=10, interactions=6000, seed=3)
BACK_ENDS = [
    pytest.param(kind, marks=[] if kind_is_there(kind) else pytest.mark.skip(reason="scikit-learn isn't installed"))
    for kind in ("trees", "forest", "svm", "logistic")
]


def said(number: int, person: str) -> dict[str, object]:
    """``team`` is the best genre, ``coin`` is chance, ``age`` follows the team; a tenth of the people say nothing."""
    rng = np.random.default_rng(number)
    genre = WORLD.taste[person][0]
    if number % 10 == 0:
        return {"name": f"person {number}"}
    age = 20 + 10 * sorted(set(WORLD.genre_of.values())).index(genre) + int(rng.integers(8))
    return {"team": genre, "coin": bool(rng.random() < 0.5), "age": age, "name": f"person {number}"}


@pytest.fixture(scope="module")
def world():
    people = [
        User(id=f"u-{person}", timestamp=START - 1, user=person, fields=said(number, person))  # type: ignore[arg-type]
        for number, person in enumerate(WORLD.taste)
    ]
    with filled([*WORLD.items, *people, *WORLD.interactions]) as engine:
        yield engine


@pytest.mark.parametrize("kind", BACK_ENDS)
def test_what_can_be_learnt_is_and_chance_is_left_out(world: palate.Engine, kind: str) -> None:
    learnt = fit_people(world.state, world.catalogue, kind, 1, world.clock())
    assert learnt.people is not None
    assert {one.field for one in learnt.people.attributes} == {"team", "age"}
    assert "name" not in learnt.reports, "a value of one person is nothing to learn"
    assert not learnt.reports["coin"]["kept"]
    report = learnt.reports["team"]
    assert report["accuracy"] > 0.8 > 0.4 > report["majority"]
    assert report["macro_f1"] > 0.8 > report["majority_f1"]

    again, groups, gains = load_people(people_arrays(learnt), people_meta(learnt))
    assert again is not None
    side, now = world.catalogue.side(), world.clock()
    extractor = Extractor(world.state, world.catalogue, world.line.computer, again.layout)
    right = 0
    silent = [person for number, person in enumerate(WORLD.taste) if number % 10 == 0]
    for person in silent:
        subject = world.line.computer.subject(world.state.users.get(person), side)
        found = again.predict(extractor, subject, now, {})
        assert found == learnt.people.predict(extractor, subject, now, {})
        by_field = {one.field: one for one in found}
        assert all(0 < one.probability <= 1 for one in found)
        right += by_field["team"].value == WORLD.taste[person][0]
        assert [one.field for one in again.predict(extractor, subject, now, {"team": "x"})] == ["age"]
    assert right >= 0.8 * len(silent)
    np.testing.assert_array_equal(groups.centres, learnt.groups.centres)
    assert gains["team"] > 10 * gains["coin"]


def test_nobody_without_a_history_is_predicted(world: palate.Engine) -> None:
    learnt = fit_people(world.state, world.catalogue, "trees", 1, world.clock())
    assert learnt.people is not None
    extractor = Extractor(world.state, world.catalogue, world.line.computer, learnt.people.layout)
    subject = world.line.computer.subject(-1, world.catalogue.side())
    assert learnt.people.predict(extractor, subject, world.clock(), {}) == []


def test_the_profile_shows_predictions_apart_from_what_was_said() -> None:
    people = [
        User(id=f"u-{person}", timestamp=START - 1, user=person, fields=said(number, person))  # type: ignore[arg-type]
        for number, person in enumerate(WORLD.taste)
    ]
    with filled([*WORLD.items, *people, *WORLD.interactions], train=SMALL) as engine:
        engine.train()
        silent, open_ = engine.user("p10"), engine.user("p11")
        assert {one.field for one in silent.predicted} == {"team", "age"}
        assert set(silent.fields) == {"name"}
        assert all(one.accuracy > one.majority for one in silent.predicted)
        assert open_.predicted == []
        age = next(one.value for one in silent.predicted if one.field == "age")
        assert " to " in age or "under" in age or "more" in age
        # Whoever says it is no longer predicted.
        engine.ingest(User(id="now", timestamp=engine.clock(), user="p10", fields={"team": "space"}))
        assert {one.field for one in engine.user("p10").predicted} == {"age"}


def test_off_learns_nothing_and_a_missing_library_is_named(world: palate.Engine) -> None:
    learnt = fit_people(world.state, world.catalogue, "off", 1, world.clock())
    assert (learnt.people, learnt.groups, learnt.reports) == (None, NO_GROUPS, {})
    assert load_people(people_arrays(learnt), people_meta(learnt)) == (None, NO_GROUPS, {})
    assert load_people({}, {}) == (None, NO_GROUPS, {})
    check_kind("trees")
    if not kind_is_there("svm"):
        with pytest.raises(MissingExtra, match=r"scikit-learn.*palate\[tune\]"):
            check_kind("svm")


def test_broken_arrays_are_refused(world: palate.Engine) -> None:
    learnt = fit_people(world.state, world.catalogue, "trees", 1, world.clock())
    assert learnt.people is not None
    arrays, meta = learnt.people.arrays(), learnt.people.meta()
    for name in list(arrays)[:6]:
        with pytest.raises(CorruptArtefact):
            People.load({key: array for key, array in arrays.items() if key != name}, meta)
    groups = learnt.groups.arrays()
    with pytest.raises(CorruptArtefact):
        Groups.load(groups, learnt.groups.tag_names[:-1])
    with pytest.raises(CorruptArtefact):
        Groups.load({name: array for name, array in groups.items() if name != "axes"}, learnt.groups.tag_names)


def test_groups_are_the_genres_and_one_event_is_less_sure_than_three(world: palate.Engine) -> None:
    groups = fit_people(world.state, world.catalogue, "trees", 1, world.clock(), attributes=False).groups
    assert 3 <= len(groups.centres) <= 13
    assert groups.prior.sum() == pytest.approx(1)
    best = {groups.tag_names[int(row.argmax())] for row in groups.tags}
    assert best == {f"genre:{genre}" for genre in set(WORLD.genre_of.values())}
    odds = [posterior(groups, groups.centres[0], n).max() for n in (1, 3, 100)]
    assert odds == sorted(odds)
    assert posterior(groups, groups.centres[0], 1).sum() == pytest.approx(1)


def test_somebody_nearly_unknown_is_given_the_tastes_of_a_group(world: palate.Engine) -> None:
    company = world.line.computer.company
    learnt = fit_people(world.state, world.catalogue, "trees", 1, world.clock(), attributes=False)
    company.learn(learnt.groups, {})
    world.ingest([did(90_000 + n, "newcomer", f"space-{n}") for n in range(3)])
    side = world.catalogue.side()
    subject = world.line.computer.subject(world.state.users.get("newcomer"), side)
    hints = world.line.computer.hints(subject, side, world.clock())
    assert hints is not None
    code = world.catalogue.tags.get("genre:space")
    assert int(hints.alike_tags.argmax()) == code
    assert 0 < hints.alike_tags[code] < SURE
    world.ingest([did(91_000 + n, "newcomer", f"space-{n}") for n in range(6)])
    subject = world.line.computer.subject(world.state.users.get("newcomer"), side)
    assert world.line.computer.hints(subject, side, world.clock()) is None, "known well enough"


def test_macro_f1_by_hand() -> None:
    truth, found = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert macro_f1(found, truth, 4) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)
    assert macro_f1(truth, truth, 3) == 1.0
