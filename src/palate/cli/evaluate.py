"""``palate evaluate``: Palate beside the baselines, on a data set's own future."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.data import DataOption, MappingOption
from palate.cli.messages import language, say
from palate.cli.target import existing
from palate.cli.translation import local
from palate.errors import InvalidInput
from palate.evaluate import Estimate, SeenMode, to_json


def evaluate(
    data: DataOption,
    mapping: MappingOption = None,
    seen: Annotated[
        str, typer.Option("--seen", metavar="drop|keep|both", help="Leave out what the user had before, or rank all.")
    ] = "both",
    test: Annotated[str, typer.Option("--test", metavar="N|all", help="How many test events are scored.")] = "2500",
    seed: Annotated[int, typer.Option("--seed", help="Draws the test events.")] = 1,
    system: Annotated[
        list[str] | None, typer.Option("--system", metavar="NAME", help="Only these systems; all when left out.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option("--dir", "-d", metavar="DIRECTORY", help="Also keep the reports in this engine.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the reports go; default: evaluation.")
    ] = None,
    ratings: Annotated[
        bool, typer.Option("--ratings", help="Judge the prediction of ratings instead, in five folds.")
    ] = False,
    cold_start: Annotated[
        bool, typer.Option("--cold-start", help="Judge what each way of knowing new people and items is worth.")
    ] = False,
    carried: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="With --cold-start: a map that `palate models carry --out` made."),
    ] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Judge Palate and the baselines: rank the full catalogue before every test event, then learn it.

    Split by time; baselines random, popular, recent popular, item-kNN and EASE; 95 % intervals. Writes JSON and HTML.

    [bold]Examples[/bold]

    palate evaluate --data movies

    palate evaluate --data ./events --seen drop --test all --json

    palate evaluate --data movies --ratings

    palate evaluate --data movies --cold-start

    palate evaluate --data movies --cold-start --map books.safetensors
    """
    from palate import datasets
    from palate.evaluate import evaluate as judge
    from palate.evaluate import report

    if directory is not None:
        existing(directory)
    if to is not None and to.exists() and not to.is_dir():
        raise InvalidInput(f"--out {to} is a file: name a folder for the reports.", "out")
    modes = _modes(seen)
    count = _count(test)
    out = Out(json_)
    if carried is not None and not cold_start:
        raise InvalidInput("--map is for --cold-start: name both, or neither.", "map")
    if ratings:
        if directory is not None or to is not None or system:
            raise InvalidInput("--ratings prints what it finds: leave out --dir, --out and --system.", "ratings")
        _ratings(out, data, mapping, seed)
        return
    if cold_start:
        if directory is not None or to is not None or system:
            raise InvalidInput("--cold-start prints what it finds: leave out --dir, --out and --system.", "cold-start")
        _cold_start(out, data, mapping, seed, carried)
        return
    with out.progress() as bars:
        dataset = datasets.load(data, mapping, bars)
        result = judge(dataset, seen=modes, test=count, seed=seed, systems=system or None, progress=bars)
    folders = [folder for folder in (to, directory and directory / "evaluation") if folder is not None]
    for folder in folders or [Path("evaluation")]:
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "latest.json", folder / "latest.html"
        write_whole(written[0], to_json(result))
        write_whole(written[1], report.render_html(result).encode())
        out.note(say("evaluated", json=written[0], html=written[1]))
    out.result(result)
    out.show(report.render_table(result, chinese=language() == "zh"), whole=True)
    for english, chinese in report.sentences(result):
        out.show(chinese if language() == "zh" else english)


def _ratings(out: Out, data: str, mapping: Path | None, seed: int) -> None:
    from palate import datasets
    from palate.evaluate.ratings import judge_ratings

    with out.progress() as bars:
        dataset = datasets.load(data, mapping, bars)
        result = judge_ratings(dataset.events, dataset.name, seed=seed, progress=bars)
    out.result(result)
    title = say("title.ratings", data=result.data, ratings=result.ratings, folds=result.folds)
    numbers = ("RMSE", "MAE", say("col.within"), say("col.seconds"))
    made = table(title, say("col.system"), *((name, "right") for name in numbers))
    for one in result.systems:
        within = "" if one.within is None else f"{one.within:.1%}"
        row(made, one.system, _interval(one.rmse), _interval(one.mae), within, f"{one.seconds:.1f}")
    out.show(made, whole=True)


def _cold_start(out: Out, data: str, mapping: Path | None, seed: int, file: Path | None) -> None:
    from palate import datasets
    from palate.config import Settings
    from palate.evaluate.cold import cold_start
    from palate.language import transfer

    carried = None if file is None else transfer.load(file, Settings().language.encoder)
    with out.progress() as bars:
        result = cold_start(datasets.load(data, mapping, bars), seed=seed, progress=bars, carried=carried)
    out.result(result)
    title = say("title.cold", data=result.data, people=result.new_people, items=result.new_items)
    numbers = (say("col.people"), say("col.with"), say("col.without"), say("col.gain"))
    made = table(title, say("col.known_by"), *((name, "right") for name in numbers))
    for one in result.rows:
        asked = (_interval(one.with_it), _interval(one.without), _interval(one.gain)) if one.people else ("", "", "")
        row(made, say(f"cold.{one.name}"), str(one.people), *asked)
    out.show(made, whole=True)
    for one in result.rows:
        if one.note:
            out.show(f"{say(f'cold.{one.name}')}: {local(one.note)}")


def _interval(found: Estimate) -> str:
    bounds = "" if found.low is None else f" [{found.low:.4f}, {found.high:.4f}]"
    return f"{found.value:.4f}{bounds}"


def _modes(seen: str) -> list[SeenMode]:
    found: dict[str, list[SeenMode]] = {"drop": ["drop"], "keep": ["keep"], "both": ["drop", "keep"]}
    if seen not in found:
        raise InvalidInput(f"--seen {seen!r} is unknown: use drop, keep or both.", "seen")
    return found[seen]


def _count(test: str) -> int | Literal["all"]:
    if test == "all":
        return "all"
    if not (test.isascii() and test.isdigit() and int(test) > 0):
        raise InvalidInput(f"--test {test!r} is neither 'all' nor a number of events above 0.", "test")
    return int(test)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
