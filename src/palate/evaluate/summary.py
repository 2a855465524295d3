"""From ranks and lists to tables with intervals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from palate.config import Settings
from palate.content.text import item_tags, item_text
from palate.evaluate.bootstrap import Estimate, by_user, paired
from palate.evaluate.metrics import by_rank, cosine_diversity, coverage, jaccard_diversity, novelty
from palate.evaluate.protocol import Outcome, Plan
from palate.evaluate.result import Comparison, EvaluationResult, Table
from palate.evaluate.stream import EventStream
from palate.language import encoder_of
from palate.language.cache import VectorCache
from palate.types import F64, I32, I64, Bools

DIVERSITY_EVENTS = 300


def summarise(
    stream: EventStream,
    plan: Plan,
    outcomes: dict[str, Outcome],
    protocol: dict[str, Any],
    settings: Settings,
    k: int,
    seed: int,
    began: float,
) -> EvaluationResult:
    """Tables of every system, for all sampled events, cold items, cold users, and warm ones."""
    spread = Spread(stream, settings)
    users = stream.users[plan.positions].astype(np.int64)
    systems: Table = {}
    cold: dict[str, Table] = {"items": {}, "users": {}}
    warm: Table = {}
    for name, outcome in outcomes.items():
        for tables in (systems, cold["items"], cold["users"], warm):
            tables[name] = {}
        for mode, rank in outcome.rank.items():
            main, top = plan.main[mode], outcome.top[mode]
            shown = {
                "novelty": _novelty(stream, plan.positions, main, top),
                "diversity": spread.values(main, top, seed),
            }
            found = _estimates(rank, users, main, k, seed, shown)
            found["coverage"] = Estimate(coverage(top[main], stream.catalogue(len(stream) - 1)))
            systems[name][mode] = found
            cold["items"][name][mode] = _estimates(rank, users, plan.scored[mode] & plan.cold_item, k, seed)
            cold["users"][name][mode] = _estimates(rank, users, main & plan.cold_user, k, seed)
            warm[name][mode] = _estimates(rank, users, main & ~plan.cold_item & ~plan.cold_user, k, seed)
    protocol["diversity"] = spread.sentence()
    seconds = {name: round(outcome.start_seconds + outcome.seconds, 3) for name, outcome in outcomes.items()}
    result = EvaluationResult(protocol, systems, cold, warm, [], seconds)
    result.comparisons = _comparisons(result, plan, outcomes, users, k, seed)
    seconds["total"] = round(time.perf_counter() - began, 3)
    return result


def _estimates(
    rank: F64, users: I64, chosen: Bools, k: int, seed: int, shown: dict[str, F64] | None = None
) -> dict[str, Estimate]:
    columns = {name: values[chosen] for name, values in {**by_rank(rank, k), **(shown or {})}.items()}
    values = np.stack(list(columns.values()), axis=1)
    return dict(zip(columns, by_user(values, users[chosen], seed=seed), strict=True))


def _comparisons(
    result: EvaluationResult, plan: Plan, outcomes: dict[str, Outcome], users: I64, k: int, seed: int
) -> list[Comparison]:
    if "palate" not in outcomes:
        return []
    found: list[Comparison] = []
    for mode, rank in outcomes["palate"].rank.items():
        best, main = result.best_baseline(mode), plan.main[mode]
        ours = by_rank(rank[main], k)["ndcg"]
        for name, outcome in outcomes.items():
            if name == "palate":
                continue
            theirs = by_rank(outcome.rank[mode][main], k)["ndcg"]
            ratio = float(ours.mean() / theirs.mean()) if len(theirs) and theirs.mean() > 0 else None
            found.append(Comparison(mode, name, paired(ours, theirs, users[main], seed=seed), ratio, name == best))
    return found


def _novelty(stream: EventStream, positions: I64, main: Bools, top: I32) -> F64:
    """(e,) novelty of each list from the popularity just before it; NaN beyond the sample."""
    found = np.full(len(main), np.nan)
    counts = np.zeros(len(stream.item_ids), dtype=np.int64)
    at = 0
    for index in np.flatnonzero(main).tolist():
        position = int(positions[index])
        np.add.at(counts, stream.items[at:position], 1)
        at = position
        found[index] = novelty(top[index], counts[: stream.catalogue(position)], position)
    return found


class Spread:
    """Diversity of lists: by the vectors of the items' texts, or by their tags where no item has a text.

    Measured on ``DIVERSITY_EVENTS`` seeded events of the sample, the same for all systems; each text is encoded once.
    """

    def __init__(self, stream: EventStream, settings: Settings) -> None:
        self._language = settings.language
        self._fields = stream.fields
        named = settings.language.encoder != "none" and any(self._text(code) for code in range(len(stream.fields)))
        self._cache = VectorCache(None, encoder_of(self._language)) if named else None

    def _text(self, code: int) -> str:
        return item_text(self._fields[code], self._language.text_fields, self._language.max_chars)

    def _tags(self, code: int) -> frozenset[str]:
        return frozenset(item_tags(self._fields[code], self._language.tag_fields))

    def values(self, main: Bools, top: I32, seed: int) -> F64:
        """(e,) diversity of each list; NaN beyond the sample, and where fewer than two items can be compared."""
        found = np.full(len(main), np.nan)
        chosen = np.flatnonzero(main)
        chosen = np.random.default_rng(seed).permutation(chosen)[:DIVERSITY_EVENTS]
        codes = np.unique(top[chosen])
        codes = codes[codes >= 0]
        if self._cache is None:
            tags = {code: self._tags(code) for code in codes.tolist()}
            for index in chosen.tolist():
                found[index] = jaccard_diversity([tags[code] for code in top[index].tolist() if code >= 0])
            return found
        vectors = self._cache.get([self._text(code) for code in codes.tolist()])
        for index in chosen.tolist():
            found[index] = cosine_diversity(vectors[np.searchsorted(codes, top[index][top[index] >= 0])])
        return found

    def sentence(self) -> str:
        """How it was measured."""
        how = "cosine of text vectors" if self._cache is not None else "Jaccard similarity of tags"
        return f"1 − mean pairwise {how} of the shown items, on {DIVERSITY_EVENTS} events of the sample."
