"""The towers by their kinds, as artefacts name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact
from palate.towers import Tower
from palate.towers.als import AlsTower
from palate.towers.hybrid import HybridTower
from palate.towers.lstm import LstmTower
from palate.towers.ncf import NcfTower
from palate.towers.sasrec import SasrecTower

Arrays = Mapping[str, np.ndarray[Any, Any]]

_LOADERS: dict[str, Callable[[Arrays, Mapping[str, Any]], Tower]] = {
    "als": AlsTower.load,
    "hybrid": HybridTower.load,
    "lstm": LstmTower,
    "ncf": NcfTower,
    "sasrec": SasrecTower,
}


def load_tower(kind: str, arrays: Arrays, meta: Mapping[str, Any]) -> Tower:
    """The tower that ``arrays()`` and ``meta()`` came from.

    Errors: ``CorruptArtefact`` for an unknown kind, or arrays that don't make a tower of that kind.
    """
    loader = _LOADERS.get(kind)
    if loader is None:
        raise CorruptArtefact(f"The model has a tower of kind {kind!r}; this version knows {', '.join(_LOADERS)}.")
    return loader(arrays, meta)
