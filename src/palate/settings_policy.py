"""The section ``[policy]``: how a slate is drawn from scores, what is explored, and what a bandit learns."""

from __future__ import annotations

from palate.settings_base import Section, check_range

BANDITS = ("linucb", "thompson")
"""Policies that learn from the answers to rankings (``palate.bandits``)."""
CERTAIN = ("greedy", "linucb")
"""Policies that leave nothing to chance but a slot of exploration."""
POLICIES = ("greedy", "plackett_luce", "epsilon_greedy", *BANDITS)
"""By which a slate is drawn from scores (``palate.policy``)."""


class PolicySettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """diversity: MMR trade-off in [0, 1), 0 is off. explore: one labelled exploration slot in ``recommend``.
    temperature: of ``plackett_luce``; epsilon: of ``epsilon_greedy``, the share of places where anybody may stand.

    alpha: by which the uncertainty √(zᵀPz) is multiplied that ``linucb`` adds and ``thompson`` draws with; the standard
    deviation of a reward makes it that of the posterior: 0.25 where one item in fifteen is clicked. samples: draws of
    ``thompson``. learn: rankings by other policies teach the posterior too. dimensions: of a context. ridge: how firmly
    the prior is believed, in answers a direction. reward: ``any`` (1 for any interaction of positive weight), a type
    (1 for it alone), or ``weights`` (a type's weight over the largest). answer_minutes: how long after a ranking its
    answers count. forget_days: half-life of what was learnt, 0 for ever.

    explore_share, explore_day: slots of exploration, at most so much of the places shown in a day, and at most so many
    a day (0: no bound). new_floor: impressions that an item is to have within ``new_days`` of its coming, as far as
    these budgets go; 0: no floor.
    """

    rank: str = "greedy"
    recommend: str = "greedy"
    explore: bool = True
    diversity: float = 0.0
    temperature: float = 1.0
    epsilon: float = 0.1
    alpha: float = 0.25
    samples: int = 128
    learn: bool = False
    dimensions: int = 16
    ridge: float = 2.0
    reward: str = "any"
    answer_minutes: float = 60.0
    forget_days: float = 0.0
    explore_share: float = 1.0
    explore_day: int = 0
    new_floor: int = 0
    new_days: float = 7.0

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name in ("rank", "recommend"):
            if getattr(self, name) not in POLICIES:
                raise ValueError(f"policy.{name} is {getattr(self, name)!r}; use one of {', '.join(POLICIES)}")
        if not self.reward:
            raise ValueError("policy.reward is empty; use 'any', 'weights' or a type of interactions")
        for name, low, high in (
            ("diversity", 0.0, 0.999),
            ("temperature", 1e-6, 1e6),
            ("epsilon", 1e-6, 1.0),
            ("alpha", 0.0, 100.0),
            ("samples", 2, 4096),
            ("dimensions", 10, 32),
            ("ridge", 1e-3, 1e6),
            ("answer_minutes", 0.01, 100_000.0),
            ("forget_days", 0.0, 1e5),
            ("explore_share", 0.0, 1.0),
            ("explore_day", 0, 1_000_000_000),
            ("new_floor", 0, 1_000_000),
            ("new_days", 1e-3, 1e5),
        ):
            check_range(f"policy.{name}", getattr(self, name), low, high)

    @property
    def learns(self) -> bool:
        """Whether rankings are drawn with, or teach, what a bandit learns."""
        return self.learn or self.rank in BANDITS or self.recommend in BANDITS

    @property
    def bounded(self) -> bool:
        """Whether slots of exploration have a budget, or new items a floor."""
        return self.explore_share < 1.0 or self.explore_day > 0 or self.new_floor > 0
