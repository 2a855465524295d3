"""What an engine holds of bandits: who draws a slate where they, or budgets of exploration, have a say; and learning.

Where neither is asked for, a request costs one look at a flag. Beliefs are read whole, so that no ranking mixes two.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from palate.bandits import kept
from palate.bandits.budget import Budget, Floor
from palate.bandits.context import ContextMap, Contexts
from palate.bandits.learner import Learner, Shown, shown_of
from palate.config import PolicySettings, Settings
from palate.errors import Gone, NotFound, PalateError, Unavailable
from palate.line import Line, Model, Scored
from palate.policy import Policy, make_policy
from palate.policy.greedy import ExploreSlot
from palate.policy.linucb import LinUCB
from palate.policy.newcomers import NewcomersSlot
from palate.policy.posterior import Belief
from palate.policy.thompson import Thompson
from palate.settings_policy import BANDITS, CERTAIN
from palate.store import Record, Store
from palate.store.decision import Bandit, Decision, pack
from palate.train.history import event_of
from palate.types import F64, I32, Event, RankRequest, RecommendRequest, Slate

_log = logging.getLogger("palate")
_RECENT = 4096
"""Rankings whose contexts are kept in memory until an event names them; others are read from the log of decisions."""
_WITHOUT = 16_384
_PAUSE = 1.0
"""Seconds between two looks of followers at what is believed, at least."""
_NOBODY: I32 = np.zeros(0, np.int32)


@dataclass(slots=True)
class Plan:
    """How one slate is drawn. settle: to be called with it. contexts: of the candidates, None where nothing learns."""

    policy: Policy
    settle: Callable[[Slate], None]
    contexts: Contexts | None = None
    key: str = ""
    samples: int = 0
    updates: int = 0
    floor: bool = False

    def evidence(self, scores: F64, shown: Sequence[int], left: Sequence[int] | None) -> Bandit | None:
        """What the decision keeps. shown, left: places of candidates; left is None where those aren't kept."""
        if self.contexts is None:
            return None
        self.contexts(scores)
        matrix = self.contexts.matrix
        unshown = b"" if left is None else pack(matrix[list(left)])
        return Bandit(self.key, pack(matrix[list(shown)]), unshown, self.samples, self.updates)


