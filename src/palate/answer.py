"""From scored candidates and a slate to the answer on the wire and the decision in the log."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from palate.bandits.chooser import Plan
from palate.catalogue import Catalogue
from palate.config import PolicySettings, Settings
from palate.errors import Gone, NotFound
from palate.explain import Explainer
from palate.features import PRIOR, ItemSide, Subject
from palate.feedback.grades import sent
from palate.line import Line, Model, Scored
from palate.policy import Similarity, make_policy
from palate.reasons import Reasons, evidence, moved, moved_term
from palate.settings_policy import BANDITS
from palate.store import Record, Store
from palate.store.decision import Asked, Decision, Rules, Shown, Unshown, pack
from palate.train.history import event_of
from palate.train.replay import COLD, feature_key
from palate.types import (
    F32,
    Bools,
    Cold,
    Contribution,
    Event,
    Explanation,
    Impression,
    Interaction,
    RankedItem,
    Ranking,
    RankRequest,
    Reason,
    RecommendRequest,
    Slate,
    Stage,
)

_NO_CHANCE = np.random.default_rng(0)
"""Never drawn from: greedy without exploration leaves nothing to chance."""
_FEW = 100
"""Events of a person beyond their history, up to which all are read at once to find those of the history."""


def seeded(ranking: str) -> np.random.Generator:
    """All chance of a ranking, from its id: the same id draws the same slate."""
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(ranking.encode(), digest_size=8).digest(), "big"))


def stage_since(name: str, started: float, counts: dict[str, int]) -> Stage:
    """A stage that ran since ``started`` (``time.perf_counter``)."""
    return Stage(name, round((time.perf_counter() - started) * 1000, 4), "ran", None, counts)


def similarity(side: ItemSide | None, scored: Scored) -> Similarity | None:
    """Cosines between candidates' texts for the policy's diversity; None where diversity is off."""
    if side is None or not len(side.vectors):
        return None
    rows = scored.candidates.rows
    texts = np.where(rows >= 0, side.text_of[np.maximum(rows, 0)], -1)
    vectors = np.where(texts[:, None] >= 0, side.vectors[np.maximum(texts, 0)], 0.0).astype(np.float32)

    def near(place: int) -> F32:
        return vectors @ vectors[place]

    return near


def rules_of(settings: Settings, policy: PolicySettings, explore: bool, seen: str) -> Rules:
    """What holds for a request beside itself and the model; ``seen``: what the line did with items had before."""
    return Rules(explore, policy.diversity, policy.temperature, settings.scene, settings.seen, seen == "drop")


class Drawn(NamedTuple):
    """A slate, of how many places, and what drew it; teams: whose each item is, of interleaved arms."""

    slate: Slate
    k: int
    policy: str
    rules: Rules
    teams: Sequence[int] = ()
    plan: Plan | None = None


def draw(
    settings: Settings,
    chosen: PolicySettings,
    ranking: str,
    request: RecommendRequest,
    scored: Scored,
    catalogue: Catalogue,
    least: int,
    planned: Callable[[str, bool, PolicySettings, RecommendRequest, int], Plan] | None = None,
) -> Drawn:
    """The slate of ``ranking``. least: places that a greedy one without exploration is to have, for who cuts it
    later. planned: who chooses the policy, where bandits or budgets have a say."""
    given = isinstance(request, RankRequest)
    name = request.policy or (chosen.rank if given else chosen.recommend)
    explore = chosen.explore and request.policy is None and not given
    started = time.perf_counter()
    k = request.k or (len(scored.candidates) if given else 10)
    if not explore and name == "greedy":
        k = max(k, least)
    plan = None if planned is None else planned(name, explore, chosen, request, k)
    policy = make_policy(name, chosen, explore) if plan is None else plan.policy
    chance = seeded(ranking) if explore or name != "greedy" or plan is not None else _NO_CHANCE
    side = catalogue.side() if chosen.diversity else None
    slate = policy.choose(scored.scores, k, chance, similarity(side, scored))
    counts, rules = {"shown": len(slate.order)}, rules_of(settings, chosen, explore, scored.seen)
    if plan is not None:
        plan.settle(slate)
        counts |= {"samples": plan.samples} if plan.samples else {}
        rules.alpha = chosen.alpha if name in BANDITS else 0.0
        rules.floor = plan.floor and bool(slate.explored.any())
    scored.stages.append(stage_since("policy", started, counts))
    return Drawn(slate, k, name, rules, plan=plan)


def build_answer(
    ranking: str,
    request: RecommendRequest,
    scored: Scored,
    drawn: Drawn,
    explainer: Explainer,
    now: int,
    sampled: bool,
    arm: str = "",
) -> tuple[Ranking, Decision]:
    """The answer and its decision. Candidates without a score come last, with a reason."""
    started = time.perf_counter()
    (slate, k, policy, rules, teams, plan), model = drawn, explainer.model
    as_of = explainer.computer.state.seq
    rows, ids = scored.candidates.rows, scored.candidates.ids
    order: list[int] = slate.order.tolist()
    unscored: list[int] = []
    if len(order) < k and len(order) < len(ids):
        unscored = np.flatnonzero(~np.isfinite(scored.scores))[: k - len(order)].tolist()
    shown = order + unscored
    explored = slate.explored.tolist() + [False] * len(unscored)
    propensity = slate.propensity.tolist() + [1.0] * len(unscored)
    penalties: list[float] = []
    if rules.diversity:
        penalties = [0.0] * len(order) if slate.penalty is None else slate.penalty.tolist()
    terms: list[list[Contribution]] = [[] for _ in shown]
    places = slate.order
    online: list[float] = []
    if scored.moved is not None:
        online = scored.moved[places].tolist() + [0.0] * len(unscored)
    if request.explain:
        weights = np.zeros((len(order), len(model.scorer.features)))
        at = {name: column for column, name in enumerate(model.scorer.features)}
        for position, place in enumerate(order):
            terms[position], _ = explainer.contributions(int(rows[place]), scored.x[place], request.query is not None)
            for term in terms[position]:
                weights[position, at[term.feature]] = term.contribution
            if online:
                terms[position].append(_learnt(online[position]))
            if penalties:
                terms[position].append(_diversity(penalties[position]))
    else:
        weights = evidence(scored.x, places, PRIOR)
    words = Reasons(explainer.computer, explainer.catalogue, scored.side, scored.subject, model.ease)
    picked = np.array(shown, np.int64) if unscored else places
    shown_x = scored.x[picked]
    reasons = words.of(rows[places], weights, shown_x[: len(order)])
    if unscored:
        reasons += [[_unscored()] for _ in unscored]
    if True in explored:
        for position in np.flatnonzero(slate.explored).tolist():
            reasons[position].insert(0, Reason("exploration", "Shown to learn whether it suits you."))
            terms[position].append(Contribution("policy.exploration", float(position + 1), 0.0))
    counts = explainer.computer.state.item_columns["count"]
    mine = rows[picked]
    cold: list[bool] = ((mine < 0) | (counts[mine] <= COLD) if len(counts) else mine < 0).tolist()
    scores: list[float | None] = scored.scores[places].tolist() + [None] * len(unscored)
    names = [ids[place] for place in shown]
    positions = list(range(1, len(shown) + 1))
    items = list(map(RankedItem, names, scores, positions, propensity, cold, reasons, terms))
    if policy != "greedy" and request.explain:
        for item in items:
            item.contributions.append(Contribution(f"policy.{policy}", float(item.position), 0.0))
    scored.stages.append(stage_since("answer", started, {"explained": len(items) if request.explain else 0}))
    answer = Ranking(
        ranking=ranking,
        as_of=as_of,
        model=model.version,
        items=items,
        stages=scored.stages,
        degraded=scored.degraded,
        cold=Cold(scored.subject.cold, sum(cold)),
        seen="drop" if scored.seen == "drop" else "keep",
        policy=policy,
        arm=arm,
    )
    unshown, left = None, None
    if sampled:
        taken = set(shown)
        left = [place for place in range(len(ids)) if place not in taken]
        unshown = Unshown([ids[place] for place in left], pack(scored.x[left]))
    decision = Decision(
        timestamp=now,
        as_of=as_of,
        subject=request.user if request.user is not None else _session(request),
        model=model.version,
        features=feature_key(scored.off),
        shown=Shown(names, scores, positions, propensity, explored, pack(shown_x)),
        unshown=unshown,
        policy=policy,
        arm=arm,
        request=Asked(
            "rank" if isinstance(request, RankRequest) else "recommend",
            request.user,
            request.session,
            request.k,
            request.query,
            request.context,
            request.seen,
            len(ids),
            request.filter,
            request.exclude,
            request.items if isinstance(request, RankRequest) else [],
        ),
        stages=scored.stages,
        filters=scored.removed,
        rules=rules,
        penalties=penalties,
        online=online,
        teams=list(teams),
        bandit=None if plan is None else plan.evidence(scored.scores, shown, left),
    )
    return answer, decision


def _unscored() -> Reason:
    return Reason("unscored", "It is not in the catalogue, so it can't be scored and comes last.")


def _learnt(shift: float) -> Contribution:
    """What was learnt while the model served: a part of the score."""
    return Contribution("online", None, shift)


def _diversity(penalty: float) -> Contribution:
    """What MMR took from the utility of an item in its draw: no part of its score, so that it contributes nothing."""
    return Contribution("policy.diversity", penalty, 0.0)


def _session(request: RecommendRequest) -> str | None:
    return None if request.session is None else "\0" + request.session


def explain_decision(
    line: Line,
    catalogue: Catalogue,
    decision: Decision,
    item: str,
    model: Model,
    known: tuple[Bools, dict[tuple[str, int], str]],
) -> Explanation:
    """The explanation of one item of a logged decision; under the engine's lock. known: of ``known_then``.

    Contributions are exact for the logged features; their sources are the user's history up to the decision.
    Errors: ``NotFound`` when the item wasn't in the ranking, or its features weren't kept; ``Gone`` when they are those
    of another version.
    """
    shown, unshown = decision.shown, decision.unshown
    if decision.features != feature_key(line.off.names):
        raise Gone(
            f"The ranking {decision.ranking} was made with the features of another version of Palate, or others are "
            "switched off now."
        )
    position, score = None, None
    if item in shown.ids:
        place = shown.ids.index(item)
        x = shown.matrix()[place]
        position, score = shown.positions[place], shown.scores[place]
    elif unshown is not None and item in unshown.ids:
        x = unshown.matrix()[unshown.ids.index(item)]
    else:
        raise NotFound(
            f"{item[:80]!r} was not shown in the ranking {decision.ranking}, and features of unshown items are kept "
            "only for a sample (decisions.sample).",
            "item",
        )
    row = line.state.items.get(item)
    event_ids = known[1]
    subject = _as_of(_subject(line, catalogue, decision), known[0])
    explainer = Explainer(line.computer, catalogue, subject, model)
    # Unshown candidates are logged without scores: no features at all means that it was not in the catalogue then.
    if row < 0 or (score is None and (position is not None or not x.any())):
        return Explanation(
            decision.ranking,
            item,
            decision.model,
            decision.as_of,
            position,
            None,
            0.0,
            [],
            [Reason("unscored", "It is not in the catalogue, so it couldn't be scored.")],
        )
    has_query = decision.request is not None and bool(decision.request.query)
    terms, base = explainer.contributions(row, x, has_query)
    by_feature = {term.feature: term.contribution for term in terms}
    weights = np.array([[by_feature.get(name, 0.0) for name in model.scorer.features]])
    words = Reasons(line.computer, catalogue, catalogue.side(), subject, model.ease)
    (reasons,) = words.of(np.array([row], np.int32), weights, x[None])
    for term in terms:
        for source in term.sources:
            source.id = event_ids.get((source.item, source.timestamp))
    if position is not None and decision.online:
        terms.append(_learnt(decision.online[position - 1]))
    if score is None:
        score = base + sum(term.contribution for term in terms)
    if position is not None and decision.penalties:
        terms.append(_diversity(decision.penalties[position - 1]))
    if position is not None and shown.explored[position - 1]:
        terms.append(Contribution("policy.exploration", float(position), 0.0))
    log = decision.reordered
    if position is not None and log is not None and log.moves and log.moves[position - 1]:
        reasons.insert(0, moved(log.moves[position - 1]))
        terms.append(moved_term(log.moves[position - 1]))
    if position is not None and decision.policy != "greedy":
        terms.append(Contribution(f"policy.{decision.policy}", float(position), 0.0))
    return Explanation(decision.ranking, item, decision.model, decision.as_of, position, score, base, terms, reasons)


def _subject(line: Line, catalogue: Catalogue, decision: Decision) -> Subject:
    """Whose decision it was, as they are now."""
    user = -1 if decision.subject is None else line.state.users.get(decision.subject)
    return line.computer.subject(user, catalogue.side())


def _as_of(subject: Subject, known: Bools) -> Subject:
    """The subject without what the log took after the decision."""
    if known.all():
        return subject
    parts = {name: getattr(subject, name)[known] for name in ("items", "ts", "kinds", "weights", "interest_of")}
    return replace(subject, **parts)


def known_then(
    line: Line, catalogue: Catalogue, store: Store, decision: Decision
) -> tuple[Bools, dict[tuple[str, int], str]]:
    """Which entries (h,) of the history, newest first, the log had at the decision; and event ids by item and time.

    Under the engine's lock. One look-up where the person has few events more than the history holds, else one an entry.
    """
    subject = _subject(line, catalogue, decision)
    ids: dict[tuple[str, int], str] = {}
    kept = np.ones(len(subject.items), np.bool_)
    name = decision.subject or ""
    clamped: dict[int, list[Record]] | None = None
    timely = _by(store, name, False) if subject.count <= 2 * len(subject.items) + _FEW else None
    names, types = line.state.items.ids, line.state.types.ids
    for place in range(len(subject.items)):
        row, ts, kind = int(subject.items[place]), int(subject.ts[place]), int(subject.kinds[place])
        item = names[row]
        records = store.find(name, item, ts) if timely is None else timely.get(ts, ())
        found = [(one, event) for one in records if _names(event := event_of(one), item)]
        if not found:  # the log keeps the time that the sender named; the history its arrival, if too far ahead
            if clamped is None:  # once, not for every entry: the subject may have any number of events
                clamped = _by(store, name, True)
            found = [(one, event_of(one)) for one in clamped.get(ts, ())]
        for record, event in found:
            if isinstance(event, Interaction) and (event.item, event.type) == (item, sent(types[kind])):
                ids.setdefault((item, ts), record.id)
                kept[place] = record.seq <= decision.as_of
                break
    return kept, ids


def _names(event: Event, item: str) -> bool:
    """Whether an event is about an item, as the look-up of a store has it."""
    return item in event.items if isinstance(event, Impression) else getattr(event, "item", None) == item


def _by(store: Store, subject: str, early: bool) -> dict[int, list[Record]]:
    """The events of a subject by their time; early: those alone that came before it, by when they came."""
    out: dict[int, list[Record]] = {}
    for record in store.find(subject, None, None):
        if not early or record.timestamp > record.received:
            out.setdefault(record.received if early else record.timestamp, []).append(record)
    return out


def rehearse(line: Line, catalogue: Catalogue, model: Model, user: str | None, now: int) -> None:
    """Run what a request runs, explanation included, and log nothing: seconds now rather than in somebody's request."""
    for query in (None, "warm"):
        found = line.run(RecommendRequest(user=user, query=query), now, model)
        if len(found.candidates):
            explainer = Explainer(line.computer, catalogue, found.subject, model)
            explainer.contributions(int(found.candidates.rows[0]), found.x[0], query is not None)
