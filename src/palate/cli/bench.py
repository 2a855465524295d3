"""``palate bench``: what a request costs on this machine, against the empty handler and the obvious implementation."""

from __future__ import annotations

import importlib.util
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import say
from palate.errors import InvalidInput

SECTIONS = ("rank", "events", "recommend", "trees", "rebuild")


def bench(
    sections: Annotated[
        list[str] | None, typer.Argument(metavar="[rank|events|recommend|trees|rebuild]...", help="All by default.")
    ] = None,
    items: Annotated[int, typer.Option("--items", min=1000, help="Of the catalogue that is made up.")] = 100_000,
    users: Annotated[int, typer.Option("--users", min=100, help="Of the people that are made up.")] = 10_000,
    count: Annotated[int, typer.Option("--requests", min=500, help="Requests of each kind.")] = 10_000,
    rate: Annotated[float, typer.Option("--rate", min=1, help="Rankings a second when latency is measured.")] = 1000.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Measure real servers over loopback: CPU a request from the process tree, latency from the time it was due.

    The figures of one run compare; those of two machines, or of a busy one, don't.

    [bold]Examples[/bold]

    palate bench rank

    palate bench --items 1000000 recommend --json
    """
    wanted = list(sections or SECTIONS)
    for name in wanted:
        if name not in SECTIONS:
            raise InvalidInput(f"There is no benchmark {name!r}: choose among {', '.join(SECTIONS)}.", "sections")
    out = Out(json_)
    from palate.bench import sections as measure
    from palate.bench import world

    obvious = importlib.util.find_spec("fastapi") is not None
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="palate-bench-") as place, out.progress() as bars:
        directory = Path(place) / "bench.palate"
        world.build(directory, items, users, 300, 31, bars)
        if "rank" in wanted:
            found["rank"] = measure.rank(directory, items, users, count, rate, obvious, bars)
        if "events" in wanted:
            found["events"] = measure.events(directory, items, users, count, bars)
        if "recommend" in wanted:
            found["recommend"] = measure.recommend(directory, items, users, max(100, count // 20), bars)
        if "trees" in wanted:
            found["trees"] = measure.trees(directory, items, users, bars)
        if "rebuild" in wanted:
            found["rebuild"] = measure.rebuild(directory, bars)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "processor": platform.machine()}
    answer = {"machine": machine, "items": items, "users": users, **found}
    if not json_:
        shown = table(say("title.bench"), say("col.what"), (say("col.value"), "right"))
        for section, figures in found.items():
            for name, value in figures.items():
                row(shown, f"{section}.{name}", f"{value:,g}")
        out.show(shown)
        if "rank" in found and not obvious:
            out.say("bench.obvious")
    out.result(answer)
