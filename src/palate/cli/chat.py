"""``palate chat``: a conversation in the terminal, or a turn a line for scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Annotated

import typer

from palate.chat.answer import ChatAnswer, ChatRequest
from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import language, say
from palate.cli.ranking import SessionOption, reason_text
from palate.cli.target import DEFAULT_DIR, DirOption, Target, target
from palate.cli.translation import word
from palate.errors import InvalidInput, PalateError


def chat(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT…", help="What to say; left out, every line of the input is a turn."),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", help="For whom; else --session, else the session `terminal`.")
    ] = None,
    session: SessionOption = None,
    k: Annotated[int, typer.Option("-k", help="How many to return.")] = 5,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Say in words what you want: it becomes wishes that the very next ranking obeys.

    A refused line of the input has an error in its answer's place, and the others are answered; exit code 2.

    [bold]Examples[/bold]

    palate chat -u 42 "less horror, more like Arrival, under two hours"

    palate chat -u 42 --json < turns.txt
    """
    if user is None and session is None:
        session = "terminal"
    out = Out(json_)
    tongue = language() if lang is not None else None
    with target(directory) as place:
        if not text and not json_ and sys.stdin.isatty():
            out.note(say("chat.start"))
        refused = False
        for line in [" ".join(text)] if text else _lines(sys.stdin.isatty() and not json_):
            try:
                answer = place.chat(ChatRequest(text=_checked(line), user=user, session=session, k=k, language=tongue))
            except PalateError as error:
                if text or error.where != "text":  # the fault isn't the line's: it would meet the others as well
                    raise
                refused = True
                out.failed(error)
                continue
            out.result(answer)
            if not json_:
                _show(out, answer, place)
    if refused:
        raise typer.Exit(2)


def _checked(line: str) -> str:
    """Bytes that aren't UTF-8 were read as lone surrogates, which no request may hold. Errors: ``InvalidInput``."""
    try:
        line.encode()
    except UnicodeEncodeError:
        raise InvalidInput("text is not valid Unicode (a lone surrogate).", "text") from None
    return line


def _lines(asks: bool) -> Iterator[str]:
    """The lines of the input that say something. Bytes that aren't UTF-8 spoil their own line alone."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    while True:
        if asks:
            sys.stderr.write("> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _show(out: Out, answer: ChatAnswer, place: Target) -> None:
    out.note(answer.reply)
    if answer.ranking is not None and answer.ranking.items:
        made = table("", (say("col.position"), "right"), say("col.item"), say("col.title"), say("col.reason"))
        for item in answer.ranking.items:
            row(made, item.position, item.id, answer.titles.get(item.id, ""), reason_text(item, place.title))
        out.show(made)
    if answer.degraded:
        out.note(say("degraded", what=", ".join(word("degraded", what) for what in answer.degraded)))
