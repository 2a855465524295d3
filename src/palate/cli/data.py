"""``palate import``, ``palate export`` and ``palate rebuild``: events in, out, and folded again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from palate.cli.console import Bars, JsonOption, LangOption, Out, peak_memory_mb
from palate.cli.target import DEFAULT_DIR, DirOption, engine_of, target
from palate.cli.translation import local
from palate.errors import InvalidInput

if TYPE_CHECKING:
    from palate.datasets import Dataset
    from palate.engine import Engine

DataOption = Annotated[
    str, typer.Option("--data", metavar="movies|grocery|PATH", help="A data set by name, or a folder or file.")
]
MappingOption = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE.toml", help="Which columns of a folder mean what.")
]


def import_(
    data: DataOption,
    mapping: MappingOption = None,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Import a data set or a folder of CSV, NDJSON or Parquet, and report on its rows.

    Importing the same data twice changes nothing: every row has an id of its own.

    [bold]Examples[/bold]

    palate import --data movies

    palate import --data ./export --mapping columns.toml --dir shop.palate
    """
    from palate import datasets

    out = Out(json_)
    with out.progress() as bars:
        dataset = datasets.load(data, mapping, bars)
        with engine_of(directory, create=True, instead="; or send the events to {url}/v1/events") as engine:
            totals = feed(engine, dataset, bars)
    out.result({"report": dataset.report.to_dict(), **totals})
    for line in dataset.report.sentences():
        out.show(local(line))
    out.say(
        "imported",
        accepted=totals["accepted"],
        duplicates=totals["duplicates"],
        rejected=totals["rejected"],
        seconds=totals["seconds"],
        rate=totals["events_per_second"],
        memory=totals["peak_memory_mb"],
    )


def feed(engine: Engine, dataset: Dataset, bars: Bars) -> dict[str, Any]:
    """Ingest a whole data set; returns counts, seconds, rate, peak memory, first rejections."""
    started = time.perf_counter()
    total = len(dataset)
    bars("import", 0, total)
    result = engine.ingest(chain.from_iterable(dataset.stream()), lambda done: bars("import", done, total))
    seconds = time.perf_counter() - started
    return {
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "rejected": len(result.rejected),
        "rejections": [f"event {bad.index}: {bad.error}" for bad in result.rejected[:20]],
        "seq": result.seq,
        "seconds": round(seconds, 3),
        "events_per_second": round(total / max(seconds, 1e-9), 1),
        "peak_memory_mb": round(peak_memory_mb(), 1),
    }


def export(
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; stdout when left out.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="Everything that is kept of one user instead of the log.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Everything that is kept of one anonymous session.")
    ] = None,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Write the whole event log as NDJSON, one event a line, in log order; `palate import` reads it back.

    With --user or --session: all that is kept of one person, from every table: profile, state, events, decisions.

    [bold]Examples[/bold]

    palate export --out events.ndjson

    palate export | head

    palate export --user u1 --out u1.ndjson
    """
    out = Out(json_)
    if file is not None and (file.is_dir() or not file.name):
        raise InvalidInput(f"--out {file} is a folder: name the file to write, such as events.ndjson.", "out")
    if file is not None and not file.parent.is_dir():
        raise InvalidInput(f"--out {file}: there is no folder {file.parent}.", "out")
    if user is not None or session is not None:
        _not_both(user, session)
        with target(directory) as asked:
            _written(asked.export_user(user, session), file, None, out)
        return
    with engine_of(directory) as engine:
        _written(engine.export(), file, engine.counts().events, out)


def _written(rows: Iterable[object], file: Path | None, total: int | None, out: Out) -> None:
    """Rows as NDJSON into ``file``, or to stdout. total: how many there are, where that is known."""
    encoder = msgspec.json.Encoder()
    if file is None:
        for row in rows:
            sys.stdout.buffer.write(encoder.encode(row) + b"\n")
        sys.stdout.buffer.flush()
        return
    # A pipe or a device is written to; a file is replaced once all is there, also where a link leads to it.
    plain = not file.exists() or file.is_file()
    final = file.resolve() if file.is_symlink() else file
    partial = final.with_name(final.name + ".partial") if plain else final
    count = 0
    try:
        with out.progress() as bars, partial.open("wb") as stream:
            for row in rows:
                stream.write(encoder.encode(row) + b"\n")
                count += 1
                if total is not None and count % 10_000 == 0:
                    bars("export", count, total)
            stream.flush()
            if plain:
                os.fsync(stream.fileno())
        if plain:
            partial.replace(final)
    finally:
        if plain:
            partial.unlink(missing_ok=True)
    out.result({"events" if total is not None else "rows": count, "file": str(file)})
    out.say("exported" if total is not None else "exported_user", events=count, file=file)


def _not_both(user: str | None, session: str | None) -> None:
    if user is not None and session is not None:
        raise InvalidInput("Name a user or a session, not both: what either did is kept apart.", "--session")


def forget(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="The user's id.")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="An anonymous session instead of a user.")
    ] = None,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Erase a person: from the log, the decisions, the snapshots and the state, as if they had never been there.

    They are unknown at once; a service erases them in the background. The next model is trained without them.

    [bold]Examples[/bold]

    palate forget u1 --dir shop.palate

    palate forget --session s1
    """
    out = Out(json_)
    _not_both(user, session)
    name = session if session is not None else user
    if name is None:
        raise InvalidInput("Neither a user nor a session is named: palate forget u1, or --session s1.", "USER")
    with target(directory) as asked:
        done = asked.forget(user, session)
    out.result(msgspec.to_builtins(done))
    out.say("forgotten" if done.state == "erased" else "forgetting", user=name)


def rebuild(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Fold the state again from the log, compare its digest with the state in use, and keep the rebuilt one.

    The exit code is 1 when they differed.

    [bold]Examples[/bold]

    palate rebuild --dir shop.palate --json
    """
    out = Out(json_)
    with engine_of(directory) as engine, out.progress() as bars:
        found = engine.rebuild(progress=bars)
    out.result(found)
    key = "rebuilt" if found["equal"] else "rebuilt_differs"
    out.say(key, events=found["events"], seconds=found["seconds"])
    if not found["equal"]:
        raise typer.Exit(1)
