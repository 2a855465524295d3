"""Where the time of a ranking goes: in the engine by its own clocks, in the whole server by samples of its stack.

    python -m benchmarks.profile_rank
    python -m benchmarks.profile_rank --json profile.json --flame profile.svg

First the engine alone: the stages that every answer carries, the middle of many, and the rest. Then ``palate serve``
on a core of its own, where there are two, under as much load as it takes (with less, a look that finds it waiting for
its core would count for where it wakes up): py-spy looks at its stack some hundred times a second from outside, and
each look counts for the innermost stage on it (``STAGES``), compiled code for the line that calls it. A stage's share
of the looks at work is its share of the CPU that a request takes without py-spy.
``--native`` also names the functions of C libraries that the looks end in, at a fifth of the rate.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import palate
from palate.bench.common import Plan, plan, rankings
from palate.bench.load import closed, cores, server
from palate.bench.world import requests
from palate.bench.worlds import Worlds

STAGES: tuple[tuple[str, str], ...] = (
    ("encode the answer", r"Hot\.\w+ .*: .*_encode\("),
    ("decode the request", r"parse_request|palate/wire\.py"),
    ("check the request", r"check_request"),
    ("send", r"RequestResponseCycle\.send|HotProtocol\._send|serve/answer\.py"),
    ("receive", r"RequestResponseCycle\.receive|read_body"),
    ("guard, route, headers", r"serve/(app|security|body|protocol)\.py"),
    ("metrics", r"serve/metrics\.py"),
    ("ids to rows", r"Sourcing\.given|state/lookup\.py"),
    ("filters", r"Sourcing\.\w+|palate/filters\.py|Catalogue\.are_showable"),
    ("the person", r"Computer\.subject|palate/(profile|tastes)\.py"),
    ("item to item", r"Computer\.strengths_of|features/neighbours\.py"),
    ("features", r"Computer\.matrix|features/columns\.py|features/compute\.py|Catalogue\.side"),
    ("forest", r"total_score|palate/score/"),
    ("policy", r"palate/policy/|make_policy|rules_of|seeded|similarity"),
    ("reasons", r"palate/reasons\.py|palate/explain\.py|features/speakers\.py|Catalogue\.title"),
    ("answer and decision", r"build_answer|palate/answer\.py"),
    ("decision log", r"store/(shared_)?decisions?\.py"),
    ("the line itself", r"palate/(line|engine|opening|serve/hot)\.py"),
    ("event loop, HTTP, sockets", r"uvicorn/|asyncio/|uvloop"),
)
"""Stage → what a frame, ``function (file:line): source``, must hold; the innermost frame that fits decides."""
_IDLE = re.compile(r"(Condition\.wait|Event\.wait|Queue\.get|wait_for_tstate) \(threading\.py|queue\.py")
_RATE = 400
_CONNECTIONS = 8
_FRAME = re.compile(r"(?P<name>.+) \((?P<file>[^()]*\.py):(?P<line>\d+)\)$")


def main() -> None:
    """Build a world, rank in it, say where the time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=4_000)
    parser.add_argument("--functions", type=int, default=20)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--keep", type=Path, help="worlds of palate bench --keep")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--flame", type=Path, help="also write a flame graph there, SVG")
    asked = parser.parse_args()
    spy = py_spy()
    with tempfile.TemporaryDirectory() as place:
        worlds = Worlds(asked.keep or Path(place), asked.keep is not None)
        sizes = plan(asked.items, asked.users, asked.requests)
        with worlds.use(sizes.base, _quiet) as directory:
            found = {"engine": engine(directory, sizes)}
            show("In the engine", found["engine"]["stages"], found["engine"]["us"])
            if spy is None:
                sys.stderr.write("The server is sampled by py-spy: pip install py-spy.\n")
            else:
                found["server"] = sampled(directory, sizes, spy, asked.native, asked.flame)
                show("In the whole server", found["server"]["stages"], found["server"]["cpu_us"])
                most = dict(list(found["server"]["functions"].items())[: asked.functions])
                show("By function", most, found["server"]["cpu_us"])
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _quiet(name: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


def py_spy() -> str | None:
    """The program, of this environment or of the path."""
    here = Path(sysconfig.get_path("scripts")) / "py-spy"
    return str(here) if here.is_file() else shutil.which("py-spy")


def engine(directory: Path, sizes: Plan) -> dict[str, Any]:
    """Wall and CPU µs of ``engine.answer``, and of each stage: the middle of all requests."""
    base = sizes.base
    some = requests(base.items, base.users, sizes.requests + 300, 100)
    stages: dict[str, list[float]] = {}
    walls: list[float] = []
    with palate.open(directory) as opened:
        opened.warm()
        for request in some[:300]:
            opened.answer(request)
        process, thread = time.process_time(), time.thread_time()
        for request in some[300:]:
            begun = time.perf_counter()
            answer = opened.answer(request)
            walls.append((time.perf_counter() - begun) * 1e6)
            for stage in answer.stages:
                stages.setdefault(stage.name, []).append(stage.ms * 1000)
        process, thread = time.process_time() - process, time.thread_time() - thread
    middle = {name: statistics.median(values) for name, values in stages.items()}
    whole = statistics.median(walls)
    middle["the rest"] = whole - sum(middle.values())
    count = len(walls)
    cpu = {"cpu_us": round(process / count * 1e6, 1), "thread_cpu_us": round(thread / count * 1e6, 1)}
    return {"us": round(whole, 1), **cpu, "stages": {name: round(us, 1) for name, us in middle.items() if us >= 0.05}}


def sampled(directory: Path, sizes: Plan, spy: str, native: bool, flame: Path | None) -> dict[str, Any]:
    """CPU µs a request of the server, and of each stage and function by samples."""
    bodies = rankings(sizes.base, sizes.requests + 300)
    with server("palate", directory, cores()[0]) as served:
        closed(served, bodies[:300], 1)
        run = closed(served, bodies[300:], _CONNECTIONS)
        seconds = max(2, round(run.wall * (3 if native else 1.5)))
        rate = _RATE // 5 if native else _RATE
        looks = _watch(
            spy, served.process.pid, seconds, rate, native, lambda: closed(served, bodies[300:], _CONNECTIONS)
        )
        if flame is not None:
            command = [spy, "record", "-p", str(served.process.pid), "-d", str(seconds), "-r", str(rate), "-o"]
            _beside([*command, str(flame)], lambda: closed(served, bodies[300:], _CONNECTIONS))
    total = sum(looks.values())
    if not total:
        raise SystemExit("py-spy saw nothing at work: may it look at other processes here (ptrace)?")
    stages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for frames, count in looks.items():
        stages[stage_of(frames)] += count
        functions[_function(frames[-1])] += count
    in_us = run.cpu_us / total
    return {
        "cpu_us": round(run.cpu_us, 1),
        "looks": total,
        "stages": {name: round(count * in_us, 1) for name, count in stages.most_common()},
        "functions": {name: round(count * in_us, 1) for name, count in functions.most_common()},
    }


def _watch(spy: str, pid: int, seconds: int, rate: int, native: bool, load: Any) -> Counter[tuple[str, ...]]:
    """Stacks seen at work, outermost frame first, and how often."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as raw:
        command = [spy, "record", "-p", str(pid), "-d", str(seconds), "-r", str(rate), "-f", "raw", "-o", raw.name]
        _beside([*command, *(["--native"] if native else [])], load)
        lines = Path(raw.name).read_text(encoding="utf-8").splitlines()
    looks: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = tuple(stack.split(";"))
        if not any(_IDLE.search(frame) for frame in frames[-4:]):
            looks[frames] += int(count)
    return looks


def _beside(command: list[str], load: Any) -> None:
    """Run ``load`` again and again as long as the command runs."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watching:
        while watching.poll() is None:
            load()


def stage_of(frames: tuple[str, ...]) -> str:
    """The stage of the innermost frame that has one."""
    for frame in reversed(frames):
        text = _with_source(frame)
        for stage, pattern in STAGES:
            if re.search(pattern, text):
                return stage
    return "other threads" if frames[0].startswith("Thread.") else "elsewhere"


@cache
def _with_source(frame: str) -> str:
    """A frame and the text of its line, where that is of Palate."""
    found = _FRAME.match(frame)
    if found is None or not found["file"].startswith("palate/"):
        return frame
    lines = (Path(palate.__file__).parent.parent / found["file"]).read_text(encoding="utf-8").splitlines()
    return f"{frame}: {lines[int(found['line']) - 1].strip()}"


def _function(frame: str) -> str:
    found = _FRAME.match(frame)
    return frame if found is None else f"{found['name']} ({found['file']})"


def show(title: str, figures: dict[str, float], whole: float) -> None:
    """A table: µs a request, and the share of the whole."""
    rows = [f"{us:8,.1f}  {us / whole:6.1%}  {name}" for name, us in figures.items()]
    sys.stdout.write("\n".join([f"{title}: {whole:,.0f} µs a ranking", *rows, ""]) + "\n")


if __name__ == "__main__":
    main()
