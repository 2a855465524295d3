"""Explanations name no other person, and speak of groups of at least ten people only."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palate.features.alike import LEAST
from palate.testing.world import START
from palate.types import Interaction, User
from tests.engines import filled, item

ITEMS = [item(f"thing-{n}", title=f"thing number {n}", genres=[("red", "blue", "green")[n % 3]]) for n in range(9)]
TEXT = "The quality is great and the sound is wonderful"


def world(people: int, follows: int, picks: list[int], writes: bool) -> list[Any]:
    """People whose names would show: each had some things, and the reader follows some of them."""
    events: list[Any] = list(ITEMS)
    for n in range(people):
        fields = {"follows": [f"Zoltan-{m}" for m in range(people) if m != n][:follows], "city": f"Qyzylorda-{n % 2}"}
        events.append(User(id=f"user-{n}", timestamp=START + n, user=f"Zoltan-{n}", fields=fields))
        for k, pick in enumerate(picks):
            events.append(
                Interaction(
                    id=f"did-{n}-{k}", timestamp=START + 60_000 * (10 * n + k), user=f"Zoltan-{n}",
                    item=f"thing-{(pick + n) % 9 if k else pick % 9}", type="review" if writes else "click",
                    text=TEXT if writes else None,
                )
            )  # fmt: skip
    return events


def had_by(events: list[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for event in events:
        if isinstance(event, Interaction):
            found.setdefault(event.item, set()).add(event.user or "")
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    people=st.integers(1, 24),
    follows=st.integers(0, 20),
    picks=st.lists(st.integers(0, 8), min_size=1, max_size=3),
    writes=st.booleans(),
)
def test_nobody_else_is_named_and_no_small_group_is_spoken_of(
    people: int, follows: int, picks: list[int], writes: bool
) -> None:
    events = world(people, follows, picks, writes)
    had = had_by(events)
    with filled(events, decisions={"sample": 1.0}) as engine:
        for me in ("Zoltan-0", f"Zoltan-{people - 1}", "stranger"):
            followed = follows if me != "stranger" else 0
            for explain in (False, True):
                ranking = engine.recommend(me, 6, explain=explain, seen="keep")
                for one in ranking.items:
                    told = engine.explain(ranking.ranking, one.id, words="en", counterfactuals=True, local=True)
                    text = msgspec.json.encode([told, one]).decode()
                    others = set(re.findall(r"Zoltan-\d+", text)) - {me}
                    assert others == set()
                    assert "Qyzylorda" not in text
                    for reason in (*one.reasons, *told.reasons):
                        if reason.code in ("people", "said"):
                            assert len(had.get(one.id, set())) >= LEAST, reason
                        elif reason.code == "friends":
                            assert min(followed, people - 1) >= LEAST, reason
                        elif reason.code in ("popular", "trending"):
                            assert people >= LEAST, reason
        for found in (engine.importance(), engine.transparency()):
            assert "Zoltan" not in msgspec.json.encode(found).decode()
            assert "Qyzylorda" not in msgspec.json.encode(found).decode()


@pytest.mark.parametrize(("people", "told"), [(8, False), (12, True)])
def test_groups_are_spoken_of_from_ten_people_on(people: int, told: bool) -> None:
    events = world(people, 20, [3, 3, 4], True)
    with filled([*events, User(id="me", timestamp=START, user="me", fields={})]) as engine:
        engine.ingest(
            User(id="mine", timestamp=START + 1, user="me", fields={"follows": [f"Zoltan-{n}" for n in range(people)]})
        )
        codes: set[str] = set()
        for names in (["thing-3", "thing-8"], [f"thing-{n}" for n in range(9)]):
            for explain in (False, True):
                for one in engine.rank("me", names, explain=explain).items:
                    codes |= {reason.code for reason in one.reasons}
        assert ("friends" in codes) == told
        assert bool(codes & {"said", "popular", "trending", "friends"}) == told
        assert np.count_nonzero(engine.state.item_columns["crowd"][engine.state.items.get("thing-3")]) >= min(people, 9)
