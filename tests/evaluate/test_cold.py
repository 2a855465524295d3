"""The cold-start report in a planted world: what tells of tastes gains, what doesn't is said to be absent."""

from __future__ import annotations

import msgspec
import pytest

from palate.config import load
from palate.errors import InvalidInput
from palate.evaluate.cold import ColdResult, cold_start
from palate.testing.world import START, make_world
from palate.types import User

WORLD = make_world(people=150, per_genre=16, interactions=5200, signal=0.95)


def settings():
    return load(overrides={
        "language": {"encoder": "hashing"},
        "policy": {"explore": False},
        "train": {"trees": 20, "leaves": 7, "decisions": 300, "candidates": 40},
    })  # fmt: skip


@pytest.fixture(scope="module")
def found() -> ColdResult:
    best = {person: taste[0] for person, taste in WORLD.taste.items()}
    fans = {genre: [one for one in best if best[one] == genre] for genre in set(best.values())}
    people = [
        User(id=f"u-{person}", timestamp=START - 1, user=person,
             fields={"team": f"team-{genre}", "follows": fans[genre][:8]})
        for person, genre in best.items()
    ]  # fmt: skip
    return cold_start([*WORLD.items, *people, *WORLD.interactions], settings=settings())


def test_every_way_has_its_row_and_those_that_tell_gain(found: ColdResult) -> None:
    rows = {row.name: row for row in found.rows}
    assert list(rows) == ["text", "session", "segment", "preferences", "pseudo-labels", "follows", "transfer"]
    for name in ("text", "session", "segment", "preferences", "follows"):
        row = rows[name]
        assert row.people > 10, name
        assert row.gain.value is not None
        assert row.gain.low is not None
        assert row.gain.low > 0, name
        assert row.gain.value == pytest.approx((row.with_it.value or 0) - (row.without.value or 0))
    assert rows["pseudo-labels"].people == found.new_people
    assert (rows["pseudo-labels"].gain.value or 0) > -0.02
    assert msgspec.json.decode(msgspec.json.encode(found), type=ColdResult) == found


def test_the_same_seed_gives_the_same_report_and_too_little_is_refused() -> None:
    small = make_world(people=25, per_genre=8, interactions=700)
    first, again = (cold_start(small.events, settings=settings()) for _ in range(2))
    assert first == again
    rows = {row.name: row for row in first.rows}
    assert (rows["segment"].people, rows["segment"].note) == (0, "nobody said anything of themselves")
    assert rows["follows"].note == "nobody follows anybody"
    assert rows["transfer"].note == "no map of another catalogue was given"
    with pytest.raises(InvalidInput, match="8 different items"):
        cold_start(make_world(people=20, per_genre=1, interactions=60).events, settings=settings())
