"""What reviews are worth to rankings, in a world whose truth is known.

    python -m benchmarks.opinions REVIEWS.csv [--seeds 1,2,3] [--events 4000] [--train]

No data set at hand has texts, times and people, so the world is made and its texts are real. People have tastes for
topics; things have a topic and a quality that no field tells. Somebody who comes sees twelve things that they haven't
had, chooses by what they know, and of four choices in ten writes a review: a text of REVIEWS (columns ``text`` and
``label``, 1: positive), favourable the more often the better the thing is. Texts are those that no word's worth was
learnt from (``benchmarks.feedback.of_test``).

Three worlds: ``hidden``, where quality makes people content and nobody sees it before they have the thing, so that only
reviews tell; ``seen``, where choices follow it too; ``noise``, where there is no quality and reviews are of either kind
by chance, so that reading them can only harm. The same events are told to three engines: with ``language.feedback``
off, on, and on with the texts replaced by plain words ("wonderful", "terrible"), which is what a reader that never errs
would make of them. Then forty things that they haven't had are ordered for everybody, and the figure is the share of
what could be won: the discounted true worth of the order, 0 as by chance and 1 as the best order's. By the model that
Palate begins with, and with ``--train`` by a trained one. Intervals of 95 % are over people, differences are paired.
``blamed`` are the shares of unfavourable and of favourable texts after which a purchase counts as no success: nothing
else in the first world tells a training of quality, for choices don't.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

import palate
from benchmarks.feedback import of_test, read
from palate.config import Settings
from palate.engine import Engine
from palate.evaluate.bootstrap import Estimate, paired
from palate.feedback.grades import graded
from palate.feedback.opinion import understand
from palate.types import Event, Interaction, Item, RankRequest

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
WORLDS = ("hidden", "seen", "noise")
READERS = ("off", "on", "plain")
PLAIN = ("Terrible, I hate it.", "Wonderful, I love it.")
SMALL: dict[str, Any] = {"trees": 100, "leaves": 7, "decisions": 2000, "candidates": 40, "towers": ["factors"]}
"""Of the training, that it is over in seconds."""
BEGIN, STEP = 1_750_000_000_000, 600_000
TOPICS, OFFERED, ASKED = 8, 12, 40
REVIEWED = 0.4


class World(NamedTuple):
    """worth: (people, things), what each thing truly is to each; tells: how people choose before they have it; quality:
    (things,); topics: (things,)."""

    worth: F64
    tells: F64
    quality: F64
    topics: I64


def world_of(kind: str, chance: np.random.Generator, people: int = 150, things: int = 200) -> World:
    """One of ``WORLDS``. Tastes and quality are standard normal."""
    topics = chance.integers(0, TOPICS, things)
    taste = chance.normal(size=(people, TOPICS))[:, topics]
    quality = chance.normal(size=things)
    if kind == "noise":
        return World(taste, taste, np.zeros(things), topics)
    worth = taste + quality
    return World(worth, worth if kind == "seen" else taste, quality, topics)


def events_of(
    world: World, texts: tuple[list[str], list[str]], count: int, chance: np.random.Generator
) -> tuple[list[Event], list[int], npt.NDArray[np.bool_]]:
    """The catalogue and ``count`` choices; of each event whether its review is favourable, −1 where there is none; and
    what everybody had, (people, things)."""
    people, things = world.worth.shape
    events: list[Event] = [
        Item(item=f"t{n}", fields={"title": f"Thing {n}", "topic": f"topic {topic}"}, timestamp=BEGIN)
        for n, topic in enumerate(world.topics.tolist())
    ]
    signs = [-1] * things
    had = np.zeros((people, things), bool)
    for n in range(count):
        user = int(chance.integers(people))
        left = np.flatnonzero(~had[user])
        if len(left) <= ASKED + OFFERED:
            continue
        offered = chance.choice(left, OFFERED, replace=False)
        appeal = np.exp(world.tells[user, offered])
        item = int(chance.choice(offered, p=appeal / appeal.sum()))
        had[user, item] = True
        sign, text = -1, None
        if chance.random() < REVIEWED:
            sign = int(chance.random() < 1 / (1 + np.exp(-2 * world.quality[item])))
            text = texts[sign][int(chance.integers(len(texts[sign])))]
        at = BEGIN + (n + 1) * STEP
        events.append(Interaction(user=f"u{user}", item=f"t{item}", type="purchase", timestamp=at, text=text))
        signs.append(sign)
    return events, signs, had


def plain(event: Event, sign: int) -> Event:
    """The same event in words that nobody could misread."""
    if sign < 0 or not isinstance(event, Interaction):
        return event
    return msgspec.structs.replace(event, text=PLAIN[sign])


def won(engine: Engine, world: World, asked: list[I64], now: int) -> F64:
    """(people,) the share of what could be won, see above."""
    out = np.zeros(len(asked))
    for user, things in enumerate(asked):
        worth = world.worth[user]
        weights = 1 / np.log2(np.arange(len(things)) + 2)
        request = RankRequest(user=f"u{user}", items=[f"t{one}" for one in things.tolist()])
        order = [int(name[1:]) for name in engine.scored(request, now)[0]]
        best = np.sort(worth[things])[::-1] @ weights
        chance = worth[things].mean() * weights.sum()
        out[user] = (worth[order] @ weights - chance) / (best - chance)
    return out


def play(kind: str, seed: int, texts: tuple[list[str], list[str]], count: int, train: bool) -> dict[str, F64]:
    """What each of ``READERS`` won in one world, for everybody."""
    chance = np.random.default_rng(seed)
    world = world_of(kind, chance)
    events, signs, had = events_of(world, texts, count, chance)
    asked = [chance.choice(np.flatnonzero(~mine), ASKED, replace=False) for mine in had]
    out: dict[str, F64] = {}
    for reader in READERS:
        told = events if reader != "plain" else [plain(*one) for one in zip(events, signs, strict=True)]
        language = {"encoder": "hashing", "feedback": reader != "off"}
        with palate.open(":memory:", language=language, train=SMALL) as engine:
            engine.ingest(told)
            engine.wait_encoded(60)
            if train:
                report = engine.train()
                ships = f"{report.kind} {report.name} ships, {report.decisions} decisions"
                sys.stderr.write(f"({kind}, seed {seed}, {reader}: {ships})\n")
            out[reader] = won(engine, world, asked, BEGIN + (count + 1) * STEP)
    return out


def blamed(texts: list[str]) -> float:
    """The share of ``texts`` as read that leave a purchase no weight."""
    settings = Settings()
    return float(np.mean([settings.weight(graded("purchase", understand(text).sentiment)) <= 0 for text in texts]))


def texts_of(path: Path) -> tuple[list[str], list[str]]:
    """Unfavourable and favourable texts that nothing was learnt from."""
    rows = [row for row in read(path) if of_test(row[0])]
    return [text for text, label in rows if label == 0], [text for text, label in rows if label == 1]


def _shown(found: Estimate) -> list[float]:
    return [round(value, 4) for value in (found.value, found.low, found.high) if value is not None]


def main(asked: list[str] | None = None) -> int:
    """A line a world: what is won with reviews unread, and what reading them adds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--only", action="append", choices=WORLDS)
    given = parser.parse_args(asked)
    texts = texts_of(given.reviews)
    shares = [round(blamed(some), 3) for some in texts]
    for kind in given.only or WORLDS:
        plays = [play(kind, int(seed), texts, given.events, given.train) for seed in given.seeds.split(",")]
        won = {reader: np.concatenate([one[reader] for one in plays]) for reader in READERS}
        people = np.arange(len(won["off"]), dtype=np.int64)
        zero = np.zeros(len(people))
        line: dict[str, Any] = {"world": kind, "trained": given.train, "people": len(people)}
        line["blamed"] = shares
        line["off"] = _shown(paired(won["off"], zero, people))
        line |= {f"{reader} - off": _shown(paired(won[reader], won["off"], people)) for reader in READERS[1:]}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
