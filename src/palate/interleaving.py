"""Two arms in one ranking, by team draft, with the exact probability of every item at its place.

Team draft (Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", 2008): in each round
of two places a coin says which arm picks first; each picks the best of its order that isn't there yet, and what it
picked is its team's. Both orders are certain, so chance is in the coins alone, and the probability of an item, given
those above it, follows: at the first place of a round from one coin, at the second from who must have gone first.

Scores, features and explanations are the first arm's; the second moves items, and brings some that the first didn't
retrieve.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from palate.answer import Drawn, draw, seeded, stage_since
from palate.config import PolicySettings
from palate.experiment import INTERLEAVED
from palate.line import Line, Model, Scored
from palate.types import F64, I64, Candidates, RankRequest, RecommendRequest, Slate


def team_draft(
    first: Sequence[int], second: Sequence[int], k: int, rng: np.random.Generator
) -> tuple[list[int], list[int], list[float]]:
    """At most ``k`` of two orders of the same things: what stands where, whose it is (0 or 1), and how likely it was
    there given what stands above. O(k)."""
    orders = first, second
    at = [0, 0]
    order: list[int] = []
    teams: list[int] = []
    chances: list[float] = []
    there: set[int] = set()
    turn = 0
    begins = 0.5  # how likely, given what stands above, the first arm began this round
    while len(order) < k:
        for team in (0, 1):
            while at[team] < len(orders[team]) and orders[team][at[team]] in there:
                at[team] += 1
        tops = [orders[team][at[team]] if at[team] < len(orders[team]) else None for team in (0, 1)]
        picks = [tops[team] if tops[team] is not None else tops[1 - team] for team in (0, 1)]
        one, other = picks
        if one is None or other is None:
            break
        opening = len(order) % 2 == 0
        turn = int(rng.integers(2)) if opening else 1 - turn
        likely = 0.5 if opening else 1.0 - begins  # that it is the first arm's turn, given what stands above
        item = one if turn == 0 else other
        if opening:
            begins = 0.5 if one == other else float(item == one)
        order.append(item)
        teams.append(turn if tops[turn] is not None else 1 - turn)
        chances.append(likely * (item == one) + (1.0 - likely) * (item == other))
        there.add(item)
    return order, teams, chances


class Rival(NamedTuple):
    """The second arm."""

    model: Model
    policy: PolicySettings

    def draft(
        self,
        line: Line,
        ranking: str,
        request: RecommendRequest,
        scored: Scored,
        drawn: Drawn,
        now: int,
        model: Model,
    ) -> Drawn:
        """``drawn`` of the first arm, which ranks with ``model``, mixed with what this one shows.

        ``scored`` grows by items that the first arm hadn't among its candidates. Under the engine's lock. Cost: a
        ranking more.
        """
        started = time.perf_counter()
        theirs = line.run(request, now, self.model)
        slate = draw(line.settings, self.policy, ranking, request, theirs, line.catalogue, 0).slate
        picked: list[int] = slate.order.tolist()
        names: list[str] = [theirs.candidates.ids[place] for place in picked]
        places = {name: place for place, name in enumerate(scored.candidates.ids)}
        missing = [name for name in names if name not in places]
        if missing:
            _grow(line, request, scored, missing, now, model)
            places |= {name: len(places) + n for n, name in enumerate(missing)}
        mine: list[int] = drawn.slate.order.tolist()
        order, teams, chances = team_draft(mine, [places[name] for name in names], drawn.k, seeded(ranking))
        mixed = Slate(np.array(order, np.int64), np.array(chances), np.zeros(len(order), np.bool_))
        counts = {"second": teams.count(1), "retrieved": len(missing)}
        scored.stages.append(stage_since(INTERLEAVED, started, counts))
        return drawn._replace(slate=mixed, policy=INTERLEAVED, teams=teams)


def _grow(line: Line, request: RecommendRequest, scored: Scored, names: list[str], now: int, model: Model) -> None:
    """Score ``names`` with the first arm's model, as further candidates."""
    asked = RankRequest(
        user=request.user, session=request.session, query=request.query, context=request.context, items=list(names),
        seen="keep",
    )  # fmt: skip
    more = line.run(asked, now, model)
    found, held = more.candidates, scored.candidates
    order = [found.ids.index(name) for name in names]
    pick: I64 = np.array(order, np.int64)
    n = len(held)
    scored.candidates = Candidates(
        np.concatenate([held.rows, found.rows[pick]]),
        [*held.ids, *names],
        held.fields,
        np.concatenate([held.held, np.zeros(len(names), np.int64)]),
        held.retrievers,
    )
    scored.x = np.concatenate([scored.x, more.x[pick]])
    scored.scores = np.concatenate([scored.scores, more.scores[pick]])
    if scored.moved is not None or more.moved is not None:
        before: F64 = np.zeros(n) if scored.moved is None else scored.moved
        after: F64 = np.zeros(len(names)) if more.moved is None else more.moved[pick]
        scored.moved = np.concatenate([before, after])
