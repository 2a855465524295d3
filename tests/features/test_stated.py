"""What somebody says they like counts for as much as histories bear out: worlds whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from palate.engine import Engine
from palate.features.stated import (
    LEAST,
    NEXT,
    RARE,
    SHRINK,
    UNKNOWN,
    Asked,
    Followed,
    _keeps,  # pyright: ignore[reportPrivateUsage]
)
from palate.line import prior_model
from palate.testing.world import START
from palate.types import Event, RankRequest, RecommendRequest, User
from palate.wishes import Wish, write
from tests.engines import SMALL, did, filled, ids, item

KINDS = [f"kind-{n}" for n in range(5)]
EACH = 12
LAST = 2 * 10**9


def things() -> list[Event]:
    return [item(f"{kind}/{n}", title=f"{kind} number {n}", genres=[kind]) for kind in KINDS for n in range(EACH)]


def kind_of(name: str) -> str:
    return name.split("/")[0]


def lived(people: int, keeps: float, seed: int = 1) -> list[Event]:
    """Everybody has a kind, of which a share ``keeps`` of what they have is; the n-th of one is had as 1 / (n + 1)."""
    rng = np.random.default_rng(seed)
    worth = 1 / (np.arange(EACH) + 1)
    events: list[Event] = list(things())
    for person in range(people):
        own, names = KINDS[person % len(KINDS)], list[str]()
        while len(names) < 12:
            kind = own if rng.random() < keeps else KINDS[rng.integers(len(KINDS))]
            name = f"{kind}/{rng.choice(EACH, p=worth / worth.sum())}"
            if name not in names:
                names.append(name)
        when = rng.permutation(np.arange(12) * 600_000 + person * 3_600_000)
        events += [
            did(person * 100 + n, f"p{person}", name, when=int(moment))
            for n, (name, moment) in enumerate(zip(names, sorted(when), strict=True))
        ]
    return events


def told(engine: Engine) -> Followed:
    company, side = engine.line.computer.company, engine.line.catalogue.side()
    return company.stated.followed(side.tags, company.signs())


def code_of(engine: Engine, tag: str) -> int:
    return engine.line.computer.company.tag_names.index(tag)


def says(engine: Engine, user: str, *likes: str) -> None:
    engine.ingest([User(id=f"says-{user}", timestamp=START + LAST, user=user, fields={"likes": list(likes)})])


@pytest.mark.parametrize("training", [None, "linear", "auto"])
def test_where_people_keep_to_a_kind_it_comes_first_and_its_popular_items_foremost(training: str | None) -> None:
    settings = {} if training is None else {"train": SMALL | {"ranker": training}}
    with filled(lived(200, 0.8), **settings) as engine:
        assert 0.5 < told(engine).keeps < 0.85
        if training is not None:
            engine.train()
        says(engine, "new", "genre:kind-3")
        says(engine, "silent")
        found = ids(engine.recommend("new", 6, seen="drop"))
        assert np.mean([kind_of(name) == "kind-3" for name in found]) >= 0.6
        assert {f"kind-3/{n}" for n in range(3)} <= set(found), "what most people of the kind have"
        assert np.mean([kind_of(name) == "kind-3" for name in ids(engine.recommend("silent", 6))]) < 0.5


def test_where_tags_say_nothing_a_newcomer_gets_what_everybody_has() -> None:
    with filled(lived(300, 0.0)) as engine:
        assert told(engine).keeps < 0.06
        says(engine, "silent")
        everybody = ids(engine.recommend("silent", 10, seen="drop"))
        for kind in KINDS:
            says(engine, f"new-{kind}", f"genre:{kind}")
            assert len(set(everybody) & set(ids(engine.recommend(f"new-{kind}", 10, seen="drop")))) >= 8


def test_even_there_more_of_a_kind_in_so_many_words_is_obeyed() -> None:
    with filled(lived(300, 0.0)) as engine:
        engine.ingest([
            User(id="w", timestamp=START + LAST, user="u", fields={"wishes": write([Wish(more="genre:kind-4")])})
        ])  # fmt: skip
        shown = ids(engine.recommend("u", 6, seen="drop"))
        assert np.mean([kind_of(name) == "kind-4" for name in shown]) >= 0.8


def test_before_anything_is_known_whoever_asks_gets_it() -> None:
    with filled([*things(), *(did(n, f"p{n}", "kind-0/0") for n in range(3))]) as engine:
        assert told(engine).keeps == UNKNOWN
        says(engine, "new", "kind-2")
        request = RankRequest(user="new", items=["kind-1/1", "kind-2/1", "kind-0/1"])
        assert engine.scored(request, engine.clock())[0][0] == "kind-2/1"


def test_what_is_shared_by_all_moves_little_and_what_is_rare_not_everything() -> None:
    nothing = np.zeros((0, NEXT), np.int32)
    share = np.array([1.0, 0.5, 0.1, 0.001, 0.0])
    found = Followed(0.1, share, np.zeros(0, np.int32), nothing, np.zeros((0, 2), np.int32))
    worth = [found.tag(code) for code in range(6)]
    assert worth[0] == pytest.approx(np.log(1 + 0.1 / 0.9))
    assert worth == sorted(worth)
    assert worth[3] == worth[4] == worth[5] == pytest.approx(np.log(1 + 0.1 / 0.9 / RARE))


def test_how_far_people_keep_to_a_kind_is_weighed_with_not_knowing() -> None:
    assert _keeps(np.zeros(1), np.ones(1)) == UNKNOWN
    many = np.full(1000, 2.0)
    assert _keeps(0.3 * many, many) == pytest.approx(0.3, abs=0.01)
    assert _keeps(-0.3 * many, many) == 0.0, "what is had less often is not pushed away"
    assert 0.1 < _keeps(0.3 * many[:2], many[:2]) < 0.29, "less for the doubt"


def test_items_that_such_people_had_more_often_than_the_kind_lets_expect_rise() -> None:
    tags = np.array([[0], [0], [1], [1]], np.int32)
    had = np.full((200, NEXT), -1, np.int32)
    began = np.full((200, 2), -1, np.int32)
    began[:100, 0], began[100:, 0] = 0, 1
    had[:100, 0], had[:100, 1] = 0, 2  # who began with 0 had 0 and 2, the others 1 and 3
    had[100:, 0], had[100:, 1] = 1, 3
    found = Followed(0.0, np.array([0.5, 0.5]), np.arange(4, dtype=np.int32), had, began)
    up, down = np.log((100 + SHRINK) / (50 + SHRINK)), np.log(SHRINK / (50 + SHRINK))
    np.testing.assert_allclose(found.lifts(0, tags), [up, down, up, down])
    np.testing.assert_allclose(found.lifts(1, tags), [down, up, down, up])
    np.testing.assert_allclose(found.lifts(7, tags), 0.0, err_msg="nobody began with it")


def test_what_items_weigh_is_added_to_those_that_have_it() -> None:
    none = np.zeros(0, np.int32)
    asked = Asked(none, np.zeros((0, 0), np.float32), [], items=np.array([2, 5], np.int32),
                  item_worth=np.array([0.5, -1.0], np.float32))  # fmt: skip
    out = np.ones((4, 2), np.float32)
    asked.fill(np.array([5, 3, 2, 9], np.int32), out[:, 1])
    np.testing.assert_allclose(out, [[1, 0], [1, 1], [1, 1.5], [1, 1]])


def test_whose_first_choices_are_forgotten_tells_nothing() -> None:
    events = [*things(), *(did(n, "long", f"kind-{n % 5}/{n % 12}") for n in range(30)),
              *(did(100 + n, "short", f"kind-1/{n}") for n in range(LEAST)),
              *(did(200 + n, "two", f"kind-1/{n % 2}") for n in range(9))]  # fmt: skip
    with filled(events, state={"history": 20}) as engine:
        found = told(engine)
        assert [engine.state.items.ids[row] for row in found.items] == ["kind-1/3", "kind-1/4", "kind-1/5"]
        assert found.began[(found.began >= 0).any(axis=1)].tolist() == [[code_of(engine, "genre:kind-1"), -1]]


def test_a_kind_is_looked_for_among_what_is_popular_not_among_all_that_it_names() -> None:
    unknown: list[Event] = [item(f"dust/{n}", title="kind-2", genres=["kind-2"]) for n in range(300)]
    with filled([*unknown, *lived(50, 0.5)]) as engine:
        says(engine, "new", "genre:kind-2")
        scored = engine.line.run(RecommendRequest(user="new", k=10), engine.clock(), prior_model())
        place = scored.candidates.retrievers.index("asked_kinds")
        named = [name for n, name in enumerate(scored.candidates.ids) if scored.candidates.held[n] >> place & 1]
        assert set(named) == {f"kind-2/{n}" for n in range(EACH)}
        assert not any(name.startswith("dust") for name in scored.candidates.ids)


def test_it_is_taken_anew_as_more_happens() -> None:
    with filled(lived(20, 1.0)) as engine:
        before = told(engine)
        engine.ingest([did(900_000, "p0", "kind-0/0", when=LAST)])
        assert told(engine) is before
        engine.ingest([did(910_000 + n, f"q{n}", "kind-0/0", when=LAST) for n in range(80)])
        assert told(engine) is not before
