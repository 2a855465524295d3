"""``python -m benchmarks.quality``: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Literal

import benchmarks.quality as package
from benchmarks.quality import plot, tables
from benchmarks.quality.exchange import PEERS
from benchmarks.quality.own import K
from benchmarks.quality.peer import REFITS, Spec
from benchmarks.quality.runs import ROOT, Asked, Runs
from palate import datasets
from palate.cli.console import Bars, Out
from palate.errors import InvalidInput, PalateError
from palate.evaluate import SeenMode
from palate.evaluate.systems import NAMES

SEEDED = ("palate",)
"""Of ``palate evaluate``'s systems, those whose training draws at random."""
SEEN: dict[SeenMode, str] = {"drop": "items that are new to the person", "keep": "all items"}


def main() -> int:
    """Run what is asked for; print the tables, write the plot."""
    asked = _parser().parse_args()
    out = Out(json=False)
    try:
        if asked.plot:
            plot.check()
        specs = [Spec.load(PEERS / name) for name in asked.peers]
        panels: list[tuple[str, list[tables.Line], list[tables.Line]]] = []
        for name in asked.data:
            with out.progress() as bars:
                text, more = _one(asked, _source(name, asked.beside), specs, bars)
            sys.stdout.write(text)
            sys.stdout.flush()
            panels += more
        if asked.plot:
            file = asked.work / "quality.html"
            plot.write(panels, K, file)
            out.note(f"The plot is in {file}.")
    except PalateError as error:
        out.note(error.message)
        return 1
    return 0


def _one(
    asked: argparse.Namespace, data: str, specs: list[Spec], bars: Bars
) -> tuple[str, list[tuple[str, list[tables.Line], list[tables.Line]]]]:
    """One data set: its tables in Markdown, and its panels."""
    dataset = datasets.load(data, None, bars)
    seen: tuple[SeenMode, ...] = ("drop", "keep") if asked.seen == "both" else (asked.seen,)
    wanted = Asked(data, seen, asked.test, asked.seed, asked.seeds, asked.trials)
    runs = Runs(wanted, dataset, asked.work, bars)
    names = [name for name in NAMES if name != "palate" and name in asked.baselines]
    systems = [[runs.own(name, 1)] for name in names]
    systems += [runs.peer(spec, asked.fresh) for spec in specs]
    if asked.palate:
        systems.append([runs.own("palate", seed) for seed in range(1, asked.seeds + 1)])
    stream, plan = runs.stream, runs.plan
    users = stream.users[plan.positions].astype("int64")
    parts = [
        f"## {stream.name}\n\n{len(stream):,} events of {len(stream.user_ids):,} people with {len(stream.item_ids):,} "
        f"items; the last {len(stream) - plan.test:,} events are the test. Peers choose among {asked.trials} trials "
        f"and are refitted {REFITS} times across the test; seeds: {asked.seeds}. “Seconds before” the test are for "
        "choosing and learning, “seconds in” it for refits and rankings.\n"
    ]
    panels: list[tuple[str, list[tables.Line], list[tables.Line]]] = []
    for mode in seen:
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
    return "\n".join(parts) + "\n", panels


def _source(name: str, beside: Path) -> str:
    """``name`` where it is a data set or a path, else the folder of that name in ``beside``."""
    if name in datasets.NAMES or Path(name).exists():
        return name if name in datasets.NAMES else str(Path(name).resolve())
    if (beside / name).exists():
        return str((beside / name).resolve())
    raise InvalidInput(
        f"{name!r} is no data set ({', '.join(datasets.NAMES)}), no path, and not in {beside}: name one of them, or "
        "say with --beside where its folder lies.",
        "data",
    )


def _count(text: str) -> int | Literal["all"]:
    return "all" if text == "all" else _positive(text)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _parser() -> argparse.ArgumentParser:
    peers = sorted(file.parent.name for file in PEERS.glob("*/peer.py"))
    others = [name for name in NAMES if name != "palate"]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--data", nargs="+", required=True, metavar="DATA", help="data sets of Palate, or folders")
    parser.add_argument(
        "--beside", type=Path, default=ROOT.parent / "shared" / "data", help="where folders that are only named lie"
    )
    parser.add_argument("--seen", choices=("drop", "keep", "both"), default="both")
    parser.add_argument("--test", type=_count, default=2500, metavar="N|all", help="how many test events are scored")
    parser.add_argument("--seed", type=int, default=1, help="draws the test events")
    parser.add_argument("--seeds", type=_positive, default=1, help="how often what learns at random is trained")
    parser.add_argument("--trials", type=_positive, default=4, help="how many settings each peer tries")
    parser.add_argument("--palate", action=argparse.BooleanOptionalAction, default=True, help="run Palate, too")
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers, metavar="PEER", help=", ".join(peers))
    parser.add_argument(
        "--baselines", nargs="*", choices=others, default=others, metavar="NAME", help=", ".join(others)
    )
    parser.add_argument("--fresh", action="store_true", help="run peers again whose results are kept")
    parser.add_argument("--plot", action=argparse.BooleanOptionalAction, default=True, help="write WORK/quality.html")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "quality", help="environments, results, the plot")
    return parser


if __name__ == "__main__":
    sys.exit(main())
