"""Before the service is ready, everything that a request or an event runs has run once.

A kernel is compiled, or read from its cache, at its first call with arguments of each type, and types depend on more
than meets the eye: a column of one candidate lies in memory as one of many doesn't. So a made-up shop in memory is
asked in every way that there is, by people of whom much, little or nothing is known, before a request has to wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from palate.config import LanguageSettings, Settings
from palate.engine import Engine
from palate.types import Ranking

_KINDS = ("tea", "wine", "bread")
_ITEMS = [f"{_KINDS[n % 3]}-{n}" for n in range(300)]
_SIZES = (24, len(_ITEMS))
"""Of the shop when it is asked: with few texts they are all compared, with many by codes of theirs."""
_PEOPLE = {"often": 40, "some": 3, "once": 1, "never": 0}
_TYPES = ("click", "purchase", "like", "dislike", "rating", "view")
_DAY_MS = 86_400_000


def warm(engine: Engine) -> None:
    """Run what requests and events run: on a made-up shop, then on the engine itself, in which nothing changes.

    Cost: about a second where kernels are in their cache, else as long as it takes to compile them, a minute or two.
    """
    settings = Settings(language=LanguageSettings(encoder="hashing"), policy=engine.settings.policy)
    with Engine(":memory:", settings) as shop:
        _ask(shop, [])  # as a new service is asked
        for size in _SIZES:
            shop.ingest(list(_history(shop.clock(), _ITEMS[:size])))
            shop.wait_encoded()
            _ask(shop, _ITEMS[:size])
    engine.warm()


def _history(now: int, items: list[str]) -> Iterator[dict[str, Any]]:
    start = now - 60 * _DAY_MS
    for n, item in enumerate(items):
        fields = {"title": f"{item} of the shop", "category": _KINDS[n % 3], "tags": ["fresh", f"t{n % 5}"], "price": n}
        yield {"event": "item", "item": item, "timestamp": start + n, "fields": fields}
    for place, (user, count) in enumerate(_PEOPLE.items()):
        for n in range(count):
            item, kind = items[(5 * n + place) % len(items)], _TYPES[n % len(_TYPES)]
            at = start + (n * 50 // count) * _DAY_MS + place
            yield {"event": "interaction", "user": user, "item": item, "type": kind, "timestamp": at, "value": 3.0}
            yield {"event": "impression", "user": user, "items": items[:5], "timestamp": at + 1}


def _ask(shop: Engine, known: list[str]) -> None:
    """Every kind of request, and between them events one at a time."""
    many = [*known, "unknown"]
    for user in _PEOPLE:
        for items in (many[:100], many[:1], many[:2], many):
            shop.rank(user, items)
        shop.rank(user, many, k=5, query="fresh tea", explain=True)
        shop.rank(user, many, k=1, policy="plackett_luce", seen="drop", context={"hour": 9, "where": "home"})
        shop.recommend(user, explain=True)
        shop.recommend(user, k=3, query="tea of the shop", filter={"price": {"gte": 3}}, exclude=known[:2])
        shop.recommend(user, k=1, policy="plackett_luce", seen="drop")
        shop.recommend(user, seen="keep")
        shop.recommend(session=f"session of {user}")
        if known:
            ranking = shop.rank(user, many, k=5)
            shop.explain(ranking.ranking, ranking.items[-1].id, counterfactuals=True)
            for event in _after(user, ranking):
                shop.ingest([event])
        shop.user(user)
    shop.wait_encoded()


def _after(user: str, ranking: Ranking) -> Iterator[dict[str, Any]]:
    first = ranking.items[0].id
    yield {"event": "impression", "user": user, "items": [item.id for item in ranking.items]}
    yield {"event": "interaction", "user": user, "item": first, "ranking": ranking.ranking}
    yield {"event": "interaction", "session": f"session of {user}", "item": first}
    yield {"event": "item", "item": f"new for {user}", "fields": {"title": "fresh tea"}}
