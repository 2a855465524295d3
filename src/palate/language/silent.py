"""No language at all: the encoder of directories in which texts count by their words and tags alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from palate.types import F32

SILENT = "none"


class SilentEncoder:
    """Every text is one zero: items have no text vector, and queries no meaning. Cost: nothing."""

    @property
    def name(self) -> str:
        return SILENT

    @property
    def dim(self) -> int:
        return 1

    def encode(self, texts: Sequence[str]) -> F32:
        """(n, 1) zeros; no unit rows, unlike any other ``Encoder``."""
        return np.zeros((len(texts), 1), np.float32)
