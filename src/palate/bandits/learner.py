"""Learning from answers: events that name a ranking, folded in log order into a belief about contexts.

People look from the top (the cascade model; Craswell et al. 2008; as feedback of a bandit: Kveton et al. 2015).
Whatever they did last in a list, they looked at everything above it: what they did nothing with there they declined.
Below it nothing is known. Where nothing at all was done within ``answer_minutes``, impressions say what may have been
looked at, the place k with a chance of about 1 / k (Joachims et al. 2017): it counts as such a share of a decline.
Without impressions silence says nothing.

A reward may come late, after a decline was learnt: it changes the label of that answer. An item of a ranking is one
answer, whatever is done with it, worth the largest reward.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from palate.bandits.context import SHARED, prior_of
from palate.config import Settings
from palate.policy.posterior import Belief, Kept, Posterior
from palate.store.decision import Decision, unpack
from palate.types import F64, Event, Impression, Interaction

SLACK_MS = 300_000
"""By so much an event may be dated before the ranking that it names: clocks differ."""
MOST_OPEN = 20_000
"""Rankings whose answers are waited for, at most, and for twice their time at most; what is older is closed."""
_BELIEFS = 4
_DAY_MS = 86_400_000


class OpenKept(msgspec.Struct, array_like=True):
    """An open ranking as it is written down; by place: the share of an answer that was learnt, and the reward so far;
    seen: places."""

    ranking: str
    timestamp: int
    learnt: list[float]
    rewards: list[float]
    seen: list[int]
    due: int
    answered: bool


class Learnt(msgspec.Struct):
    """Everything that a learner holds. seq: the log position up to which it has learnt."""

    seq: int
    clock: int
    closed: int
    beliefs: dict[str, Kept]
    open: list[OpenKept]
    counts: dict[str, int]
    format: int = 1


@dataclass(slots=True)
class Shown:
    """What was shown: ids in order, their contexts (k, d), by which map, when."""

    ids: list[str]
    z: F64
    key: str
    timestamp: int


@dataclass(slots=True)
class _Open:
    shown: Shown | None
    timestamp: int
    learnt: list[float]
    rewards: list[float]
    seen: list[int] = field(default_factory=list[int])
    due: int = 0
    answered: bool = False


def shown_of(decision: Decision) -> Shown | None:
    """What a decision showed, None where it kept no contexts."""
    kept = decision.bandit
    if kept is None or not decision.shown.ids:
        return None
    z = unpack(kept.shown, len(decision.shown.ids)).astype(np.float64)
    return Shown(decision.shown.ids, z, kept.key, decision.timestamp)


class Learner:
    """See the module. Not thread-safe. find: what a ranking showed, None where that isn't known (any more).

    The same events in the same order give the same bits; decisions that are gone give no answers. Cost: O(d²) an
    answer, and a look-up the first time that a ranking is named.
    """

    def __init__(self, settings: Settings, find: Callable[[str], Shown | None]) -> None:
        self._settings, self._find = settings, find
        policy = settings.policy
        self._window = int(policy.answer_minutes * 60_000)
        self._slack = int(settings.state.future_seconds * 1000)
        self._half_life = policy.forget_days * _DAY_MS
        self._dimensions, self._ridge = policy.dimensions, policy.ridge
        self._largest = max([abs(one) for one in settings.all_weights().values()] or [1.0]) or 1.0
        self.beliefs: OrderedDict[str, Posterior] = OrderedDict()
        """By the key of the map, the latest to learn last."""
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._due: list[tuple[int, str]] = []
        self._closed = 0
        self.clock = self.seq = 0
        self.counts: dict[str, int] = dict.fromkeys(("rewards", "declines", "credits", "late", "unknown"), 0)
        """Answers learnt by kind, and events that came too late, or named a ranking that isn't known."""

    def learn(self, seq: int, events: Iterable[tuple[int, int, Event]]) -> None:
        """Fold (timestamp, received, event) in log order, up to position ``seq``."""
        for timestamp, received, event in events:
            when = received if timestamp > received + self._slack else timestamp
            if when > self.clock:
                self.clock = when
                while self._due and self._due[0][0] <= when:
                    self._silence(*heapq.heappop(self._due))
            if isinstance(event, Interaction):
                if event.ranking is not None:
                    self._interaction(event.ranking, event, when)
            elif isinstance(event, Impression) and event.ranking is not None:
                self._impression(event.ranking, event.items)
        self.seq = seq

    def belief(self, key: str) -> Belief:
        """What is believed of contexts by the map ``key`` now."""
        found = self.beliefs.get(key)
        return (self._begun() if found is None else found).belief()

    def value(self, kind: str) -> float:
        """What an interaction of a type is worth, within [−1, 1]."""
        reward = self._settings.policy.reward
        weight = self._settings.weight(kind)
        if reward == "weights":
            return weight / max(self._largest, abs(weight))
        return float(weight > 0.0) if reward == "any" else float(kind == reward)

    # --------------------------------------------------------------------------- answers

    def _interaction(self, ranking: str, event: Interaction, when: int) -> None:
        found = self._opened(ranking)
        if found is None:
            return
        if not found.timestamp - SLACK_MS <= when <= found.timestamp + self._window:
            self.counts["late"] += 1
            return
        shown = self._shown(ranking, found)
        if shown is None or event.item not in shown.ids:
            self.counts["unknown"] += 1
            return
        found.answered = True
        place, value = shown.ids.index(event.item), self.value(event.type)
        for above in range(place):
            self._answer(found, shown, above, 0.0)
        self._answer(found, shown, place, value)
        if value > found.rewards[place]:  # more than was learnt of it before
            self._posterior(shown.key).credit(shown.z[place], value - found.rewards[place], shown.timestamp)
            found.rewards[place] = value
            self.counts["credits"] += 1

    def _impression(self, ranking: str, items: list[str]) -> None:
        found = self._opened(ranking)
        shown = None if found is None else self._shown(ranking, found)
        if found is None or shown is None:
            return
        at = {name: place for place, name in enumerate(shown.ids)}
        found.seen = sorted({*found.seen, *(at[name] for name in items if name in at)})
        if not found.due:
            found.due = found.timestamp + self._window
            heapq.heappush(self._due, (found.due, ranking))

    def _silence(self, _: int, ranking: str) -> None:
        """Nobody answered in time: what was seen was declined."""
        found = self._open.get(ranking)
        if found is None or found.answered:
            return
        shown = self._shown(ranking, found)
        if shown is not None:
            for place in found.seen:
                self._answer(found, shown, place, 0.0, 1.0 / (1.0 + place))

    def _answer(self, found: _Open, shown: Shown, place: int, value: float, share: float = 1.0) -> None:
        """Learn what of an answer of this share isn't yet; what was learnt of it before keeps its reward."""
        before = found.learnt[place]
        if before >= share:
            return
        if not before:
            found.rewards[place] = value
            self.counts["rewards" if value > 0.0 else "declines"] += 1
        reward = found.rewards[place]
        self._posterior(shown.key).observe(shown.z[place], reward, shown.timestamp, share - before)
        found.learnt[place] = share

    def observe(self, key: str, z: F64, reward: float) -> None:
        """Learn one answer now, without a ranking."""
        self._posterior(key).observe(z, reward, self.clock)

    def _posterior(self, key: str) -> Posterior:
        posterior = self.beliefs.get(key)
        if posterior is None:
            posterior = self.beliefs[key] = self._begun()
            while len(self.beliefs) > _BELIEFS:
                self.beliefs.popitem(last=False)
        self.beliefs.move_to_end(key)
        posterior.advance(self.clock)
        return posterior

    def _begun(self) -> Posterior:
        """Where nothing was learnt by a map: what the latest belief says of the components that all maps share."""
        precision, prior = prior_of(self._dimensions, self._ridge)
        latest = next(reversed(self.beliefs.values()), None)
        if latest is None or latest.dimensions < SHARED:
            return Posterior(precision, prior, self._half_life)
        return latest.handed_on(SHARED, precision, prior)

    # --------------------------------------------------------------------------- rankings

    def _opened(self, ranking: str) -> _Open | None:
        found = self._open.get(ranking)
        if found is not None:
            return found
        shown = self._find(ranking)
        if shown is None or shown.z.shape[1] != self._dimensions:
            self.counts["unknown"] += 1
            return None
        over = self.clock - 2 * self._window - SLACK_MS
        while self._open and next(iter(self._open.values())).timestamp < over:
            self._close_oldest()
        if shown.timestamp <= self._closed:
            self.counts["late"] += 1
            return None
        k = len(shown.ids)
        found = self._open[ranking] = _Open(shown, shown.timestamp, [0.0] * k, [0.0] * k)
        if len(self._open) > MOST_OPEN:
            self._close_oldest()
        return found

    def _close_oldest(self) -> None:
        """Wait no more for answers to the ranking that was opened first, nor to any that is older."""
        _, oldest = self._open.popitem(last=False)
        self._closed = max(self._closed, oldest.timestamp)

    def _shown(self, ranking: str, found: _Open) -> Shown | None:
        """What an open ranking showed, looked for again after a restart."""
        if found.shown is None:
            shown = self._find(ranking)
            if shown is None or len(shown.ids) != len(found.learnt) or shown.z.shape[1] != self._dimensions:
                return None
            found.shown = shown
        return found.shown

    # ---------------------------------------------------------------------------- keeping

    def keep(self, with_open: bool = True) -> Learnt:
        """Everything, for ``restore``. with_open: and the rankings that may still be answered."""
        rows = [
            OpenKept(ranking, one.timestamp, one.learnt, one.rewards, one.seen, one.due, one.answered)
            for ranking, one in (self._open.items() if with_open else ())
        ]
        beliefs = {key: posterior.keep() for key, posterior in self.beliefs.items()}
        return Learnt(self.seq, self.clock, self._closed, beliefs, rows, dict(self.counts))

    def restore(self, kept: Learnt) -> None:
        """Go on from ``kept``. Beliefs of another width are left out: they are about other contexts.
        Errors: ``ValueError`` where its parts don't fit together."""
        restored = {key: Posterior.restored(one, self._half_life) for key, one in kept.beliefs.items()}
        self.beliefs = OrderedDict((key, one) for key, one in restored.items() if one.dimensions == self._dimensions)
        self._open = OrderedDict(
            (one.ranking, _Open(None, one.timestamp, one.learnt, one.rewards, one.seen, one.due, one.answered))
            for one in kept.open
        )
        self._due = [(one.due, one.ranking) for one in kept.open if one.due > kept.clock]
        heapq.heapify(self._due)
        self.seq, self.clock, self._closed = kept.seq, kept.clock, kept.closed
        self.counts |= kept.counts
