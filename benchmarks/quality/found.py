"""What a system's run left: ranks of every scored event, and what they cost. Kept in a file, so that it can be read
again: the peers' runs are long, and change only with what they are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from palate.types import F64


@dataclass
class Found:
    """ranks, frozen: by seen, (e,) mid-ranks, NaN where the event isn't scored; empty where the run failed.
    start_seconds: all before the first test event; test_seconds: refits and rankings; chosen: what a peer chose, as
    ``Chosen`` says; failed: why there is nothing."""

    name: str
    label: str
    ranks: dict[str, F64] = field(default_factory=dict[str, F64])
    frozen: dict[str, F64] = field(default_factory=dict[str, F64])
    start_seconds: float = 0.0
    test_seconds: float = 0.0
    peak_mb: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    chosen: dict[str, Any] = field(default_factory=dict[str, Any])
    failed: str = ""

    def write(self, file: Path) -> None:
        """Into ``file``, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {name: value for name, value in vars(self).items() if name not in ("ranks", "frozen")}
        fresh = file.with_suffix(".new.npz")
        parts = {f"ranks_{mode}": values for mode, values in self.ranks.items()}
        parts |= {f"frozen_{mode}": values for mode, values in self.frozen.items()}
        np.savez(fresh, told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8), **parts)  # pyright: ignore
        fresh.replace(file)

    @classmethod
    def read(cls, file: Path) -> Found:
        """What ``write`` wrote."""
        with np.load(file) as kept:
            found = cls(**json.loads(kept["told"].tobytes()))
            for name in kept.files:
                part, _, mode = name.partition("_")
                if part in ("ranks", "frozen"):
                    getattr(found, part)[mode] = kept[name]
        return found
