"""What a fine-tuning made, as a text model in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from palate.language import textmodel
from palate.language.textmodel import TextModel
from palate.train.text.body import Body, save_body
from palate.types import F32


def save_model(
    folder: Path,
    body: Body,
    base: str,
    made: str,
    figures: dict[str, Any],
    labels: list[str] | None = None,
    head: tuple[F32, F32] | None = None,
) -> TextModel:
    """Write ``body``, and the head of its classes where it has one. base, made, figures: for ``palate.json``.

    Errors: ``InvalidInput`` where something else lies in ``folder``; ``ConfigError`` where the model can't be written
    as ONNX; ``Unavailable``.
    """
    about = TextModel(
        kind="onnx", width=body.width, max_tokens=body.max_tokens, labels=labels or [], base=base, made=made,
        figures=figures,
    )  # fmt: skip

    def fill(place: Path) -> None:
        save_body(body, place)
        if head is not None:
            save_head(place, *head)

    return textmodel.write(folder, about, fill)


def save_head(folder: Path, weights: F32, bias: F32) -> None:
    """The head of classes, beside a model."""
    arrays = {"weights": np.ascontiguousarray(weights, np.float32), "bias": np.ascontiguousarray(bias, np.float32)}
    (folder / textmodel.HEAD).write_bytes(safetensors.numpy.save(arrays))
