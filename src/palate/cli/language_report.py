"""``palate language report``: what each language part gains beside what it costs."""

from __future__ import annotations

from typing import Annotated

import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, existing
from palate.cli.translation import local


def report_(
    directory: DirOption = DEFAULT_DIR,
    window: Annotated[
        float, typer.Option("--window", min=0.1, max=100_000.0, help="Minutes after a ranking in which it counts.")
    ] = 60.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Show what each language part gains beside what it costs, from the logs, where chance decided; and where that
    can't be told, what would tell it.

    [bold]Examples[/bold]

    palate language report

    palate language report --window 1440 --json
    """
    import palate
    from palate.evaluate.worth import report
    from palate.store.decisions import DecisionLog

    out = Out(json_)
    path = existing(directory)
    with palate.open(path, until=1 << 62) as engine, out.progress() as bars:
        log = DecisionLog(path / "decisions", engine.settings.decisions, read_only=True)
        try:
            found = report(engine, log.read(), window, bars)
        finally:
            log.close()
    out.result(found)
    out.say("worth.decisions", decisions=found.decisions)
    columns = ("worth_gain", "worth_verdict")
    right = ("asked", "used", "tokens", "cost_seconds", "cost_ms", "money")
    made = table(
        say("title.worth"), say("col.part"), *(say(f"col.{one}") for one in columns),
        *((say(f"col.{one}"), "right") for one in right),
    )  # fmt: skip
    for one in found.parts:
        gain, cost = one.gain, one.cost
        told = "" if gain.value is None else f"{gain.value:+.4f}"
        if gain.low is not None and gain.high is not None:
            told += f" [{gain.low:+.4f}, {gain.high:+.4f}]"
        row(
            made,
            say(f"worth.{one.part}"),
            told + ("" if one.relative is None else f" ({one.relative:+.1%})"),
            say(f"worth.verdict.{one.verdict}"),
            f"{cost.asked:,}" if cost.asked else "",
            "" if cost.used is None else f"{cost.used:,}",
            f"{cost.tokens_in + cost.tokens_out:,}" if cost.tokens_in + cost.tokens_out else "",
            f"{cost.seconds:,.1f}" if cost.seconds else "",
            "" if cost.ms is None else f"{cost.ms:,.1f}",
            "" if cost.money is None else f"{cost.money:,.4f}",
        )
    out.show(made)
    for one in found.parts:
        why = " ".join(map(local, one.why))
        more = "" if not one.needed or one.verdict != "can't tell" else " " + say("worth.needed", count=one.needed)
        out.show(f"{say(f'worth.{one.part}')}: {why}{more}")
