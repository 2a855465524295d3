"""Events as arrays: order, existence, what was so before."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from palate.config import Settings
from palate.errors import InvalidInput
from palate.evaluate.stream import Histories, before, from_source
from palate.types import Impression, Interaction, Item, User
from tests.evaluate.worlds import events, stream


def test_events_of_equal_time_keep_their_order():
    rows = [Interaction(user="u", item=f"i{n}", timestamp=1000 - n // 7) for n in range(28)]
    found = from_source(rows, Settings())
    names = [found.item_ids[code] for code in found.items]
    assert names == [f"i{n}" for block in (3, 2, 1, 0) for n in range(block * 7, block * 7 + 7)]
    assert [found.interaction(at).item for at in range(28)] == names
    assert len({found.interaction(at).id for at in range(28)}) == 28


def test_an_item_exists_from_its_event_or_after_its_first_interaction():
    rows = [*events([("u", n % 5) for n in range(30)]), Item(item="late", timestamp=10 * 3_600_000 + 1)]
    rows.append(Item(item="always"))
    found = from_source(rows, Settings())
    assert found.item_ids == ["always", "0", "1", "2", "3", "4", "late"]
    assert found.known_from.tolist() == [0, 1, 2, 3, 4, 5, 10]
    assert [found.catalogue(at) for at in (0, 1, 5, 9, 10)] == [1, 2, 6, 6, 7]
    past = before(found)
    assert past.known.tolist() == [False] * 5 + [True] * 25


def test_a_deleted_item_is_out_from_then_on_and_may_return():
    base = events([("u", "a")] * 30)
    gone = from_source([*base, Item(item="b"), Item(item="b", deleted=True, timestamp=5 * 3_600_000)], Settings())
    assert gone.gone_from[gone.item_ids.index("b")] == 4
    back = from_source(
        [
            *base,
            Item(item="b", fields={"title": "x"}),
            Item(item="b", deleted=True, timestamp=5 * 3_600_000),
            Item(item="b", fields={"price": 2.0}, timestamp=6 * 3_600_000),
        ],
        Settings(),
    )
    code = back.item_ids.index("b")
    assert back.gone_from[code] > 30
    assert back.fields[code] == {"title": "x", "price": 2.0}


def test_counts_before_each_event():
    found = before(stream([("u", "a"), ("v", "a"), ("u", "b"), ("u", "a")] * 5))
    assert found.user[:5].tolist() == [0, 0, 1, 2, 3]
    assert found.item[:5].tolist() == [0, 1, 0, 2, 3]
    assert found.repeat[:5].tolist() == [False, False, False, True, True]
    assert found.known[:5].tolist() == [False, True, False, True, True]


def test_histories_stop_before_the_position():
    found = stream([("u", "a"), ("v", "z"), ("u", "b"), ("u", "a"), ("u", "c")] * 4)
    histories = Histories(found)
    names = found.item_ids
    assert [names[code] for code in histories.latest(0, 5)] == ["c", "a", "b"]
    assert [names[code] for code in histories.latest(0, 4)] == ["a", "b"]
    assert [names[code] for code in histories.latest(0, 5, 2)] == ["c", "a"]
    assert [names[code] for code in histories.seen(0, 5)] == ["a", "b", "a", "c"]
    assert histories.latest(0, 0).tolist() == []


def test_a_session_is_not_the_user_of_the_same_name():
    rows = [Interaction(user="x", item="a", timestamp=n) for n in range(1, 11)]
    rows += [Interaction(session="x", item="b", timestamp=n) for n in range(1, 11)]
    found = from_source(rows, Settings())
    assert found.user_ids == ["x", "x"]
    assert found.anonymous.tolist() == [False, True]
    assert {(e.user, e.session) for e in map(found.interaction, range(20))} == {("x", None), (None, "x")}


def test_frames_columns_and_events_give_the_same_arrays():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    columns = {
        "user": ["u", "v"] * 15,
        "item": list("abc") * 10,
        "timestamp": list(range(30, 0, -1)),
        "type": ["like", "hide"] * 15,
        "value": [1.0, None] * 15,
        "text": ["fine", None] * 15,
    }
    rows = [
        Interaction(user=u, item=i, timestamp=t, type=k, value=v, text=x)
        for u, i, t, k, v, x in zip(*columns.values(), strict=True)
    ]
    expected = from_source(rows, Settings())
    for source in (columns, pandas.DataFrame(columns), polars.DataFrame(columns)):
        found = from_source(source, Settings())
        for name in ("users", "items", "times", "kinds", "positive", "known_from"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert [found.interaction(at) for at in range(30)] == [expected.interaction(at) for at in range(30)]
    assert expected.positive.tolist() == [False, True] * 15


def test_a_data_set_is_read_by_its_codes():
    n = 24
    made = SimpleNamespace(
        name="tiny",
        items=[Item(item="c", fields={"title": "Sea"})],
        users=[User(user="v")],
        others=[Impression(user="u", items=["a"], timestamp=3)],
        events=SimpleNamespace(
            user=np.array([0, -1] * 12, dtype=np.int32),
            session=np.array([-1, 0] * 12, dtype=np.int32),
            item=np.array([0, 1] * 12, dtype=np.int32),
            type=np.zeros(n, dtype=np.int32),
            timestamp=np.arange(n, 0, -1, dtype=np.int64),
            value=np.full(n, np.nan),
            users=["u"],
            sessions=["s"],
            items=["a", "b"],
            types=["click"],
            texts={0: "last in time"},
        ),
    )
    found = from_source(made, Settings())
    assert found.interaction(n - 1) == Interaction(
        id="e23", user="u", item="a", type="click", timestamp=24, text="last in time"
    )
    assert found.interaction(0).session == "s"
    assert len(found.side) == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (events([("u", "a")] * 19), "19 interactions can't be split"),
        ([{"event": "interaction", "user": "u", "item": "a"}], "Event 0 has no timestamp"),
        ([{"event": "interaction", "user": "u"}], "Event 0: .*item"),
        ({"user": ["u"], "item": ["a"]}, "need the columns user"),
        (7, "can't read a int"),
    ],
)
def test_sources_that_cannot_be_read_say_why(source, message):
    with pytest.raises(InvalidInput, match=message):
        from_source(source, Settings())


def test_what_somebody_writes_badly_of_is_not_what_they_wanted():
    texts = {3: "terrible, a waste of money", 5: "I love it", 7: "on a Tuesday"}
    rows = [
        Interaction(user="u", item=f"i{n}", type="review", text=texts.get(n), timestamp=1000 + n) for n in range(25)
    ]
    rows.append(Interaction(user="u", item="x", type="rating", value=4.0, text=texts[3], timestamp=2000))
    found = from_source(rows, Settings())
    assert [at for at in range(26) if not found.positive[at]] == [3]
    columns = {
        "user": ["u"] * 25,
        "item": [row.item for row in rows[:25]],
        "type": ["review"] * 25,
        "timestamp": [row.timestamp for row in rows[:25]],
        "text": [row.text for row in rows[:25]],
    }
    assert [at for at in range(25) if not from_source(columns, Settings()).positive[at]] == [3]
