"""What whom somebody follows is worth: NDCG@10 with and without, for people of whom much and little is known.

    python -m benchmarks.friends FOLDER [--mapping FILE] [--few 5] [--decisions 2000] [--encoder hashing]

FOLDER: events, and a file of who follows whom. The set's times, if any, are not used: of every person a random tenth of
the items is held out, the rest come in random order; a random third of the people keep only ``--few`` of theirs. So it
is a set without time: what it shows is no forecast, and it is shown, not counted. Both engines are trained, one on the
log with follows, the other without. NDCG@10 is over the held-out items, of what a person didn't have; intervals over
people, the difference paired.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np

import palate
from palate import datasets
from palate.evaluate.bootstrap import by_user, paired
from palate.types import Interaction, RecommendRequest, User

START, STEP = 1_600_000_000_000, 60_000


def ndcg(found: list[str], wanted: set[str], k: int = 10) -> float:
    """Binary gains over the best possible order of as many."""
    gains = sum(1 / np.log2(place + 2) for place, name in enumerate(found[:k]) if name in wanted)
    return gains / sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted))))


def main(argv: list[str]) -> int:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.friends")
    parser.add_argument("folder")
    parser.add_argument("--mapping")
    parser.add_argument("--few", type=int, default=5)
    parser.add_argument("--decisions", type=int, default=2000)
    parser.add_argument("--encoder", default="hashing")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    data = datasets.load(given.folder, given.mapping)
    rng = np.random.default_rng(given.seed)
    had: dict[str, list[str]] = {}
    for chunk in data.stream():
        for event in chunk:
            if isinstance(event, Interaction) and event.user is not None:
                had.setdefault(event.user, []).append(event.item)
    wanted: dict[str, set[str]] = {}
    kept: list[tuple[str, str]] = []
    few = {user for user in had if rng.random() < 1 / 3}
    for user, items in had.items():
        mixed = rng.permutation(list(dict.fromkeys(items))).tolist()
        held = max(1, len(mixed) // 10)
        wanted[user] = set(mixed[:held])
        kept += [(user, item) for item in (mixed[held:][: given.few] if user in few else mixed[held:])]
    order = rng.permutation(len(kept)).tolist()
    walk: list[Any] = [
        Interaction(id=f"e{n}", timestamp=START + STEP * n, user=kept[place][0], item=kept[place][1], type="view")
        for n, place in enumerate(order)
    ]
    asked = {user.user: user for user in data.users if user.fields.get("follows")}
    out: dict[str, Any] = {"data": data.name, "people": len(had), "few": len(few), "follow": len(asked)}
    scores: dict[str, dict[str, list[float]]] = {}
    names = [user for user in had if user in asked]
    for system in ("without", "with"):
        people: list[Any] = [
            User(id=f"u-{user.user}", timestamp=START - 1, user=user.user,
                 fields={k: v for k, v in user.fields.items() if system == "with" or k != "follows"})
            for user in data.users
        ]  # fmt: skip
        settings = {"language": {"encoder": given.encoder}, "train": {"decisions": given.decisions}}
        with palate.open(":memory:", **settings) as engine:
            engine.ingest([*data.items, *people])
            for start in range(0, len(walk), 10_000):
                engine.ingest(walk[start : start + 10_000])
            engine.wait_encoded()
            for state in ("prior", "trained"):
                if state == "trained":
                    report = engine.train()
                    out[f"{system}.kind"] = report.kind
                now = START + STEP * len(walk)
                scores.setdefault(state, {})[system] = [
                    ndcg(engine.scored(RecommendRequest(user=user, k=10, seen="drop"), now)[0], wanted[user])
                    for user in names
                ]
    users = np.arange(len(names))
    which = np.array([user in few for user in names])
    for state, found in scores.items():
        for label, mask in (("few", which), ("many", ~which)):
            both = np.array([found["without"], found["with"]]).T[mask]
            least, most = by_user(both, users[mask])
            gain = paired(both[:, 1], both[:, 0], users[mask])
            out[f"{state}.{label}"] = {
                "people": int(mask.sum()),
                "without": [least.value, least.low, least.high],
                "with": [most.value, most.low, most.high],
                "gain": [gain.value, gain.low, gain.high],
            }
    sys.stdout.write(json.dumps(out, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
