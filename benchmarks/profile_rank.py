"""Where the time of a ranking goes: ``cProfile`` over ``engine.answer``, and CPU a request of the process and thread.

    python -m benchmarks.profile_rank --items 20000 --users 2000

Prints the functions that take most of their own time. The profiler inflates what is made of many small calls.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

import palate
from palate.bench import world


def main() -> None:
    """Build a world, rank in it, profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--functions", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "profile.palate"
        world.build(directory, asked.items, asked.users, 300, 31, lambda *_: None)
        with palate.open(directory) as engine:
            engine.warm()
            requests = world.requests(asked.items, asked.users, asked.requests, 100)
            for request in requests[:300]:
                engine.answer(request)
            process, thread = time.process_time(), time.thread_time()
            for request in requests:
                engine.answer(request)
            process, thread = time.process_time() - process, time.thread_time() - thread
            profile = cProfile.Profile()
            profile.enable()
            for request in requests[:1000]:
                engine.answer(request)
            profile.disable()
    whole, own = (seconds / len(requests) * 1e6 for seconds in (process, thread))
    sys.stdout.write(f"CPU a ranking: {whole:.0f} µs, {own:.0f} of them in its thread\n")
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(asked.functions)


if __name__ == "__main__":
    main()
