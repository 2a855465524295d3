"""Events made in Python are checked as a body is, and share nothing with whoever made them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import msgspec
import numpy as np
import pytest

import palate
from palate.config import Limits
from palate.errors import InvalidInput
from palate.types import Event, Impression, Interaction, Item, User
from palate.wire import decode_events, read_event, read_events
from tests.engines import HASHING, memory

WRONG: list[Event] = [
    Item(item="x", fields=cast(Any, {"title": None})),
    Item(item="x", fields=cast(Any, {"title": {"en": "a"}})),
    Item(item="x", fields=cast(Any, {"tags": ["a", 1]})),
    Item(item="x", fields=cast(Any, ["title"])),
    Item(item="x", fields={"n": 2**64}),
    Item(item="x", fields=cast(Any, {"n": object()})),
    Item(item=cast(Any, None)),
    Item(item="x", deleted=cast(Any, "yes")),
    User(user=cast(Any, 5)),
    Impression(user="u", items=cast(Any, "ab")),
    Impression(user="u", items=cast(Any, [None])),
    Interaction(item="x", user=cast(Any, 5)),
    Interaction(item="x", user="u", value=cast(Any, "5")),
    Interaction(item="x", user="u", type=cast(Any, None)),
    Interaction(item="x", user="u", timestamp=cast(Any, 1.5)),
    Interaction(item="x", user="u", text="\ud800"),
    Interaction(item="\ud800", user="u"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong).partition(" at 0x")[0])
def test_a_struct_of_wrong_types_is_rejected_and_its_neighbours_are_kept(wrong: Event) -> None:
    with memory() as engine:
        result = engine.ingest([wrong, Interaction(id="good", item="x", user="u")])
        assert (result.accepted, [bad.index for bad in result.rejected]) == (1, [0])
        assert result.rejected[0].error.endswith(".")
        assert [event.id for event in engine.export()] == ["good"]


def test_whatever_is_accepted_can_be_read_again(tmp_path: Path) -> None:
    """One event that the log can't give back would keep the directory from ever being opened."""
    for opened in range(2):
        with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
            if not opened:
                engine.ingest([*WRONG, Item(id="good", item="x", fields={"title": "t", "n": -(2**63), "f": 1e300})])
            assert engine.rebuild()["equal"]
            assert engine.item("x") == {"title": "t", "n": -(2**63), "f": 1e300}


def test_what_was_sent_may_change_afterwards() -> None:
    genres, shown = ["drama"], ["x"]
    fields: dict[str, Any] = {"title": "t", "genres": genres}
    with memory() as engine:
        engine.ingest([Item(item="x", fields=fields), Impression(user="u", items=shown)])
        genres.append("comedy")
        fields["title"] = "other"
        assert engine.item("x") == {"title": "t", "genres": ["drama"]}
        assert engine.rebuild()["equal"]


def test_any_mapping_is_an_event_and_what_cannot_be_stored_is_named_with_its_place() -> None:
    with memory() as engine:
        result = engine.ingest(
            [
                MappingProxyType({"event": "interaction", "id": "a", "user": "u", "item": "x"}),
                {"event": "interaction", "user": "u", "item": "x", "timestamp": np.int64(5)},
                {"event": "interaction", "user": "u", "item": "x", "value": 2**70},
                {"event": "interaction", "user": "\ud800", "item": "x"},
                {"event": "interaction", "user": object(), "item": "x"},
                {"event": "interaction", "user": "u", "item": "x", "surprise": 1},
                {"event": "impression", "id": "b", "user": "u", "items": ("x", "y")},
            ]
        )
        assert [event.id for event in engine.export()] == ["a", "b"]
        errors = {bad.index: bad.error for bad in result.rejected}
        assert errors.keys() == {1, 2, 3, 4, 5}
        assert errors[1].endswith("got `numpy.int64` - at `$.timestamp`.")
        assert errors[4].endswith("got `object` - at `$.user`.")
        assert "surprise" in errors[5]
        assert all(error.endswith(".") for error in errors.values())


PLAIN: dict[str, Any] = {"event": "interaction", "id": "e", "user": "u", "item": "x", "type": "click", "timestamp": 5}
VALUES = (None, "", "a", "é", "\0", "x" * 511, "x" * 512, "x" * 513, 5, -1, 1.5, 1e13, float("nan"), True, ["a"])


@pytest.mark.parametrize("name", ["id", "user", "session", "item", "type", "timestamp", "value", "text", "ranking"])
def test_the_quick_look_judges_as_the_close_one(name: str) -> None:
    limits = Limits()
    for value in VALUES:
        raw = {**PLAIN, name: value}
        try:
            alone: str | Event = read_event(raw, limits)
        except InvalidInput as error:
            alone = error.message
        good, bad = read_events([PLAIN, raw], limits)
        together = good[1][1] if len(good) == 2 else bad[0].error
        assert together == alone, (name, value)
        if value == value:
            body = msgspec.json.encode([PLAIN, raw])
            lines = msgspec.json.Encoder().encode_lines([PLAIN, raw])
            decoded = decode_events(body, limits), decode_events(lines, limits), decode_events(lines, limits, True)
            for found, refused, _ in decoded:
                judged = found[1][1] if len(found) == 2 else refused[0].error.replace("`null`", "`None`")
                assert judged == alone, (name, value)


def test_events_that_lack_a_subject_are_rejected_in_a_batch_as_alone() -> None:
    lacking = {"event": "interaction", "item": "x"}
    good, bad = read_events([PLAIN, lacking, {**lacking, "session": "s"}], Limits())
    assert ([index for index, _ in good], [one.index for one in bad]) == ([0, 2], [1])
    assert "Neither user nor session is given" in bad[0].error
