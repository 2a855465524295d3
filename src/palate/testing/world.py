"""A small world whose answers are known: people with tastes over a bilingual catalogue, from one seed.

Every item belongs to one genre, and its text, English or Chinese, says so. Every person likes one genre best and one
second; ``follow`` is the share of interactions that go to the successor of the person's last item, which a model can
learn from the log alone. Everything is a function of the arguments, so that two worlds of one seed are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from palate.types import I64, Interaction, Item

START = 1_700_000_000_000
"""The first event's time, Unix milliseconds."""
STEP = 60_000
"""Between two events, milliseconds."""

VOCABULARY: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "space": (
        ("rocket", "orbit", "galaxy", "astronaut", "planet", "comet"),
        ("火箭", "轨道", "银河", "宇航员", "行星"),
    ),
    "cooking": (("recipe", "kitchen", "noodle", "baking", "soup", "chef"), ("菜谱", "厨房", "面条", "烘焙", "汤")),
    "football": (("goal", "league", "striker", "penalty", "stadium"), ("进球", "联赛", "前锋", "点球", "球场")),
    "mystery": (("detective", "murder", "clue", "suspect", "alibi"), ("侦探", "谋杀", "线索", "嫌疑人", "推理")),
    "garden": (("flower", "tulip", "soil", "seed", "hedge", "rose"), ("花园", "郁金香", "土壤", "种子", "玫瑰")),
}
"""English and Chinese words of every genre."""


@dataclass(frozen=True)
class World:
    """people and items by id; genre_of every item; taste of every person: (best, second)."""

    items: list[Item]
    interactions: list[Interaction]
    genre_of: dict[str, str]
    taste: dict[str, tuple[str, str]]
    successor: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def events(self) -> list[Item | Interaction]:
        """Items first, then interactions in time order: what an engine is given."""
        return [*self.items, *self.interactions]

    @property
    def end(self) -> int:
        """Just after the last event, Unix milliseconds."""
        return START + STEP * (len(self.interactions) + 1)

    def of_genre(self, genre: str) -> list[str]:
        """Items of a genre, in order."""
        return [name for name, mine in self.genre_of.items() if mine == genre]


def title_of(genre: str, number: int, rng: np.random.Generator) -> str:
    """A title of three words of the genre: English for even numbers, Chinese for odd ones."""
    english, chinese = VOCABULARY[genre]
    words: Sequence[str] = chinese if number % 2 else english
    places: list[int] = rng.choice(len(words), 3, replace=False).tolist()
    drawn = [words[place] for place in places]
    return "".join(drawn) + f" {number}" if number % 2 else " ".join(drawn).capitalize() + f" {number}"


def make_world(
    people: int = 40,
    per_genre: int = 12,
    interactions: int = 2000,
    seed: int = 1,
    signal: float = 0.9,
    follow: float = 0.0,
    repeats: bool = True,
    kind: str = "click",
) -> World:
    """A world of ``interactions`` events, ``STEP`` apart.

    signal: share of interactions that follow the taste (the others are drawn from everything); 0 is pure noise.
    repeats: whether people come back to what they had.
    """
    rng = np.random.default_rng(seed)
    items: list[Item] = []
    genre_of: dict[str, str] = {}
    for genre in VOCABULARY:
        for number in range(per_genre):
            name = f"{genre}-{number}"
            genre_of[name] = genre
            fields = {"title": title_of(genre, number, rng), "genres": [genre], "price": float(number)}
            items.append(Item(id=f"item-{name}", timestamp=START - STEP, item=name, fields=dict(fields)))
    names = list(genre_of)
    genres = list(VOCABULARY)
    order: I64 = rng.permutation(len(names))
    successor: dict[str, str] = {
        names[a]: names[b] for a, b in zip(order.tolist(), np.roll(order, -1).tolist(), strict=True)
    }
    taste = {
        f"p{number}": (genres[number % len(genres)], genres[(number // len(genres) + number + 1) % len(genres)])
        for number in range(people)
    }
    had: dict[str, set[str]] = {name: set() for name in taste}
    last: dict[str, str] = {}
    out: list[Interaction] = []
    for place in range(interactions):
        person = f"p{rng.integers(people)}"
        chance = rng.random()
        if person in last and chance < follow:
            pool: list[str] = [successor[last[person]]]
        elif chance < follow + (1 - follow) * signal:
            best, second = taste[person]
            genre = best if rng.random() < 0.75 else second
            pool = [name for name in names if genre_of[name] == genre]
        else:
            pool = names
        fresh = pool if repeats else [name for name in pool if name not in had[person]] or pool
        item = fresh[int(rng.integers(len(fresh)))]
        had[person].add(item)
        last[person] = item
        out.append(
            Interaction(
                id=f"event-{place:07d}", timestamp=START + STEP * (place + 1), user=person, item=item, type=kind
            )
        )
    return World(items, out, genre_of, taste, successor)
