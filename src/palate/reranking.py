"""A language model in the loop: it may order the first few anew for somebody of whom little is known, or it is left
out.

The ranking is whole before anybody asks: scored, drawn, worded, as of a position of the log. What comes back in time
only moves items of it by a few places (``language.rerank``); what doesn't come, or is of no use, leaves it as it was
and is named in ``degraded``. Scores stay the scorer's, propensities hold given the arm (asked or held), and every move
is a term of its own. Nothing of it needs the engine's lock while it waits.

The gate: people with at most ``events`` events, and where a model's gate says for whom it is worth it (``train.gate``),
those.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.language import Generator
from palate.language.prompt import Reply
from palate.language.rerank import Described, View, agreed, bounded, views
from palate.line import Model, Scored
from palate.reasons import moved, moved_term
from palate.settings import PolicySettings, RerankSettings
from palate.store.decision import Decision, Reordered, Unshown, pack
from palate.types import F64, Ranking, RankRequest, Reason, RecommendRequest, Stage

STAGE = "language model"
_LATE: Reply[Any] = Reply(None, "generator_busy", "No thread came free in time.")
_THREADS = 8


def make_reranking(settings: Settings, generator: Generator) -> Reranking | None:
    """None where ``language.rerank.enabled`` is false: no request does anything for it then."""
    chosen = settings.language.rerank
    return Reranking(chosen, generator) if chosen.enabled else None


def margin_of(scores: F64, top: int) -> float:
    """How far the first of ``top`` stands above the last of them, in standard deviations of all finite ``scores``; 0
    where they don't differ. What is decided already needs no second opinion."""
    finite = scores[np.isfinite(scores)]
    spread = float(finite.std()) if len(finite) > 1 else 0.0
    if spread <= 0.0:
        return 0.0
    best = np.sort(finite)[::-1][:top]
    return float((best[0] - best[-1]) / spread)


class Reranking:
    """Decides who is asked about, and asks. Safe for several threads."""

    def __init__(self, settings: RerankSettings, generator: Generator) -> None:
        self.settings = settings
        self.generator = generator
        self._threads = ThreadPoolExecutor(_THREADS, "rerank-language")

    def close(self) -> None:
        """Let its threads go; they end with the generator."""
        self._threads.shutdown(wait=False)

    def question(
        self,
        ranking: str,
        request: RecommendRequest,
        scored: Scored,
        catalogue: Catalogue,
        model: Model,
        policy: PolicySettings,
    ) -> Question | None:
        """What is to be asked for this request, None where nothing is (a stage says why). Under the engine's lock."""
        settings = self.settings
        finite = int(np.count_nonzero(np.isfinite(scored.scores)))
        top = min(settings.top, finite)
        why = ""
        events, margin = int(scored.subject.count), margin_of(scored.scores, top)
        usual = policy.rank if isinstance(request, RankRequest) else policy.recommend
        if (request.policy or usual) != "greedy":
            why = "the policy draws at random: a move would spoil its propensities"
        elif top < 2:
            why = "fewer than two candidates have a score"
        elif events > settings.events:
            why = f"more than {settings.events} events are known of this person"
        elif settings.gate == "learnt" and not model.gate.opens(events, margin):
            why = f"the gate is {model.gate.why}"
        if why:
            scored.stages.append(Stage(STAGE, 0.0, "skipped", why))
            return None
        draw = int.from_bytes(blake2b(b"language" + ranking.encode(), digest_size=7).digest()) / 2**56
        log = Reordered(
            "held" if draw < settings.held else "asked",
            settings.held if draw < settings.held else 1.0 - settings.held,
            events,
            round(margin, 6),
            model=self.generator.name,
        )
        if log.arm == "held":
            scored.stages.append(Stage(STAGE, 0.0, "skipped", "held out by chance, to learn what it is worth"))
            return Question(self, [], log, 0)
        order: list[int] = np.argsort(-scored.scores, kind="stable")[:top].tolist()
        rows = scored.candidates.rows
        named = {str(scored.candidates.ids[place]): described(catalogue, int(rows[place])) for place in order}
        liked = [
            int(row) for row, weight in zip(scored.subject.items, scored.subject.weights, strict=True) if weight > 0
        ]
        history = [described(catalogue, row) for row in dict.fromkeys(liked[: settings.history])]
        return Question(self, history, log, top, named, request.query or "")

    def replies(self, found: list[View], until: float) -> list[Reply[Any]]:
        """The answers to ``found``, all asked at once; none later than 10 ms after ``until`` (``time.monotonic``)."""
        waiting: list[Future[Reply[Any]]] = [
            self._threads.submit(self.generator.generate, view.prompt, max(0.0, until - time.monotonic()))
            for view in found[1:]
        ]
        replies = [self.generator.generate(found[0].prompt, max(0.0, until - time.monotonic()))]
        for future in waiting:
            try:
                replies.append(future.result(max(0.0, until - time.monotonic()) + 0.005))
            except WaitTimeout:
                replies.append(_LATE)
        return replies


