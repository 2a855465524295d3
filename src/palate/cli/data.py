"""``palate import``, ``palate export`` and ``palate rebuild``: events in, out, and folded again."""

from __future__ import annotations

import os
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from palate.cli.console import Bars, JsonOption, LangOption, Out, peak_memory_mb
from palate.cli.target import DEFAULT_DIR, DirOption, engine_of
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
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Write the whole event log as NDJSON, one event a line, in log order; `palate import` reads it back.

    [bold]Examples[/bold]

    palate export --out events.ndjson

    palate export | head
    """
    out = Out(json_)
    if file is not None and (file.is_dir() or not file.name):
        raise InvalidInput(f"--out {file} is a folder: name the file to write, such as events.ndjson.", "out")
    with engine_of(directory) as engine:
        total = engine.counts().events
        encoder = msgspec.json.Encoder()
        if file is None:
            for event in engine.export():
                sys.stdout.buffer.write(encoder.encode(event) + b"\n")
            sys.stdout.buffer.flush()
            return
        # A pipe or a device is written to; a file is replaced once all is there, also where a link leads to it.
        plain = not file.exists() or file.is_file()
        final = file.resolve() if file.is_symlink() else file
        partial = final.with_name(final.name + ".partial") if plain else final
        count = 0
        try:
            with out.progress() as bars, partial.open("wb") as stream:
                for event in engine.export():
                    stream.write(encoder.encode(event) + b"\n")
                    count += 1
                    if count % 10_000 == 0:
                        bars("export", count, total)
                stream.flush()
                if plain:
                    os.fsync(stream.fileno())
            if plain:
                partial.replace(final)
        finally:
            if plain:
                partial.unlink(missing_ok=True)
    out.result({"events": count, "file": str(file)})
    out.say("exported", events=count, file=file)


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
