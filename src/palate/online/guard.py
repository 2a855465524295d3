"""Whether a model that was trained in the background does worse than the one before: an always-valid comparison.

What people did with a ranking (the weights of what they took up less those of what they refused) is its reward. For
each model the mean of its rankings' rewards has a confidence sequence that holds at all times (asymptotic, Waudby-Smith
et al. 2021, whose means may change: what is bounded is the average of what was to be expected of each ranking when it
was made). Where the new one's lies below the former's as a whole, at ``ALPHA`` together, the former serves again. The
two are of different days: a fall that has other causes is seen as the new model's, and a rise hides one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from palate.experiment.statistics import mixture, radius

ALPHA = 0.05
LEAST = 200
"""Rankings of each model whose time is over, below which nothing is said."""
BLOCK, BLOCKS = 500, 20
"""The former model is judged by its last blocks of rankings."""
TRIAL = 20_000
"""Rankings after which a new model has stood the test."""
_MODELS = 8


class Block(msgspec.Struct):
    """Of some rankings: how many, the mean of their rewards, and Σ(r − mean)²."""

    number: int = 0
    mean: float = 0.0
    spread: float = 0.0

    def add(self, reward: float) -> None:
        """One ranking more."""
        self.number += 1
        step = reward - self.mean
        self.mean += step / self.number
        self.spread += step * (reward - self.mean)


class Trial(msgspec.Struct):
    """Of ``model`` against ``before``. verdict: ``open``, ``worse`` (taken back) or ``kept``. value: the difference of
    mean rewards a ranking, with bounds; None before there are enough."""

    model: str
    before: str
    verdict: str = "open"
    rankings: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Guard:
    """Rewards by model, and the trial that is on. Not thread-safe."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.taken_back = 0
        self._of: dict[str, list[Block]] = {}

    def begin(self, model: str, before: str) -> None:
        """``model`` serves in the place of ``before`` from now on."""
        self.trial = Trial(model, before) if model != before else None
        self._of.pop(model, None)

    def settled(self, model: str, reward: float) -> bool:
        """A ranking's time is over. True where the model on trial is beyond doubt the worse one. O(1)."""
        blocks = self._of.setdefault(model, [Block()])
        if len(self._of) > _MODELS:
            held = () if self.trial is None else (self.trial.model, self.trial.before)
            del self._of[next(name for name in self._of if name not in (model, *held))]
        if blocks[-1].number >= BLOCK:
            blocks.append(Block())
            trial = self.trial is not None and model == self.trial.model
            del blocks[: -(TRIAL // BLOCK + 1 if trial else BLOCKS)]
        blocks[-1].add(reward)
        trial = self.trial
        if trial is None or trial.verdict != "open" or model != trial.model:
            return False
        trial.rankings += 1
        return self._judge(trial)

    def _judge(self, trial: Trial) -> bool:
        new, old = _pooled(self._of[trial.model]), _pooled(self._of.get(trial.before, []))
        if min(new.number, old.number) >= LEAST:
            half = sum(_half(one) for one in (new, old))
            trial.value = new.mean - old.mean
            trial.low, trial.high = trial.value - half, trial.value + half
            if trial.high < 0:
                trial.verdict = "worse"
                self.taken_back += 1
                return True
        if trial.rankings >= TRIAL:
            trial.verdict = "kept"
        return False

    def state(self) -> dict[str, Any]:
        """JSON-compatible; nothing of a person."""
        return {"trial": self.trial, "of": self._of, "taken_back": self.taken_back}

    def restore(self, state: dict[str, Any]) -> None:
        """Back from ``state``. Errors: ``KeyError``, ``msgspec.ValidationError``."""
        self._of = msgspec.convert(state["of"], dict[str, list[Block]])
        self.trial = msgspec.convert(state["trial"], Trial | None)
        self.taken_back = int(state["taken_back"])


def _pooled(blocks: list[Block]) -> Block:
    total = Block()
    for one in blocks:
        if one.number:
            number = total.number + one.number
            off = one.mean - total.mean
            total.spread += one.spread + off * off * total.number * one.number / number
            total.mean += off * one.number / number
            total.number = number
    return total


def _half(one: Block) -> float:
    variance = one.spread / (one.number - 1)
    return radius(one.number, variance, ALPHA / 2, mixture(ALPHA / 2, 5_000)) if variance > 0 else 0.0
