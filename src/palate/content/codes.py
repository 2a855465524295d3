"""Codes of the words of many texts, for ``features.wording``: of ASCII texts, which are most, by one compiled pass.

A code is the CRC-32 of a word as ``tokens`` gives it. The compiled pass knows the rules of ``tokens`` for ASCII texts
without an apostrophe, plurals included; the others are read by ``tokens`` itself. A test holds both against each other.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from palate.content.text import INVARIABLE, tokens
from palate.features.wording import SLOTS, WIDTH, packed
from palate.kernels import kernel
from palate.types import I32, I64, U32

U8 = npt.NDArray[np.uint8]

_TEXTS = 16_384
"""That are read at a time, so that their bytes together stay few."""
_LETTERS: U8 = np.array([ord(chr(code).lower()) if chr(code).isalnum() else 0 for code in range(128)], np.uint8)
"""Of ASCII: what each character is in a word, 0 for what parts words."""
_TABLE: U32 = np.array([zlib.crc32(bytes([code]), 0xFFFFFFFF) ^ 0xFFFFFFFF for code in range(256)], np.uint32)
_LONGEST = max(map(len, INVARIABLE))
_INVARIABLE: U8 = np.array([list(word.encode().ljust(_LONGEST, b"\0")) for word in sorted(INVARIABLE)], np.uint8)
_SIZES: I64 = np.array([len(word) for word in sorted(INVARIABLE)], np.int64)
_S, _I, _E, _U, _X, _O, _C, _H, _Y = b"sieuxochy"
_DIGITS_END = 58


def words_of(texts: Sequence[str]) -> I32:
    """(n, WIDTH) codes of the words of texts, as ``Wording`` holds them.

    Cost: about 0.3 µs a text of nine words in ASCII, else as ``tokens``.
    """
    out = np.full((len(texts), WIDTH), -1, np.int32)
    plain: list[int] = []
    other: list[int] = []
    for place, text in enumerate(texts):
        (plain if text.isascii() and "'" not in text else other).append(place)
    for start in range(0, len(plain), _TEXTS):
        some = plain[start : start + _TEXTS]
        read = [texts[place] for place in some]
        sizes = np.fromiter(map(len, read), np.int64, len(read))
        _read(np.frombuffer("".join(read).encode("ascii"), np.uint8), sizes, np.array(some, np.int64), out)
    if other:
        words = [tokens(texts[place]) for place in other]
        out[other] = packed([[zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in row] for row in words])
    return out


@kernel
def _read(data: U8, sizes: I64, places: I64, out: I32) -> None:
    """The first distinct codes of each run of ``data``, lower-case letters and digits being words, into its row."""
    word = np.empty(1 + (int(sizes.max()) if len(sizes) else 0), np.uint8)
    at = 0
    for n in range(len(sizes)):
        row, stop, kept = places[n], at + sizes[n], 0
        here = at
        while here < stop and kept < out.shape[1]:
            size = 0
            while here < stop and _LETTERS[data[here]] != 0:
                word[size] = _LETTERS[data[here]]
                size += 1
                here += 1
            here += 1
            if size == 0:
                continue
            size = _singular(word, size)
            crc = np.uint32(0xFFFFFFFF)
            for place in range(size):
                crc = _TABLE[(crc ^ word[place]) & np.uint32(255)] ^ (crc >> np.uint32(8))
            code = np.int32((crc ^ np.uint32(0xFFFFFFFF)) & np.uint32(SLOTS - 1))
            new = True
            for earlier in range(kept):
                new = new and out[row, earlier] != code
            if new:
                out[row, kept] = code
                kept += 1
        at = stop


@kernel
def _singular(word: U8, n: int) -> int:
    """``text.stem`` of the first ``n`` letters of ``word``, in place; how many are left."""
    if n <= 3:
        return n
    last, before, third = word[n - 1], word[n - 2], word[n - 3]
    if last == _E and before == _I and n > 4:
        word[n - 2] = _Y
        return n - 1
    if last != _S or before in (_S, _U, _I) or before < _DIGITS_END or _is_invariable(word, n):
        return n
    if before == _E:
        if third == _I and n > 4:
            word[n - 3] = _Y
            return n - 2
        if third == _X or (third == _O and n > 5):
            return n - 2
        if third == _H and (word[n - 4] == _C or word[n - 4] == _S):
            return n - 2
        if third == _S and word[n - 4] == _S:
            return n - 2
    return n - 1


@kernel
def _is_invariable(word: U8, n: int) -> bool:
    for place in range(len(_SIZES)):
        if _SIZES[place] == n:
            same = True
            for at in range(n):
                same = same and _INVARIABLE[place, at] == word[at]
            if same:
                return True
    return False
