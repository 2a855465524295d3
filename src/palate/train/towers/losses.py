"""Losses over the next item: the full softmax, a sampled one, and gBCE (Petrov & Macdonald 2023).

PyTorch is passed in and never imported here. One-negative losses are not among them: they lose a third of the quality.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from palate.types import I64

_CHUNK = 256
"""Persons whose scores are made at once."""


class Sampler:
    """Negatives for a batch, shared by its events: half of them drawn alike, half by how often items were had.

    counts: (n,) how often each item was had. met: (m,) the items with a count above 0, among which all of a loss is
    counted; code: (n,) their places in that order, −1 for others.
    """

    def __init__(self, torch: Any, counts: I64, negatives: int, calibration: float, device: str) -> None:
        self._torch = torch
        met = np.flatnonzero(counts > 0)
        code = np.full(len(counts), -1, np.int64)
        code[met] = np.arange(len(met))
        self.met = torch.as_tensor(met, device=device)
        self.code = torch.as_tensor(code, device=device)
        self.items, self.negatives, self.calibration = len(met), negatives, calibration
        share = 0.5 / max(1, len(met)) + 0.5 * counts[met] / max(1, counts.sum())
        self._share = torch.as_tensor(share.astype(np.float32), device=device)

    def draw(self) -> tuple[Any, Any]:
        """codes (negatives,), with repeats, and their shares."""
        drawn = self._torch.multinomial(self._share, self.negatives, replacement=True)
        return drawn, self._share[drawn]

    def even(self) -> Any:
        """(negatives,) codes, each as likely as any other."""
        return self._torch.multinomial(self._torch.ones_like(self._share), self.negatives, replacement=True)


def loss_of(torch: Any, name: str, persons: Any, vectors: Any, targets: Any, sampler: Sampler) -> Any:
    """The mean loss of persons (c, d − 1) whose next items are targets (c,) among vectors (m, d) of the items met.

    softmax: −log softmax over every item. sampled: the same, the sum over items estimated without bias from m sampled
    ones, each divided by m times its share. gbce: −β log σ(s⁺) − Σ log(1 − σ(s⁻)) over m negatives, with
    β = α (t (1 − 1/α) + 1/α), α = m / (items − 1): at calibration t = 1 its σ(s) is as calibrated as without sampling.
    """
    f = torch.nn.functional
    if name == "softmax":
        return _softmax(torch, persons, vectors, targets)
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


def _softmax(torch: Any, persons: Any, vectors: Any, targets: Any) -> Any:
    """Mean cross-entropy over all vectors. The scores, which are the largest thing there is, are made by chunks in one
    buffer, and become gradients where they stand: a third of the time that autograd takes on a CPU."""
    count = len(persons)
    with torch.no_grad():
        bias, matrix = vectors[:, -1], vectors[:, :-1].contiguous()
        along, across = torch.empty_like(persons), torch.zeros_like(matrix)
        sums = torch.zeros_like(bias)
        buffer = persons.new_empty(min(_CHUNK, count), len(vectors))
        total = persons.new_zeros(())
        for start in range(0, count, _CHUNK):
            chunk, wanted = persons[start : start + _CHUNK], targets[start : start + _CHUNK, None]
            scores = torch.addmm(bias, chunk, matrix.T, out=buffer[: len(chunk)])
            highest = scores.max(dim=1, keepdim=True).values
            total -= (scores.gather(1, wanted) - highest).sum()
            shares = scores.sub_(highest).exp_()
            weight = shares.sum(dim=1, keepdim=True)
            total += weight.log().sum()
            shares /= weight
            shares.scatter_add_(1, wanted, shares.new_full(wanted.shape, -1.0))
            torch.mm(shares, matrix, out=along[start : start + _CHUNK])
            across.addmm_(shares.T, chunk)
            sums += shares.sum(dim=0)
    # Linear in both, with the gradients found above; its value is replaced by the loss.
    slope = (persons * along).sum() + (vectors[:, :-1] * across).sum() + (vectors[:, -1] * sums).sum()
    return (slope + (total - slope).detach()) / count
