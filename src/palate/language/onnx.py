"""Any text model of Palate's own in ONNX: ``onnx:FOLDER``, by ONNX Runtime, without PyTorch.

The network takes token ids and their mask and gives one vector a text (pooling is in it). ``palate finetune`` and
``palate compress`` make such folders (``language/textmodel.py``). Cost: that of the network, plus some 0.1 ms a text.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from palate.errors import CorruptArtefact, MissingExtra
from palate.language import textmodel
from palate.language.minilm import padded, session
from palate.language.readable import encode_wanted
from palate.types import F32

_BATCH = 32


class OnnxEncoder:
    """See ``Encoder``. threads: of ONNX Runtime; max_tokens: of a text that count, at most what the model was made for.

    Errors: ``MissingExtra``; ``ConfigError`` where the folder holds no such model; of ``encode`` ``CorruptArtefact``.
    """

    def __init__(self, folder: str, threads: int = 1, max_tokens: int = 128) -> None:
        for package in ("onnxruntime", "tokenizers"):
            if find_spec(package) is None:
                raise MissingExtra(package, "onnx", f"The encoder 'onnx:{folder}'")
        self._folder = Path(folder).expanduser()
        self._about = textmodel.read(self._folder, "onnx")
        self._threads = threads
        self._most = min(max_tokens, self._about.max_tokens)
        self._lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        return textmodel.name_of(self._folder, self._about, self._most)

    @property
    def dim(self) -> int:
        return self._about.width

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``. Of a text, the first ``max_tokens`` tokens count."""
        return encode_wanted(texts, self.dim, _BATCH, self._rows)

    def _rows(self, texts: list[str]) -> F32:
        tokenizer, network = self._loaded()
        ids, mask = padded([tokenizer.encode(text).ids or [0] for text in texts])
        rows = np.asarray(network.run(None, {"input_ids": ids, "attention_mask": mask})[0], np.float32)
        if rows.shape != (len(texts), self.dim):
            raise CorruptArtefact(
                f"The network in {self._folder} gives {rows.shape[1:]}, and is said to give {self.dim}."
            )
        return rows

    def _loaded(self) -> tuple[Any, Any]:
        with self._lock:
            if self._model is None:
                tokenizer = textmodel.tokenizer_of(self._folder, self._about, self._most)
                network = textmodel.checked_file(self._folder, textmodel.NETWORK, self._about)
                self._model = tokenizer, session(network, self._threads)
            return self._model
