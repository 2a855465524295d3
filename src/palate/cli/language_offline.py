"""``palate language summarise`` and ``teach``: what a generator does at night, within a budget, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out
from palate.cli.language_generators import on_this_machine
from palate.cli.messages import say
from palate.cli.profiles import profiles_of
from palate.cli.target import DEFAULT_DIR, DirOption, existing
from palate.config import Settings, load
from palate.errors import ConfigError
from palate.language import Generator, make_generator
from palate.language.offline import Book, Cost, Keeper, Task, ask_all, keep_run, key_of, sentence_of
from palate.settings import GeneratorSettings

SENTENCES = "summaries.jsonl"
ORDERS = "teacher.jsonl"
_LISTED = 1000
"""People who are looked at, the most active ones: as many as a service lists."""


class Portrayed(msgspec.Struct):
    """What ``--people --json`` prints. said: how many texts were ``written``, and why others were refused."""

    cost: Cost
    said: dict[str, int]


Tokens = Annotated[
    int, typer.Option("--tokens", min=0, help="To use at most, in and out; 0: as many as it takes, or the day has.")
]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, max=3600.0, help="To wait for one answer.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Of what isn't known yet, so many; 0: all.")]


def summarise_(
    people: Annotated[
        bool, typer.Option("--people", help="Of people instead: what each likes, for their own profile.")
    ] = False,
    least: Annotated[int, typer.Option("--least", min=1, help="Interactions that somebody must have.")] = 5,
    share: Annotated[
        bool, typer.Option("--share", help="Let what people had go to a server that isn't this machine.")
    ] = False,
    directory: DirOption = DEFAULT_DIR,
    tokens: Tokens = 0,
    limit: Limit = 0,
    seconds: Seconds = 60.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Have the configured generator say of every item in a sentence what it is; a stop costs nothing that was said.

    With --people it says what each person likes, in their language, the most active first; the text is kept like any
    other field of theirs, and is gone when they are. A service may be running.

    [bold]Examples[/bold]

    palate language summarise --tokens 200000

    palate language summarise --people --limit 100
    """
    import palate

    out = Out(json_)
    path = existing(directory)
    if people:
        _people(out, path, least, share, tokens, limit, seconds)
        return
    with palate.open(path, until=1 << 62, language={"summaries": ""}) as engine:
        settings = engine.settings
        rows = range(engine.state.n_items)
        texts = {engine.catalogue.text(row) for row in rows if engine.state.alive[row]} - {""}
        tasks = [sentence_of(text) for text in sorted(texts, key=key_of)]
    _run(out, settings, tasks, path / "language" / SENTENCES, tokens, limit, seconds, "language.sentences")


def teach_(
    directory: DirOption = DEFAULT_DIR,
    tokens: Tokens = 0,
    limit: Limit = 0,
    seconds: Seconds = 60.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Have the configured generator order logged lists as their people should have seen them, for training to learn
    from.

    [bold]Examples[/bold]

    palate language teach --limit 500
    """
    import palate
    from palate.store.decisions import DecisionLog
    from palate.teaching import lists

    out = Out(json_)
    path = existing(directory)
    with palate.open(path, until=1 << 62) as engine:
        settings = engine.settings
        log = DecisionLog(path / "decisions", settings.decisions, read_only=True)
        try:
            tasks = lists(engine.line, engine.catalogue, log.read())
        finally:
            log.close()
    _run(out, settings, tasks, path / "language" / ORDERS, tokens, limit, seconds, "language.orders")


def _people(out: Out, path: Path, least: int, share: bool, tokens: int, limit: int, seconds: float) -> None:
    from palate.summarising import People, due, task_of

    settings = load(path)
    chosen = settings.language.generator
    generator = _generator(settings)
    if not share and not on_this_machine(chosen):
        host = urlsplit(chosen.base_url).hostname
        raise ConfigError(
            f"Titles and tags of what people had would go to {host}, without their ids. Say --share if they may.",
            "--share",
        )
    with profiles_of(path) as place:
        found: list[Any] = []
        with out.progress() as bars:
            names = place.people(_LISTED)
            for done, name in enumerate(names, 1):
                now = place.now()
                one = due(place.profile(name), generator.name, least, now)
                found += [] if one is None else [one]
                bars("reading profiles", done, len(names))
                if limit and len(found) >= limit:
                    break
        book = People(found, place.profile, place.send)
        told = _ask(out, generator, [task_of(one) for one in found], book, chosen, tokens, seconds)
    keep_run(path, "people", told, generator.name)
    out.result(Portrayed(told, dict(sorted(book.said.items()))))
    _tell(out, told)
    refused = {name: count for name, count in sorted(book.said.items()) if name != "written"}
    out.say("language.people", written=book.said["written"], refused=sum(refused.values()))
    if refused:
        out.note(", ".join(f"{say(f'language.refused.{name}')}: {count}" for name, count in refused.items()))


def _generator(settings: Settings) -> Generator:
    if settings.language.generator.kind == "none":
        raise ConfigError("There is no generator: set language.generator.kind in palate.toml.", "language.generator")
    return make_generator(settings.language.generator)


def _ask(
    out: Out, generator: Generator, tasks: Sequence[Task], book: Keeper, chosen: GeneratorSettings, tokens: int,
    seconds: float,
) -> Cost:  # fmt: skip
    try:
        generator.warm()
        with out.progress() as bars:
            return ask_all(tasks, generator, book, tokens, seconds, chosen.concurrency, bars)
    finally:
        generator.close()


def _run(
    out: Out, settings: Settings, tasks: Sequence[Task], file: Path, tokens: int, limit: int, seconds: float, then: str
) -> None:
    generator, book = _generator(settings), Book(file)
    if limit:
        known = book.read()
        new = {task.key for task in [task for task in tasks if task.key not in known][:limit]}
        tasks = [task for task in tasks if task.key in known or task.key in new]
    told = _ask(out, generator, tasks, book, settings.language.generator, tokens, seconds)
    keep_run(file.parent.parent, "items" if file.name == SENTENCES else "teacher", told, generator.name)
    out.result(told)
    _tell(out, told)
    out.say(then, path=str(file.resolve()))


def _tell(out: Out, told: Cost) -> None:
    out.say(
        "language.cost", answered=told.answered, asked=told.asked, kept=told.kept, failed=told.failed,
        tokens=told.tokens_in + told.tokens_out, seconds=told.seconds, cost=told.cost,
    )  # fmt: skip
    if told.stopped:
        out.say("language.stopped", why=told.stopped)
