"""Training of the towers that read sequences, with PyTorch: on the GPU where there is one, else on the CPU.

An item is its whitened text, projected, plus a difference of its own that is bounded in length, so that a new item
stands where its text says; in some steps the differences of some items are left out, so that the text alone learns to
place them too (DropoutNet, Volkovs 2017). Settings are judged on the newest part of the interactions, never on a random
one; the best epoch is kept, and then learns that newest part too.
"""

from __future__ import annotations

import importlib
import time
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np

from palate.errors import InvalidInput, MissingExtra
from palate.towers import Tower
from palate.train.history import Progress
from palate.train.towers import Interactions
from palate.train.towers.losses import Sampler, loss_of
from palate.train.towers.networks import LstmNetwork, NcfNetwork, Network, SasrecNetwork, Shape, Tensors
from palate.train.towers.windows import Windows, batch_of, batches, ndcg, newest, whitened, windows_of
from palate.types import F32, I64, Bools

Loss = Literal["auto", "softmax", "sampled", "gbce"]

_NETWORKS: dict[str, Any] = {"lstm": LstmNetwork, "sasrec": SasrecNetwork, "ncf": NcfNetwork}
_SEARCH = 0.85
"""Share of the time budget until the best epoch must be found."""


class SequenceSettings(NamedTuple):
    """loss: ``auto`` is the full softmax up to ``full_items`` items, above it one over ``negatives`` sampled ones.

    bound, bound_bare: longest own difference of an item with a text (whose text part is about 1 long) and without.
    text_only: share of items whose difference is left out of a step. white: directions of the text. targets: events
    predicted in a batch; windows: of the newest in an epoch. valid_share: newest part of the interactions to judge on,
    by a sample of ``valid_events``. patience: epochs without progress until the rate falls to a third, twice, then it
    stops. finish: epochs over everything from the best one on.
    """

    shape: Shape = Shape()
    loss: Loss = "auto"
    full_items: int = 20_000
    negatives: int = 1024
    calibration: float = 0.75
    bound: float = 1.0
    bound_bare: float = 2.0
    text_only: float = 0.1
    white: int = 128
    rate: float = 2e-3
    decay: float = 0.01
    warm_up: int = 50
    epochs: int = 60
    patience: int = 2
    finish: int = 1
    targets: int = 1024
    windows: int = 100_000
    valid_share: float = 0.1
    valid_events: int = 2000


class SequenceReport(NamedTuple):
    """losses: mean of each epoch; valid: NDCG@10 after each, full catalogue, none left out; best: the epoch kept, from
    1 on (0 without validation); seconds: of everything; cut: whether the time was over before training stopped itself.
    """

    kind: str
    device: str
    loss: str
    windows: int
    losses: list[float]
    valid: list[float]
    best: int
    seconds: float
    cut: bool


