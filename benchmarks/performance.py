"""Measure everything and write it into ``docs/performance.md``: the tables between its marks are made anew.

    python -m benchmarks.performance --keep worlds
    python -m benchmarks.performance --keep worlds --only rank,profile
    python -m benchmarks.performance --keep worlds --only none

Runs ``palate bench`` section by section and ``benchmarks.profile_rank``, and keeps their figures beside the made-up
worlds, in ``bench.json`` and ``profile.json``: with ``--only`` what isn't measured now is taken from there. Half an
hour, and longer the first time, when the worlds are built. A table stands between ``<!-- figures: NAME -->`` and
``<!-- end -->``; what stands around them is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from palate.bench.common import Figures
from palate.bench.goals import judged, remarks
from palate.bench.run import SECTIONS
from palate.cli.bench import flat, limit, measured, named
from palate.cli.messages import MESSAGES, choose

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
MARK = re.compile(r"<!-- figures: (\w+) -->\n.*?<!-- end -->", re.S)


def main() -> None:
    """Measure what is wanted; write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, required=True, help="where worlds and figures are kept")
    parser.add_argument("--only", default=",".join([*SECTIONS, "profile"]), help="sections, and profile; none of them")
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    bench, profile = asked.keep / "bench.json", asked.keep / "profile.json"
    wanted = asked.only.split(",")
    for section in SECTIONS:
        if section in wanted:
            measure(section, asked.keep, bench)
    if "profile" in wanted:
        run = [sys.executable, "-m", "benchmarks.profile_rank", "--keep", str(asked.keep), "--json", str(profile)]
        subprocess.run(run, check=True)
    found, looked = read(bench), read(profile)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found, looked), encoding="utf-8")


def read(file: Path) -> Figures:
    """Figures that were kept; none where there is no such file."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def measure(section: str, keep: Path, bench: Path) -> None:
    """Run one section, and put its figures among those of the others; goals and remarks are of all of them."""
    run = [sys.executable, "-m", "palate", "bench", "--only", section, "--keep", str(keep), "--json"]
    fresh = json.loads(subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout)
    found = read(bench)
    loads: dict[str, float] = found.get("loads", {}) | {section: fresh["machine"]["load"]}
    found |= {name: fresh[name] for name in ("machine", "items", "users", section)}
    found["loads"] = loads
    found["machine"]["load"] = max(loads.values())
    found["goals"] = judged(found)
    found["remarks"] = [MESSAGES[key][0].format(**values) for key, values in remarks(found, False)]
    bench.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def written(text: str, found: Figures, profile: Figures) -> str:
    """The page with every table made anew whose figures there are. Errors: ``KeyError`` for a mark without a table."""
    choose("en")

    def made(mark: re.Match[str]) -> str:
        table = TABLES[mark[1]]
        try:
            return f"<!-- figures: {mark[1]} -->\n{table(found, profile)}\n<!-- end -->"
        except KeyError:  # nobody has measured that yet
            return mark[0]

    return MARK.sub(made, text)


def _table(head: list[str], rows: list[list[str]], right: int) -> str:
    """A table in Markdown; the last ``right`` columns are of numbers."""
    rule = ["---"] * (len(head) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def _machine(found: Figures, _: Figures) -> str:
    machine = found["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}; {found['items']:,} items, "
        f"{found['users']:,} people. Processes that wanted a core in the minute before each section: "
        f"{', '.join(f'{name} {load:g}' for name, load in found['loads'].items())}."
    )


def _goals(found: Figures, _: Figures) -> str:
    rows = [
        [f"{named(goal['goal'], 0)} (`{goal['goal']}`)", measured(goal["goal"], goal["measured"]), limit(goal),
         "✓" if goal["met"] else "✗"]
        for goal in found["goals"]
    ]  # fmt: skip
    return _table(["what", "measured", "goal", "met"], rows, 3)


def _remarks(found: Figures, _: Figures) -> str:
    return "\n".join(found["remarks"]) or "Nothing disturbed this run."


def _section(name: str) -> Callable[[Figures, Figures], str]:
    """The figures of one section that have a name for people."""

    def made(found: Figures, _: Figures) -> str:
        pairs = [(named(full, 0), measured(full, value)) for full, value in flat({name: found[name]}) if named(full, 0)]
        return _table(["what", "measured"], [[str(text), figure] for text, figure in pairs], 1)

    return made


def _latency(found: Figures, _: Figures) -> str:
    rows: list[list[str]] = []
    for row in found["rank"]["latency"]:
        for kind, prefix in (("empty handler", "empty_"), ("Palate", "")):
            cells = [f"{row[f'{prefix}{name}_ms']:,.2f} ms" for name in ("p50", "p99", "p999")]
            rows.append([f"{row['per_s']:,g}/s", kind, *cells, "yes" if row[f"{prefix}kept_up"] else "no"])
    return _table(["due", "server", "p50", "p99", "p99.9", "kept up"], rows, 4)


def _stages(kind: str, title: str) -> Callable[[Figures, Figures], str]:
    def made(_: Figures, profile: Figures) -> str:
        part: dict[str, Any] = profile[kind]
        whole = part["us"] if kind == "engine" else part["cpu_us"]
        rows = [[name, f"{us:,.0f} µs", f"{us / whole:.0%}"] for name, us in part["stages"].items()]
        return _table([title, f"{whole:,.0f} µs", "share"], rows, 2)

    return made


def _functions(_: Figures, profile: Figures) -> str:
    rows = [[f"`{name}`", f"{us:,.0f} µs"] for name, us in list(profile["server"]["functions"].items())[:12]]
    return _table(["function", "by itself, with the compiled code that it calls"], rows, 1)


TABLES: dict[str, Callable[[Figures, Figures], str]] = {
    "machine": _machine,
    "goals": _goals,
    "remarks": _remarks,
    "latency": _latency,
    "engine": _stages("engine", "in the engine, wall time"),
    "server": _stages("server", "in the whole server, CPU"),
    "functions": _functions,
    **{name: _section(name) for name in SECTIONS},
}
"""What stands between the marks of each name."""


if __name__ == "__main__":
    main()
