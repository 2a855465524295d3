"""What can be set of learning while serving (``palate.online``)."""

from __future__ import annotations

from typing import Literal

from palate.settings_base import Section, check_range


class OnlineSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """correct: ``auto`` learns a correction of the model's scores from every answer to a ranking, and applies it while
    it proves itself. features: that it is linear in. window_minutes: after a ranking, in which answers to it count;
    what was shown and not taken up by then wasn't wanted. half_life: rankings' outcomes after which one counts half.
    cap: the largest shift, in standard deviations of the scores. judged: outcomes by which it proves itself.

    drift: watch the model's loss for changes, which shorten that half-life. retrain_on_drift: and train.
    retrain_hours: train in the background that often, where there are new interactions; 0: never. guard: go back from a
    model that was trained in the background once answers show beyond doubt that it does worse than the one before.
    """

    correct: Literal["off", "auto"] = "off"
    features: tuple[str, ...] = (
        "pop_short", "trend", "age", "click_rate", "next_1", "near_20", "taste_long", "taste_newest", "tags_short",
        "again_count",
    )  # fmt: skip
    window_minutes: float = 30.0
    half_life: float = 5_000.0
    cap: float = 1.0
    judged: int = 1_000
    drift: bool = False
    retrain_on_drift: bool = False
    retrain_hours: float = 0.0
    guard: bool = True

    def __post_init__(self) -> None:
        """Errors: ``ValueError`` (a ``ConfigError`` when it comes from a file or the environment)."""
        for name, low, high in (
            ("window_minutes", 0.01, 100_000.0),
            ("half_life", 10.0, 1e9),
            ("cap", 0.0, 10.0),
            ("judged", 50, 1_000_000),
            ("retrain_hours", 0.0, 100_000.0),
        ):
            check_range(f"online.{name}", getattr(self, name), low, high)
        if not 1 <= len(self.features) <= 32 or len(set(self.features)) < len(self.features):
            raise ValueError("online.features names between 1 and 32 features, each once")
        if self.retrain_on_drift and not self.drift:
            raise ValueError("online.retrain_on_drift is true, and online.drift false: nothing looks for drift")
