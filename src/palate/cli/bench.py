"""``palate bench``: what a request costs on this machine, against the empty handler and the obvious implementation."""

from __future__ import annotations

import importlib.util
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.text import Text

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import MESSAGES, language, say
from palate.errors import InvalidInput

_NUMBER = re.compile(r"(?<=\.)\d+[km]?(?=[._])")
_UNITS = (
    ("per_s", "/s"),
    ("_us", " µs"),
    ("_ms", " ms"),
    ("_mb", " MB"),
    ("_bytes", " B"),
    ("_s", " s"),
    ("seconds", " s"),
)


def bench(
    only: Annotated[
        str | None, typer.Option("--only", metavar="SECTION[,SECTION]", help="These sections; all when left out.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small and short, some minutes: to see that it works, not how fast.")
    ] = False,
    items: Annotated[
        int | None, typer.Option("--items", min=1000, help="Of the catalogue that is made up; default 100000.")
    ] = None,
    users: Annotated[
        int | None, typer.Option("--users", min=100, help="Of the people that are made up; default 10000.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--requests", min=300, help="Requests of each kind; default 9000.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=4, help="Rankings a second when latency is measured; default 1000."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIRECTORY", help="Keep the made-up worlds there, for the next run to use."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Also draw the figures into this HTML file.")
    ] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Measure real servers over loopback: CPU a request from the process tree, latency from the time it was due.

    The sections are rank, mixed, events, workers, recommend, trees, memory, rebuild, start, train and scale.

    The figures of one run compare; those of two machines, or of a busy one, don't.

    [bold]Examples[/bold]

    palate bench --only rank,trees

    palate bench --keep worlds --plot bench.html --json
    """
    from palate.bench import goals, worlds
    from palate.bench import plot as plots
    from palate.bench.common import plan
    from palate.bench.run import SECTIONS, run

    wanted = SECTIONS if only is None else tuple(name.strip() for name in only.split(","))
    for name in wanted:
        if name not in SECTIONS:
            raise InvalidInput(f"There is no benchmark {name!r}: choose among {', '.join(SECTIONS)}.", "--only")
    if plot is not None:
        plots.check(plot)
    out = Out(json_)
    obvious = importlib.util.find_spec("fastapi") is not None
    with ExitStack() as leaving:
        # Whoever is told to end still ends the servers that it began, and removes what it made.
        leaving.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _leave))
        root = keep or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="palate-bench-")))
        root.mkdir(parents=True, exist_ok=True)
        bars = leaving.enter_context(out.progress())
        kept = worlds.Worlds(root, keep is not None)
        found = run(plan(items, users, count, rate, quick), wanted, kept, obvious, bars)
    remarks = goals.remarks(found, quick)
    found["remarks"] = [MESSAGES[key][0].format(**values) for key, values in remarks]
    if not json_:
        _show(out, found)
        out.say("bench.machine", **found["machine"])
        for key, values in remarks:
            out.say(key, **values)
    if plot is not None:
        plots.write(found, [_goal(plots.Row, goal) for goal in found["goals"]], plot)
        out.say("bench.plotted", file=plot)
    out.result(found)


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _show(out: Out, found: dict[str, Any]) -> None:
    judged = {goal["goal"]: goal for goal in found["goals"]}
    shown = table(
        say("title.bench"), say("col.what"), (say("col.value"), "right"), (say("col.goal"), "right"), say("col.met")
    )
    for name, value in flat(found):
        text = named(name, 0 if language() == "en" else 1)
        if text is None:
            continue
        goal = judged.get(name)
        cells: list[str | Text] = [text, measured(name, value)]
        if goal is not None:
            cells.append(limit(goal))
            cells.append(Text("✓", "green") if goal["met"] else Text("✗", "red"))
        row(shown, *cells)
    out.show(shown, whole=True)


def _goal(make: Callable[[str, str, str, str, bool], Any], goal: dict[str, Any]) -> Any:
    """A goal in both languages, for the plot."""
    name = goal["goal"]
    english, chinese = (named(name, at) or name for at in (0, 1))
    return make(english, chinese, measured(name, goal["measured"]), limit(goal), goal["met"])


def flat(found: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure by its full name."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from flat(cast("dict[str, Any]", value), f"{above}{name}.")
        else:
            yield above + name, value


def named(name: str, at: int) -> str | None:
    """What people call a figure, in English (0) or Chinese (1); None where it is for machines alone."""
    number = _NUMBER.search(name)
    texts = MESSAGES.get(f"figure.{_NUMBER.sub('N', name)}")
    return None if texts is None else texts[at].format(n=number[0] if number else "")


def measured(name: str, value: float) -> str:
    """A figure with its unit, which its name ends in."""
    unit = _unit(name)
    if unit in ("/s", " µs", " B", " MB"):
        return f"{value:,.0f}{unit}" if value >= 100 else f"{value:,.1f}{unit}"
    return f"{value:,.2f}{unit}" if unit else f"{value:g}"


def limit(goal: dict[str, Any]) -> str:
    """What a goal asks for, with its unit."""
    return say(f"bench.{goal['rule']}", limit=f"{goal['limit']:,g}{_unit(goal['goal'])}")


def _unit(name: str) -> str:
    found = next((unit for end, unit in _UNITS if name.endswith(end)), "")
    return found or (" ×" if "times" in name or "growth" in name else "")
