"""Listwise re-ranking of a few candidates by a generator: what it is shown, what it may say, and how far that counts.

Bounds, each of which holds by itself whatever the model does:

- It answers with numbers of candidates alone, none twice (``Order``); ids are never shown.
- It reads names and tags, never descriptions or reviews; of these only what looks like a name (``language.screen``).
- It is asked ``orders`` times at once, each name shown in one of the questions only; in the others the candidate stands
  with its tags. One passes another only where all answers let it (``agreed``): what is written in a name is never
  enough to raise it, and may only confirm what its tags say; nor can it move others past each other.
- Nothing moves by more than ``shift`` places (``bounded``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
import numpy as np

from palate.language.prompt import Prompt, load_prompt
from palate.language.screen import TAG_CELLS, TAG_WORDS, name_like

NAMELESS = "(no name)"


@dataclass(frozen=True, slots=True)
class Described:
    """What a candidate, or an item of a history, is called and what is said of it. Texts of shops: never trusted."""

    name: str
    tags: Sequence[str]

    def line(self, named: bool) -> str:
        """For the model; without its name where ``named`` is False, or where it doesn't look like one."""
        tags = [tag for tag in self.tags if name_like(tag.split(":", 1)[-1], TAG_CELLS, TAG_WORDS)]
        name = self.name if named and name_like(self.name) else NAMELESS
        return f"{name} | {', '.join(tags)}" if tags else name


@cache
def order_type(n: int) -> type[Any]:
    """The answer about ``n`` candidates: numbers from 1, the best first, none twice; some may be left out."""

    def check(self: Any) -> None:
        if len(set(self.order)) != len(self.order):
            raise ValueError("a candidate is named twice")

    number = Annotated[int, msgspec.Meta(ge=1, le=n)]
    numbers = Annotated[list[number], msgspec.Meta(min_length=1, max_length=n)]
    return msgspec.defstruct(
        f"Order{n}", [("order", numbers)], namespace={"__post_init__": check}, forbid_unknown_fields=True
    )


@dataclass(frozen=True, slots=True)
class View:
    """One way in which candidates are put: ``places[number − 1]`` is the candidate that has the number."""

    prompt: Prompt[Any]
    places: tuple[int, ...]

    def order(self, answer: Any) -> list[int]:
        """Candidates, the best first; those that the answer leaves out follow as they stood."""
        named: list[int] = [self.places[number - 1] for number in answer.order]
        left = set(named)
        return named + [place for place in range(len(self.places)) if place not in left]


def views(
    candidates: Sequence[Described], history: Sequence[Described], query: str, orders: int, shuffled: bool = False
) -> list[View]:
    """The questions about ``candidates``, best first. The same ones give the same questions.

    They stand as they are ranked, so that a model which can't tell two apart leaves them as they stood; ``shuffled``,
    for a teacher whose opinion alone counts, in an order that the texts decide. Answers are kept where the question is
    about nobody: without history and query.
    """
    n = len(candidates)
    had = [one.line(True) for one in history]
    text = "\n".join([*(one.line(True) for one in candidates), *had, query])
    chance = np.random.default_rng(int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()))
    found: list[View] = []
    for view in range(orders):
        places = tuple(chance.permutation(n).tolist()) if shuffled else tuple(range(n))
        lines = [
            f"{number}. {candidates[place].line(orders == 1 or (place + view) % orders == 0)}"
            for number, place in enumerate(places, 1)
        ]
        prompt = load_prompt("order").fill(
            order_type(n), history=had or ["nothing yet"], query=query or "nothing", candidates=lines
        )
        found.append(View(replace(prompt, keep=not had and not query), places))
    return found


def agreed(orders: Sequence[Sequence[int]]) -> list[int]:
    """(n,) places that each candidate goes up (down: negative) in the order furthest from the present one in which no
    candidate has passed another but where it does so in all ``orders``.

    There is one such order: the meet in the weak order of permutations (Guilbaud and Rosenstiehl 1963), reached by
    exchanging neighbours that all put the other way, whichever first. O(n³), n being ten or so.
    """
    n = len(orders[0])
    rank = np.zeros((len(orders), n), np.int64)
    for row, order in enumerate(orders):
        rank[row, np.array(order)] = np.arange(n)
    found, moved = list(range(n)), True
    while moved:
        moved = False
        for place in range(n - 1):
            first, second = found[place], found[place + 1]
            if first < second and (rank[:, second] < rank[:, first]).all():
                found[place], found[place + 1], moved = second, first, True
    ups = [0] * n
    for place, one in enumerate(found):
        ups[one] = one - place
    return ups


def bounded(ups: Sequence[int], shift: int) -> list[int]:
    """The order nearest to ``ups`` in which nothing stands more than ``shift`` places from where it stood.

    Place by place the candidate that has waited longest where it must come now, else the one that wants to be furthest
    up among those that may. Earliest deadline first: no two have the same, so that none is missed.
    """
    wanted = [place - max(-shift, min(shift, up)) for place, up in enumerate(ups)]
    left = list(range(len(ups)))
    order: list[int] = []
    for place in range(len(ups)):
        if left[0] + shift <= place:
            chosen = left[0]
        else:
            chosen = min((one for one in left if one - shift <= place), key=lambda one: (wanted[one], -ups[one]))
        left.remove(chosen)
        order.append(chosen)
    return order
