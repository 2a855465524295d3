"""``python -m benchmarks.quality``: see the package."""

from __future__ import annotations

import argparse
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import benchmarks.quality as package
from benchmarks.quality import curve, data, figures, page, plot, tables, variants
from benchmarks.quality.content import CONTENT
from benchmarks.quality.exchange import PEERS
from benchmarks.quality.found import Found
from benchmarks.quality.own import K
from benchmarks.quality.peer import REFITS, Spec
from benchmarks.quality.runs import ROOT, UNMEASURED, Asked, Runs
from palate import datasets
from palate.cli.console import Bars, Out
from palate.errors import InvalidInput, PalateError
from palate.evaluate import SeenMode
from palate.evaluate import systems as known

SEEN: dict[SeenMode, str] = {"drop": "items that are new to the person", "keep": "all items"}
TRAINED = ("sasrec",)
"""Own systems that are trained, and stand beside where PyTorch is installed."""
OTHERS = (
    *(name for name in known.NAMES if name != "palate"),
    CONTENT,
    *(name for name in getattr(known, "TRAINED", ()) if name in TRAINED and find_spec("torch") is not None),
)
UNUSUAL = ("rectools",)
"""Peers that run only where they are named."""
Panels = list[tuple[str, list[tables.Line], list[tables.Line]]]


def main() -> int:
    """Run what is asked for; print the tables, write the plots and, where that is asked for, the page."""
    asked = _parser().parse_args()
    asked.began = time.monotonic()
    if asked.everything:
        asked.data = [*asked.data, *(name for name in data.APART if name not in asked.data)]
        asked.ablate, asked.freshness, asked.cold_start, asked.page = asked.ablate or [], True, True, True
    out = Out(json=False)
    try:
        if asked.plot:
            plot.check()
        made: dict[str, Runs] = {}
        # What the main tables need comes first, on all data sets: a run may be cut short.
        for step in () if asked.only_kept else (_systems, _aged, _cold_started, _ablated):
            for name in asked.data:
                with out.progress() as bars:
                    step(asked, _runs(asked, name, made, bars), True)
        panels: Panels = []
        for name in asked.data:
            with out.progress() as bars:
                text, more = _told(asked, _runs(asked, name, made, bars))
            sys.stdout.write(text)
            sys.stdout.flush()
            panels += more
        _drawn(asked, panels, out)
        if asked.page:
            names = page.write(asked.work)
            out.note(f"{page.PAGE} has the tables {', '.join(names) or 'that it had: nothing is measured yet'}.")
    except PalateError as error:
        out.note(error.message)
        return 1
    return 0


def _runs(asked: argparse.Namespace, name: str, made: dict[str, Runs], bars: Bars) -> Runs:
    """The runs on the data set ``name``, begun when they are first asked for."""
    if name not in made:
        source = data.found(name, asked.beside, asked.work)
        seen: tuple[SeenMode, ...] = ("drop", "keep") if asked.seen == "both" else (asked.seen,)
        wanted = Asked(source, seen, asked.test, asked.seed, asked.seeds, asked.trials, asked.late, asked.peer_seeds)
        until = None if asked.minutes is None else asked.began + 60 * asked.minutes
        made[name] = Runs(wanted, datasets.load(source, None, bars), asked.work, bars, asked.fresh, until)
    made[name].told = bars
    return made[name]


def _drawn(asked: argparse.Namespace, panels: Panels, out: Out) -> None:
    if not asked.plot:
        return
    if panels:
        plot.write(panels, K, asked.work / "quality.html")
        out.note(f"The plot is in {asked.work / 'quality.html'}.")
    names = [Path(name).name for name in asked.data]
    aged = [one for one in figures.read(asked.work, names) if "log" in one.get("freshness", {})]
    if aged:
        curve.draw(aged, asked.work / "freshness.html")
        out.note(f"The plot of freshness is in {asked.work / 'freshness.html'}.")


def _told(asked: argparse.Namespace, runs: Runs) -> tuple[str, Panels]:
    """What is known of one data set: its tables in Markdown, and its panels. Keeps the figures."""
    stream, plan = runs.stream, runs.plan
    seen: list[SeenMode] = [mode for mode in SEEN if mode in plan.main]
    users = figures.users_of(stream, plan)
    systems = _systems(asked, runs, False)
    fresh = figures.described(stream, plan, seeds=asked.seeds, trials=asked.trials)
    fresh |= figures.compared(systems, plan, users, K)
    for step in (_aged, _cold_started, _ablated):
        fresh |= step(asked, runs, False)
    figures.keep(asked.work, fresh)
    parts = [
        f"## {stream.name}\n\n{len(stream):,} events of {len(stream.user_ids):,} people with {len(stream.item_ids):,} "
        f"items; the last {len(stream) - plan.test:,} events are the test. Peers choose among {asked.trials} trials "
        f"and are refitted {REFITS} times across the test; seeds: {asked.seeds}. “Seconds before” the test are for "
        "choosing and learning, “seconds in” it for refits and rankings.\n"
    ]
    panels: Panels = []
    for mode in seen if systems else ():
        live = tables.lines(systems, plan, users, mode, False, K)
        frozen = tables.lines(systems, plan, users, mode, True, K)
        counts = plan.counts[mode]
        parts += [
            f"### {stream.name}, {mode}: {SEEN[mode]}, {counts['test_events']:,} test events, "
            f"{counts['cold_items']:,} of cold items\n",
            tables.markdown(live, K, asked.seeds, costs=True) + "\n",
            f"Frozen at the split, {mode}:\n",
            tables.markdown(frozen, K, asked.seeds, costs=False) + "\n",
            f"Chosen on validation, {mode}:\n",
            tables.chosen(systems, mode) + "\n",
        ]
        panels.append((f"{stream.name}, {mode}: {SEEN[mode]}", live, frozen))
    one = [fresh]
    for title, name in (("parts off", "ablations"), ("freshness", "freshness"), ("cold start", "cold_start")):
        table = page.TABLES[name](one)
        parts += [f"### {stream.name}: {title}\n", table + "\n"] if table else []
    return "\n".join(parts) + "\n", panels


