"""What topics and keywords of a catalogue's texts are worth as tags: rankings with and without them, on validation.

    python -m benchmarks.taxonomy EVENTS.ndjson --topics 32

EVENTS holds items and interactions as on the wire. The last tenth of the interactions, the test window, is left out
altogether; what is judged is the tenth before. The taxonomy is fitted on the items' texts alone, which know nothing
of what people did. Each run trains Palate once; a run takes minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from palate.config import load
from palate.content import annotate, taxonomy
from palate.content.text import item_text
from palate.evaluate import evaluate, to_json

Event = dict[str, Any]


def tagged(items: Sequence[Event], topics: int, reader: annotate.Reader, keywords: int) -> list[Event]:
    """The items with their topics (shares of .25 or more, two at most) and ``keywords`` as fields."""
    texts = [item_text(item["fields"]) for item in items]
    found = taxonomy.fit(texts, reader, topics)
    weights = found.weights(list(reader.read(texts)))
    shares, names, words = found.shares(weights), found.names(), found.keywords(weights, keywords)
    out: list[Event] = []
    for item, share, mine in zip(items, shares, words, strict=True):
        best = [names[n] for n in (-share).argsort(kind="stable")[:2] if share[n] >= 0.25]
        more = {"topics": best, "keywords": mine} if keywords else {"topics": best}
        out.append({**item, "fields": {**item["fields"], **{name: value for name, value in more.items() if value}}})
    return out


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=Path)
    parser.add_argument("--topics", type=int, default=32)
    parser.add_argument("--keywords", type=int, default=2)
    parser.add_argument("--test", type=int, default=800)
    parser.add_argument("--plain", action="store_true", help="read words alone, whatever is installed")
    options = parser.parse_args(arguments)
    events = [json.loads(line) for line in options.events.read_text(encoding="utf-8").splitlines()]
    items = [event for event in events if event["event"] == "item"]
    done = sorted((event for event in events if event["event"] == "interaction"), key=lambda one: one["timestamp"])
    done = done[: len(done) * 9 // 10]
    reader = annotate.PlainReader() if options.plain else annotate.reader()
    settings = load(None, {"train": {"towers": ["factors"], "decisions": 3000, "people": "off"}})
    runs = {"without": list(items), "topics": tagged(items, options.topics, reader, 0)}
    if options.keywords:
        runs["topics and keywords"] = tagged(items, options.topics, reader, options.keywords)
    for name, some in runs.items():
        result = evaluate([*some, *done], seen=["drop"], test=options.test, systems=["palate"], settings=settings)
        data = json.loads(to_json(result))
        sys.stdout.write(json.dumps({"run": name, "reader": reader.name, "result": data["systems"]}) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
