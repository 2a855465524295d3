"""Segments: which fields tell something, how much, and that a newcomer with nothing but fields profits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from palate.errors import CorruptArtefact
from palate.features import NO_LIFTS, SegmentLifts, column
from palate.state.state import Names
from palate.train.segments import KAPPA, bind_segments, fit_segments, pack_segments
from palate.types import I32, Event, FieldValue, RecommendRequest, User
from tests.engines import SMALL, did, filled, ids

COUNTRIES = ("NO", "PT")


def people(n: int, rng: np.random.Generator) -> list[dict[str, FieldValue]]:
    """Country and age tell what is chosen, the colour of the eyes doesn't; a number of their own says nothing."""
    return [
        {
            "country": COUNTRIES[k % 2],
            "age": int(rng.integers(18, 80)),
            "eyes": str(rng.choice(["brown", "blue"])),
            "number": f"n{k}",
        }
        for k in range(n)
    ]


def choices(fields: list[dict[str, FieldValue]], each: int, rng: np.random.Generator) -> tuple[I32, I32]:
    """Items 0–9 are Norway's, 10–19 Portugal's; the odd ones of people above 50, the even ones of the others."""
    users, items = [], []
    for user, one in enumerate(fields):
        for _ in range(each):
            item = int(rng.integers(0, 5)) * 2 + (int(one["age"]) > 50)  # type: ignore[arg-type]
            users.append(user)
            items.append(item + 10 * (one["country"] == "PT"))
    return np.array(users, np.int32), np.array(items, np.int32)


@pytest.fixture(scope="module")
def fitted() -> SegmentLifts:
    rng = np.random.default_rng(2)
    fields = people(400, rng)
    return fit_segments(*choices(fields, 4, rng), 20, fields, 100)


def test_fields_that_tell_something_are_chosen_by_information(fitted: SegmentLifts) -> None:
    assert [field.name for field in fitted.fields] == ["country", "age"]
    assert sorted(fitted.fields[0].texts) == ["NO", "PT"]
    assert len(fitted.fields[1].edges) == 4


def test_nothing_is_learnt_from_chance() -> None:
    rng = np.random.default_rng(5)
    fields = people(300, rng)
    users, items = np.repeat(np.arange(300), 4).astype(np.int32), rng.integers(0, 20, 1200).astype(np.int32)
    chosen = {field.name for field in fit_segments(users, items, 20, fields, 100).fields}
    assert "number" not in chosen
    assert len(chosen) < 3


def test_a_lift_is_that_of_its_definition(fitted: SegmentLifts) -> None:
    rng = np.random.default_rng(2)
    fields = people(400, rng)
    users, items = choices(fields, 4, rng)
    pairs = set(zip(users.tolist(), items.tolist(), strict=True))
    mine = [item for user, item in pairs if fields[user]["country"] == "NO"]
    place = fitted.of({"country": "NO"})
    for item in (0, 3, 12):
        share = sum(one == item for _, one in pairs) / len(pairs)
        wanted = np.log((mine.count(item) + KAPPA) / (len(mine) * share + KAPPA))
        found = fitted.lift(place, np.array([item], np.int32))
        assert found is not None
        assert found[0] == pytest.approx(wanted, rel=1e-5)


def test_who_is_of_no_segment_gets_no_lift(fitted: SegmentLifts) -> None:
    for fields in (None, {}, {"country": "JP"}, {"age": float("nan")}, {"country": ["NO"]}, {"eyes": "blue"}):
        assert fitted.of(fields) == []
    assert fitted.lift([], np.arange(3, dtype=np.int32)) is None
    both = fitted.of({"country": "PT", "age": 70})
    assert len(both) == 2
    lift = fitted.lift(both, np.array([11, 0, 999], np.int32))
    assert lift is not None
    assert lift[0] > 0 > lift[1]
    assert lift[2] == 0


def test_they_travel_by_id_through_an_artefact(fitted: SegmentLifts) -> None:
    names = [f"i{n}" for n in range(20)]
    packed, told = pack_segments(fitted)
    arrays: dict[str, Any] = packed | {"ease.ids": np.frombuffer("\0".join(names).encode(), np.uint8)}
    turned = bind_segments(arrays, told, Names([*names[::-1], "new"]))
    place = fitted.of({"country": "NO", "age": 20})
    assert turned.of({"country": "NO", "age": 20}) == place
    one, other = fitted.lift(place, np.arange(20, dtype=np.int32)), turned.lift(place, np.arange(21, dtype=np.int32))
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(other[:20], one[::-1])
    assert other[20] == 0
    assert bind_segments({}, (), Names([])) is NO_LIFTS
    for spoil in ({"segments.lifts": packed["segments.lifts"][1:]}, {"segments.items": packed["segments.items"] + 1}):
        with pytest.raises(CorruptArtefact):
            bind_segments(arrays | spoil, told, Names(names))
    with pytest.raises(CorruptArtefact):
        bind_segments(arrays, [{"name": "country"}], Names(names))


def test_a_newcomer_with_fields_is_told_what_people_like_them_choose() -> None:
    rng = np.random.default_rng(7)
    fields = people(700, rng)
    users, items = choices(fields, 2, rng)
    order = rng.permutation(len(users))
    events: list[Event] = [User(id=f"u{n}", timestamp=1, user=f"p{n}", fields=one) for n, one in enumerate(fields)]
    events += [did(n, f"p{users[k]}", f"i{items[k]}") for n, k in enumerate(order.tolist())]
    events += [
        User(id=f"new-{name}", timestamp=1, user=name, fields={"country": name, "age": age})
        for name, age in (("NO", 30), ("PT", 70))
    ]
    with filled(events, train=SMALL) as engine:
        engine.train()
        top = {name: {int(one[1:]) for one in ids(engine.recommend(user=name, k=5))} for name in COUNTRIES}
        assert len(top["NO"] & {0, 2, 4, 6, 8}) >= 4
        assert len(top["PT"] & {11, 13, 15, 17, 19}) >= 4
        scored = engine.line.run(RecommendRequest(user="NO"), engine.clock(), engine._model)
        assert "segment" in scored.candidates.retrievers
        assert scored.x[:, column("pop_segment")].max() > 0.3
