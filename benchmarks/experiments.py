"""``python -m benchmarks.experiments``: how often experiments cry wolf, and how soon they see a difference.

Experiments of the very statistics that ``palate experiment show`` uses, on people whose clicks are skewed and follow
from what they did before; each looked at ``LOOKS`` times. ``--json`` for the figures.
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np

from palate.experiment.statistics import adjusted, difference, sample_ratio

RUNS, PEOPLE, LOOKS = 2_000, 4_000, 40
LIFTS = (0.0, 0.05, 0.1, 0.2)


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """A 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / runs
    middle, half = share + z * z / (2 * runs), z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs))
    return (middle - half) / (1 + z * z / runs), (middle + half) / (1 + z * z / runs)


def play(lift: float, runs: int, seed: int) -> dict[str, object]:
    """Experiments whose second arm has ``lift`` more clicks."""
    rng = np.random.default_rng(seed)
    looks = np.linspace(PEOPLE // LOOKS, PEOPLE, LOOKS).astype(int)
    found = {"plain": 0, "adjusted": 0, "fixed": 0}
    when: dict[str, list[int]] = {"plain": [], "adjusted": []}
    missed = broken = 0
    for _ in range(runs):
        habit = rng.gamma(0.5, 2.0, PEOPLE)
        arm = rng.random(PEOPLE) < 0.5
        before = rng.poisson(habit).astype(float)
        outcome = rng.poisson(habit * np.where(arm, 1 + lift, 1.0)).astype(float)
        truth = lift * 1.0
        seen: dict[str, int] = {}
        fixed = missing = alarmed = False
        for n in looks.tolist():
            mine = arm[:n]
            counts = np.array([n - int(mine.sum()), int(mine.sum())])
            alarmed |= sample_ratio(counts, np.ones(2)) < 0.001
            for name, values in (("plain", outcome[:n]), ("adjusted", adjusted(outcome[:n], before[:n]))):
                what = difference(values[~mine], values[mine], 0.05, PEOPLE)
                if what is None:
                    continue
                missing |= not what.low <= truth <= what.high
                if (what.low > 0 or what.high < 0) and name not in seen:
                    seen[name] = n
            one, other = outcome[:n][~mine], outcome[:n][mine]
            error = math.sqrt(one.var() / len(one) + other.var() / len(other))
            fixed |= abs(other.mean() - one.mean()) > 1.96 * error
        for name, n in seen.items():
            found[name] += 1
            when[name].append(n)
        found["fixed"] += fixed
        missed += missing
        broken += alarmed
    return {
        "lift": lift,
        "runs": runs,
        **{name: (round(hits / runs, 4), *(round(x, 4) for x in wilson(hits, runs))) for name, hits in found.items()},
        **{f"{name}_people": int(np.median(times)) if times else None for name, times in when.items()},
        "truth_left_out": round(missed / runs, 4),
        "sample_ratio_alarms": round(broken / runs, 4),
    }


def main() -> None:
    """The table, or ``--json``."""
    runs = int(sys.argv[sys.argv.index("--runs") + 1]) if "--runs" in sys.argv else RUNS
    rows = [play(lift, runs, seed) for seed, lift in enumerate(LIFTS)]
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    sys.stdout.write("| lift | found | with CUPED | people until then | a t-test at every look | truth left out |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    for row in rows:
        shares = [f"{row[n][0]:.1%} [{row[n][1]:.1%}, {row[n][2]:.1%}]" for n in ("plain", "adjusted")]  # type: ignore[index]
        people = ", ".join(f"{row[n]:,}" if row[n] else "–" for n in ("plain_people", "adjusted_people"))
        line = [f"{row['lift']:.0%}", *shares, people, f"{row['fixed'][0]:.1%}", f"{row['truth_left_out']:.1%}"]  # type: ignore[index]
        sys.stdout.write(f"| {' | '.join(line)} |\n")


if __name__ == "__main__":
    main()
