"""Read your writes over HTTP: an event posted is visible in the very next ranking, in every try.

    python -m benchmarks.read_your_writes --tries 10000 --connections 8

Each try: rank some candidates for somebody, post a click of theirs on another item, rank again at once. It counts as
visible when ``as_of`` reaches the event's ``seq``, as moved when the score of a candidate related to the clicked item
changed, and as named when the explanation of that candidate's score cites the event by its id (scores also move with
the clock; this one moved because of the event). Prints one line of JSON; the exit status is 0 only if all three hold
in every try.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.connection import Connection

KINDS = ("tea", "wine", "bread", "cheese", "olive", "pasta", "rice", "honey")
ITEMS = 400
USERS = 200
SERVICE = """
import sys
from palate.serve import serve
serve(sys.argv[1], port=0, announce=lambda url: print(url, flush=True))
"""


@dataclass
class Tally:
    """What was counted."""

    tries: int = 0
    visible: int = 0
    moved: int = 0
    named: int = 0
    failures: list[str] = field(default_factory=list)
    event_ms: list[float] = field(default_factory=list)
    rank_ms: list[float] = field(default_factory=list)


def world() -> list[dict[str, Any]]:
    """A shop of ``ITEMS`` items in as many kinds as there are, and people who each keep to one kind."""
    start = int(time.time() * 1000) - 20 * 86_400_000
    kinds = len(KINDS)
    events: list[dict[str, Any]] = [
        {
            "event": "item",
            "id": f"i{n}",
            "timestamp": start,
            "item": f"{KINDS[n % kinds]}-{n}",
            "fields": {"title": f"{KINDS[n % kinds]} number {n}", "category": KINDS[n % kinds]},
        }
        for n in range(ITEMS)
    ]
    for user in range(USERS):
        for step in range(20):
            number = (user + kinds * (step * 7 + user * 3)) % ITEMS
            events.append(
                {
                    "event": "interaction",
                    "id": f"e{user}-{step}",
                    "timestamp": start + step * 86_400_000 // 2 + user * 1000,
                    "user": f"known{user}",
                    "item": f"{KINDS[number % kinds]}-{number}",
                }
            )
    return events


async def one(connection: Connection, number: int, tally: Tally) -> None:
    """One try."""
    kinds = len(KINDS)
    kind = KINDS[number % kinds]
    clicked = f"{kind}-{(number * kinds + number % kinds) % ITEMS}"
    related = f"{kind}-{((number + 1) * kinds + number % kinds) % ITEMS}"
    # People come back: every third try is somebody's second click.
    user = f"visitor{number - number % 3}"
    others = [f"{KINDS[n % kinds]}-{n}" for n in range(number % 50, number % 50 + 30)]
    candidates = [related, *(item for item in others if item not in (related, clicked))]
    request = {"user": user, "items": candidates}
    event = {"event": "interaction", "id": f"try-{number}", "user": user, "item": clicked}

    before = await connection.post("/v1/rank", request)
    started = time.perf_counter()
    posted = await connection.post("/v1/events", event)
    between = time.perf_counter()
    after = await connection.post("/v1/rank", request)
    ended = time.perf_counter()
    path = f"/v1/explain/{after.json().get('ranking')}/{related}"
    why = await connection.request("GET", path)

    tally.tries += 1
    tally.event_ms.append((between - started) * 1000)
    tally.rank_ms.append((ended - between) * 1000)
    statuses = [reply.status for reply in (before, posted, after, why)]
    if statuses != [200] * 4:
        tally.failures.append(f"try {number}: statuses {statuses}")
        return
    ranking, seq = after.json(), posted.json()["seq"]
    old, new = _item(before.json(), related)["score"], _item(ranking, related)["score"]
    cited = {source.get("id") for part in why.json()["contributions"] for source in part.get("sources", [])}
    visible, moved, named = ranking["as_of"] >= seq, old != new, event["id"] in cited
    tally.visible += visible
    tally.moved += moved
    tally.named += named
    if not (visible and moved and named) and len(tally.failures) < 10:
        tally.failures.append(f"try {number}: as_of {ranking['as_of']}, seq {seq}, {old} → {new}, cited {cited}")


def _item(ranking: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in ranking["items"] if item["id"] == name)


async def run(url: str, tries: int, connections: int, first: int = 0) -> Tally:
    """``tries`` tries, shared by ``connections`` connections at once."""
    tally = Tally()
    numbers = iter(range(first, first + tries))

    async def worker() -> None:
        connection = Connection(url)
        for number in numbers:
            await one(connection, number, tally)
        await connection.close()

    await asyncio.gather(*(worker() for _ in range(connections)))
    return tally


async def fill(url: str) -> None:
    """Send the world to a service."""
    connection = Connection(url)
    reply = await connection.post("/v1/events", world())
    await connection.close()
    if reply.status != 200:
        raise SystemExit(f"The service refused the events: {reply.body[:500]!r}")


def main() -> None:
    """Start a service over a new directory, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    environ = os.environ | {"PALATE_LANGUAGE__ENCODER": "hashing"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SERVICE, str(Path(folder) / "shop.palate")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            asyncio.run(fill(url))
            started = time.perf_counter()
            tally = asyncio.run(run(url, options.tries, options.connections))
            seconds = time.perf_counter() - started
            process.terminate()
            status = process.wait(60)
    result = {
        "tries": tally.tries,
        "connections": options.connections,
        "visible": tally.visible,
        "moved": tally.moved,
        "named": tally.named,
        "seconds": round(seconds, 2),
        "event_ms": _percentiles(tally.event_ms),
        "rank_ms": _percentiles(tally.rank_ms),
        "exit": status,
        "failures": tally.failures,
    }
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    raise SystemExit(
        0 if tally.visible == tally.moved == tally.named == tally.tries == options.tries and status == 0 else 1
    )


def _percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3)}


if __name__ == "__main__":
    main()
