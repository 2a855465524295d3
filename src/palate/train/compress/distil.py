"""A smaller transformer that says what a larger one says: fewer layers, or what is left of a pruned one.

Its unit vectors are drawn to the teacher's by 1 − cos on the texts of a catalogue (Sanh et al. 2019 for where the
layers come from; Reimers and Gurevych 2020 for the loss). What does best on texts kept out is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from palate.errors import InvalidInput
from palate.train.text.body import Body, blocks_of, buckets

Progress = Callable[[str, int, int], None]


class DistilSettings(NamedTuple):
    """epochs: at most, over the texts to learn from. minutes: in which it ends, None for no bound."""

    epochs: int = 3
    batch: int = 32
    rate: float = 1e-4
    minutes: float | None = None
    seed: int = 1


class DistilReport(msgspec.Struct, frozen=True):
    """cosines: mean of student and teacher on the texts kept out: before, and after each epoch; best: the one kept."""

    cosines: list[float]
    best: int
    seconds: float
    cut: bool


def fewer_layers(body: Body, layers: int) -> Body:
    """A copy with ``layers`` of the blocks of ``body``, evenly spaced, the last among them.

    Errors: ``InvalidInput`` where it hasn't more than that."""
    student = body.copy()
    holder, name, blocks = blocks_of(student.module)
    if not 1 <= layers < len(blocks):
        raise InvalidInput(
            f"The model has {len(blocks)} layers; --layers must lie between 1 and {len(blocks) - 1}.", "--layers"
        )
    kept = sorted({round(at) for at in np.linspace(0, len(blocks) - 1, layers)} if layers > 1 else {len(blocks) - 1})
    setattr(holder, name, body.torch.nn.ModuleList([blocks[at] for at in kept]))
    for key in ("num_hidden_layers", "n_layer", "num_layers", "encoder_layers"):
        if hasattr(student.module.config, key):
            setattr(student.module.config, key, layers)
    return student


def distil(
    teacher_rows: Any, student: Body, learn: list[str], kept_out: list[str], teacher_out: Any,
    settings: DistilSettings | None = None, progress: Progress | None = None,
) -> DistilReport:  # fmt: skip
    """Fit ``student`` in place. teacher_rows, teacher_out: (n, d) unit rows of the texts, as arrays.

    Deterministic from the seed on the same CPU unless the minutes were over. progress: (sentence, done, rows)."""
    s = settings or DistilSettings()
    torch, began = student.torch, time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(s.seed)
        tokens, out_tokens = student.tokens(learn), student.tokens(kept_out)
        taught, out = torch.from_numpy(teacher_rows), torch.from_numpy(teacher_out)
        for parameter in student.module.parameters():
            parameter.requires_grad_(True)
        learnt = list(student.module.parameters())
        optimiser = torch.optim.AdamW(learnt, lr=s.rate, weight_decay=0.01)
        chance = np.random.default_rng(s.seed)
        steps, step, cut = s.epochs * math.ceil(len(learn) / s.batch), 0, False

        def near() -> float:
            return float((student.vectors(out_tokens) * out).sum(1).mean())

        def spent() -> float:
            return (time.monotonic() - began) / (s.minutes * 60.0) if s.minutes is not None else 0.0

        cosines, best, kept = [near()], 0, [one.detach().clone() for one in learnt]
        for epoch in range(1, s.epochs + 1):
            student.module.eval()  # without dropout: the student is told exactly what to say
            done = 0
            for some in buckets(tokens, np.arange(len(learn)), s.batch, chance):
                if step and spent() >= 1.0:
                    cut = True
                    break
                share = max(step / steps, spent())
                optimiser.param_groups[0]["lr"] = s.rate * min(1.0, (step + 1) / (0.06 * steps + 1)) * (1.0 - share)
                said = student.unit(*student.batch([tokens[int(at)] for at in some]))
                loss = (1.0 - (said * taught[some]).sum(1)).mean()
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(learnt, 1.0)
                optimiser.step()
                step += 1
                done += len(some)
                if progress is not None:
                    progress(f"finetuning epoch {epoch}", done, len(learn))
            cosines.append(near())
            if cosines[-1] > max(cosines[:-1]):
                best, kept = epoch, [one.detach().clone() for one in learnt]
            if cut:
                break
        with torch.no_grad():
            for parameter, value in zip(learnt, kept, strict=True):
                parameter.copy_(value)
    return DistilReport([round(one, 4) for one in cosines], best, round(time.monotonic() - began, 2), cut)
