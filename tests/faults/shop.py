"""Events of a made-up shop for the fault tests: a fixed population: what grows is the log, not the people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

NOW = 1_760_000_000_000
DAY = 86_400_000
KINDS = ("tea", "wine", "bread", "cheese")
ITEMS, USERS = 60, 80


def thing(number: int) -> str:
    return f"{KINDS[number % 4]}-{number % ITEMS}"


def catalogue() -> list[dict[str, Any]]:
    """An event for every item."""
    return [
        {
            "event": "item",
            "id": f"item-{number}",
            "timestamp": NOW - 40 * DAY,
            "item": thing(number),
            "fields": {"title": f"{KINDS[number % 4]} number {number}", "category": KINDS[number % 4], "price": number},
        }
        for number in range(ITEMS)
    ]


def event(name: str, number: int, rng: np.random.Generator, when: int | None = None) -> dict[str, Any]:
    """Event ``name``: mostly an interaction, now and then an impression, an item's new price or a user's new field.

    when: Unix ms; None leaves the time to the server.
    """
    user, kind = f"u{int(rng.integers(USERS))}", int(rng.integers(20))
    found: dict[str, Any] = {"id": name}
    if when is not None:
        found["timestamp"] = when
    if kind == 0:
        return found | {"event": "item", "item": thing(number), "fields": {"price": int(rng.integers(1, 100))}}
    if kind == 1:
        return found | {"event": "user", "user": user, "fields": {"age": int(rng.integers(20, 60))}}
    if kind == 2:
        return found | {
            "event": "impression",
            "user": user,
            "items": [thing(int(n)) for n in rng.integers(ITEMS, size=3)],
        }
    type_ = ("click", "purchase", "hide", "rating")[int(rng.integers(4))]
    value = {"value": float(rng.integers(1, 6))} if type_ == "rating" else {}
    return (
        found | {"event": "interaction", "user": user, "item": thing(int(rng.integers(ITEMS))), "type": type_} | value
    )


def batches(prefix: str, rng: np.random.Generator, most: int = 16) -> Iterator[list[dict[str, Any]]]:
    """Batches of 1 to ``most`` events without end; their ids begin with ``prefix``."""
    number = 0
    while True:
        count = int(rng.integers(1, most + 1))
        yield [event(f"{prefix}-{number + n}", number + n, rng) for n in range(count)]
        number += count


def request(number: int, rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    """Path and body of a ranking, or of a recommendation."""
    user = f"u{int(rng.integers(USERS))}"
    if number % 4 == 3:
        return "/v1/recommend", {"user": user, "k": 5}
    return "/v1/rank", {"user": user, "items": [thing(n) for n in range(number % 7, number % 7 + 20)], "k": 10}
