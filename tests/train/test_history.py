"""The log as training reads it: in time order whatever order it came in, clamped, and without what was erased."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from palate.config import Settings
from palate.errors import CorruptArtefact
from palate.intake import records_of
from palate.store import Record
from palate.store.memory import MemoryStore
from palate.train.history import History, read_history
from palate.types import Event, Impression, Interaction, Item, User

NOW = 1_700_000_000_000
SLACK = 300_000


def read(events: list[Event], received: int = NOW, **options: Any) -> History:
    store = MemoryStore()
    records = records_of(list(enumerate(map(msgspec.structs.replace, events))), SLACK, received)[0]
    for record in records:
        record.received = received
    store.append(records)
    return read_history(store, Settings(), **options)


def did(number: int, when: int, user: str | None = "u", kind: str = "click", session: str | None = None) -> Interaction:
    return Interaction(
        id=f"e-{number:06d}", timestamp=NOW + when, user=user, session=session, item=f"i{number}", type=kind
    )


def test_time_orders_events_and_their_ids_order_those_of_one_moment() -> None:
    rng = np.random.default_rng(1)
    events: list[Event] = [did(number, -int(rng.integers(1, 40))) for number in range(300)]
    found = read([events[place] for place in rng.permutation(300).tolist()])
    expected = sorted(events, key=lambda one: (one.timestamp, one.id))
    assert [one[2].id for one in found.events] == [one.id for one in expected]
    assert found.items == [one.item for one in expected if isinstance(one, Interaction)]
    assert found.interactions.tolist() == list(range(300))


def test_what_somebody_hid_and_what_was_shown_is_no_interaction_to_learn_from() -> None:
    shown = Impression(id="s", timestamp=NOW - 5, user="u", items=["i1"])
    found = read([did(1, -9), did(2, -8, kind="hide"), shown, did(3, -3, user=None, session="u"), did(4, -2)])
    assert len(found.events) == 5
    assert found.items == ["i1", "i3", "i4"]
    assert found.interactions.tolist() == [0, 3, 4]
    assert found.users.tolist() == [0, 1, 0], "a session and a user of one name are two people"


def test_times_ahead_of_their_arrival_are_clamped() -> None:
    found = read([did(1, 10 * SLACK), did(2, -1)])
    assert [(one[0] - NOW, one[2].id) for one in found.events] == [(-1, "e-000002"), (0, "e-000001")]


def test_content_comes_apart_and_the_deleted_take_what_they_did_with_them() -> None:
    gone = User(id="gone", timestamp=NOW - 5, user="u", deleted=True)
    item = Item(id="item", timestamp=NOW - 50, item="i1", fields={})
    found = read([item, did(1, -9), gone, did(2, -4), did(3, -8, user="other")])
    assert [one[2].id for one in found.content] == ["item", "gone"]
    assert [one[2].id for one in found.events] == ["e-000003", "e-000002"]


def test_dead_letters_are_left_out_and_an_empty_log_is_no_trouble() -> None:
    assert read([did(1, -9), did(2, -8), did(3, -7)], dead=[2]).items == ["i1", "i3"]
    nothing = read([])
    assert (nothing.events, nothing.items, len(nothing.users), nothing.seq) == ([], [], 0, 0)


def test_the_collector_runs_again_afterwards_whatever_happens() -> None:
    class Spoiled(MemoryStore):
        def read(self, after: int = 0, until: int | None = None, chunk: int = 10_000) -> Iterator[list[Record]]:
            assert not gc.isenabled()
            yield [Record(1, "x", NOW, "interaction", "u", NOW, b"\xff")]

    assert gc.isenabled()
    read([did(1, -1)])
    assert gc.isenabled()
    with pytest.raises(CorruptArtefact, match="position 1 of the log is damaged"):
        read_history(Spoiled(), Settings())
    assert gc.isenabled()
    gc.disable()
    try:
        read([did(1, -1)])
        assert not gc.isenabled(), "whoever has paused it keeps it so"
    finally:
        gc.enable()
