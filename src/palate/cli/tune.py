"""``palate tune``: a bounded search for settings that rank better on the validation window."""

from __future__ import annotations

import difflib
from typing import Annotated

import msgspec
import typer

from palate.cli import settings_file
from palate.cli.console import JsonOption, LangOption, Out, number, row, table
from palate.cli.messages import say
from palate.cli.models import interval
from palate.cli.target import DEFAULT_DIR, DirOption, engine_of
from palate.train.tune import Tuned, tune


class _Answer(msgspec.Struct):
    """What ``--json`` prints: what was found, the lines that change in palate.toml, and whether they were written."""

    found: Tuned
    diff: str
    written: bool


def tune_(
    directory: DirOption = DEFAULT_DIR,
    trials: Annotated[
        int, typer.Option("--trials", min=1, max=100_000, help="How many in all, those of an earlier run counted.")
    ] = 40,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="After which no further trial begins.")
    ] = None,
    replays: Annotated[
        bool, typer.Option("--replays", help="Also settings for which the history is replayed again: slower.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of the trials.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Put what was found into palate.toml.")] = False,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Search for training settings that rank better on the validation window; nothing changes without --write.

    One half of that window chooses, the other says what was gained. Stopped at any moment, the next run goes on.

    [bold]Examples[/bold]

    palate tune --trials 30 --minutes 20

    palate tune --write
    """
    out = Out(json_)
    with engine_of(directory) as engine:
        log = engine.parts.decisions.log
        if log is not None:
            log.flush()
        live = () if log is None else log.read()
        with out.progress() as bars:
            found = tune(
                engine.parts.store, engine.settings, engine.parts.cache, live, directory / "tune", trials,
                minutes, replays, seed, bars, engine.state.dead,
            )  # fmt: skip
        path = directory / settings_file.NAME
        before = settings_file.read(path)
        after = settings_file.with_values(before, found.settings) if found.settings else before
        if write and found.settings:
            settings_file.write(path, after)
    changes = difflib.unified_diff(
        before.splitlines(), after.splitlines(), settings_file.NAME, settings_file.NAME, n=1, lineterm=""
    )
    diff = "\n".join(changes)
    out.result(_Answer(found, diff, write and bool(found.settings)))
    _show(out, found, diff, write)


def _show(out: Out, found: Tuned, diff: str, written: bool) -> None:
    if found.resumed:
        out.say("tune.resumed", resumed=found.resumed)
    out.say("tune.done", trials=found.trials, seconds=found.seconds)
    made = table("", say("col.what"), (say("col.value"), "right"))
    row(made, say("tune.before"), number(found.before))
    row(made, say("tune.after"), number(found.after))
    row(made, say("tune.gain"), interval(found.gain))
    out.show(made)
    if not found.settings:
        out.say("tune.nothing")
        return
    out.show(diff)
    out.say("tune.written" if written else "tune.unwritten")
