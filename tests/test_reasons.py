"""Which of an item's reasons is said first: one that is particular to it where that counts for much, and not always the
same one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from palate.cli.ranking import translated
from palate.engine import Engine
from palate.features import NAMES, column
from palate.features.speakers import CODE_OF, CODES, SIZEABLE, shared, sizes
from palate.reasons import Reasons, short
from palate.testing.world import make_world
from palate.types import Ranking, Reason
from tests.engines import SMALL, did, filled, item
from tests.test_explain import force

WORLD = make_world(people=15, per_genre=8, interactions=700, follow=0.5)
CROWD = {"popular", "people"}


@pytest.fixture(scope="module")
def world() -> Iterator[Engine]:
    with filled(WORLD, train=SMALL) as engine:
        yield engine


def given(engine: Engine, monkeypatch: pytest.MonkeyPatch, *spoken: list[tuple[str, int, int, int]]) -> list[list[str]]:
    """Codes of the reasons of items of which the features speak: (name, first, second, whether sizeable)."""
    computer, catalogue = engine.line.computer, engine.catalogue

    def speak(_s: object, _r: object, _w: object, _x: object, _i: object, _e: object, out: np.ndarray) -> None:
        out[:] = -1
        for n, mine in enumerate(spoken):
            for place, (name, *rest) in enumerate(mine):
                out[n, place] = column(name), *rest

    monkeypatch.setattr(Reasons, "_many", lambda *_: True)
    monkeypatch.setattr(type(computer), "speak", staticmethod(speak))
    subject = computer.subject(engine.state.users.get("p0"), catalogue.side())
    words = Reasons(computer, catalogue, catalogue.side(), subject, engine._model.ease)
    rows = np.arange(len(spoken), dtype=np.int32)
    empty = np.zeros((len(spoken), len(NAMES)))
    return [[one.code for one in mine] for mine in words.of(rows, empty, empty.astype(np.float32))]


def test_what_is_particular_goes_before_the_crowd(world: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    people, goes = ("factors", -1, -1, 1), ("near_all", 3, 4, 1)
    small = ("near_all", 3, 4, 0)
    popular = ("pop_all", -1, -1, 1)
    tag = ("tags_long", 0, -1, 1)
    assert given(world, monkeypatch, [people, goes]) == [["because_of", "people"]]
    assert given(world, monkeypatch, [people, small]) == [["people", "because_of"]]
    assert given(world, monkeypatch, [people, popular, tag]) == [["tag", "people"]], "the strongest stays"
    assert given(world, monkeypatch, [goes, people, tag]) == [["because_of", "people"]]
    assert given(world, monkeypatch, [people]) == [["people"]]
    assert given(world, monkeypatch, []) == [["ranked"]]


def test_the_same_is_not_said_of_every_item(world: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    goes, near, tag = ("near_all", 3, 4, 1), ("taste_long", 5, 6, 1), ("tags_long", 0, -1, 1)
    found = given(world, monkeypatch, [goes, near, tag], [goes, near, tag], [goes, near, tag], [goes, near, tag])
    assert [one[0] for one in found] == ["because_of", "taste", "tag", "because_of"]
    assert all("because_of" in one for one in found), "the strongest is always among them"
    other = ("near_all", 7, 4, 1)
    assert given(world, monkeypatch, [goes, tag], [other, tag], [goes, tag]) == [
        ["because_of", "tag"], ["because_of", "tag"], ["tag", "because_of"],
    ]  # fmt: skip
    people, popular = ("factors", -1, -1, 1), ("pop_all", -1, -1, 1)
    assert [one[0] for one in given(world, monkeypatch, [people, popular], [people, popular])] == ["people", "popular"]
    few = ("pop_all", -1, -1, 0)
    assert [one[0] for one in given(world, monkeypatch, [people, few], [people, few])] == ["people", "people"]


def by_code(one: object) -> dict[str, float]:
    found: dict[str, float] = {}
    for term in one.contributions:  # type: ignore[attr-defined]
        if term.feature in NAMES and (code := CODES[CODE_OF[column(term.feature)]]):
            found[code] = found.get(code, 0.0) + term.contribution
    return found


def of(world: Engine) -> Iterator[Ranking]:
    for user in ("p0", "p3", "p7", "stranger"):
        for query in (None, "rocket"):
            for seen in ("keep", "drop"):
                yield world.recommend(user, 8, query=query, seen=seen, explain=True)


@pytest.mark.parametrize("kind", ["linear", "trees"])
def test_the_first_reason_counts_for_a_third_of_the_strongest(world: Engine, kind: str) -> None:
    """By the contributions of the answer itself."""
    force(world, kind)
    others = 0
    for ranking in of(world):
        for one in ranking.items:
            size = by_code(one)
            codes = [reason.code for reason in one.reasons]
            if codes == ["ranked"]:
                continue
            assert len(set(codes)) == len(codes) <= 2
            strongest = max(size[code] for code in codes)
            assert size[codes[0]] >= SIZEABLE * strongest - 1e-9
            assert all(size[code] > 0 for code in codes)
            others += size[codes[0]] < strongest
            if len(codes) == 2 and codes[0] in CROWD and codes[1] not in CROWD | {"new"}:
                assert size[codes[1]] < SIZEABLE * size[codes[0]]
    assert others > 3


def test_a_code_is_as_large_as_its_features_together() -> None:
    rng = np.random.default_rng(3)
    size, best = np.empty(len(CODES)), np.empty(len(CODES), np.int64)
    for _ in range(50):
        weights = rng.normal(size=len(NAMES)).round(1)
        x = rng.uniform(1.0, 2.0, len(NAMES)).astype(np.float32)  # all of them hold
        sizes(weights, x, size, best)
        for code in range(1, len(CODES)):
            mine = np.flatnonzero(code == CODE_OF)
            assert size[code] == pytest.approx(weights[mine].sum())
            top = weights[mine].max()
            assert best[code] == (mine[np.argmax(weights[mine])] if top > 0 else -1)
    sizes(np.ones(len(NAMES)), np.zeros(len(NAMES), np.float32), size, best)
    assert best[CODES.index("because_of")] == -1, "what is 0 says nothing"


def test_what_goes_with_it_is_what_gives_most_to_all_of_the_reason() -> None:
    strength, weights = np.zeros((13, 4)), np.zeros(len(NAMES))
    strength[0] = [1.0, 0.0, 0.0, 0.0]
    strength[4] = strength[5] = [1.0, 1.0, 2.0, 50.0]
    weights[column("next_1")], weights[column("near_20")], weights[column("near_all")] = 1.0, 0.9, 0.7
    weights[column("near_max")] = -5.0
    found = shared(strength, weights, np.array([1.0, 0.5, 2.0, -1.0]))
    np.testing.assert_allclose(found, [1.0 + 0.4, 0.4, 0.8, 0.0])
    weights[column("next_1")] = 0.2
    assert np.argmax(shared(strength, weights, np.ones(4))) == 3


DAY = 86_400_000


def test_something_new_is_told_with_what_they_often_choose() -> None:
    author = {"author": "Le Guin"}
    read = [item(f"old-{n}", title=f"old {n}", author="Le Guin") for n in range(4)]
    fresh = [item("mine", 100 * DAY, title="mine", **author), item("other", 100 * DAY, title="other", author="Lem")]
    acts = [did(n, "me", f"old-{n}") for n in range(4)] + [did(9, "you", "old-0", when=101 * DAY)]
    with filled([*read, *fresh, *acts], language={"encoder": "hashing", "tag_fields": ["author"]}) as engine:
        weights = np.zeros((2, len(NAMES)))
        weights[:, column("age")] = 1.0
        computer, catalogue = engine.line.computer, engine.catalogue
        subject = computer.subject(engine.state.users.get("me"), catalogue.side())
        words = Reasons(computer, catalogue, catalogue.side(), subject, engine._model.ease)
        rows = np.array([engine.state.items.get(name) for name in ("mine", "other")], np.int32)
        (mine,), (other,) = words.of(rows, weights, np.zeros((2, len(NAMES)), np.float32))
        assert (mine.code, mine.tags) == ("new", ["author:Le Guin"])
        assert mine.text == "New in the catalogue, and you often choose Le Guin."
        assert (other.code, other.text, other.tags) == ("new", "New in the catalogue.", [])
        assert (short(mine), short(other)) == ("new_of", "new")


def test_every_reason_has_short_words_in_both_languages() -> None:
    for code in (*CODES[1:], "new_of"):
        assert translated(Reason(code.removesuffix("_of"), "text", ["a"], ["t"]), str)
