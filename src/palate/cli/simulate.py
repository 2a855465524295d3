"""``palate simulate``: a service, played in a world whose truth is known."""

from __future__ import annotations

import dataclasses
import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.evaluate import write_whole
from palate.cli.messages import MESSAGES, language, say
from palate.config import load
from palate.errors import InvalidInput
from palate.evaluate.bootstrap import Estimate
from palate.world import Popular, World, WorldSettings, at_random, best_possible, play
from palate.world.measure import EVENTS, FAIR, Measured, measured
from palate.world.remote import OverHttp
from palate.world.report import Pair, render_html

_OWN = 'durability = "fast"\n\n[decisions]\nsample = 1.0\n'
"""Settings of the service of its own: nobody needs these clicks after a power cut, and every decision can be judged."""
_COLUMNS = ("ranker", "reward", "regret", "quality", "skill", "recovered", "fresh")


class Simulated(msgspec.Struct):
    """What ``--json`` prints. settings: of the world; played: Palate first, then the references."""

    settings: dict[str, Any]
    url: str | None
    policy: str | None
    played: list[Measured]


def simulate(
    url: Annotated[
        str | None,
        typer.Option("--url", help="A running service with an empty directory; default: one of its own."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A palate.toml for the service of its own.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Named in every request; default: the service's setting.")
    ] = None,
    visits: Annotated[int, typer.Option("--visits", help="Rankings in all.")] = 2_000,
    people: Annotated[int, typer.Option("--people", help="Simulated people.")] = 40,
    items: Annotated[int, typer.Option("--items", help="Items at the beginning.")] = 500,
    days: Annotated[float, typer.Option("--days", help="How long the simulation lasts.")] = 30.0,
    seed: Annotated[int, typer.Option("--seed", help="Of the world: equal seeds make equal worlds.")] = 1,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=NUMBER",
            help="Any other number of the world, such as shift_day=10 or repeat=0.3; again for more.",
        ),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="DIRECTORY", help="Keep the played directory there; it must not exist."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the reports go; default: simulation.")
    ] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Play a simulated platform whose truth is known, and say what the ranking loses against the best possible.

    People with drifting tastes look at places from the top and click on what attracts them; on one day tastes change at
    once; new items arrive. A service of its own is played, or the one at --url, over HTTP. Writes JSON and HTML.

    [bold]Examples[/bold]

    palate simulate

    palate simulate --visits 500 --set shift_day=10 --policy plackett_luce --json

    palate simulate --url http://127.0.0.1:8787
    """
    _check(url, config, keep, to)
    given: dict[str, Any] = {"shift_day": days / 2, "days": days}
    given |= {"visits": visits, "people": people, "items": items, "seed": seed, **_more(more or [])}
    settings = WorldSettings(**given)
    world, out = World(settings), Out(json_)
    with ExitStack() as leaving:
        # Whoever is told to end still ends the service that it began, and removes what it made.
        leaving.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _leave))
        address = url or _started(config, keep, leaving)
        ranker = OverHttp(address, world, os.environ.get("PALATE_API_KEY"), policy)
        leaving.callback(ranker.close)
        ranker.check_empty()
        with out.progress() as bars:
            found = [measured(play(world, ranker, progress=bars))]
            for at, reference in enumerate((best_possible(), Popular(world), at_random())):
                bars("references", at, 3)
                found.append(measured(play(world, reference)))
            bars("references", 3, 3)
    answer = Simulated(dataclasses.asdict(settings), url, policy, found)
    folder = to or Path("simulation")
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "latest.json", folder / "latest.html"
    write_whole(written[0], msgspec.json.format(msgspec.json.encode(answer), indent=2))
    write_whole(written[1], _page(world, found).encode())
    out.note(say("evaluated", json=written[0], html=written[1]))
    out.result(answer)
    _show(out, world, found)
    if keep is not None:
        out.say("simulate.kept", path=keep)


def _check(url: str | None, config: Path | None, keep: Path | None, to: Path | None) -> None:
    """Errors: ``InvalidInput``, and ``ConfigError`` for what a configuration says."""
    if url is not None and (config is not None or keep is not None):
        raise InvalidInput("--config and --keep are of the service of its own: leave --url out.", "--url")
    if config is not None:
        if not config.is_file():
            raise InvalidInput(f"--config {config} can't be read: name a palate.toml.", "--config")
        load(file=config)
    if keep is not None and keep.exists():
        raise InvalidInput(f"--keep {keep} exists: name a new directory.", "--keep")
    if to is not None and to.exists() and not to.is_dir():
        raise InvalidInput(f"--out {to} is a file: name a folder for the reports.", "out")


def _more(given: Sequence[str]) -> dict[str, Any]:
    """Numbers of the world by ``NAME=NUMBER``. Errors: ``InvalidInput``."""
    known = {one.name: one.default for one in dataclasses.fields(WorldSettings) if one.name != "prefix"}
    found: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise InvalidInput(f"--set {text} is not of the form NAME=NUMBER.", "--set") from None
        if name not in known:
            raise InvalidInput(f"--set {name} is no number of the world; there are {', '.join(known)}.", "--set")
        if isinstance(known[name], int):
            if not number.is_integer():
                raise InvalidInput(f"--set {name} is {value}; it wants a whole number.", "--set")
            number = int(number)
        found[name] = number
    return found


def _started(config: Path | None, keep: Path | None, leaving: ExitStack) -> str:
    """The address of a service in a directory of its own, which ends with ``leaving``."""
    from palate.bench.load import server

    where = keep or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="palate-simulate-"))) / "world.palate"
    where.mkdir(parents=True)
    text = _OWN if config is None else config.read_text(encoding="utf-8")
    (where / "palate.toml").write_text(text, encoding="utf-8")
    served = leaving.enter_context(server("palate", where))
    return f"http://{served.host}:{served.port}"


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _cell(one: Estimate | None) -> str:
    if one is None or one.value is None:
        return "–"
    return f"{one.value:.3f}" if one.low is None else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"


def _cells(one: Measured) -> list[Pair]:
    """A row of the table, in English and Chinese."""
    name = MESSAGES.get(f"ranker.{one.ranker}", (one.ranker, one.ranker))
    plain = [_cell(each) for each in (one.reward, one.regret, one.quality, one.skill)]
    shift, never = one.adaptation, MESSAGES["simulate.never"]
    recovered: Pair = ("–", "–")
    if shift is not None:
        english, chinese = (text.format(most=EVENTS) for text in never)
        recovered = (english, chinese) if shift.recovered is None else (str(shift.recovered), str(shift.recovered))
    fresh = _cell(None if one.exposure is None else one.exposure.ratio)
    return [name, *((text, text) for text in plain), recovered, (fresh, fresh)]


def _lines(world: World, found: Sequence[Measured]) -> list[Pair]:
    """What is said beside the numbers."""
    one, palate = world.settings, found[0]
    lines: list[Pair] = []
    if palate.adaptation is not None:
        lines.append(_said("simulate.shift", day=one.shift_day, share=one.shift_share))
    if palate.exposure is not None:
        fresh = palate.exposure
        if fresh.chances is None:
            lines.append(_said("simulate.unfair"))
        elif fresh.chances == 0:
            lines.append(_said("simulate.fair", fair=FAIR))
        else:
            lines.append(_said("simulate.fresh", fair=FAIR, chances=fresh.chances, impressions=fresh.impressions))
    return lines


def _said(key: str, **values: object) -> Pair:
    english, chinese = MESSAGES[key]
    return english.format(**values), chinese.format(**values)


def _title(world: World, found: Sequence[Measured]) -> Pair:
    one = found[0]
    return _said("title.simulate", visits=one.visits, people=one.people, items=len(world.arrival))


def _page(world: World, found: Sequence[Measured]) -> str:
    names = {one.ranker: MESSAGES.get(f"ranker.{one.ranker}", (one.ranker, one.ranker)) for one in found}
    columns = [MESSAGES[f"col.{name}"] for name in _COLUMNS]
    rows = [_cells(one) for one in found]
    return render_html(found, [_title(world, found), *_lines(world, found)], columns, rows, names)


def _show(out: Out, world: World, found: Sequence[Measured]) -> None:
    at = 0 if language() == "en" else 1
    first, *others = (say(f"col.{name}") for name in _COLUMNS)
    made = table(_title(world, found)[at], first, *((name, "right") for name in others))
    for one in found:
        row(made, *(pair[at] for pair in _cells(one)))
    out.show(made, whole=True)
    for pair in _lines(world, found):
        out.show(pair[at])
