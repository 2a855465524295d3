"""Whom a language model is asked about: a gate of two thresholds, by rule or learnt from logs (``train.gate``)."""

from __future__ import annotations

from typing import Literal

import msgspec

ANYBODY = 1_000_000
"""Events that nobody has."""


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """events, margin: asks where both are at most these (None: any margin); events −1: nobody. kind: how it came about,
    ``why`` in words. asked, held: decisions that it was learnt from; gain, low, high: of its thresholds, a decision."""

    events: int = ANYBODY
    margin: float | None = None
    kind: Literal["rule", "learnt", "shut"] = "rule"
    why: str = "a rule: nothing was learnt from logs"
    asked: int = 0
    held: int = 0
    gain: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def opens(self, events: int, margin: float) -> bool:
        """Whether to ask about somebody with so many events, whose scores stand so far apart."""
        return events <= self.events and (self.margin is None or margin <= self.margin)


RULE = Gate()
"""The gate where nothing was learnt: the setting ``events`` alone decides."""
