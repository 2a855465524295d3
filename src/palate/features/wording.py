"""Words that a text shares with those of the last items, weighed by how rare they are (tf–idf, Salton 1975). Compiled.

A vector of meaning tells what a text is about; that a new film is the next one of the same series, of the same year or
by the same maker is told by its words, which it has before anybody chose it. Words are kept as hashes, ``WIDTH`` of a
text, with the number of texts that have each; two words of one hash count as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from palate.kernels import kernel, soon
from palate.types import F32, F64, I32, I64

WIDTH = 12
"""Distinct words of a text that count: those that come first."""
SLOTS = 1 << 17
"""Hashes that words can have, a power of two."""
_WORDS = 8 * WIDTH
_MAYBE = 4096
"""A power of two."""
_LOGARITHMS: F64 = np.log(np.maximum(1.0, np.arange(4096)))


class Wording:
    """The words of every text row. 52 bytes a text, and 512 kB; under the engine's lock.

    codes: (t, WIDTH) hashes in [0, ``SLOTS``), −1 after the last; frequency: (SLOTS,) how many texts have each;
    texts: how many there are.
    """

    def __init__(self) -> None:
        self.codes: I32 = np.full((0, WIDTH), -1, np.int32)
        self.frequency: I32 = np.zeros(SLOTS, np.int32)
        self.texts = 0

    def put(self, rows: I32, codes: I32) -> None:
        """Distinct text ``rows`` (n,), free until now, have the words ``codes`` (n, WIDTH), distinct in a row."""
        if not len(rows):
            return
        room, needed = len(self.codes), int(rows.max()) + 1
        if needed > room:
            grown = np.full((max(needed, 2 * room, 64), WIDTH), -1, np.int32)
            grown[:room] = self.codes
            self.codes = grown
        self.codes[rows] = codes
        np.add.at(self.frequency, codes[codes >= 0], 1)
        self.texts += len(rows)

    def free(self, rows: I32) -> None:
        """The texts of distinct ``rows`` (n,) are no more."""
        codes = self.codes[rows]
        np.subtract.at(self.frequency, codes[codes >= 0], 1)
        self.codes[rows] = -1
        self.texts -= len(rows)


NO_WORDS = Wording()


def packed(hashes: Sequence[Sequence[int]]) -> I32:
    """(n, WIDTH) codes of texts, each the hashes of its words in their order."""
    sizes = np.fromiter(map(len, hashes), np.int64, len(hashes))
    flat = np.fromiter(chain.from_iterable(hashes), np.int64, int(sizes.sum())).astype(np.int32) & np.int32(SLOTS - 1)
    out = np.full((len(hashes), WIDTH), -1, np.int32)
    _pack(flat, sizes, out)
    return out


@kernel
def _pack(flat: I32, sizes: I64, out: I32) -> None:
    """The first distinct codes of each run of ``flat`` into its row of ``out``, all −1."""
    at = 0
    for place in range(len(sizes)):
        kept = 0
        for n in range(at, at + sizes[place]):
            new = kept < out.shape[1]
            for earlier in range(kept):
                new = new and out[place, earlier] != flat[n]
            if new:
                out[place, kept] = flat[n]
                kept += 1
        at += sizes[place]


@kernel
def shared(mine: I64, codes: I32, frequency: I32, texts: int, last: I32, decay: float, out: F32) -> None:
    """words_last, words_newest: how much of the words of the newest of ``last`` a text has, and the most that it has of
    any of them, ``decay`` an entry. out: (m, 2), zeros.

    mine: (m,) text rows of candidates, −1 none. last: (≤ 8,) text rows, newest first. A word weighs the square of
    log((n + 1) / f), f of n texts having it; the sum of those shared, over that of all in the last text, times
    √(words there / words here): the cosine of both texts if the words of the candidate are as rare as those of the
    last on average. Cost: about 50 ns a candidate.
    """
    n = min(len(last), 8)
    everything = np.log(np.float64(texts + 1))
    keys, owners, squares = np.empty(_WORDS, np.int32), np.empty(_WORDS, np.int64), np.empty(_WORDS, np.float64)
    maybe = np.zeros(_MAYBE, np.uint8)
    scales, words = np.zeros(n, np.float64), 0
    for place in range(n):
        if last[place] >= len(codes):
            continue
        total, at = 0.0, 0
        while at < codes.shape[1] and codes[last[place], at] >= 0:
            code = codes[last[place], at]
            weight = everything - _logarithm(int(frequency[code]))
            keys[words], owners[words], squares[words] = code, place, weight * weight
            maybe[code & (_MAYBE - 1)] = 1
            total += squares[words]
            words += 1
            at += 1
        if total > 0.0:
            scales[place] = np.sqrt(np.float64(at)) / total * decay**place
    for m in range(len(mine)):
        if 0 <= mine[m] < len(codes):
            soon(codes, mine[m], 1)
    common = np.empty(n, np.float64)
    for m in range(len(mine)):
        if mine[m] < 0 or mine[m] >= len(codes):
            continue
        shares, at = False, 0
        while at < codes.shape[1] and codes[mine[m], at] >= 0:
            code = codes[mine[m], at]
            at += 1
            if maybe[code & (_MAYBE - 1)] == 0:
                continue
            if not shares:
                common[:] = 0.0
                shares = True
            for word in range(words):
                if keys[word] == code:
                    common[owners[word]] += squares[word]
        if shares:
            here = np.sqrt(np.float64(at))
            for place in range(n):
                value = np.float32(common[place] * scales[place] / here)
                if place == 0:
                    out[m, 0] = value
                out[m, 1] = max(out[m, 1], value)


@kernel
def _logarithm(n: int) -> float:
    return _LOGARITHMS[n] if n < len(_LOGARITHMS) else np.log(np.float64(n))
