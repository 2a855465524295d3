"""Losses over the next item: the full softmax, a sampled one, and gBCE (Petrov & Macdonald 2023).

PyTorch is passed in and never imported here. One-negative losses are not among them: they lose a third of the quality.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.types import I64


class Sampler:
    """Negatives for a batch, shared by its events: half of them drawn alike, half by how often items were had."""

    def __init__(self, torch: Any, counts: I64, negatives: int, calibration: float, device: str) -> None:
        self._torch = torch
        met = counts > 0
        self.items = int(met.sum())
        self.negatives, self.calibration = negatives, calibration
        share = 0.5 * met / max(1, self.items) + 0.5 * counts / max(1, counts.sum())
        self._share = torch.as_tensor(share.astype(np.float32), device=device)
        self._even = torch.as_tensor(met.astype(np.float32), device=device)

    def draw(self) -> tuple[Any, Any]:
        """codes (m,), with repeats, and their shares (m,)."""
        drawn = self._torch.multinomial(self._share, self.negatives, replacement=True)
        return drawn, self._share[drawn]

    def even(self) -> Any:
        """(m,) codes, each met item as likely as any other."""
        return self._torch.multinomial(self._even, self.negatives, replacement=True)


def loss_of(torch: Any, name: str, persons: Any, vectors: Any, targets: Any, sampler: Sampler) -> Any:
    """The mean loss of persons (c, d − 1) whose next items are targets (c,) among vectors (n, d).

    softmax: −log softmax over every item. sampled: the same, the sum over items estimated without bias from m sampled
    ones, each divided by m times its share. gbce: −β log σ(s⁺) − Σ log(1 − σ(s⁻)) over m negatives, with
    β = α (t (1 − 1/α) + 1/α), α = m / (items − 1): at calibration t = 1 its σ(s) is as calibrated as without sampling.
    """
    f = torch.nn.functional
    if name == "softmax":
        return f.cross_entropy(torch.addmm(vectors[:, -1], persons, vectors[:, :-1].T), targets)
    own = f.embedding(targets, vectors)
    good = (persons * own[:, :-1]).sum(dim=1) + own[:, -1]
    negatives, shares = (sampler.even(), None) if name == "gbce" else sampler.draw()
    other = f.embedding(negatives, vectors)
    bad = torch.addmm(other[:, -1], persons, other[:, :-1].T)
    if shares is not None:
        bad = bad - torch.log(shares * sampler.negatives)
    bad = bad.masked_fill(negatives[None, :] == targets[:, None], float("-inf"))
    if name == "sampled":
        return (torch.logsumexp(torch.cat((good[:, None], bad), dim=1), dim=1) - good).mean()
    alpha = min(1.0, sampler.negatives / max(1, sampler.items - 1))
    beta = alpha * (sampler.calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
    return (f.softplus(bad).sum(dim=1) - beta * f.logsigmoid(good)).mean()
