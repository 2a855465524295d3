"""wordllama: the mean of static word vectors, trained as a Matryoshka (Miller 2024; Kusupati et al. 2022).

Knows English words and little order; 256 components, of which the first 64 or 128 are vectors, too; MIT. The weights
lie in the package ``wordllama``, of which nothing but these files is used. Cost: about 0.1 ms of one core for a text of
thirty tokens, 0.2 s and 40 MB for loading.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import safetensors.numpy

from palate.errors import MissingExtra
from palate.language.fetching import checked, package_folder
from palate.language.readable import encode_wanted
from palate.types import F32

_DIM = 256
_BATCH = 64
_WEIGHTS = (
    "weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
_TOKENS = (
    "tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)


class WordLlamaEncoder:
    """See ``Encoder``. Errors: ``MissingExtra``; of ``encode`` ``CorruptArtefact``."""

    def __init__(self, max_tokens: int = 128) -> None:
        folder = package_folder("wordllama")
        if folder is None or find_spec("tokenizers") is None:
            raise MissingExtra("wordllama" if folder is None else "tokenizers", "static", "The encoder 'wordllama'")
        self._folder = folder
        self._most = max_tokens
        self._lock = threading.Lock()
        self._model: tuple[Any, F32] | None = None

    @property
    def name(self) -> str:
        return f"wordllama-{_WEIGHTS[1][:8]}-{self._most}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``. Of a text, the first ``max_tokens`` tokens count."""
        return encode_wanted(texts, _DIM, _BATCH, self._rows)

    def _rows(self, texts: list[str]) -> F32:
        tokenizer, vectors = self._loaded()
        rows = np.zeros((len(texts), _DIM), np.float32)
        for place, text in enumerate(texts):
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
            if ids:
                rows[place] = vectors[ids].mean(axis=0)
        return rows

    def _loaded(self) -> tuple[Any, F32]:
        with self._lock:
            if self._model is None:
                # Not by the package's own loader, whose import sets up the logging of the whole process.
                tokens = checked(self._folder / _TOKENS[0], _TOKENS[1]).read_text(encoding="utf-8")
                tokenizer = import_module("tokenizers").Tokenizer.from_str(tokens)
                tokenizer.no_padding()
                tokenizer.enable_truncation(self._most)
                arrays = safetensors.numpy.load_file(checked(self._folder / _WEIGHTS[0], _WEIGHTS[1]))
                self._model = tokenizer, np.asarray(next(iter(arrays.values())), np.float32)
            return self._model