class Bandits:
    """See the module. decisions: finds a logged decision; its errors are of ``PalateError``."""

    def __init__(
        self,
        settings: Settings,
        path: Path | None,
        decisions: Callable[[str], Decision],
        learns: bool = False,
        writable: bool = True,
        follows: bool = False,
    ) -> None:
        """learns: whether something beside the settings asks for it. writable: False for who only reads. follows:
        whether another process learns, and this one reads what that believes."""
        self.settings = settings.policy
        self.path = path
        self._all, self._writable = settings, writable
        self.learner = Learner(settings, self._find)
        self.on = learns or self.settings.learns
        """Whether events are learnt from."""
        self.active = self.on or self.settings.bounded
        """Whether anything of a request is asked here."""
        self.follows = follows
        self.budget, self.floor = Budget(self.settings), Floor(self.settings)
        self._decisions = decisions
        self._learning = threading.Lock()
        self._recent: OrderedDict[str, Shown] = OrderedDict()
        self._without: OrderedDict[str, None] = OrderedDict()
        self._map: tuple[Model, ContextMap] | None = None
        self._beliefs: dict[str, tuple[int, Belief]] = {}
        self._worlds: dict[tuple[str, int, float], tuple[Belief, F64]] = {}
        self._changes = 0
        self._written = -1
        self._published = (0, 0.0)
        self._read = (0, 0.0)

    # --------------------------------------------------------------------------- a request

    def lane(self, request: RecommendRequest, line: Line, now: int) -> I32:
        """New items that a request should have among its candidates; under the engine's lock."""
        if not self.settings.new_floor or isinstance(request, RankRequest) or request.policy or request.query:
            return _NOBODY
        return self.floor.lane(line.state, now)

    def planner(
        self, request: RecommendRequest, chosen: PolicySettings, line: Line, model: Model, scored: Scored, now: int,
        learns: bool, alone: bool = True,
    ) -> Callable[[str, bool, PolicySettings, RecommendRequest, int], Plan] | None:  # fmt: skip
        """Who plans the slate of a request; None where nothing here has a say. learns: whether its answer may teach
        anything. alone: whether no other arm is interleaved with it, of which a bandit would know nothing."""
        if not alone:
            return None
        if self.active or (chosen is not self.settings and chosen.learns) or request.policy in BANDITS:
            return partial(self.plan, line=line, model=model, scored=scored, now=now, learns=learns)
        return None

    def plan(
        self, name: str, explore: bool, chosen: PolicySettings, request: RecommendRequest, k: int, line: Line,
        model: Model, scored: Scored, now: int, learns: bool = True,
    ) -> Plan:  # fmt: skip
        """Who draws the slate of ``k`` places; under the engine's lock. name, explore, chosen: the policy asked for,
        and whether it may have a slot."""
        if not self.on and chosen.learns and chosen is not self.settings:
            self.begin(line.state.seq)
        given = isinstance(request, RankRequest)
        places = min(k, int(np.count_nonzero(np.isfinite(scored.scores))))
        bounded = self.settings.bounded and not given
        if bounded and (explore or self.settings.new_floor):
            may = self.budget.may(now, places)
            explore = explore and may
        else:
            may = False
        contexts, key, samples, belief = None, "", 0, None
        if name in BANDITS or (self.on and learns):
            mapped = self._mapped(model)
            contexts, key = mapped.of(scored, now), mapped.key
        if name in BANDITS:
            assert contexts is not None
            belief = self.belief(key)
            if name == "linucb":
                slot = ExploreSlot() if explore else None
                policy: Policy = LinUCB(belief, contexts, chosen.alpha, slot, chosen.diversity)
            else:
                worlds = self._drawn(key, belief, chosen)
                policy = Thompson(belief, contexts, chosen.alpha, chosen.samples, chosen.diversity, worlds)
                samples = chosen.samples
        else:
            policy = make_policy(name, chosen, explore)
        plan = Plan(policy, lambda slate: None, contexts, key, samples, 0 if belief is None else belief.updates)
        if may and self.settings.new_floor and not request.policy and not request.query:
            self._owed(plan, name, chosen, scored, line, now, belief)
        if bounded:
            rows = scored.candidates.rows

            def settle(slate: Slate) -> None:
                slots = int(bool(slate.explored.any())) if plan.floor or (explore and name in CERTAIN) else 0
                self.budget.note(now, places, slots)
                if self.settings.new_floor:
                    self.floor.note(rows[slate.order])

            plan.settle = settle
        return plan

    def _owed(
        self, plan: Plan, name: str, chosen: PolicySettings, scored: Scored, line: Line, now: int, belief: Belief | None
    ) -> None:
        """Give the slot of ``plan`` to new items that are owed, where there are any."""
        weights = self.floor.weights(scored.candidates.rows, scored.scores, line.state, now)
        if not weights.any():
            return
        if name == "linucb":
            assert belief is not None
            assert plan.contexts is not None
            base: Policy = LinUCB(belief, plan.contexts, chosen.alpha, None, chosen.diversity)
        else:
            base = plan.policy if name in BANDITS else make_policy(name, chosen)
        plan.policy = NewcomersSlot(base, lambda _: weights, ExploreSlot().position, chosen.diversity > 0.0)
        plan.floor = True

    def belief(self, key: str) -> Belief:
        """What is believed of contexts by the map ``key``."""
        if self.follows:
            self._follow()
        held = self._beliefs.get(key)
        if held is not None and held[0] == self._changes:
            return held[1]
        with self._learning:
            found = self._changes, self.learner.belief(key)
        self._beliefs[key] = found
        return found[1]

    def _drawn(self, key: str, belief: Belief, chosen: PolicySettings) -> F64:
        name = key, chosen.samples, chosen.alpha
        held = self._worlds.get(name)
        if held is None or held[0] is not belief:
            if len(self._worlds) > 8:
                self._worlds.clear()
            held = self._worlds[name] = belief, belief.drawn(chosen.samples, chosen.alpha)
        return held[1]

    def _mapped(self, model: Model) -> ContextMap:
        """The map of a model; of the few that served last they are kept."""
        if self._map is None or self._map[0] is not model:
            self._map = model, ContextMap(model, self.settings.dimensions)
        return self._map[1]

    def warm(self) -> None:
        """Compile what a request needs, where anything is asked here."""
        if not self.on:
            return
        d = self.settings.dimensions
        base = np.zeros((3, d), np.float32)
        contexts, scores = Contexts(base), np.array([0.5, 0.1, 0.2])
        belief = self.belief("")
        one = np.random.default_rng(0)
        LinUCB(belief, contexts, 0.5).choose(scores, 2, one)
        Thompson(belief, contexts, 0.5, 2).choose(scores, 2, one)
        made = Learner(self._all, lambda _: None)
        made.observe("", np.zeros(d), 0.0)

    # --------------------------------------------------------------------------- answers

    def remember(self, ranking: str, decision: Decision) -> None:
        """A ranking was answered: the events to come may name it."""
        shown = shown_of(decision)
        if shown is not None and not self.follows:
            with self._learning:
                self._recent[ranking] = shown
                if len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)

    def learn(self, records: Sequence[Record]) -> None:
        """Records that were just committed, in log order; after they were folded into the state."""
        if not self.on or self.follows:
            return
        with self._learning:
            self._learn(records, map(event_of_record, records))

    def _learn(self, records: Sequence[Record], events: Iterable[Event]) -> None:
        """Of records that the learner hasn't had; both in log order."""
        after = self.learner.seq
        pairs = [
            (one.timestamp, one.received, event) for one, event in zip(records, events, strict=True) if one.seq > after
        ]
        if pairs:
            self.learner.learn(records[-1].seq, pairs)
            self._changes += 1

    def _find(self, ranking: str) -> Shown | None:
        found = self._recent.get(ranking)
        if found is not None or ranking in self._without:
            return found
        try:
            found = shown_of(self._decisions(ranking))
        except (NotFound, Gone):
            found = None
        if found is None:
            self._without[ranking] = None
            if len(self._without) > _WITHOUT:
                self._without.popitem(last=False)
        return found

    # --------------------------------------------------------------------------- keeping

    def resume(self, store: Store, until: int) -> Bandits:
        """Itself, going on from what was written, and having learnt what the log took since, up to position ``until``.

        Errors: those of reading the log.
        """
        if not self.on or self.follows:
            return self
        if self.path is not None:
            learnt, why = kept.read(kept.path_of(self.path))
            if learnt is not None and learnt.seq > until:
                learnt, why = None, f"{kept.path_of(self.path)} knows more than the log holds"
            if learnt is not None:
                try:
                    with self._learning:
                        self.learner.restore(learnt)
                except ValueError as error:
                    why = f"{kept.path_of(self.path)} is damaged ({error})"
            if why:
                _log.warning("%s: the bandits learn again from the log.", why)
        self._replay(store, until)
        return self

    def begin(self, seq: int) -> None:
        """Learn from the events after position ``seq``, on top of what was written once; for an arm of an experiment
        that begins while the engine runs. What came in between named no rankings with contexts."""
        if self.path is not None and not self.follows:
            learnt, _ = kept.read(kept.path_of(self.path))
            if learnt is not None and learnt.seq <= seq:
                with self._learning:
                    self.learner.restore(learnt)
        self.learner.seq = seq
        self.on = self.active = True

    def again(self, store: Store, until: int) -> None:
        """Forget everything, and learn it again from the log and the decisions that are still kept."""
        if self.on and not self.follows:
            with self._learning:
                self.learner = Learner(self._all, self._find)
                self._without.clear()
            self._replay(store, until)

    def _replay(self, store: Store, until: int) -> None:
        with self._learning:
            for records in store.read(self.learner.seq, until):
                some = [one for one in records if b"ranking" in one.payload] or records[-1:]
                self._learn(some, map(event_of, some))
            self.learner.seq = max(self.learner.seq, until)
            self._changes += 1

    def save(self) -> None:
        """Write what was learnt, where anything was since. Errors: ``Unavailable``."""
        if not self.on or self.follows or not self._writable or self.path is None or self._written == self.learner.seq:
            return
        with self._learning:
            learnt = self.learner.keep()
        kept.write(kept.path_of(self.path), learnt)
        self._written = learnt.seq

    def due(self) -> bool:
        """Whether processes that follow should hear of something new. About 0.2 µs."""
        return self.on and self._published[0] != self._changes and time.monotonic() - self._published[1] >= _PAUSE

    def publish(self) -> None:
        """Show what is believed now to processes that follow."""
        if self.path is None or self.follows:
            return
        with self._learning:
            self._published = self._changes, time.monotonic()
            learnt = self.learner.keep(with_open=False)
        try:
            kept.write(kept.published(self.path), learnt, durable=False)
        except Unavailable as error:
            _log.error("%s Other workers go by what was believed before.", error.message)

    def _follow(self) -> None:
        """Take what the process that learns has shown last, looked at now and then; under the engine's lock."""
        now = time.monotonic()
        if self.path is None or now - self._read[1] < _PAUSE / 2:
            return
        try:
            stamp = kept.published(self.path).stat().st_mtime_ns
        except OSError:  # nothing was shown yet
            stamp = 0
        if stamp != self._read[0]:
            learnt, _ = kept.read(kept.published(self.path))
            if learnt is not None:
                self.learner.restore(learnt)
                self._changes += 1
        self._read = stamp, now

    def try_save(self) -> None:
        """``save``; where the disk refuses, the log is told."""
        try:
            self.save()
        except PalateError as error:
            _log.error("%s", error.message)


def event_of_record(record: Record) -> Event:
    """The event of a record, decoded where it isn't yet."""
    event = getattr(record, "event", None)
    return event_of(record) if event is None else event
