"""What an evaluation found; the same struct in Python and, through ``to_json``, as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from palate.errors import InvalidInput
from palate.evaluate.bootstrap import Estimate

Table = dict[str, dict[str, dict[str, Estimate]]]
"""system → seen → metric → estimate."""


class Comparison(msgspec.Struct):
    """``difference`` = NDCG of Palate − that of ``baseline`` on the same events, paired by event, resampled by user.
    ``ratio`` is the quotient of the two; ``best`` marks the strongest baseline of this ``seen``."""

    seen: str
    baseline: str
    difference: Estimate
    ratio: float | None
    best: bool


class EvaluationResult(msgspec.Struct):
    """protocol: how it was measured, in words and numbers, with the settings that each system chose on the validation
    window. systems: all sampled test events. cold: ``items`` and ``users`` (≤ 3 events before), as tables of their
    own. warm: neither. seconds: by system, and ``total``."""

    protocol: dict[str, Any]
    systems: Table
    cold: dict[str, Table]
    warm: Table
    comparisons: list[Comparison]
    seconds: dict[str, float]

    def best_baseline(self, seen: str, metric: str = "ndcg") -> str | None:
        """The baseline with the highest ``metric``, or None where only Palate was run."""
        named = {
            name: estimate.value
            for name, tables in self.systems.items()
            if name != "palate" and (estimate := tables.get(seen, {}).get(metric)) and estimate.value is not None
        }
        return max(named, key=lambda name: named[name]) if named else None


def to_json(result: EvaluationResult, indent: int = 2) -> bytes:
    """UTF-8 JSON; ``from_json`` gives an equal result back."""
    return msgspec.json.format(msgspec.json.encode(result), indent=indent)


def from_json(data: bytes) -> EvaluationResult:
    """Errors: ``InvalidInput`` where ``data`` is not the JSON of an evaluation."""
    try:
        return msgspec.json.decode(data, type=EvaluationResult)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"This is not the JSON of an evaluation: {error}.") from None
