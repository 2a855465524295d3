"""Classes of texts: a linear head over the unit vectors of an encoder, as ``palate finetune --csv`` learns it.

probabilities = softmax(v W + b) of a unit vector v; whatever runs the encoder, the head is NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from palate.errors import ConfigError, CorruptArtefact
from palate.language import Encoder, make_encoder, textmodel
from palate.types import F32


class Classifier:
    """labels in the order of the columns; weights (d, c), bias (c,) float32.

    Errors: ``CorruptArtefact`` where the shapes don't fit the encoder and the labels.
    """

    def __init__(self, encoder: Encoder, labels: Sequence[str], weights: F32, bias: F32) -> None:
        if weights.shape != (encoder.dim, len(labels)) or bias.shape != (len(labels),):
            raise CorruptArtefact(
                f"The classes' weights are {weights.shape}; {encoder.name} with {len(labels)} classes needs "
                f"({encoder.dim}, {len(labels)})."
            )
        self.encoder, self.labels = encoder, list(labels)
        self._weights, self._bias = weights, bias

    def probabilities(self, texts: Sequence[str]) -> F32:
        """(n, c) float32, rows summing to 1; a blank text gives what is known without one."""
        return softmax(self.encoder.encode(texts) @ self._weights + self._bias)


def load_classifier(folder: Path, threads: int = 1, max_tokens: int = 128) -> Classifier:
    """The classifier in ``folder``. Errors: ``ConfigError`` where there are no classes; as ``make_encoder``."""
    folder = folder.expanduser()
    about = textmodel.read(folder)
    if not about.labels or textmodel.HEAD not in about.files:
        raise ConfigError(f"{folder} tells no classes: make one that does with palate finetune --csv.", "--model")
    arrays: dict[str, Any] = safetensors.numpy.load(textmodel.checked_file(folder, textmodel.HEAD, about).read_bytes())
    if set(arrays) != {"weights", "bias"}:
        raise CorruptArtefact(f"{folder / textmodel.HEAD} is no head of classes.")
    encoder = make_encoder(f"{about.kind}:{folder}", threads, max_tokens)
    return Classifier(
        encoder, about.labels, np.asarray(arrays["weights"], np.float32), np.asarray(arrays["bias"], np.float32)
    )


def softmax(logits: F32) -> F32:
    """Rows as probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)
