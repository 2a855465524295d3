"""The configuration that a judgement asks: its scores of logged candidates, and the policy that would order them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from palate.bandits import kept
from palate.bandits.context import Contexts
from palate.bandits.learner import Learner
from palate.config import Settings
from palate.evaluate.judgement import Remark
from palate.evaluate.logged import Case, Variant
from palate.features import off
from palate.line import Model, context_columns, total_score
from palate.policy import Policy, make_policy
from palate.policy.greedy import ExploreSlot
from palate.policy.linucb import LinUCB
from palate.policy.posterior import Belief
from palate.policy.thompson import Thompson
from palate.settings_policy import BANDITS
from palate.types import F32, F64


@dataclass(slots=True)
class Target:
    """The configuration to be judged."""

    settings: Settings
    model: Model
    variant: Variant
    learner: Learner | None = None
    """What bandits have learnt, as it stands; None where no bandit is judged."""
    beliefs: dict[str, Belief] = field(default_factory=dict[str, Belief])
    worlds: dict[str, F64] = field(default_factory=dict[str, F64])
    _off: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._off = list(off(self.settings.features.off).columns)

    def policy(self, kind: str, case: Case | None = None) -> Policy:
        """For ``rank`` or ``recommend``. A slot is judged by what the scores would have put there. case: whose
        contexts a bandit goes by; others need none."""
        chosen = self.settings.policy
        explore = chosen.explore and kind == "recommend" and self.variant != "slot"
        name = chosen.rank if kind == "rank" else chosen.recommend
        if name not in BANDITS:
            return make_policy(name, chosen, explore)
        assert self.learner is not None
        assert case is not None
        assert case.z is not None
        belief = self.beliefs.get(case.key)
        if belief is None:
            belief = self.beliefs[case.key] = self.learner.belief(case.key)
        contexts = Contexts(case.z.copy())
        if name == "linucb":
            return LinUCB(belief, contexts, chosen.alpha, ExploreSlot() if explore else None)
        if case.key not in self.worlds:
            self.worlds[case.key] = belief.drawn(chosen.samples, chosen.alpha)
        return Thompson(belief, contexts, chosen.alpha, worlds=self.worlds[case.key])

    @property
    def bandits(self) -> frozenset[str]:
        """The kinds of requests that a bandit answers."""
        chosen = self.settings.policy
        kinds = {"rank": chosen.rank, "recommend": chosen.recommend}
        return frozenset(kind for kind, name in kinds.items() if name in BANDITS)

    def scores(self, group: list[Case]) -> Iterator[F64]:
        """The scores (n,) of each case's candidates, NaN where they can't be scored."""
        x = np.concatenate([self._columns(case) for case in group])
        ends = np.cumsum([len(case.x) for case in group])
        query = np.repeat([case.query for case in group], [len(case.x) for case in group])
        scores = np.full(len(x), np.nan)
        there = np.concatenate([case.there for case in group])
        for asked in (False, True):
            rows = np.flatnonzero(there & (query == asked))
            if len(rows):
                scores[rows] = total_score(self.model, x[rows], asked)
        yield from np.split(scores, ends[:-1])

    def _columns(self, case: Case) -> F32:
        x = case.x
        if self._off:
            x = x.copy()
            x[:, self._off] = 0.0
        if self.model.context:
            x = np.concatenate([x, context_columns(self.model.context, case.context, len(x))], axis=1)
        return x


def learnt_of(directory: Path, settings: Settings) -> tuple[Learner, list[Remark]]:
    """What the bandits of a directory have learnt, as it was written last."""
    learner = Learner(settings, lambda _: None)
    learnt, _ = kept.read(kept.path_of(directory))
    if learnt is not None:
        learner.restore(learnt)
        text = (
            f"The bandit is judged by what it knew at position {learnt.seq:,} of the log, which these very rankings "
            "taught it: it looks somewhat better than it will be."
        )
    else:
        text = "The bandit is judged by what it believes before it has learnt anything."
    return learner, [Remark("learnt_from_these", text)]
