"""Engines for the tests of the core: in memory, on the encoder without weights."""

from __future__ import annotations

from typing import Any

import palate
from palate.engine import Engine
from palate.testing.world import START, World
from palate.types import Event, Impression, Interaction, Item, Stage

HASHING = {"encoder": "hashing"}
SMALL: dict[str, Any] = {"trees": 20, "leaves": 7, "decisions": 400, "candidates": 40, "towers": ["factors"]}
"""A training of a second or two."""


def memory(**overrides: Any) -> Engine:
    """An engine in memory. It explores nothing unless told to."""
    return palate.open(":memory:", **{"language": HASHING, "policy": {"explore": False}, **overrides})


def filled(events: list[Event] | World, **overrides: Any) -> Engine:
    """An engine in memory that holds ``events``, every text encoded."""
    engine = memory(**overrides)
    engine.ingest(list(events.events) if isinstance(events, World) else events)
    assert engine.wait_encoded(60)
    return engine


def item(name: str, when: int = 0, **fields: Any) -> Item:
    """An item event of id ``item-NAME-WHEN``, ``when`` ms after ``START``."""
    return Item(id=f"item-{name}-{when}", timestamp=START + when, item=name, fields=fields)


def did(number: int, user: str, name: str, kind: str = "click", when: int | None = None, **more: Any) -> Interaction:
    """Interaction ``number``, by default a minute after the one before."""
    moment = START + (number * 60_000 if when is None else when)
    return Interaction(id=f"did-{number:06d}", timestamp=moment, user=user, item=name, type=kind, **more)


def showed(number: int, user: str, names: list[str]) -> Impression:
    return Impression(id=f"showed-{number:06d}", timestamp=START + number * 60_000, user=user, items=names)


def ids(ranking: Any) -> list[str]:
    return [one.id for one in ranking.items]


def stage(ranking: Any, name: str) -> Stage:
    return next(one for one in ranking.stages if one.name == name)
