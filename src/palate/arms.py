"""Which model and policy rank for whom: the active ones, or those of an experiment's arm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from palate.config import PolicySettings, Settings
from palate.errors import Gone, NotFound, PalateError
from palate.experiment import INTERLEAVED, Arm, Experiment, check, interleaved, label, policy_of, report
from palate.experiment.report import ExperimentReport
from palate.experiment.shelf import ExperimentShelf
from palate.experiment.watch import Watch
from palate.interleaving import Rival
from palate.line import Model, warm_up
from palate.models import ModelShelf
from palate.opening import Parts
from palate.state.state import subject_of
from palate.types import RecommendRequest
from palate.wire import now_ms

_log = logging.getLogger("palate")


class Serving(NamedTuple):
    """What ranks for one request. arm: its label, '' outside of experiments. degraded: ``arm_unusable``, or ''. rival:
    the second of interleaved arms."""

    model: Model
    policy: PolicySettings
    arm: str = ""
    degraded: str = ""
    rival: Rival | None = None


class Arms:
    """The experiments of a directory and what their arms need loaded. ``serve`` runs under the engine's lock."""

    def __init__(self, parts: Parts, shelf: ModelShelf, settings: Settings) -> None:
        self.experiments = ExperimentShelf(parts.path, settings.policy)
        self._parts = parts
        self.elsewhere: Callable[[str, str], bytes] | None = None
        """Who starts and stops experiments for this process, by what and argument; None for itself."""
        self._shelf = shelf
        self._policy = settings.policy
        self._plain: tuple[Model, Serving] | None = None
        self._policies: dict[str, PolicySettings] = {}
        self._models: dict[str, Model | None] = {}
        for version in self.models():  # now rather than in somebody's request
            self._loaded(version)
        self.watch = Watch(self.experiments, self._stand, lambda name, why: self.stop(name, self._now(), why))
        if parts.writable:
            self.watch.wake()

    def _now(self) -> int:
        return self._parts.state.now(now_ms())

    def _stand(self, name: str) -> ExperimentReport:
        return self.report(name, self._now())

    def serve(self, request: RecommendRequest, active: Model) -> Serving:
        """What ranks for ``request``: ``active`` and the settings, unless an experiment holds the person. Looking for
        one takes 0.2 µs where none runs and 2 µs else; a model is loaded with the first request that needs it."""
        found = self.experiments.of(subject_of(request.user, request.session))
        if found is None or (found[0].kind == INTERLEAVED and request.policy not in (None, "greedy")):
            if self._plain is None or self._plain[0] is not active:
                self._plain = active, Serving(active, self._policy)
            return self._plain[1]
        experiment, arm = found
        name = label(experiment, arm)
        model, policy = self._of(experiment, arm, active)
        if experiment.kind != INTERLEAVED:
            return Serving(model or active, policy, name, "" if model else "arm_unusable")
        other, rules = self._of(experiment, experiment.arms[1], active)
        if model is None or other is None:
            return Serving(model or active, policy, name, "arm_unusable")
        return Serving(model, policy, name, "", Rival(other, rules))

    def _of(self, experiment: Experiment, arm: Arm, active: Model) -> tuple[Model | None, PolicySettings]:
        """What an arm ranks with; no model where it can't be used. Interleaved arms leave nothing to chance."""
        key = f"{experiment.name}/{arm.name}"
        policy = self._policies.get(key)
        if policy is None:
            policy = policy_of(arm, self._policy)
            if experiment.kind == INTERLEAVED:
                policy = msgspec.structs.replace(policy, explore=False)
            self._policies[key] = policy
        if not arm.model or arm.model == active.version:
            return active, policy
        return self._loaded(arm.model), policy

    def start(self, experiment: Experiment, now: int) -> Experiment:
        """Let it run. Errors: ``InvalidInput``, ``Conflict``, and those of loading a model that an arm names."""
        if self.elsewhere is not None:
            body = self.elsewhere("experiment", msgspec.json.encode(experiment).decode())
            self.experiments.list()
            return msgspec.msgpack.decode(body, type=Experiment)
        check(experiment, self._policy)
        for arm in experiment.arms:
            if arm.model:
                self._models[arm.model] = self._load(arm.model)
        started = self.experiments.start(experiment, now)
        self.watch.wake()
        return started

    def stop(self, name: str, now: int, why: str = "") -> Experiment:
        """Rank everybody as before. why: the guardrail that wants it. Errors: ``NotFound``, ``Conflict`` where it has
        ended."""
        if self.elsewhere is not None:
            body = self.elsewhere("experiment.stop", name)
            self.experiments.list()
            return msgspec.msgpack.decode(body, type=Experiment)
        return self.experiments.stop(name, now, why)

    def report(self, name: str, now: int, progress: Callable[[str, int, int], None] | None = None) -> ExperimentReport:
        """How an experiment stands at event time ``now``. Both logs are read. Errors: ``NotFound``."""
        experiment = self.experiments.get(name)
        log = self._parts.decisions.log
        if log is not None:
            log.flush()
        judge = interleaved.judge if experiment.kind == INTERLEAVED else report.judge
        return judge(experiment, () if log is None else log.read(), self._parts.store, now, progress)

    def models(self) -> set[str]:
        """The versions that arms of running experiments name: they stay on the shelf."""
        return {arm.model for one in self.experiments.list() if one.running for arm in one.arms if arm.model}

    def learns(self) -> bool:
        """Whether an arm of a running experiment ranks with a bandit."""
        arms = [arm for one in self.experiments.list() if one.running for arm in one.arms]
        return any(policy_of(arm, self._policy).learns for arm in arms)

    def forget(self) -> None:
        """Models are bound to a catalogue: another one serves from now on."""
        self._models.clear()
        self._plain = None

    def _load(self, version: str) -> Model:
        try:
            model = self._shelf.version(version)
        except Gone:
            raise NotFound(f"There is no model {version[:80]!r} on the shelf: palate models list.", "arms") from None
        warm_up(model)
        return model

    def _loaded(self, version: str) -> Model | None:
        if version not in self._models:
            try:
                self._models[version] = self._load(version)
            except PalateError as error:
                _log.error("%s The active model ranks for the arm instead, and every answer says so.", error.message)
                self._models[version] = None
        return self._models[version]
