"""``POST /v1/rank`` of three servers beside each other: the empty handler, the obvious implementation, Palate."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path
from typing import Any

import msgspec

from palate.bench.common import WARM, Bar, Figures, Plan, Say, middle, rankings, whole
from palate.bench.load import Served, closed, cores, server
from palate.bench.paced import Paced, paced
from palate.errors import Unavailable
from palate.types import Ranking

PREFIX = {"empty": "empty_", "obvious": "baseline_", "palate": ""}
_QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
_SHARE = 5
"""The obvious implementation gets that many times fewer requests: it takes as much longer."""


def rank(directory: Path, plan: Plan, obvious: bool, say: Say) -> Figures:
    """CPU, throughput and latency of the three, one after the other in rounds; the figure is the middle round's.

    All run on one core and the client on another, where there are two; whoever isn't asked sleeps.
    obvious: whether FastAPI is installed.
    """
    bodies = rankings(plan.base, max(plan.requests, WARM))
    kinds = [kind for kind in PREFIX if obvious or kind != "obvious"]
    each = max(WARM, plan.requests // plan.rounds)
    timed = [int(rate * plan.seconds) for rate in plan.rates]
    bar = Bar(say, "rank", len(kinds) * (WARM + each * plan.rounds * 2) + 2 * plan.rounds * sum(timed))
    found: Figures = {"rate_per_s": plan.rate}
    with contextlib.ExitStack() as running:
        served: dict[str, Served] = {}
        for kind in kinds:
            served[kind] = running.enter_context(server(kind, directory, cores()[0]))
            closed(served[kind], bodies[:WARM], 1, bar.tick)
            bar.ran(WARM)
            found[f"{PREFIX[kind]}answer_bytes"] = len(_answer(served[kind], bodies[0]))
        _check(_answer(served["palate"], bodies[0]))
        _throughput(served, bodies, each, plan.rounds, bar, found)
        found["memory_mb"] = round(served["palate"].memory() / 1e6, 1)
        runs: dict[str, list[list[Paced]]] = {"empty": [], "palate": []}
        for rate in plan.rates:
            for some in runs.values():
                some.append([])
            for _ in range(plan.rounds):
                for kind, some in runs.items():
                    some[-1].append(_paced(served[kind], bodies, rate, plan, bar))
    found["times_empty"] = round(found["cpu_us"] / found["empty_cpu_us"], 2)
    if obvious:
        found["times_less_than_baseline"] = round(found["baseline_cpu_us"] / found["cpu_us"], 2)
    _latency(runs, plan, found)
    bar.end()
    return found


def _throughput(
    served: dict[str, Served], bodies: list[bytes], each: int, rounds: int, bar: Bar, found: Figures
) -> None:
    """CPU a request with one request at a time, requests a second with eight."""
    alone: dict[str, list[float]] = {kind: [] for kind in served}
    crowd: dict[str, list[float]] = {kind: [] for kind in served}
    for place in range(rounds):
        some = (bodies[place * each :] + bodies)[:each]
        for kind, one in served.items():
            mine = some if kind != "obvious" else some[: max(WARM, each // _SHARE)]
            alone[kind].append(whole(closed(one, mine, 1, bar.tick), f"rank, {kind}").cpu_us)
            bar.ran(each)
            few = mine[: max(WARM, len(mine) // 3)]
            crowd[kind].append(whole(closed(one, few, 8, bar.tick), f"rank, {kind}").per_s)
            bar.ran(each)
    for kind in served:
        found[f"{PREFIX[kind]}cpu_us"] = round(middle(alone[kind]), 1)
        found[f"{PREFIX[kind]}per_s"] = round(middle(crowd[kind]), 1)


def _paced(served: Served, bodies: list[bytes], rate: float, plan: Plan, bar: Bar) -> Paced:
    count = int(rate * plan.seconds)
    some = (bodies * (count // len(bodies) + 1))[:count]
    run = paced(served, some, rate, tick=bar.tick)
    whole(run, f"rank at {rate:g}/s")
    bar.ran(count)
    return run


def _latency(runs: dict[str, list[list[Paced]]], plan: Plan, found: Figures) -> None:
    """Latency at each rate, at the reported one, and at the highest that Palate kept up with.

    runs: by kind, rate, round. client_late: of the client, which counts as latency. waited: a request, for the core.
    """
    table: list[dict[str, Any]] = []
    for place, rate in enumerate(plan.rates):
        row: dict[str, Any] = {"per_s": rate}
        for kind, by_rate in runs.items():
            mine = by_rate[place]
            row[f"{PREFIX[kind]}kept_up"] = sum(run.kept_up for run in mine) * 2 > len(mine)
            for name, quantile in _QUANTILES.items():
                row[f"{PREFIX[kind]}{name}"] = round(middle([run.ms(quantile) for run in mine]), 3)
        row["client_late_p99_ms"] = round(middle([run.late_ms(0.99) for run in runs["empty"][place]]), 3)
        row["waited_us"] = round(middle([run.waited_us for run in runs["palate"][place]]), 1)
        table.append(row)
    found |= {name: value for name, value in table[-1].items() if name != "per_s"}
    found["p99_times_empty"] = round(found["p99_ms"] / found["empty_p99_ms"], 2)
    steady = [row for row in table if row["kept_up"]]
    if steady:
        found |= {f"steady_{name}": value for name, value in steady[-1].items() if not name.endswith("kept_up")}
    found["latency"] = table


def _check(answer: bytes) -> None:
    """Errors: ``Unavailable`` where something that should be measured didn't take part."""
    told = msgspec.json.decode(answer, type=Ranking)
    if told.degraded or told.model == "prior":
        raise Unavailable(
            f"The ranking to be measured was by {told.model!r}, degraded by {told.degraded}: build its world anew."
        )


def _answer(served: Served, request: bytes) -> bytes:
    """The body of an answer."""
    line = http.client.HTTPConnection(served.host, served.port)
    with contextlib.closing(line):
        line.request("POST", "/v1/rank", request.partition(b"\r\n\r\n")[2], {"Content-Type": "application/json"})
        return line.getresponse().read()
