"""Experiments: who ranks with which arm, and what came of it.

``Experiment`` is what is declared, ``arm_of`` who is in which arm: a function of salt and subject alone, so that every
worker and every replay agrees without a table. ``palate.experiment.report`` judges, ``palate.experiment.shelf`` keeps.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any, Literal

import msgspec

from palate.config import PolicySettings
from palate.errors import InvalidInput

Of = Literal["users", "events", "value", "mean_value", "share", "sentiment", "per_ranking"]
ANY = "*"
"""Of interactions of any type."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
INTERLEAVED = "interleaved"
_MOST_ARMS, _MOST_METRICS = 10, 20
_SPACE = 1 << 64
_SHORTEST = 0.0007
"""Days: a minute, and a number that a person can read in an error."""


class Arm(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A way to rank. weight: its part of the people, beside the other arms' weights. model: a version on the shelf; ''
    for whichever is active. policy: settings of ``[policy]`` that this arm changes."""

    name: str
    weight: float = 1.0
    model: str = ""
    policy: dict[str, Any] = {}


class Metric(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What counts, of the interactions of one ``type`` (``*``: of any) that a person had within the horizon after their
    first ranking.

    ``users``: the share of people with at least one (conversion); ``events``: how many a person; ``value``: the sum of
    their values a person (revenue, seconds of dwell); ``mean_value``: the mean value (stars; an answer that was asked
    for); ``share``: of those with a value, of how many it is ``at_least`` so much (satisfied raters, long dwell);
    ``sentiment``: the mean of what texts say, −1 to 1 (``feedback``); ``per_ranking``: how many a ranking, of those
    that name their ranking (click-through). at_least: elsewhere, only those of at least this value count.
    """

    type: str
    of: Of = "events"
    at_least: float | None = None

    @property
    def name(self) -> str:
        """As reports name it."""
        return f"{self.type}.{self.of}" + ("" if self.at_least is None else f">={self.at_least:g}")


class Guardrail(Metric, forbid_unknown_fields=True, omit_defaults=True):
    """A metric that no arm may spoil. less: less of it is better. worst: by how much of the control's mean an arm may
    be worse. stop: end the experiment where one is, beyond doubt; else it is only said."""

    less: bool = False
    worst: float = 0.0
    stop: bool = False


class Experiment(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Arms that people are spread over, the first being the control, and metrics, the first being what decides.

    kind: ``split``, or ``interleaved``: both of two arms rank each of these people's rankings, by team draft, and what
    is taken up of it credits the arm that brought it. guardrails: judged on what people do within ``guard_days``.
    stopped_by: the guardrail that did, '' for a person.
    share: of all people that take part. horizon_days: how long after a person was first ranked for their events count,
    and how long before, as a covariate. people: about how many are expected; intervals are narrowest there. alpha: how
    often an interval may miss the truth at any time. salt: of the assignment; a new one where it is ''. started,
    stopped: event time in ms, the engine's to set.
    """

    name: str
    arms: list[Arm]
    metrics: list[Metric] = msgspec.field(
        default_factory=lambda: [Metric("click", "per_ranking"), Metric("purchase", "users")]
    )
    note: str = ""
    kind: Literal["split", "interleaved"] = "split"
    guardrails: list[Guardrail] = []
    guard_days: float = 1.0
    share: float = 1.0
    horizon_days: float = 7.0
    people: int = 5_000
    alpha: float = 0.05
    salt: str = ""
    started: int = 0
    stopped: int = 0
    stopped_by: str = ""

    @property
    def running(self) -> bool:
        """Started and not stopped."""
        return self.started > 0 and not self.stopped


def check(found: Experiment, policy: PolicySettings) -> None:
    """Everything that the types can't say. Errors: ``InvalidInput`` naming the field."""
    if not NAME.fullmatch(found.name):
        raise InvalidInput(
            f"The name {found.name[:80]!r} isn't one: use up to 64 letters, digits, '.', '_' and '-'.", "name"
        )
    if not 2 <= len(found.arms) <= _MOST_ARMS:
        raise InvalidInput(f"An experiment has 2 to {_MOST_ARMS} arms; this one has {len(found.arms)}.", "arms")
    names = [arm.name for arm in found.arms]
    for place, arm in enumerate(found.arms):
        where = f"arms[{place}]"
        if not NAME.fullmatch(arm.name) or names.index(arm.name) != place:
            raise InvalidInput(f"{where}.name {arm.name[:80]!r} is no name, or another arm's too.", f"{where}.name")
        _between(arm.weight, 1e-6, 1e6, f"{where}.weight")
        policy_of(arm, policy, f"{where}.policy")
    if not 1 <= len(found.metrics) <= _MOST_METRICS:
        raise InvalidInput(f"An experiment has 1 to {_MOST_METRICS} metrics.", "metrics")
    if len({metric.name for metric in found.metrics}) < len(found.metrics):
        raise InvalidInput("Two metrics are the same.", "metrics")
    for place, metric in enumerate(found.metrics):
        _check_metric(metric, f"metrics[{place}]")
    if len(found.guardrails) > _MOST_METRICS or len({one.name for one in found.guardrails}) < len(found.guardrails):
        raise InvalidInput(f"An experiment has at most {_MOST_METRICS} guardrails, no two the same.", "guardrails")
    for place, one in enumerate(found.guardrails):
        _check_metric(one, f"guardrails[{place}]")
        _between(one.worst, 0.0, 0.999, f"guardrails[{place}].worst")
    _between(found.guard_days, _SHORTEST, 365.0, "guard_days")
    if found.kind == "interleaved":
        _check_interleaved(found, policy)
    _between(found.share, 1e-6, 1.0, "share")
    _between(found.horizon_days, _SHORTEST, 365.0, "horizon_days")
    _between(found.people, 100, 1e9, "people")
    _between(found.alpha, 1e-6, 0.5, "alpha")


def _check_metric(metric: Metric, where: str) -> None:
    if not metric.type or len(metric.type) > 128:
        raise InvalidInput(f"{where}.type is no type of interactions.", f"{where}.type")
    if metric.at_least is not None:
        _between(metric.at_least, -1e12, 1e12, f"{where}.at_least")
    if metric.of == "share" and metric.at_least is None:
        raise InvalidInput(f"{where} is a share: say of what value on with at_least.", f"{where}.at_least")
    if metric.of == "sentiment" and metric.at_least is not None:
        raise InvalidInput(f"{where} is what texts say, which has no value: leave at_least out.", f"{where}.at_least")


def _check_interleaved(found: Experiment, policy: PolicySettings) -> None:
    """Errors: ``InvalidInput``: two arms, whose order is certain; credits; no guardrails, which compare people."""
    if len(found.arms) != 2:
        raise InvalidInput(f"Two arms are interleaved; this experiment has {len(found.arms)}.", "arms")
    for place, arm in enumerate(found.arms):
        mine = policy_of(arm, policy)
        if (mine.rank, mine.recommend) != ("greedy", "greedy"):
            raise InvalidInput(
                f"arms[{place}] draws its order by chance: interleaved arms are greedy, for propensities to be exact.",
                f"arms[{place}].policy",
            )
    for place, metric in enumerate(found.metrics):
        if metric.of not in ("users", "events", "per_ranking"):
            raise InvalidInput(
                f"metrics[{place}]: {metric.of} credits no arm; interleaved arms are credited with items that were "
                "taken up: use per_ranking.",
                f"metrics[{place}].of",
            )
    if found.guardrails:
        raise InvalidInput("Interleaved arms share their people: no guardrail can tell them apart.", "guardrails")


def _between(value: float, low: float, high: float, where: str) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{where} is {value:.15g}; it must lie between {_plain(low)} and {_plain(high)}.", where)


def _plain(bound: float) -> str:
    """A bound without an exponent."""
    return f"{bound:.6f}".rstrip("0").rstrip(".")


def policy_of(arm: Arm, policy: PolicySettings, where: str = "policy") -> PolicySettings:
    """The settings of an arm. Errors: ``InvalidInput`` for a key or a value that ``[policy]`` wouldn't take."""
    try:
        return msgspec.convert({**msgspec.to_builtins(policy), **arm.policy}, PolicySettings)
    except (msgspec.ValidationError, ValueError) as error:
        text = str(error).rstrip(".")
        if wrong := re.fullmatch(r"Expected (.+) - at `\$\.(.+)`", text):
            text = f"{wrong[2]}: expected {wrong[1]}"
        elif wrong := re.fullmatch(r"Object contains unknown field `(.+)`", text):
            known = ", ".join(PolicySettings.__struct_fields__)
            raise InvalidInput(f"{where}: there is no setting {wrong[1]!r} in it; there are {known}.", where) from None
        raise InvalidInput(f"{where}: {text}.", where) from None


def arm_of(experiment: Experiment, subject: str) -> Arm | None:
    """The arm of a subject, None for one who takes no part; of interleaved arms the first.

    Whether somebody takes part and in which arm are two hashes, so that a larger share changes nobody's arm. 2 µs.
    """
    if experiment.share < 1.0 and _unit(experiment.salt, "share", subject) >= experiment.share:
        return None
    if experiment.kind == "interleaved":
        return experiment.arms[0]
    point = _unit(experiment.salt, "arm", subject) * sum(arm.weight for arm in experiment.arms)
    for arm in experiment.arms:
        point -= arm.weight
        if point < 0:
            return arm
    return experiment.arms[-1]


def _unit(salt: str, use: str, subject: str) -> float:
    """In [0, 1), as good as uniform over subjects and independent between salts and uses."""
    text = f"{salt}\0{use}\0{subject}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / _SPACE


def label(experiment: Experiment, arm: Arm) -> str:
    """As decisions and answers name an arm; both where they are interleaved."""
    return f"{experiment.name}/{INTERLEAVED if experiment.kind == 'interleaved' else arm.name}"
