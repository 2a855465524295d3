"""Fine-tuning a language model to tell classes of texts apart, in PyTorch.

A linear head stands on the model's unit vector, times the root of its width so that its entries are about 1 (which
folds into the head in the end); both learn by cross-entropy with AdamW (Loshchilov and Hutter 2019), a rate that rises
and falls, and what does best on the rows kept for stopping is kept. The rows to judge by are looked at once.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np

from palate.errors import InvalidInput
from palate.train.text.body import Body, buckets, hold, set_dropout
from palate.train.text.lora import Lora
from palate.train.text.scores import Scores, score
from palate.train.text.table import Parts, Table
from palate.types import F32, F64, I64

Progress = Callable[[str, int, int], None]


class TuneSettings(NamedTuple):
    """epochs: at most; patience: epochs without a better accuracy on the rows for stopping, after which it ends. rate:
    of the body, rate_lora: of adapters, rate_head: of the head. warm_up: share of the steps. lora: rank of adapters, 0
    to learn all weights, None to let the size decide (adapters from ``large`` parameters on). smooth: of the labels
    (Szegedy et al. 2016), so that more of them can be learnt before the model is too sure of itself. hold_tokens: the
    vectors of the tokens stay; hold_layers: so do the lowest blocks of the model, which costs little quality (Lee, Tang
    and Lin 2019) and spares their way back. dropout: of the model, None for its own. drop_tokens: the share of a text's
    tokens that it is learnt without, others each time (Iyyer et al. 2015).
    minutes: in which all is done, None for no bound."""

    epochs: int = 3
    patience: int = 1
    batch: int = 32
    rate: float = 7e-5
    rate_lora: float = 5e-4
    rate_head: float = 1e-3
    decay: float = 0.01
    warm_up: float = 0.06
    smooth: float = 0.1
    lora: int | None = None
    large: int = 60_000_000
    hold_tokens: bool = False
    hold_layers: int = 0
    dropout: float | None = None
    drop_tokens: float = 0.0
    minutes: float | None = None
    seed: int = 1


class Epoch(msgspec.Struct, frozen=True):
    """loss: mean over what was learnt from; valid_loss, valid_accuracy: of the rows for stopping, after it."""

    loss: float
    valid_loss: float
    valid_accuracy: float
    seconds: float


class TuneReport(msgspec.Struct, frozen=True):
    """family, parameters, learnt: of the model, all and those that learnt. rows: learnt from, to stop by, to judge by.
    best: the epoch kept, from 1 on. scores: of the rows to judge by. cut: whether the minutes were over first."""

    family: str
    parameters: int
    learnt: int
    lora: int
    rows: tuple[int, int, int]
    epochs: list[Epoch]
    best: int
    seconds: float
    cut: bool
    scores: Scores


class Fitted(NamedTuple):
    """weights (d, c), bias (c,): of the head over unit vectors. The body has learnt in place."""

    weights: F32
    bias: F32
    report: TuneReport


def fit_classes(
    body: Body, table: Table, parts: Parts, settings: TuneSettings | None = None, progress: Progress | None = None
) -> Fitted:
    """Learn the classes of ``table``. progress: (sentence, step, steps) after each step.

    The same seed on the same CPU gives the same model unless the minutes were over. Cost: about three times what it
    takes to encode the texts, an epoch.
    """
    torch = body.torch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((settings or TuneSettings()).seed)
        return _Fit(body, table, parts, settings or TuneSettings(), progress).run()


class _Fit:
    def __init__(
        self, body: Body, table: Table, parts: Parts, settings: TuneSettings, progress: Progress | None
    ) -> None:
        self._began = time.monotonic()
        self._body, self._table, self._parts, self._s, self._progress = body, table, parts, settings, progress
        torch = self._torch = body.torch
        self._chance = np.random.default_rng(settings.seed)
        self._tokens = body.tokens(table.texts)
        self._targets = torch.from_numpy(table.labels)
        self._all = sum(parameter.numel() for parameter in body.module.parameters())
        rank = settings.lora if settings.lora is not None else (8 if self._all >= settings.large else 0)
        if rank and settings.hold_layers:
            raise InvalidInput(
                "--hold-layers is for a model that learns all its weights: give --lora 0.", "--hold-layers"
            )
        self._rank = rank
        self._lora = Lora(torch, body.module, rank) if rank else None
        self._scale = math.sqrt(body.width)
        if settings.dropout is not None:
            set_dropout(body, settings.dropout)
        self._head = torch.nn.Linear(body.width, len(table.names))
        torch.nn.init.zeros_(self._head.weight)
        torch.nn.init.zeros_(self._head.bias)
        if self._lora is None:
            for parameter in body.module.parameters():
                parameter.requires_grad_(True)
            body.module.get_input_embeddings().weight.requires_grad_(not settings.hold_tokens)
            hold(body, settings.hold_layers)
            own, rate = [one for one in body.module.parameters() if one.requires_grad], settings.rate
        else:
            own, rate = self._lora.parameters, settings.rate_lora
        self._learnt = [*own, *self._head.parameters()]
        kept = [one for one in own if one.ndim >= 2]
        free = [one for one in own if one.ndim < 2]  # biases and norms aren't drawn to zero
        groups = [
            {"params": kept, "lr": rate, "weight_decay": settings.decay},
            {"params": free, "lr": rate, "weight_decay": 0.0},
            {"params": list(self._head.parameters()), "lr": settings.rate_head, "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW([group for group in groups if group["params"]], fused=True)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._epochs: list[Epoch] = []
        self._step = 0
        self._cut = False

    def run(self) -> Fitted:
        rows, s = self._parts.learn, self._s
        steps = s.epochs * math.ceil(len(rows) / s.batch)
        best, best_found, kept = 0, (-1.0, 0.0), None
        self._body.module.train()
        for epoch in range(1, s.epochs + 1):
            began = time.monotonic()
            loss = self._learn(rows, steps, epoch)
            valid_loss, accuracy = self._judge(self._parts.valid)
            self._epochs.append(Epoch(loss, valid_loss, accuracy, round(time.monotonic() - began, 2)))
            if math.isfinite(valid_loss) and (accuracy, -valid_loss) > best_found:
                best, best_found = epoch, (accuracy, -valid_loss)
                kept = [one.detach().clone() for one in self._learnt]
            if self._cut or epoch - best > s.patience:
                break
        if kept is None:
            raise InvalidInput("The loss is not finite from the first epoch on: try a smaller --rate.", "--rate")
        with self._torch.no_grad():
            for parameter, value in zip(self._learnt, kept, strict=True):
                parameter.copy_(value)
        learnt = sum(parameter.numel() for parameter in self._learnt if parameter.grad is not None)
        if self._lora is not None:
            self._lora.merge()
        self._body.module.eval()
        weights = (self._head.weight.detach().numpy().T * self._scale).astype(np.float32)
        bias = self._head.bias.detach().numpy().astype(np.float32)
        said = self._logits(self._parts.test).argmax(axis=1)
        parts = self._parts
        report = TuneReport(
            self._body.kind, self._all, learnt, self._rank,
            (len(parts.learn), len(parts.valid), len(parts.test)), self._epochs, best,
            round(time.monotonic() - self._began, 2), self._cut,
            score(self._table.labels[parts.test], np.asarray(said, np.int64), self._table.names),
        )  # fmt: skip
        return Fitted(np.ascontiguousarray(weights), bias, report)

    def _learn(self, rows: I64, steps: int, epoch: int) -> float:
        """One epoch, or what the minutes leave of it; the mean loss."""
        torch, total, seen = self._torch, 0.0, 0
        for some in buckets(self._tokens, rows, self._s.batch, self._chance):
            if self._spent() >= 1.0 and self._step > 0:
                self._cut = True
                break
            share = max(self._step / steps, self._spent())
            factor = min(1.0, (self._step + 1) / max(1.0, self._s.warm_up * steps)) * (1.0 - share)
            for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = rate * factor
            unit = self._body.unit(*self._body.batch([self._thinned(self._tokens[int(at)]) for at in some]))
            loss = torch.nn.functional.cross_entropy(
                self._head(unit * self._scale), self._targets[some], label_smoothing=self._s.smooth
            )
            self._optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self._learnt, 1.0)
            self._optimiser.step()
            self._step += 1
            total += float(loss.detach()) * len(some)
            seen += len(some)
            if self._progress is not None:
                self._progress(f"finetuning epoch {epoch}", seen, len(rows))
        return total / max(1, seen)

    def _thinned(self, tokens: list[int]) -> list[int]:
        """Without a share of them; the first and the last, which may be marks, stay."""
        if not self._s.drop_tokens or len(tokens) < 4:
            return tokens
        kept = self._chance.random(len(tokens)) >= self._s.drop_tokens
        kept[[0, -1]] = True
        return [token for token, stays in zip(tokens, kept, strict=True) if stays]

    def _spent(self) -> float:
        """The share of the time for learning that is over. What judging takes is kept back, as a third of a step."""
        if self._s.minutes is None:
            return 0.0
        now = time.monotonic() - self._began
        parts = self._parts
        rest = 0.0
        if self._step:
            rest = now / (self._step * self._s.batch) * 0.34 * (len(parts.valid) + len(parts.test))
        return min(1.0, now / max(1e-9, self._s.minutes * 60.0 - rest))

    def _logits(self, rows: I64) -> F64:
        vectors = self._body.vectors([self._tokens[int(at)] for at in rows])
        with self._torch.no_grad():
            return np.asarray(self._head(vectors * self._scale).numpy(), np.float64)

    def _judge(self, rows: I64) -> tuple[float, float]:
        """Loss and accuracy."""
        logits = self._logits(rows)
        top = logits.max(axis=1, keepdims=True)
        logs = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        true = self._table.labels[rows]
        return float(-logs[np.arange(len(rows)), true].mean()), float((logits.argmax(axis=1) == true).mean())
