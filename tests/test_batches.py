"""Events in batches, which are checked, recorded, stored and folded by columns: the same as one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.config import Settings
from palate.engine import Engine
from palate.intake import records_of
from palate.state import State, snapshot
from palate.store import Record
from palate.train.history import stamped
from palate.types import Event, Impression, Interaction, Item, User
from palate.wire import encode_event
from tests.engines import HASHING

START = 1_700_000_000_000


def click(number: int, **more: Any) -> dict[str, Any]:
    return {"event": "interaction", "id": f"e{number}", "user": f"u{number % 7}", "item": f"i{number % 11}", **more}


def mixed(count: int) -> list[dict[str, Any]]:
    """Events of every kind by turns, late ones, those of sessions, with values and of other types, and deletions."""
    found: list[dict[str, Any]] = []
    for number in range(count):
        at = {"id": f"e{number}", "timestamp": START + 1000 * (number - 40 * (number % 5 == 0))}
        kind, user, item = number % 13, f"u{number % 7}", f"i{number % 11}"
        if kind == 3:
            found.append({"event": "item", "item": item, "fields": {"title": f"t{number}"}, **at})
        elif kind == 5:
            found.append({"event": "impression", "user": user, "items": [item, f"i{number % 3}"], **at})
        elif kind == 7:
            found.append({"event": "user", "user": user, "deleted": number % 2 == 1, **at})
        elif kind == 9:
            found.append({"event": "interaction", "session": f"s{number % 3}", "item": item, **at})
        elif kind == 11:
            found.append({"event": "interaction", "user": user, "item": item, "type": "rating", "value": 3.5, **at})
        else:
            found.append({"event": "interaction", "user": user, "item": item, **at})
    return found


def opened(path: Path) -> Engine:
    return palate.open(path, language=HASHING)


@pytest.mark.parametrize("size", [7, 63, 64, 65, 300])
def test_a_batch_is_as_its_events_one_at_a_time(tmp_path: Path, size: int) -> None:
    events = mixed(300)
    with opened(tmp_path / "one") as one, opened(tmp_path / "many") as many:
        for event in events:
            one.ingest(event)
        futures = [many.submit(events[start : start + size]) for start in range(0, len(events), size)]
        assert sum(future.result().accepted for future in futures) == len(events)
        alone = State(many.settings)
        for seq, event in enumerate(stamped(_log(many)), 1):
            alone.apply([event], seq)
        assert snapshot.digest(alone) == snapshot.digest(many.state)
        kept = [[(r.seq, r.id, r.kind, r.subject, r.timestamp, r.payload) for r in _log(e)] for e in (one, many)]
        assert kept[0] == kept[1]
        assert many.rebuild()["equal"]


def _log(engine: Engine) -> list[Record]:
    return [record for part in engine.parts.store.read() for record in part]


def test_a_bad_event_in_the_middle_is_refused_with_its_place_and_the_rest_is_kept(tmp_path: Path) -> None:
    events: list[Any] = [click(number) for number in range(200)]
    events[50] = click(50, surprise=1)
    events[100] = click(100, value=float("nan"))
    events[150] = click(150, item="")
    with opened(tmp_path / "e") as engine:
        result = engine.submit(events).result()
        assert (result.accepted, result.duplicates) == (197, 0)
        assert [bad.index for bad in result.rejected] == [50, 100, 150]
        assert all(bad.error.endswith(".") for bad in result.rejected)
        assert engine.state.events == engine.parts.store.seq == 197


def test_ids_known_and_ids_twice_count_once_and_are_told(tmp_path: Path) -> None:
    with opened(tmp_path / "e") as engine:
        engine.ingest([click(number) for number in range(100)])
        before = engine.parts.store.seq
        again = [click(number) for number in (*range(90, 200), *range(150, 250), 5)]
        result = engine.submit(again).result()
        assert (result.accepted, result.duplicates) == (150, 61)
        assert result.seq == engine.parts.store.seq == engine.state.seq == before + 150
        assert engine.state.events == 250
        assert [record.id for record in _log(engine)] == [f"e{number}" for number in range(250)]
        assert engine.submit(again).result().accepted == 0
        assert engine.rebuild()["equal"]


def test_missing_ids_and_times_are_given_and_told(tmp_path: Path) -> None:
    events = [click(number, timestamp=START) for number in range(80)]
    del events[3]["id"], events[40]["timestamp"], events[79]["id"], events[79]["timestamp"]
    with opened(tmp_path / "e") as engine:
        result = engine.submit(events).result()
        assert [one.index for one in result.assigned] == [3, 40, 79]
        log = _log(engine)
        for one in result.assigned:
            assert (log[one.index].id, log[one.index].timestamp) == (one.id, one.timestamp)
        assert [(event.id, event.timestamp) for event in engine.export()] == [(r.id, r.timestamp) for r in log]
        assert result.assigned[0].timestamp == START
        assert result.assigned[1].id == "e40"
        assert len({record.id for record in log}) == 80


def test_what_was_acknowledged_is_in_the_state_and_in_the_log_whoever_folds_it(tmp_path: Path) -> None:
    with opened(tmp_path / "e") as engine:
        some: list[list[Any]] = [[click(1000 * batch + number) for number in range(250)] for batch in range(12)]
        futures = [engine.submit(batch) for batch in some]
        for number, future in enumerate(futures, 1):
            assert future.result().seq == 250 * number
            assert engine.state.seq >= 250 * number
        assert engine.state.events == 3000
        assert engine.rebuild()["equal"]
    with opened(tmp_path / "e") as engine:
        assert engine.state.events == 3000


def test_records_say_what_their_events_are() -> None:
    events: list[Event] = [
        Interaction(item="x", user="u", id="a", timestamp=5),
        Interaction(item="x", session="s", id="b", timestamp=99),
        Impression(items=["x"], session="s", user="u", id="c", timestamp=5),
        Item(item="x", id="d", timestamp=5),
        User(user="v", id="e", timestamp=5),
    ]
    records, assigned, clamped = records_of(list(enumerate(events)), -(10**15), 7)
    assert (assigned, clamped) == ([], 5)
    assert [(r.id, r.timestamp, r.kind, r.subject) for r in records] == [
        ("a", 5, "interaction", "u"),
        ("b", 99, "interaction", "\0s"),
        ("c", 5, "impression", "u"),
        ("d", 5, "item", None),
        ("e", 5, "user", "v"),
    ]
    assert [record.payload for record in records] == [encode_event(event) for event in events]
    assert records_of([], 0, 7) == ([], [], 0)


def test_what_a_deleted_user_did_before_is_left_out_of_a_batch() -> None:
    """The batch has new people and items, and of one who was deleted what came before and after."""
    events: list[Event] = [
        User(id="d", timestamp=START + 500, user="gone", deleted=True),
        *[
            Interaction(
                id=f"e{n}", timestamp=START + 100 * n, user=("gone", "u", "w")[n % 3], item=f"i{n % 4}", value=v
            )
            for n, v in enumerate([None, 2.0] * 6)
        ],
    ]
    records = records_of(list(enumerate(events)), 10**15, START)[0]
    together, apart = State(Settings()), State(Settings())
    together.apply(list(stamped(records)), len(records))
    for seq, one in enumerate(stamped(records), 1):
        apart.apply([one], seq)
    assert snapshot.digest(together) == snapshot.digest(apart)
    items, times, _, values = together.history_of(together.users.get("gone"))
    assert times.tolist() == [START + 600, START + 900]
    assert [together.items.ids[row] for row in items.tolist()] == ["i2", "i1"]
    assert np.isnan(values[0])
    assert values[1] == 2.0
