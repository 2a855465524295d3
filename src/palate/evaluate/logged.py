"""Logged decisions with what came of them, as far as another configuration can be judged on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from palate.config import Settings
from palate.features import NAMES, off
from palate.settings_policy import CERTAIN
from palate.store import Store
from palate.store.decision import Decision, unpack
from palate.train.history import stamped
from palate.train.replay import feature_key
from palate.types import F32, F64, I64, Bools, FieldValue, Interaction

Progress = Callable[[str, int, int], None]
Variant = Literal["cascade", "slate", "slot"]
SLACK_MS = 300_000
"""By so much an event may be dated before the ranking that it names: clocks differ."""


@dataclass(slots=True)
class Outcomes:
    """What followed each ranking: (item, type, time in ms) of every interaction that named it. last: the newest time.

    value: what one interaction of a type is worth. window: ms after the ranking in which it counts.
    """

    value: Callable[[str], float]
    window: int
    by_ranking: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict[str, "list[tuple[str, str, int]]"])
    last: int = 0

    def rewards(self, decision: Decision, ids: list[str]) -> F64:
        """(k,) worth of what was done with each of ``ids``; the same type on the same item counts once."""
        found = np.zeros(len(ids))
        done = self.by_ranking.get(decision.ranking)
        if done is None:
            return found
        at = {name: place for place, name in enumerate(ids)}
        early, late = decision.timestamp - SLACK_MS, decision.timestamp + self.window
        for item, kind in {(item, kind) for item, kind, ts in done if early <= ts <= late}:
            if item in at:
                found[at[item]] += self.value(kind)
        return found


def read_outcomes(
    store: Store, settings: Settings, reward: str, window: int, progress: Progress | None = None
) -> Outcomes:
    """Every interaction of the log that names a ranking. reward: an interaction's type, which is worth 1, or
    ``weights``: each type its weight in ``settings``. window: ms. Cost: about 3 µs an event of the log."""

    def value(kind: str) -> float:
        return settings.weight(kind) if reward == "weights" else float(kind == reward)

    found = Outcomes(value, window)
    slack = int(settings.state.future_seconds * 1000)
    total = store.seq
    for records in store.read():
        for sent, arrived, event in stamped([one for one in records if one.kind == "interaction"]):
            if isinstance(event, Interaction):
                when = arrived if sent > arrived + slack else sent
                found.last = max(found.last, when)
                if event.ranking is not None:
                    found.by_ranking.setdefault(event.ranking, []).append((event.item, event.type, when))
        if progress is not None:
            progress("read", records[-1].seq, total)
    return found


@dataclass(slots=True)
class Case:
    """One decision to judge on. x: (n, f) features of every candidate, zeros where it couldn't be scored; order: (K,)
    the shown ones; logged: (K,) their propensities; rewards: (K,). For ``slot``, candidates are those that the slot was
    drawn from, and K is 1. z: (n, d) contexts for bandits, by the map ``key``; None where they weren't kept."""

    ranking: str
    subject: str
    kind: str
    query: bool
    context: dict[str, FieldValue]
    x: F32
    order: I64
    logged: F64
    rewards: F64
    z: F32 | None = None
    key: str = ""

    @property
    def there(self) -> Bools:
        """(n,) which candidates can be scored: what was in no catalogue has no features; what was shown with a score
        was in one."""
        found: Bools = np.asarray(self.x.any(axis=1))
        found[self.order] = True
        return found


def keys_of(settings: Settings, logging: Settings) -> frozenset[str]:
    """The feature keys of decisions on which ``settings`` can be judged: nothing was off, or what was off where they
    were logged is off in ``settings`` too."""
    mine, theirs = off(settings.features.off).names, off(logging.features.off).names
    keys = {feature_key()}
    if theirs <= mine:
        keys.add(feature_key(theirs))
    return frozenset(keys)


def explored_at(decision: Decision) -> int | None:
    """The place of the exploration slot, from 0, of a policy that leaves nothing else to chance."""
    explored = decision.shown.explored
    return explored.index(True) if decision.policy in CERTAIN and True in explored else None


