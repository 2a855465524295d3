"""Bars and tables: on a terminal and without one."""

from __future__ import annotations

import io

from rich.console import Console

from palate.cli import console


def drawn(terminal: bool) -> str:
    file = io.StringIO()
    with console.Bars(Console(file=file, force_terminal=terminal, width=100)) as bars:
        bars("import", 0, 20_000)
        bars("import", 10_000, 20_000)
        bars("import", 20_000, 20_000)
        bars("fit", 1, 0)
    return file.getvalue()


def test_without_a_terminal_a_stage_is_two_lines() -> None:
    lines = drawn(terminal=False).splitlines()
    assert lines[0] == "importing …"
    assert lines[1].startswith("importing: 20,000, ")
    assert lines[2] == "fitting …"
    assert lines[3].startswith("fitting: 1, ")
    assert len(lines) == 4


def test_on_a_terminal_a_stage_is_a_bar() -> None:
    text = drawn(terminal=True)
    assert "importing" in text
    assert "20000/20000" in text
    assert "fitting" in text


def test_what_items_are_called_is_never_markup() -> None:
    file = io.StringIO()
    made = console.table("[red]", "title")
    console.row(made, "[bold]x[/bold] [link=a]")
    Console(file=file, width=60).print(made)
    assert "[bold]x[/bold] [link=a]" in file.getvalue()
    assert "[red]" in file.getvalue()


def test_names_beyond_the_first_are_counted() -> None:
    assert console.joined(["a", "b", "c", "d"]) == "a, b +2"
    assert console.joined(["a"]) == "a"