@dataclass(slots=True)
class Question:
    """One ranking's question. ``settle`` ends it, asked or not, answered or not: the slate may be longer than the
    request's k until then. top: candidates that are ordered anew, 0 where chance held it out."""

    of: Reranking
    history: list[Described]
    log: Reordered
    top: int
    named: dict[str, Described] = field(default_factory=dict[str, Described])
    query: str = ""

    def settle(self, answer: Ranking, decision: Decision) -> None:
        """Ask, wait, and put what came of it into the answer and its decision. Blocks for ``seconds`` at most."""
        started = time.perf_counter()
        found, pool, until = self._views(answer)
        self._end(answer, decision, found, pool, self.of.replies(found, until) if found else [], started)

    async def settle_in_time(self, answer: Ranking, decision: Decision) -> None:
        """The same for an event loop, which goes on with others meanwhile."""
        started = time.perf_counter()
        found, pool, until = self._views(answer)
        replies: list[Reply[Any]] = []
        if found:
            left = max(0.0, until - time.monotonic())
            replies = await asyncio.gather(*(self.of.generator.ask(view.prompt, left) for view in found))
        self._end(answer, decision, found, pool, replies, started)

    def _views(self, answer: Ranking) -> tuple[list[View], list[int], float]:
        """The questions, the places of the items that they are about, and until when there is time."""
        until = time.monotonic() + self.of.settings.seconds
        pool = [
            place
            for place, item in enumerate(answer.items[: self.top])
            if item.score is not None and item.id in self.named and not _explores(item.reasons)
        ]
        if len(pool) < 2:
            return [], pool, until
        candidates = [self.named[answer.items[place].id] for place in pool]
        return views(candidates, self.history, self.query, self.of.settings.orders), pool, until

    def _end(
        self, answer: Ranking, decision: Decision, found: list[View], pool: list[int], replies: list[Reply[Any]],
        started: float,
    ) -> None:  # fmt: skip
        log, asked = self.log, decision.request
        ups = [0] * len(pool)
        if found:
            log.prompt = found[0].prompt.version
            log.tokens_in = sum(reply.tokens_in for reply in replies)
            log.tokens_out = sum(reply.tokens_out for reply in replies)
            log.degraded = next((reply.degraded for reply in replies if reply.degraded), "") or ""
            if not log.degraded:
                ups = agreed([view.order(reply.value) for view, reply in zip(found, replies, strict=True)])
        amid = pool[-1] + 1 - len(pool) if pool else 0  # items that stay where they are: so many places more to pass
        shift = self.of.settings.shift - amid
        chosen = bounded(ups, shift) if any(ups) and shift > 0 else list(range(len(pool)))
        order = list(range(len(answer.items)))
        for place, one in zip(pool, chosen, strict=True):
            order[place] = pool[one]
        wanted = len(order) if asked is None or asked.kind == "rank" else 10
        limit = min(len(order), wanted if asked is None or asked.k is None else asked.k)
        moves = _apply(answer, decision, order, limit)
        log.moves = moves if any(moves) else []
        decision.reordered = log
        if log.arm == "held":
            return
        ms = round((time.perf_counter() - started) * 1000, 4)
        if log.degraded:
            answer.degraded.append(log.degraded)
            stage = Stage(STAGE, ms, "failed", "the order before it stands", {"asked": len(found)})
        elif not found:
            stage = Stage(STAGE, ms, "skipped", "fewer than two items could change places")
        else:
            counts = {"asked": len(found), "candidates": len(pool), "moved": sum(map(bool, moves))}
            stage = Stage(STAGE, ms, "ran", None, counts)
        answer.stages.append(stage)  # the decision has the same list


def described(catalogue: Catalogue, row: int) -> Described:
    """The item of ``row`` as a model may hear of it: its title, where it has one, and its tags."""
    if row < 0:
        return Described("", [])
    fields = catalogue.state.item_fields.get(row, {})
    title = catalogue.title(row)
    return Described("" if title == catalogue.state.items.ids[row] and title not in fields.values() else title,
                     catalogue.tags_of(row))  # fmt: skip


def _explores(reasons: list[Reason]) -> bool:
    return bool(reasons) and reasons[0].code == "exploration"


def _apply(answer: Ranking, decision: Decision, order: list[int], limit: int) -> list[int]:
    """Put items into ``order`` and cut after ``limit``. Returns places gone up, of the items that stay."""
    items, shown = answer.items, decision.shown
    moves = [place - position for position, place in enumerate(order)]
    if limit == len(items) and not any(moves):
        return moves
    explains = any(item.contributions for item in items)
    x = shown.matrix()
    left = order[limit:]
    if left and decision.unshown is not None:
        held = decision.unshown
        more = np.concatenate([x[left], held.matrix().reshape(len(held.ids), x.shape[1])])
        decision.unshown = Unshown([shown.ids[place] for place in left] + held.ids, pack(more))
    order, moves = order[:limit], moves[:limit]
    answer.items = [items[place] for place in order]
    shown.ids = [shown.ids[place] for place in order]
    shown.scores = [shown.scores[place] for place in order]
    shown.propensities = [shown.propensities[place] for place in order]
    shown.explored = [shown.explored[place] for place in order]
    shown.positions = list(range(1, len(order) + 1))
    shown.features = pack(x[order])
    if decision.penalties:
        held_back = decision.penalties
        decision.penalties = [held_back[place] if place < len(held_back) else 0.0 for place in order]
    if decision.online:
        decision.online = [decision.online[place] for place in order]
    for position, (item, places) in enumerate(zip(answer.items, moves, strict=True), 1):
        item.position = position
        if places:
            item.reasons = [moved(places), *item.reasons]
            if explains:
                item.contributions = [*item.contributions, moved_term(places)]
        for one in item.contributions:  # terms of a policy name the place
            if one.feature.startswith("policy.") and one.feature != "policy.diversity":
                one.value = float(position)
    answer.cold = msgspec.structs.replace(answer.cold, items=sum(item.cold for item in answer.items))
    return moves