def _systems(asked: argparse.Namespace, runs: Runs, run: bool) -> list[list[Found]]:
    """Every system that is asked for, or was measured before; of each the runs with its seeds."""
    found: list[list[Found]] = []
    for name in OTHERS:
        found.append([runs.own(name, 1, run=run and name in asked.baselines)])
    for folder in sorted(file.parent for file in PEERS.glob("*/peer.py")):
        found.append(runs.peer(Spec.load(folder), run=run and folder.name in asked.peers))
    found.append([runs.own("palate", seed, run=run and asked.palate) for seed in range(1, asked.seeds + 1)])
    return [own for own in found if not any(one.failed == UNMEASURED for one in own)]


def _ablated(asked: argparse.Namespace, runs: Runs, run: bool) -> figures.Figures:
    """Palate whole, and each variant that is asked for or was measured before; all with the first seed."""
    run = run and asked.ablate is not None and not (asked.everything and runs.stream.name in data.UNABLATED)
    whole = runs.own("palate", 1, run=run)
    parts: list[Found] = []
    for variant in variants.variants():
        part = runs.own("palate", 1, variant.name, run=run and (not asked.ablate or variant.name in asked.ablate))
        if part.failed != UNMEASURED:
            parts.append(part)
    return figures.ablated(whole, parts, runs.plan, figures.users_of(runs.stream, runs.plan), K) if parts else {}


def _aged(asked: argparse.Namespace, runs: Runs, run: bool) -> figures.Figures:
    """Freshness; of the known data sets, those of which it is measured."""
    name = runs.stream.name
    found = runs.freshness(run and asked.freshness and (name in data.AGED or name not in (*data.COUNTED, *data.APART)))
    if found.failed == UNMEASURED:
        return {}
    plan = runs.late_plan()
    return figures.aged(found, plan, figures.users_of(runs.stream, plan), K)


def _cold_started(asked: argparse.Namespace, runs: Runs, run: bool) -> figures.Figures:
    name = runs.stream.name
    found = runs.cold_start(_carried(asked, name), run and asked.cold_start and name not in data.APART)
    return {} if found.failed == UNMEASURED else {"cold_start": {"failed": found.failed} | found.notes}


def _carried(asked: argparse.Namespace, name: str) -> str:
    """From where a map is carried into the data ``name``; '' where there is nothing to carry, or it isn't here."""
    try:
        return data.found(data.CARRIED[name], asked.beside, asked.work) if name in data.CARRIED else ""
    except InvalidInput:
        return ""


def _count(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else _positive(text)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    peers = sorted(file.parent.name for file in PEERS.glob("*/peer.py"))
    usual = [name for name in peers if name not in UNUSUAL]
    known = [variant.name for variant in variants.variants()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--data", nargs="+", default=[*data.COUNTED], metavar="DATA", help="data sets of Palate, or folders")
    add("--beside", type=Path, default=ROOT.parent / "shared" / "data", help="where folders that are only named lie")
    add("--seen", choices=("drop", "keep", "both"), default="both")
    add("--test", type=_count, default=2500, metavar="N|all", help="how many test events are scored")
    add("--seed", type=int, default=1, help="draws the test events")
    add("--seeds", type=_positive, default=1, help="how often what learns at random is trained")
    add("--peer-seeds", type=_positive, default=1, metavar="N", help="the same of peers")
    add("--trials", type=_positive, default=4, help="how many settings each peer tries")
    add("--palate", action=argparse.BooleanOptionalAction, default=True, help="run Palate, too")
    add("--peers", nargs="*", choices=peers, default=usual, metavar="PEER", help=", ".join(peers))
    add("--baselines", nargs="*", choices=OTHERS, default=OTHERS, metavar="NAME", help=", ".join(OTHERS))
    add("--ablate", nargs="*", choices=known, metavar="PART", help=f"Palate with parts off, all or {', '.join(known)}")
    add("--freshness", action="store_true", help=f"with events withheld; of the known sets {', '.join(data.AGED)}")
    add("--cold-start", action="store_true", help="what each way of knowing new people and items is worth")
    add("--late", type=_positive, default=1000, metavar="N", help="how many test events --freshness asks at")
    add("--everything", action="store_true", help="all data sets, parts, freshness, cold start, and the page")
    add("--minutes", type=float, metavar="N", help="begin nothing after that long; the next call goes on")
    add("--fresh", action="store_true", help="run again what was kept")
    add("--only-kept", action="store_true", help="run nothing: tables of what was kept")
    add("--page", action="store_true", help="write docs/quality.md")
    add("--plot", action=argparse.BooleanOptionalAction, default=True, help="write plots into WORK")
    add("--work", type=Path, default=ROOT / "build" / "quality", help="environments, results, figures, plots")
    return parser


if __name__ == "__main__":
    sys.exit(main())
