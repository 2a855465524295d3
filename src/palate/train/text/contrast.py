"""Fine-tuning an encoder on a catalogue's own events: what people took before points to what they took next.

The mean vector of some of the last ten texts that a person took, and the vector of the next; the others of the batch
are the wrong answers (InfoNCE, van den Oord et al. 2018; in-batch negatives, Karpukhin et al. 2020)::

    loss = −log exp(cos(h, v⁺)/τ) / Σ exp(cos(h, v)/τ),   both ways

What is chosen often is as often a wrong answer as a right one, so that popularity itself teaches nothing. A text that
the person had counts as neither. τ starts where the model as it is loses least and learns too (Radford et al. 2021):
else the first thing to learn would be to draw all vectors together. For the same reason it isn't the loss that says
when to stop, but how often the right answer of later pairs is nearer than a wrong one. Judged on later events still.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from palate.errors import InvalidInput
from palate.train.text.body import Body
from palate.train.text.lora import Lora
from palate.train.text.pairs import Pairs, drawn
from palate.types import I32, I64

Progress = Callable[[str, int, int], None]
_SHARP_RATE = 5e-3
_HAD = -1e4


class ContrastSettings(NamedTuple):
    """steps: at most; check: after so many, the AUC of ``kept`` pairs to stop by is looked at; patience: looks without
    a better one. batch: pairs a step; taken: texts of a history that a step reads. lora: as ``TuneSettings``."""

    steps: int = 300
    check: int = 50
    patience: int = 2
    batch: int = 48
    taken: int = 2
    kept: int = 480
    rate: float = 2e-5
    rate_lora: float = 3e-4
    decay: float = 0.01
    warm_up: float = 0.1
    lora: int | None = None
    large: int = 60_000_000
    minutes: float | None = None
    seed: int = 1


class Look(msgspec.Struct, frozen=True):
    """After a step: the mean loss since the last look, and the AUC of the pairs to stop by."""

    step: int
    loss: float
    valid_auc: float


class ContrastReport(msgspec.Struct, frozen=True):
    """pairs: to learn from and to stop by; before: the AUC of the latter at first; best: the step that was kept, 0
    where nothing was better than the model as it was."""

    family: str
    parameters: int
    learnt: int
    pairs: tuple[int, int]
    texts: int
    before: float
    looks: list[Look]
    best: int
    seconds: float
    cut: bool


def fit_pairs(
    body: Body, pairs: Pairs, settings: ContrastSettings | None = None, progress: Progress | None = None
) -> ContrastReport:
    """Fine-tune ``body`` in place. progress: (sentence, step, steps). The same seed on the same CPU gives the same
    model unless the minutes were over. Cost of a step: about three times encoding ``batch`` · (1 + ``taken``) texts."""
    with body.torch.random.fork_rng(devices=[]):
        body.torch.manual_seed((settings or ContrastSettings()).seed)
        return _Fit(body, pairs, settings or ContrastSettings(), progress).run()


class _Fit:
    def __init__(self, body: Body, pairs: Pairs, settings: ContrastSettings, progress: Progress | None) -> None:
        self._began = time.monotonic()
        self._body, self._pairs, self._s, self._progress = body, pairs, settings, progress
        torch = self._torch = body.torch
        self._tokens = body.tokens(pairs.texts)
        self._chance = np.random.default_rng(settings.seed)
        fixed = np.random.default_rng(settings.seed + 1)
        late = np.arange(pairs.split, len(pairs.following), dtype=np.int64)
        self._valid = [
            drawn(late, pairs, settings.batch, fixed) for _ in range(max(1, settings.kept // settings.batch))
        ]
        self._kept_taken = [self._some(rows, fixed) for rows in self._valid]
        self._all = sum(parameter.numel() for parameter in body.module.parameters())
        rank = settings.lora if settings.lora is not None else (8 if self._all >= settings.large else 0)
        self._lora = Lora(torch, body.module, rank) if rank else None
        if self._lora is None:
            for parameter in body.module.parameters():
                parameter.requires_grad_(True)
            self._learnt, rate = list(body.module.parameters()), settings.rate
        else:
            self._learnt, rate = self._lora.parameters, settings.rate_lora
        self._rate = rate
        self._sharp = torch.nn.Parameter(torch.tensor(2.5))
        self._optimiser = torch.optim.AdamW(
            [
                {"params": self._learnt, "lr": rate, "weight_decay": settings.decay},
                {"params": [self._sharp], "lr": _SHARP_RATE, "weight_decay": 0.0},
            ]
        )

    def run(self) -> ContrastReport:
        s, step, cut = self._s, 0, False
        before = best_auc = self._judge(calibrate=True)
        best, kept = 0, [one.detach().clone() for one in self._learnt]
        looks: list[Look] = []
        rows = np.arange(self._pairs.split, dtype=np.int64)
        while step < s.steps and not cut and (not looks or looks[-1].step - best <= s.patience * s.check):
            total, since = 0.0, 0
            for _ in range(min(s.check, s.steps - step)):
                cut = step > 0 and self._spent(step) >= 1.0
                if cut:
                    break
                share = max(step / s.steps, self._spent(step))
                factor = min(1.0, (step + 1) / max(1.0, s.warm_up * s.steps)) * (1.0 - share)
                self._optimiser.param_groups[0]["lr"] = self._rate * factor
                total += self._learn(rows)
                step, since = step + 1, since + 1
                if self._progress is not None:
                    self._progress("finetuning steps", step, s.steps)
            valid = self._judge()
            looks.append(Look(step, total / max(1, since), valid))
            if valid > best_auc:
                best, best_auc, kept = step, valid, [one.detach().clone() for one in self._learnt]
        if not all(math.isfinite(look.loss) for look in looks):
            raise InvalidInput("The loss is not finite: try a smaller --rate.", "--rate")
        with self._torch.no_grad():
            for parameter, value in zip(self._learnt, kept, strict=True):
                parameter.copy_(value)
        learnt = sum(parameter.numel() for parameter in self._learnt)
        if self._lora is not None:
            self._lora.merge()
        self._body.module.eval()
        return ContrastReport(
            self._body.kind, self._all, learnt, (len(rows), len(self._pairs.following) - len(rows)),
            len(self._pairs.texts), before, looks, best, round(time.monotonic() - self._began, 2), cut,
        )  # fmt: skip

    def _spent(self, step: int) -> float:
        if self._s.minutes is None:
            return 0.0
        now = time.monotonic() - self._began
        rest = now / max(1, step) * 0.34 * len(self._valid)  # a look is a third of a step for each of its batches
        return min(1.0, now / max(1e-9, self._s.minutes * 60.0 - rest))

    def _some(self, rows: I64, chance: np.random.Generator) -> I32:
        """(n, taken) of the texts that came before each row, −1 where there are fewer; the newest is always one."""
        before = self._pairs.taken[rows]
        out = np.full((len(rows), self._s.taken), -1, np.int32)
        for row, places in enumerate(before):
            own = places[places >= 0]
            chosen = chance.choice(len(own) - 1, min(len(own) - 1, self._s.taken - 1), replace=False)
            out[row, 0] = own[-1]
            out[row, 1 : 1 + len(chosen)] = own[chosen]
        return out

    def _learn(self, rows: I64) -> float:
        some = drawn(rows, self._pairs, self._s.batch, self._chance)
        self._body.module.train()
        loss = self._loss(self._scores(some, self._some(some, self._chance)), self._sharp)
        self._optimiser.zero_grad()
        loss.backward()
        self._torch.nn.utils.clip_grad_norm_(self._learnt, 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def _encode(self, places: list[int]) -> Any:
        """With gradients, texts of about one length together: little is padded."""
        order = sorted(range(len(places)), key=lambda at: len(self._tokens[places[at]]))
        parts = [order[start : start + 48] for start in range(0, len(order), 48)]
        rows = [self._body.unit(*self._body.batch([self._tokens[places[at]] for at in part])) for part in parts]
        back = np.argsort(np.array(order), kind="stable")
        return self._torch.cat(rows)[self._torch.from_numpy(back)]

    def _scores(self, rows: I64, taken: I32) -> Any:
        """(n, n) cosines of people and next texts; far below all others where a person had the text already."""
        torch, pairs = self._torch, self._pairs
        following = pairs.following[rows]
        needed = np.unique(np.concatenate([taken.ravel(), following]))
        needed = needed[needed >= 0]
        vectors = self._encode(needed.tolist())
        there = torch.from_numpy((taken >= 0).astype(np.float32))[..., None]
        at = torch.from_numpy(np.searchsorted(needed, np.maximum(taken, needed[0])))
        people = torch.nn.functional.normalize((vectors[at] * there).sum(1), dim=-1)
        chosen = vectors[torch.from_numpy(np.searchsorted(needed, following))]
        had = (pairs.taken[rows][:, :, None] == following[None, None, :]).any(axis=1)
        return (people @ chosen.T).masked_fill(torch.from_numpy(had), _HAD)

    def _loss(self, scores: Any, sharp: Any) -> Any:
        right = self._torch.arange(len(scores))
        cross = self._torch.nn.functional.cross_entropy
        sharpened = scores * sharp.exp()
        return (cross(sharpened, right) + cross(sharpened.T, right)) / 2

    def _judge(self, calibrate: bool = False) -> float:
        """How often the next text of the pairs to stop by is nearer than another's, always of the same batches.

        calibrate: also find where τ starts."""
        torch = self._torch
        self._body.module.eval()
        with torch.no_grad():
            found = [self._scores(rows, taken) for rows, taken in zip(self._valid, self._kept_taken, strict=True)]
            if calibrate:
                grid = torch.linspace(0.0, 4.5, 19)
                losses = [sum(float(self._loss(scores, sharp)) for scores in found) for sharp in grid]
                self._sharp.copy_(grid[int(np.argmin(losses))])
        wins: list[float] = []
        for scores in found:
            one = scores.numpy()
            right = np.diag(one)[:, None]
            other = (one > _HAD / 2) & ~np.eye(len(one), dtype=np.bool_)
            wins += ((one < right) + 0.5 * (one == right))[other].tolist()
        return float(np.mean(wins)) if wins else 0.5
