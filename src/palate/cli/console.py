"""Where words go: the answer to stdout, progress and messages to stderr; with ``--json`` stdout carries only JSON."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from palate.cli.messages import Language, choose, language, say, stage
from palate.cli.translation import local
from palate.errors import PalateError
from palate.kernels import on_compile

ProgressCallback = Callable[[str, int, int], None]
"""(stage, done, total); total 0 where it is unknown."""


_WIDEST = 200


def _set_language(value: str | None) -> str | None:
    if value is not None and value not in ("en", "zh"):
        raise typer.BadParameter(f"{value!r} is unknown: use en or zh.")
    if value is not None:
        chosen: Language = "zh" if value == "zh" else "en"
        choose(chosen)
    return value


JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON on stdout; messages go to stderr.")]
LangOption = Annotated[
    str | None,
    typer.Option("--lang", metavar="en|zh", callback=_set_language, is_eager=True, help="Language of the messages."),
]


class Out:
    """One command's output. ``json``: stdout carries only what ``result`` is given."""

    def __init__(self, json: bool) -> None:
        self.json = json
        self.stdout = Console(highlight=False)
        self.stderr = Console(stderr=True, highlight=False)
        on_compile(lambda: self.note(say("compiling")))

    def result(self, value: object) -> None:
        """The command's answer as one line of JSON; only with ``--json``."""
        if self.json:
            sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
            sys.stdout.flush()

    def show(self, renderable: RenderableType, whole: bool = False) -> None:
        """A table or a line of the answer, for people; nothing with ``--json``.

        A table is as wide as it needs where stdout is no terminal, or where ``whole`` says that no cell may be cut.
        """
        if self.json:
            return
        console = self.stdout
        if not isinstance(renderable, str) and (whole or not console.is_terminal):
            needed = Measurement.get(console, console.options.update(width=_WIDEST), renderable).maximum
            if needed > console.width:
                console = Console(highlight=False, width=needed)
        console.print(renderable, markup=False)

    def say(self, key: str, **values: object) -> None:
        """A line of the answer out of the catalogue; on stderr with ``--json``."""
        (self.stderr if self.json else self.stdout).print(say(key, **values), markup=False)

    def failed(self, error: PalateError) -> None:
        """A refusal after which the command goes on: as ``fail``."""
        fail(error.message, error.code, error.where, self.json)

    def note(self, text: str) -> None:
        """A remark about the work, on stderr."""
        self.stderr.print(text, style="dim", markup=False)

    def progress(self) -> Bars:
        """Bars on stderr, one a stage of work."""
        return Bars(self.stderr)


def fail(message: str, code: str, where: str | None, json: bool) -> None:
    """What went wrong: a sentence on stderr, and with ``json`` an error object as a line of stdout."""
    sentence = " ".join(message.split())
    sys.stderr.write(f"{say('failed', error=local(sentence))}\n")
    if json:
        body = {"error": {"code": code, "message": sentence, "where": where}}
        sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        sys.stdout.flush()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="dim")


class Bars:
    """Progress of work in stages. Where stderr is no terminal: a line when a stage starts and when it has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            console=console,
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._ended: set[str] = set()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            for name in self._done:
                self._finish(name)
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Stage ``name`` stands at ``done`` of ``total``."""
        if name not in self._done:
            for other in list(self._done):
                self._finish(other)
            self._started[name] = time.monotonic()
            if self._live:
                self._tasks[name] = self._bars.add_task(stage(name), total=total or None)
            else:
                self._console.print(f"{stage(name)} …", markup=False)
        self._done[name] = done
        self._totals[name] = total
        if self._live:
            self._bars.update(self._tasks[name], completed=done, total=total or None)
        if total and done >= total:
            self._finish(name)

    def _finish(self, name: str) -> None:
        if name in self._ended:
            return
        self._ended.add(name)
        done = max(self._done[name], self._totals[name])
        if self._live:
            self._bars.update(self._tasks[name], completed=done or 1, total=done or 1)
        else:
            seconds = time.monotonic() - self._started[name]
            self._console.print(say("stage_done", stage=stage(name), done=done, seconds=seconds), markup=False)


def table(title: str, *columns: str | tuple[str, str], caption: str | None = None) -> Table:
    """An empty table; a column is a header, or a header and ``right`` for numbers."""
    made = Table(
        title=Text(title, style="bold") if title else None,
        title_justify="left",
        caption=Text(caption) if caption else None,
        caption_justify="left",
    )
    for column in columns:
        header, side = column if isinstance(column, tuple) else (column, "left")
        made.add_column(Text(header), justify="right" if side == "right" else "left", overflow="fold")
    return made


def row(into: Table, *cells: object) -> None:
    """A row of plain text: what items and users are called is never read as markup."""
    into.add_row(*[cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in cells])


def bar(value: float, largest: float, width: int = 12) -> Text:
    """A bar as long as ``value`` is beside ``largest``: green up, red down."""
    length = round(width * min(1.0, abs(value) / largest)) if largest else 0
    return Text(("█" if value >= 0 else "▒") * length, style="green" if value >= 0 else "red")


def moment(timestamp: int) -> str:
    """Unix milliseconds as a UTC date and time."""
    return datetime.fromtimestamp(timestamp / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def number(value: object) -> str:
    """A number for a table cell: four decimals, thousands apart."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value)
    if isinstance(value, float):
        return f"{value:,.4f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def joined(names: Sequence[str], most: int = 2) -> str:
    """The first ``most`` names, and how many more there are."""
    more = len(names) - most
    text = ("、" if language() == "zh" else ", ").join(names[:most])
    return f"{text} +{more}" if more > 0 else text


def peak_memory_mb() -> float:
    """The most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain(value: Any) -> Any:
    """Structs, arrays and dataclasses as JSON's own types."""
    return msgspec.to_builtins(value, enc_hook=_builtin)


def _builtin(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
