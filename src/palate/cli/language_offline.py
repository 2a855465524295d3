"""``palate language summarise`` and ``teach``: what a generator does at night, within a budget, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from palate.cli.console import JsonOption, LangOption, Out
from palate.cli.target import DEFAULT_DIR, DirOption, existing
from palate.config import Settings
from palate.errors import ConfigError
from palate.language import make_generator
from palate.language.offline import Book, Cost, Task, ask_all, key_of, sentence_of

SENTENCES = "summaries.jsonl"
ORDERS = "teacher.jsonl"

Tokens = Annotated[
    int, typer.Option("--tokens", min=0, help="To use at most, in and out; 0: as many as it takes, or the day has.")
]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, max=3600.0, help="To wait for one answer.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="Of what isn't known yet, so many; 0: all.")]


def summarise_(
    directory: DirOption = DEFAULT_DIR,
    tokens: Tokens = 0,
    limit: Limit = 0,
    seconds: Seconds = 60.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Have the configured generator say of every item in a sentence what it is; a stop costs nothing that was said.

    [bold]Examples[/bold]

    palate language summarise --tokens 200000
    """
    import palate

    out = Out(json_)
    path = existing(directory)
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


def _run(
    out: Out, settings: Settings, tasks: Sequence[Task], file: Path, tokens: int, limit: int, seconds: float, then: str
) -> None:
    if settings.language.generator.kind == "none":
        raise ConfigError("There is no generator: set language.generator.kind in palate.toml.", "language.generator")
    generator = make_generator(settings.language.generator)
    book = Book(file)
    if limit:
        known = book.read()
        new = [task.key for task in tasks if task.key not in known][:limit]
        tasks = [task for task in tasks if task.key in known or task.key in set(new)]
    try:
        generator.warm()
        with out.progress() as bars:
            told = ask_all(tasks, generator, book, tokens, seconds, settings.language.generator.concurrency, bars)
    finally:
        generator.close()
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
