"""Events made in Python are checked as a body is, and share nothing with whoever made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

import palate
from palate.types import Event, Impression, Interaction, Item, User
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


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
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
