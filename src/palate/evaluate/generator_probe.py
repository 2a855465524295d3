"""What a generator is asked to be measured: a few utterances that a parser makes nothing of, texts, and lists to order.

The utterances are for a dozen films of its own, so that what is right is known; lists and texts are a directory's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
import numpy as np

from palate.config import Settings
from palate.engine import Engine
from palate.language import Generator
from palate.language.prompt import Prompt, Reply
from palate.language.rerank import Described, View, views
from palate.types import Item
from palate.wishes import Wish

T = TypeVar("T")
UTTERANCES: tuple[tuple[str, str, str], ...] = (
    ("I feel like laughing until my sides hurt", "more", "Comedy"),
    ("Please don't frighten me tonight", "less", "Horror"),
    ("Spaceships and far away planets would be lovely", "more", "Sci-Fi"),
    ("I would rather not watch soldiers fight", "less", "War"),
    ("我想笑到肚子疼", "more", "Comedy"),
    ("今晚别吓我", "less", "Horror"),
    ("想看飞船和遥远的星球", "more", "Sci-Fi"),
    ("不想看士兵打仗", "less", "War"),
)
"""What is said, and what it comes to: more or less of which genre."""
_GENRES = ("Comedy", "Horror", "Sci-Fi", "War", "Drama", "Romance")
TEXTS = (
    "A kettle of steel for two litres of tea. kitchen",
    "一部关于太空的爱情电影。电影",
    "Hiking boots, waterproof. shoes",
)


class Listed(msgspec.Struct):
    """A question of the ranking probe: rows of lines that were taken, and ten asked about, the next one first."""

    taken: list[int]
    asked: list[int]


class Talked(NamedTuple):
    """asked: utterances that came to the generator; right: of these; ms: each turn's."""

    asked: int
    right: int
    ms: list[float]


def talk(generator: Counting) -> Iterator[Talked]:
    """Say the utterances, one after another, each by a person of its own. The counts so far, after each."""
    settings = msgspec.convert(
        {"language": {"encoder": "hashing"}, "policy": {"explore": False}, "decisions": {"enabled": False}}, Settings
    )
    with Engine(":memory:", settings) as engine:
        engine.ingest(
            [
                Item(item=f"f{n}", fields={"title": f"Film {n}", "genre": _GENRES[n % 6], "minutes": 90})
                for n in range(12)
            ]
        )
        engine.talk.rephraser.generator = generator
        first = len(generator.replies)
        right, ms = 0, list[float]()
        for number, (text, kind, value) in enumerate(UTTERANCES):
            before = len(generator.replies)
            engine.chat(f"u{number}", text, k=1)
            if len(generator.replies) > before:
                right += _right(engine.user(f"u{number}").wishes, kind, value)
                ms.append(generator.replies[-1].seconds * 1000)
            yield Talked(len(generator.replies) - first, right, ms)


def _right(wishes: list[Wish], kind: str, value: str) -> bool:
    """Whether there is one wish, and it says that."""
    if len(wishes) != 1:
        return False
    said, signs = wishes[0], {"more": ("in", "eq"), "less": ("nin", "ne")}[kind]
    if said.filter is not None:
        tests = [cast("dict[str, Any]", each) for each in said.filter.values() if isinstance(each, dict)]
        named = [each[sign] for each in tests for sign in signs if sign in each]
        return any(value == one or (isinstance(one, list) and value in one) for one in named)
    return str(getattr(said, kind)).split(":", 1)[-1].casefold() == value.casefold()


class Counting:
    """Passes questions on to a generator, with time enough for each, and keeps what came back. A ``Generator``."""

    ready = True

    def __init__(self, generator: Generator, seconds: float) -> None:
        self._generator, self._seconds = generator, seconds
        self.name = generator.name
        self.replies: list[Reply[Any]] = []

    def generate(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.generate``."""
        reply = self._generator.generate(prompt, self._seconds)
        self.replies.append(reply)
        return reply

    async def ask(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.ask``."""
        return await self._generator.ask(prompt, self._seconds)

    def warm(self) -> None:
        """See ``Generator.warm``."""
        self._generator.warm()

    def stats(self) -> dict[str, float]:
        """See ``Generator.stats``."""
        return self._generator.stats()

    def close(self) -> None:
        """See ``Generator.close``."""
        self._generator.close()


def order_view(question: Listed, lines: list[Described], seed: int) -> tuple[View, int]:
    """The question in which order the ten should come, shuffled; and which of the shuffled ones is the right one."""
    shuffle: list[int] = np.random.default_rng(seed).permutation(len(question.asked)).tolist()
    (view,) = views([lines[question.asked[place]] for place in shuffle], [lines[row] for row in question.taken], "", 1)
    return view, shuffle.index(0)
