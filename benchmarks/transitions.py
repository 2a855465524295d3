"""Whether transitions want longer contexts, or younger counts: what comes after the last two or three items in their
order, and counts that fade with time, beside the transitions that Palate ranks by.

    python -m benchmarks.transitions NAME… [--test 2500] [--seed 1]

NAME is a data set of Palate's or a folder of events. The log without its last tenth is walked in time order, so that
nothing here is chosen by what the quality benchmark asks; before each of ``--test`` events of its own last tenth that
are new to their person all items that the last five led to are ranked, then the event is learnt. The base is
``next_5``: Σ .7^q · fwd / (n + 5) over the last five, fwd = Σ 1 / lag up to a lag of 8. Beside it, each with several
weights: ``pairs`` and ``triples`` add the weight times c / (N + 5), c how often the item came right after the last two
(and three) items in their order, N how often anything did; ``fading`` adds the weight times the same sums with counts
that halve in so many days. NDCG@10 and the difference to the base with its 95 % interval (normal, over events). Of
``pairs`` and ``triples`` also ``met``, the share of events whose context had been seen before, and ``once``, of these
the share that had been seen no more than once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict

import numpy as np

from palate import datasets
from palate.config import Settings
from palate.evaluate.stream import EventStream, from_source

LAST, LAG, DECAY, KAPPA = 5, 8, 0.7, 5.0
WEIGHTS = (0.01, 0.03, 0.1, 0.3)
DAYS = (3.0, 10.0, 30.0, 90.0)
DAY_MS = 86_400_000.0
Scores = dict[int, float]


def gain(scores: Scores, target: int, had: set[int]) -> float:
    """1 / log₂(1 + rank) of ``target`` among what wasn't had, 0 beyond ten; ties in the middle."""
    own = scores.get(target, 0.0)
    if own <= 0:
        return 0.0
    others = [score for item, score in scores.items() if item not in had and item != target]
    rank = 1 + sum(score > own for score in others) + sum(score == own for score in others) / 2
    return 1 / float(np.log2(1 + rank)) if rank <= 10 else 0.0


class Transitions:
    """Counts of what followed what; everything of the past that a ranking here rests on."""

    def __init__(self) -> None:
        self.followed: defaultdict[int, Scores] = defaultdict(lambda: defaultdict(float))
        self.fading: defaultdict[int, dict[int, tuple[np.ndarray, float]]] = defaultdict(dict)
        self.after: dict[tuple[int, ...], Counter[int]] = {}
        self.count: Counter[int] = Counter()
        self.halved = np.array(DAYS)

    def seen(self, history: list[int], length: int) -> int:
        """How often anything came right after the last ``length`` items in their order."""
        return sum(self.after.get(tuple(history[-length:]), Counter()).values()) if len(history) >= length else 0

    def learn(self, history: list[int], item: int, day: float) -> None:
        """``item`` came after ``history``, oldest first."""
        for lag, earlier in enumerate(reversed(history[-LAG:]), 1):
            if earlier != item:
                self.followed[earlier][item] += 1 / lag
                sums, then = self.fading[earlier].get(item, (np.zeros(len(DAYS)), day))
                self.fading[earlier][item] = (sums * 2.0 ** ((then - day) / self.halved) + 1 / lag, day)
        for length in (2, 3):
            if len(history) >= length:
                self.after.setdefault(tuple(history[-length:]), Counter())[item] += 1
        self.count[item] += 1

    def base(self, history: list[int]) -> Scores:
        """``next_5`` of every item that the last five led to."""
        scores: Scores = defaultdict(float)
        for place, earlier in enumerate(reversed(history[-LAST:])):
            weight = DECAY**place / (self.count[earlier] + KAPPA)
            for item, sums in self.followed[earlier].items():
                scores[item] += weight * sums
        return scores

    def faded(self, history: list[int], day: float) -> list[Scores]:
        """The same with counts that halve in each of ``DAYS``."""
        scores: list[Scores] = [defaultdict(float) for _ in DAYS]
        for place, earlier in enumerate(reversed(history[-LAST:])):
            weight = DECAY**place / (self.count[earlier] + KAPPA)
            for item, (sums, then) in self.fading[earlier].items():
                for into, value in zip(scores, weight * sums * 2.0 ** ((then - day) / self.halved), strict=True):
                    into[item] += float(value)
        return scores

    def longer(self, history: list[int], length: int) -> Scores:
        """c / (N + 5) of what came right after the last ``length`` items, all contexts of two up to it added."""
        scores: Scores = defaultdict(float)
        for one in range(2, length + 1):
            row = self.after.get(tuple(history[-one:])) if len(history) >= one else None
            for item, times in (row or {}).items():
                scores[item] += times / (sum((row or {}).values()) + KAPPA)
        return scores


def added(base: Scores, more: Scores, weight: float) -> Scores:
    """``base`` over its sum, and ``weight`` times ``more``."""
    whole = sum(base.values()) or 1.0
    out = {item: score / whole for item, score in base.items()}
    for item, score in more.items():
        out[item] = out.get(item, 0.0) + weight * score
    return out


def measure(stream: EventStream, test: int, seed: int) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """The gain of each variant at each of the ``test`` events; how often its context had been seen, of pairs and
    triples."""
    stop = len(stream) * 9 // 10
    start = stop * 9 // 10
    drawn = np.random.default_rng(seed).permutation(np.arange(start, stop))[:test]
    asked = set(drawn.tolist())
    counts, gains, seen = Transitions(), defaultdict[str, list[float]](list), defaultdict[str, list[int]](list)
    past: defaultdict[int, list[int]] = defaultdict(list)
    users, items, days = stream.users.tolist(), stream.items.tolist(), (stream.times / DAY_MS).tolist()
    for at in range(stop):
        if not stream.positive[at]:
            continue
        history, item, day = past[users[at]], items[at], days[at]
        if at in asked and history and item not in history:
            had, base = set(history), counts.base(history)
            gains["next_5"].append(gain(base, item, had))
            for name, length in (("pairs", 2), ("triples", 3)):
                more = counts.longer(history, length)
                seen[name].append(counts.seen(history, length))
                for weight in WEIGHTS:
                    gains[f"{name} × {weight:g}"].append(gain(added(base, more, weight), item, had))
            for halved, more in zip(DAYS, counts.faded(history, day), strict=True):
                whole = sum(base.values()) or 1.0
                both = added(base, {name: score / whole for name, score in more.items()}, 0.3)
                gains[f"fading in {halved:g} days × 0.3"].append(gain(both, item, had))
        counts.learn(history, item, day)
        history.append(item)
    return gains, seen


def main(argv: list[str]) -> int:
    """Prints one line of JSON for each variant."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transitions")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--test", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    for name in given.names:
        stream = from_source(datasets.load(name), Settings())
        gains, seen = measure(stream, given.test, given.seed)
        base = np.array(gains["next_5"])
        for variant, values in gains.items():
            more = np.array(values) - base
            half = 1.96 * float(more.std()) / len(base) ** 0.5
            told = {
                "data": stream.name,
                "variant": variant,
                "events": len(base),
                "ndcg@10": round(float(np.mean(values)), 4),
            }
            told |= {"more": round(float(more.mean()), 4), "half": round(half, 4)}
            if (times := np.array(seen.get(variant.partition(" ")[0], []))).any():
                told |= {
                    "met": round(float((times > 0).mean()), 3),
                    "once": round(float((times[times > 0] == 1).mean()), 3),
                }
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
