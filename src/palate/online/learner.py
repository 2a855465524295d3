"""The correction of one model: predict first, learn when the label arrives, and say whether that is worth applying.

Two beliefs are held about P(taken up): the blend's, over its score, the place and a constant; and the corrected one,
over a few features as well. Both predict every label before either learns it (progressive validation, Blum, Kalai and
Langford 1999), so the difference of their log losses says what the features add to the score. The correction is applied
while that is above 0 by three standard errors over the last ``online.judged`` lessons, and no longer once it isn't
above 0. In units of the score it is w · φ over the weight of the score, within ``online.cap`` deviations.

A fall of quality that ``drift`` finds in the blend's loss makes both forget: three quarters at once, and four times as
fast as usual for a quarter of the half-life.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from palate.kernels import kernel
from palate.online.drift import Adwin
from palate.online.lists import Lesson, Shown
from palate.online.logistic import Logistic
from palate.score.shift import WIDEST, Shift
from palate.settings_online import OnlineSettings
from palate.types import F32, F64, I64

WARM = 300
"""Shown items whose scores and features are looked at before anything is learnt: their means and spreads."""
_SURE = 3.0
_SMALLEST = 0.1
"""Weight of a deviation of the score in log odds, at the least, by which a correction is put in its units."""
_SHARE = 0.05
"""Of the lessons by which it is judged, that the first judgement wants at the least (and 50)."""
_FIXED = 3
_HASTE, _KEPT = 4.0, 0.25


@kernel
def _design(which: I64, scores: F64, places: F64, rows: F32, mean: F64, scale: F64, out: F64) -> None:
    """(n, 3 + d): a constant, the score and minus the logarithm of the place of ``which``, and their features, as
    ``score.shift.standardised`` has them. mean, scale: (1 + d,) of the score, then of the features."""
    for n in range(len(which)):
        row = which[n]
        out[n, 0] = 1.0
        out[n, 1] = min(WIDEST, max(-WIDEST, (scores[row] - mean[0]) / scale[0]))
        out[n, 2] = -np.log(places[row])
        for k in range(rows.shape[1]):
            value = np.float64(rows[row, k])
            if np.isfinite(value):
                out[n, 3 + k] = min(WIDEST, max(-WIDEST, (value - mean[1 + k]) / scale[1 + k]))
            else:
                out[n, 3 + k] = 0.0


class Learner:
    """Of the model ``version``. columns: (d,) of the features in a logged row. Not thread-safe."""

    def __init__(self, version: str, columns: I64, settings: OnlineSettings) -> None:
        self.version = version
        self.columns = columns
        self._settings = settings
        d = len(columns)
        self._number = 0
        self._mean: F64 = np.zeros(d + 1)  # of the score, then of the features
        self._spread: F64 = np.zeros(d + 1)
        self._kept: F64 | None = None
        mean = np.array([-2.0, 0.5, 0.5, *[0.0] * d])
        variance = np.array([4.0, 1.0, 1.0, *[0.04] * d])
        self._full = Logistic(mean, variance, settings.half_life)
        self._plain = Logistic(mean[:_FIXED], variance[:_FIXED], settings.half_life)
        self._gains: deque[float] = deque(maxlen=settings.judged)
        self._drift = Adwin()
        self._hasty = 0
        self.lessons = 0
        self.labels = 0
        self._sums = [0.0, 0.0, 0.0]  # log losses of the blend and of the corrected one, and labels, decayed
        self.proven = False
        self.drifts = 0
        self.switched = 0

    # ---------------------------------------------------------------------------- learning

    def learn(self, lesson: Lesson) -> None:
        """Predict, compare, learn."""
        shown, which = lesson.shown, lesson.which
        if shown.x is None:
            return
        if self._number < WARM:
            self._warm(np.column_stack([shown.scores[which], shown.x[which].astype(np.float64)]))
            return
        x = self._design(shown, shown.x, which)
        y, weight = np.array(lesson.label), np.array(lesson.weight)
        haste = _HASTE if self._hasty > 0 else 1.0
        self._hasty = max(0, self._hasty - 1)
        losses = self._plain.learn(x, y, weight, haste), self._full.learn(x, y, weight, haste)
        self._judge(float((weight * (losses[0] - losses[1])).sum()))
        keep = 0.5 ** (1.0 / self._settings.half_life)
        for place, more in enumerate((float(losses[0].sum()), float(losses[1].sum()), float(len(y)))):
            self._sums[place] = keep * self._sums[place] + more
        shown.loss += float(losses[0].sum())
        shown.labels += len(y)
        self.lessons += 1
        self.labels += len(y)

    def settled(self, shown: Shown) -> bool:
        """A ranking's time is over. True where that tells of a change for the worse, for whoever watches."""
        if not self._settings.drift or not shown.labels:
            return False
        if self._drift.add(shown.loss / shown.labels) <= 0:
            return False
        self.drifts += 1
        self._hasty = int(self._settings.half_life / _HASTE)
        self._full.forget(_KEPT)
        self._plain.forget(_KEPT)
        self._gains.clear()
        return True

    def shift(self) -> Shift | None:
        """What is to be added to scores now, None while it isn't proven or off."""
        if not self.proven or self._settings.correct == "off":
            return None
        scale = self._scale()
        unit = scale[0] / max(_SMALLEST, float(self._full.mean[1]))
        return Shift(
            self.version, self.columns, self._mean[1:].copy(), scale[1:],
            self._full.mean[_FIXED:] * unit, float(self._settings.cap * scale[0]),
        )  # fmt: skip

    @property
    def losses(self) -> tuple[float, float]:
        """Mean log loss a label, lately: the blend's and the corrected one's."""
        labels = max(1e-9, self._sums[2])
        return self._sums[0] / labels, self._sums[1] / labels

    @property
    def gain(self) -> tuple[float, float, int]:
        """Mean gain in log loss a lesson over the last ones, its standard error, and how many."""
        n = len(self._gains)
        if n < 2:
            return 0.0, 0.0, n
        values = np.array(self._gains)
        return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n), n

    @property
    def weights(self) -> F64:
        """(d,) of standardised features, in log odds."""
        return self._full.mean[_FIXED:]

    def _warm(self, values: F64) -> None:
        for row in values:
            if not np.isfinite(row[0]):
                continue
            self._number += 1
            off = np.where(np.isfinite(row), row - self._mean, 0.0)
            self._mean += off / self._number
            self._spread += off * np.where(np.isfinite(row), row - self._mean, 0.0)

    def _scale(self) -> F64:
        """(1 + d,) standard deviations; they stay once the first rankings have been looked at."""
        if self._kept is None or self._number < WARM:
            scale: F64 = np.sqrt(self._spread / max(1, self._number))
            self._kept = np.where(scale > 1e-6, scale, 1.0)
        return self._kept

    def _design(self, shown: Shown, rows: F32, which: list[int]) -> F64:
        x = np.empty((len(which), _FIXED + len(self.columns)))
        _design(np.array(which), shown.scores, shown.places, rows, self._mean, self._scale(), x)
        return x

    def _judge(self, gain: float) -> None:
        self._gains.append(gain)
        n = len(self._gains)
        if n < max(50, _SHARE * self._settings.judged) or n % 10:
            return
        mean, error, _ = self.gain
        proven = mean > 0 if self.proven else mean > _SURE * error
        self.switched += proven != self.proven
        self.proven = proven

    # ------------------------------------------------------------------------------ keeping

    def state(self) -> dict[str, Any]:
        """Everything learnt, JSON-compatible and exact; nothing of a person."""
        return {
            "version": self.version, "columns": self.columns.tolist(), "number": self._number,
            "mean": self._mean.tolist(), "spread": self._spread.tolist(), "full": self._full.state(),
            "plain": self._plain.state(), "gains": list(self._gains), "drift": self._drift.state(),
            "hasty": self._hasty, "lessons": self.lessons, "labels": self.labels, "sums": self._sums,
            "proven": self.proven, "drifts": self.drifts, "switched": self.switched,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Back from ``state``. Errors: ``KeyError``, ``TypeError``, ``ValueError`` where it is another's."""
        mean, spread = np.array(state["mean"], np.float64), np.array(state["spread"], np.float64)
        if state["columns"] != self.columns.tolist() or mean.shape != self._mean.shape or spread.shape != mean.shape:
            raise ValueError("other features")
        self._full.restore(state["full"])
        self._plain.restore(state["plain"])
        self._drift.restore(state["drift"])
        self._number, self._mean, self._spread, self._kept = int(state["number"]), mean, spread, None
        self._gains.extend(map(float, state["gains"]))
        self._hasty, self.lessons, self.labels = int(state["hasty"]), int(state["lessons"]), int(state["labels"])
        self._sums = [float(one) for one in state["sums"]]
        self.proven, self.drifts, self.switched = bool(state["proven"]), int(state["drifts"]), int(state["switched"])
