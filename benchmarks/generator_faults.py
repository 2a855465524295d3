"""How late a ranking is whose language model hangs, drips, fails or talks nonsense.

``python -m benchmarks.generator_faults``: a small shop, somebody with one event, ``language.rerank`` with a tenth of a
second; for each fault six engines, 20 rankings each, the breaker at its most patient. Prints, as JSON, how many were
answered and degraded, how far the step went over its budget, and how many questions were put before the breaker opened.
Wants the extra ``llm``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from tests.engines import stage
from tests.language.protocol import ChatServer
from tests.test_reranking import NAMES, engine

BUDGET = 0.1
FAULTS = ("hang", "drip", "500", "nonsense")


def main() -> None:
    """Measure and print."""
    server = ChatServer()
    told: dict[str, Any] = {}
    server.behave("500")
    with engine(server, seconds=5.0) as made:
        made.rank("fresh", NAMES)  # the first question of a process loads the library
    for fault in FAULTS:
        over: list[float] = []
        degraded = asked = 0
        for _ in range(6):
            server.behave(fault)
            settings = {"failures": 20, "rest_seconds": 600.0, "concurrency": 16}
            with engine(server, settings, seconds=BUDGET) as made:
                made.warm()
                for _ in range(20):
                    ranking = made.rank("fresh", NAMES)
                    degraded += bool(ranking.degraded)
                    over.append(stage(ranking, "language model").ms - 1000 * BUDGET)
                asked = max(asked, len(server.seen))
        p50, p99, most = (round(float(one), 2) for one in np.percentile(over, (50, 99, 100)))
        told[fault] = {
            "answered": len(over), "degraded": degraded, "over the budget, ms": {"p50": p50, "p99": p99, "most": most},
            "questions before the breaker opened, at most": asked,
        }  # fmt: skip
    server.behave()
    server.close()
    json.dump(told, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
