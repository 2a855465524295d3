"""``palate replay``: another configuration, judged on the rankings that were served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.evaluate import write_whole
from palate.cli.messages import MESSAGES, say
from palate.cli.target import DEFAULT_DIR, DirOption, existing
from palate.cli.translation import both
from palate.errors import InvalidInput
from palate.evaluate.judgement import Judgement
from palate.evaluate.logged import Variant

_VARIANTS: dict[str | None, Variant | None] = {None: None, "cascade": "cascade", "slate": "slate", "slot": "slot"}


def replay_(
    directory: DirOption = DEFAULT_DIR,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="A palate.toml to judge; default: the directory's own."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="VERSION", help="The model to judge, or `prior`; default: the active one."),
    ] = None,
    reward: Annotated[
        str, typer.Option("--reward", metavar="TYPE|weights", help="What counts: a type of interaction, or `weights`.")
    ] = "click",
    window: Annotated[float, typer.Option("--window", help="Minutes after a ranking in which it counts.")] = 60.0,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            metavar="cascade|slate|slot",
            help="What of a ranking is judged; default: what the log allows.",
        ),
    ] = None,
    depth: Annotated[int, typer.Option("--depth", help="How many places are judged.")] = 10,
    clip: Annotated[
        float | None, typer.Option("--clip", help="Cut weights above this; default: the root of the rankings.")
    ] = None,
    least: Annotated[
        float, typer.Option("--least", help="Rankings' worth of evidence below which it can't tell.")
    ] = 100.0,
    to: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where the reports go besides off-policy in --dir."),
    ] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Judge another configuration on the rankings in the log: what it would have earned, with intervals.

    Policies, models and features switched off are judged; candidates and features are those of the log. Where the log
    can't tell, it says so, and what to change.

    Works while a service holds the directory. Writes JSON and HTML.

    [bold]Examples[/bold]

    palate replay --config new.toml

    palate replay --model v8 --reward weights --json
    """
    import msgspec

    from palate.config import load
    from palate.evaluate import replay_report
    from palate.evaluate.replay import replay

    existing(directory)
    if variant not in _VARIANTS:
        raise InvalidInput(f"--variant {variant!r} is unknown: use cascade, slate or slot.", "variant")
    if to is not None and to.exists() and not to.is_dir():
        raise InvalidInput(f"--out {to} is a file: name a folder for the reports.", "out")
    served = load(directory)
    settings = served if config is None else load(file=config)
    out = Out(json_)
    with out.progress() as bars:
        found = replay(
            directory, settings, logging=served, model=model, reward=reward, window_minutes=window,
            variant=_VARIANTS[variant], depth=depth, clip=clip, least=least, progress=bars,
        )  # fmt: skip
    for folder in _folders(directory, to):
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / "latest.json", folder / "latest.html"
        write_whole(written[0], msgspec.json.format(msgspec.json.encode(found), indent=2))
        write_whole(written[1], replay_report.render_html(found, _lines(found), _NAMES).encode())
        out.note(say("evaluated", json=written[0], html=written[1]))
    out.result(found)
    _show(out, found)


def _folders(directory: Path, to: Path | None) -> list[Path]:
    """Where the reports go: the directory's own folder, which the dashboard reads, and ``to``; where the directory may
    only be read, ``to`` or a folder here."""
    if not os.access(directory, os.W_OK):
        return [to or Path("off-policy")]
    return [folder for folder in (to, directory / "off-policy") if folder is not None]


_NAMES = {key.removeprefix("replay."): pair for key, pair in MESSAGES.items() if key.startswith("replay.")}


def _said(key: str, **values: object) -> tuple[str, str]:
    english, chinese = MESSAGES[key]
    return english.format(**values), chinese.format(**values)


def _lines(found: Judgement) -> list[tuple[str, str]]:
    """What is said beside the numbers, in English and Chinese: counts, overlap, verdict, reasons, notes."""
    lines = [
        _said(
            "replay.counts",
            judged=found.judged_on,
            decisions=found.decisions,
            people=found.people,
            rewarded=found.rewarded,
        )
    ]
    if found.skipped:
        parts = [(MESSAGES[f"skip.{name}"], count) for name, count in sorted(found.skipped.items())]
        english = ", ".join(f"{count:,} ({pair[0]})" for pair, count in parts)
        chinese = "、".join(f"{count:,} 次（{pair[1]}）" for pair, count in parts)
        lines.append((_said("replay.skipped", what=english)[0], _said("replay.skipped", what=chinese)[1]))
    if found.overlap is not None:
        one = found.overlap
        lines.append(
            _said(
                "replay.overlap",
                effective=one.effective,
                share=one.share,
                largest=one.largest,
                clipped=one.clipped,
                clip="∞" if one.clip is None else f"{one.clip:,.1f}",
            )
        )
    unsure = "replay.cannot" if found.estimates else "replay.nothing"
    lines.append(_said("replay.judged" if found.verdict == "judged" else unsure))
    return lines + [both(remark.text) for remark in (*found.reasons, *found.notes)]


def _show(out: Out, found: Judgement) -> None:
    variant = say(f"replay.{found.variant}", depth=found.depth)
    title = say("title.replay", model=found.model, reward=found.reward, minutes=found.window_minutes, variant=variant)
    columns = (say("col.value"), say("col.low"), say("col.high"), say("col.sure"))
    made = table(title, say("col.estimator"), *((name, "right") for name in columns))
    named = {"logged": found.logged, **found.estimates, "lift": found.lift}
    for name, one in named.items():
        sure = found.bernstein.get(name)
        row(
            made,
            say(f"replay.{name}"),
            *map(_cell, (one.value, one.low, one.high)),
            "" if sure is None else _cell(sure),
        )
    if found.estimates:
        out.show(made, whole=True)
    for english, chinese in _lines(found):
        out.show(chinese if say("colon") == "：" else english)


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