def is_stochastic(decision: Decision) -> bool:
    """Whether every place was drawn."""
    return decision.policy not in CERTAIN


def choose_variant(decisions: Iterable[Decision]) -> tuple[Variant, Counter[str]]:
    """``cascade`` where more rankings were drawn whole than have an exploration slot, else ``slot``; and the counts."""
    counts: Counter[str] = Counter()
    for decision in decisions:
        if decision.source == "live":
            counts["decisions"] += 1
            if explored_at(decision) is not None:
                counts["slots"] += 1
            elif is_stochastic(decision):
                counts["drawn"] += 1
    return ("cascade" if counts["drawn"] >= counts["slots"] else "slot"), counts


def cases(
    decisions: Iterable[Decision],
    outcomes: Outcomes,
    variant: Variant,
    keys: frozenset[str],
    skipped: Counter[str],
    bandits: frozenset[str] = frozenset(),
) -> Iterator[Case]:
    """The decisions that ``variant`` can judge on; ``skipped`` counts the others by reason. bandits: the kinds of
    requests that the target answers by a bandit, which wants contexts."""
    for decision in decisions:
        if decision.source != "live":
            continue
        why = _unfit(decision, variant, keys, bandits)
        if why:
            skipped[why] += 1
            continue
        yield _slot(decision, outcomes) if variant == "slot" else _slate(decision, outcomes)


def _unfit(decision: Decision, variant: Variant, keys: frozenset[str], bandits: frozenset[str]) -> str:
    asked, shown = decision.request, decision.shown
    if decision.features not in keys:
        return "features"
    if not shown.ids or all(score is None for score in shown.scores):
        return "empty"
    if variant == "slot" and explored_at(decision) is None:
        return "no_slot"
    if variant != "slot" and not is_stochastic(decision):
        return "greedy"
    if decision.rules is not None and decision.rules.floor:
        return "floor"
    if asked is None or (decision.unshown is None and asked.candidates > len(shown.ids)):
        return "incomplete"
    if asked.kind in bandits and decision.bandit is None:
        return "contexts"
    return ""


def _features(decision: Decision) -> F32:
    parts = [decision.shown.matrix()[:, : len(NAMES)]]
    if decision.unshown is not None and decision.unshown.ids:
        parts.append(decision.unshown.matrix()[:, : len(NAMES)])
    return np.concatenate(parts)


def _slate(decision: Decision, outcomes: Outcomes) -> Case:
    shown = decision.shown
    order = np.array([place for place, score in enumerate(shown.scores) if score is not None], np.int64)
    logged = np.array(shown.propensities)[order]
    rewards = outcomes.rewards(decision, shown.ids)[order]
    return _case(decision, _features(decision), order, logged, rewards)


def _slot(decision: Decision, outcomes: Outcomes) -> Case:
    shown, at = decision.shown, explored_at(decision)
    assert at is not None
    x = _features(decision)
    others = np.concatenate([[at], np.arange(len(shown.ids), len(x))])
    reward = outcomes.rewards(decision, shown.ids)[[at]]
    return _case(decision, x[others], np.zeros(1, np.int64), np.array([shown.propensities[at]]), reward, others)


def _contexts(decision: Decision) -> F32 | None:
    """(n, d) of every candidate, in the order of ``_features``."""
    kept, unshown = decision.bandit, decision.unshown
    if kept is None:
        return None
    parts = [unpack(kept.shown, len(decision.shown.ids))]
    if unshown is not None and unshown.ids:
        parts.append(unpack(kept.unshown, len(unshown.ids)))
    return np.concatenate(parts)


def _case(decision: Decision, x: F32, order: I64, logged: F64, rewards: F64, only: I64 | None = None) -> Case:
    """only: the candidates that are left, of all."""
    asked, z = decision.request, _contexts(decision)
    assert asked is not None
    return Case(
        decision.ranking, decision.subject or f"\1{decision.ranking}", asked.kind, bool(asked.query), asked.context,
        x, order, logged, rewards, z if z is None or only is None else z[only],
        "" if decision.bandit is None else decision.bandit.key,
    )  # fmt: skip
