"""RecTools' SASRec (Kang & McAuley 2018; by default with the full softmax), the current history as its input."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore
import torch  # pyright: ignore
from contract import Array, Asked, Log, serve  # pyright: ignore
from pytorch_lightning import Trainer, seed_everything  # pyright: ignore
from rectools import Columns  # pyright: ignore
from rectools.dataset import Dataset  # pyright: ignore
from rectools.models import SASRecModel  # pyright: ignore


class Sasrec:
    """settings: SASRecModel's own, and ``minutes``, after which a fit ends whatever its epochs. There is one reading,
    without settings."""

    def __init__(self, settings: dict[str, Any], seed: int, threads: int) -> None:
        warnings.simplefilter("ignore")
        for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        torch.set_num_threads(threads)
        self._settings, self._seed = dict(settings), seed
        self._minutes = self._settings.pop("minutes")

    def fit(self, log: Log) -> None:
        seed_everything(self._seed)
        self._model = SASRecModel(**self._settings, get_trainer_func=self._trainer, recommend_torch_device="cpu")
        self._model.fit(_dataset(log.users, log.items))
        self._known = log.n_items

    def _trainer(self) -> Trainer:
        """RecTools' own, but for the time."""
        return Trainer(
            max_epochs=self._settings["epochs"], max_time={"minutes": self._minutes}, enable_progress_bar=False,
            enable_model_summary=False, logger=False, enable_checkpointing=False, devices=1, accelerator="cpu",
        )  # fmt: skip

    def score(self, asked: Asked, reading: dict[str, Any]) -> Array:
        # Each ranking is a person of its own, whose events are the history up to that moment.
        rows = np.repeat(np.arange(len(asked.users)), [len(own.items) for own in asked.histories])
        items = np.concatenate([own.items for own in asked.histories])
        scores = np.full((len(asked.users), self._known), -np.inf, dtype=np.float32)
        if not len(items):
            return scores
        found = self._model.recommend(
            users=np.unique(rows), dataset=_dataset(rows, items), k=self._known, filter_viewed=False,
            on_unsupported_targets="ignore",
        )  # fmt: skip
        scores[found[Columns.User].to_numpy(), found[Columns.Item].to_numpy()] = found[Columns.Score].to_numpy()
        return scores


def _dataset(users: Array, items: Array) -> Any:
    """Numbered seconds for times, since baskets hold many events of one time, whose order is known all the same."""
    moments = pd.to_datetime(np.arange(len(items)), unit="s")
    return Dataset.construct(
        pd.DataFrame({Columns.User: users, Columns.Item: items, Columns.Weight: 1.0, Columns.Datetime: moments})
    )


if __name__ == "__main__":
    serve(Sasrec)