def load_torch() -> Any:
    """The module ``torch``. Errors: ``MissingExtra``."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "train", "Training a sequence model")
    return importlib.import_module("torch")


def fit_sequence(
    data: Interactions,
    settings: SequenceSettings | None = None,
    seed: int = 1,
    progress: Progress | None = None,
    seconds: float | None = None,
    kind: str = "sasrec",
) -> tuple[Tower, F32, SequenceReport]:
    """The tower, items (n_items, d) float32 with zero rows for items without text that nobody had, and a report.

    kind: ``sasrec``, ``lstm`` or ``ncf``. progress: called after each epoch as (sentence with the loss, epoch, most
    epochs). seconds: the time after which it hands back the best so far, to within a batch and a validation. The same
    seed on the same CPU gives the same tower, unless the time was over. Cost of an epoch: O(interactions · items · d)
    with the full softmax.
    Errors: ``MissingExtra`` without PyTorch; ``InvalidInput`` for an unknown kind, or if nobody has two interactions.
    """
    if kind not in _NETWORKS:
        raise InvalidInput(f"The sequence model {kind!r} is unknown; there are {', '.join(_NETWORKS)}.", "kind")
    torch = load_torch()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        return _Fit(torch, data, settings or SequenceSettings(), seed, kind, seconds, progress).run()


class _Fit:
    def __init__(
        self, torch: Any, data: Interactions, settings: SequenceSettings, seed: int, kind: str,
        seconds: float | None, progress: Progress | None,
    ) -> None:  # fmt: skip
        self._began = time.monotonic()
        self._torch, self._data, self._s, self._kind, self._progress = torch, data, settings, kind, progress
        self._seconds = float("inf") if seconds is None else seconds
        self._rng = np.random.default_rng(seed)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        generator = torch.Generator().manual_seed(seed)
        network: Network = _NETWORKS[kind](torch, settings.shape, generator)
        self._network = network
        n = len(data.users)
        self._split = n - round(n * settings.valid_share)
        self._early = windows_of(data, network.limit, self._split)
        self._whole = windows_of(data, network.limit)
        if not len(self._whole.start):
            raise InvalidInput("A sequence model needs people with two interactions or more, and there are none.")
        if not len(self._early.start):
            self._split, self._early = n, self._whole
        self._losses: list[float] = []
        self._valid: list[float] = []
        self._cut = False
        self._items(generator)

    def _items(self, generator: Any) -> None:
        """Parameters of the network and of the items."""
        torch, data, s = self._torch, self._data, self._s
        d = s.shape.dim
        self._counts = np.bincount(data.items[: self._split], minlength=data.n_items)
        self._texted: Bools = np.any(data.text, axis=1)
        matrix, centre = whitened(data.text, self._counts > 0, s.white)
        self._white_of = matrix, centre
        white = data.text @ matrix - centre @ matrix
        white[~self._texted] = 0.0
        self._white = torch.as_tensor(white, device=self._device)
        text = torch.randn(matrix.shape[1], d, generator=generator) / np.sqrt(d - 1)
        text[:, -1] = 0.0
        own = torch.randn(data.n_items, d, generator=generator) / np.sqrt(d - 1)
        own *= torch.as_tensor(np.where(self._texted, 0.1, 1.0)[:, None].astype(np.float32))
        usual = np.log1p(self._counts).astype(np.float32)
        centre_of = float(usual[self._counts > 0].mean())
        own[:, -1] = torch.as_tensor(usual - centre_of)
        made = self._network.parameters() | {"text": text, "own": own}
        self._p = {name: torch.nn.Parameter(value.to(self._device)) for name, value in made.items()}
        self._bound = torch.as_tensor(
            np.where(self._texted, s.bound, s.bound_bare)[:, None].astype(np.float32), device=self._device
        )
        self._know(self._counts)

    def _know(self, counts: I64) -> None:
        """From now on the items with counts above 0 are those that have been met."""
        self._counts = counts
        self._met = self._torch.as_tensor((counts > 0).astype(np.float32)[:, None], device=self._device)
        full = self._s.loss == "softmax" or (self._s.loss == "auto" and (counts > 0).sum() <= self._s.full_items)
        self._loss_name = "softmax" if full else "sampled" if self._s.loss == "auto" else self._s.loss
        self._sampler = Sampler(self._torch, counts, self._s.negatives, self._s.calibration, self._device)

    def run(self) -> tuple[Tower, F32, SequenceReport]:
        best = self._search()
        if self._split < len(self._data.users):
            self._finish(best)
        tower, items = self._made()
        report = SequenceReport(
            self._kind, self._device, self._loss_name, len(self._whole.start), self._losses, self._valid, best,
            time.monotonic() - self._began, self._cut,
        )  # fmt: skip
        return tower, items, report

    def _late(self, share: float = 1.0) -> bool:
        late = time.monotonic() - self._began > self._seconds * share
        self._cut |= late
        return late

    def _optimiser(self) -> Any:
        bare = {name for name, value in self._p.items() if value.ndim < 2} | {"own", "norms", "distance", "time"}
        groups = [
            {"params": [value for name, value in self._p.items() if name not in bare], "weight_decay": self._s.decay},
            {"params": [value for name, value in self._p.items() if name in bare], "weight_decay": 0.0},
        ]
        return self._torch.optim.AdamW(groups, lr=self._s.rate, betas=(0.9, 0.98))

    def _search(self) -> int:
        """Epochs over the earlier part until the later one is predicted no better; leaves the best. Returns it."""
        optimiser = self._optimiser()
        best, kept, since, falls, rate = 0, self._copy(), 0, 0, self._s.rate
        highest = -1.0
        judged = self._judged()
        chosen = newest(self._early, self._s.windows)
        for epoch in range(1, self._s.epochs + 1):
            self._losses.append(self._epoch(optimiser, self._early, chosen, rate, _SEARCH, epoch == 1))
            found = self._judge(judged) if len(judged) else -self._losses[-1]
            if len(judged):
                self._valid.append(found)
            self._tell(epoch)
            if found > highest or epoch == 1:
                highest, best, kept, since = found, epoch, self._copy(), 0
            else:
                since += 1
            if self._late(_SEARCH):
                break
            if since >= self._s.patience:
                if falls == 2:
                    break
                falls, since, rate = falls + 1, 0, rate / 3
                self._restore(kept)
        self._restore(kept)
        self._rate = rate
        return best if len(judged) else 0

    def _finish(self, best: int) -> None:
        """From the best epoch on, learn the newest part as well."""
        self._know(np.bincount(self._data.items, minlength=self._data.n_items))
        optimiser = self._optimiser()
        chosen = newest(self._whole, self._s.windows)
        for _ in range(min(self._s.finish, best)):
            if self._late():
                break
            self._losses.append(self._epoch(optimiser, self._whole, chosen, self._rate / 3, 1.0, True))
            self._tell(len(self._losses))

    def _tell(self, epoch: int) -> None:
        if self._progress is not None:
            valid = f", NDCG@10 {self._valid[-1]:.4f}" if epoch == len(self._valid) else ""
            self._progress(f"{self._kind}: loss {self._losses[-1]:.4f}{valid}", epoch, self._s.epochs)

    def _copy(self) -> dict[str, Any]:
        return {name: value.detach().clone() for name, value in self._p.items()}

    def _restore(self, kept: dict[str, Any]) -> None:
        with self._torch.no_grad():
            for name, value in kept.items():
                self._p[name].copy_(value)

    def _vectors(self, left_out: float = 0.0) -> Any:
        """(n_items, d); left_out: share of items that are what their texts say."""
        own = self._p["own"] * self._met
        if left_out:
            kept = self._torch.rand(len(own), 1, device=self._device) >= left_out
            bare = self._torch.as_tensor(~self._texted[:, None], device=self._device)
            own = own * (kept | bare)
        return self._white @ self._p["text"] + own

    def _tensors(self, windows: Windows, chosen: I64, since: int) -> Tensors:
        torch = self._torch
        return Tensors(*(torch.as_tensor(array, device=self._device) for array in batch_of(windows, chosen, since)))

    def _epoch(self, optimiser: Any, windows: Windows, chosen: I64, rate: float, share: float, warm: bool) -> float:
        """One pass; returns the mean loss. warm: the rate rises over the first steps."""
        total, count = 0.0, 0
        for step, group in enumerate(batches(windows, chosen, self._s.targets, self._rng)):
            for options in optimiser.param_groups:
                options["lr"] = rate * min(1.0, (step + 1) / self._s.warm_up) if warm else rate
            batch = self._tensors(windows, group, 0)
            vectors = self._vectors(self._s.text_only)
            persons = self._network.persons(self._p, vectors, batch, True)
            wanted = self._sampler.code[batch.targets[batch.counted]]
            among = self._torch.nn.functional.embedding(self._sampler.met, vectors)
            loss = loss_of(self._torch, self._loss_name, persons, among, wanted, self._sampler)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self._torch.nn.utils.clip_grad_norm_(list(self._p.values()), 5.0)
            optimiser.step()
            with self._torch.no_grad():
                own = self._p["own"][:, :-1]
                own *= (self._bound / own.norm(dim=1, keepdim=True).clamp(min=1e-9)).clamp(max=1.0)
            total += float(loss.detach()) * len(persons)
            count += len(persons)
            if self._late(share):
                break
        return total / max(1, count)

    def _judged(self) -> I64:
        """Windows with about ``valid_events`` events of the later part."""
        if self._split == len(self._data.users):
            return np.zeros(0, np.int64)
        order = self._rng.permutation(np.flatnonzero(self._whole.last >= self._split))
        size = np.cumsum((self._whole.size - self._whole.first)[order])
        return order[: int(np.searchsorted(size, self._s.valid_events)) + 1]

    def _judge(self, judged: I64) -> float:
        """NDCG@10 over the catalogue, of the later part's events in those windows."""
        torch = self._torch
        ranks: list[I64] = []
        known = torch.as_tensor(self._texted | (self._counts > 0), device=self._device)
        with torch.no_grad():
            vectors = self._vectors()
            for group in batches(self._whole, judged, 512, None):
                batch = self._tensors(self._whole, group, self._split)
                scores = self._scores(self._network.persons(self._p, vectors, batch, False), vectors)
                scores = scores.masked_fill(~known, float("-inf"))
                own = scores.gather(1, batch.targets[batch.counted][:, None])
                place = 1 + (scores > own).sum(dim=1) + torch.where(torch.isinf(own[:, 0]), len(vectors), 0)
                ranks.append(place.cpu().numpy())
        return ndcg(np.concatenate(ranks))

    def _scores(self, persons: Any, vectors: Any) -> Any:
        return persons @ vectors[:, :-1].T + vectors[:, -1]

    def _made(self) -> tuple[Tower, F32]:
        arrays: dict[str, Any] = {name: value.detach().cpu().numpy() for name, value in self._p.items()}
        own = arrays.pop("own") * (self._counts > 0).astype(np.float32)[:, None]
        matrix, centre = self._white_of
        text_map = np.ascontiguousarray(matrix @ arrays.pop("text"), np.float32)
        tower = self._network.tower(arrays, text_map, -(centre @ text_map))
        return tower, np.ascontiguousarray(tower.place(self._data.text) + own, np.float32)
