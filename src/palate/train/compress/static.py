"""A static student: a vector a token, fitted so that their sums say what a teacher says of whole texts.

With X (n, V) the shares of the tokens in each text and Y (n, d) the teacher's unit vectors::

    E = argmin ‖X E − Y‖² + λ‖E − P‖²

P are the teacher's own vectors of single tokens, weighted down where they are common (SIF, Arora et al. 2017;
model2vec, Tulkens and van Dongen 2024), so that a token that no text had keeps a meaning. Solved by conjugate gradients
for all d at once; λ is the one that does best on texts kept out. Then turned onto the directions in which it is
longest. NumPy and SciPy alone. Cost: that of the teacher for the texts and for each token once, and about a minute for
100,000 texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from palate.language import Encoder, textmodel
from palate.language.fetching import locate
from palate.language.known import MINILM_TOKENS
from palate.language.readable import readable, unit
from palate.types import F32, F64

Progress = Callable[[str, int, int], None]
_SIF = 1e-3
_GRID = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_ROUNDS = 40
_AGAIN = 4
_BLOCK = 256


class Student(NamedTuple):
    """vectors: (V, k) float32, the length of one is how much its token counts. basis: (d, k), of the teacher's space.
    ridge: λ that was chosen; cosine: mean of student and teacher on the texts kept out, in the teacher's space."""

    vectors: F32
    basis: F32
    ridge: float
    cosine: float


def fit_static(
    teacher: Encoder,
    tokenizer: Any,
    learn: Sequence[str],
    kept_out: Sequence[str],
    width: int = 256,
    progress: Progress | None = None,
) -> Student:
    """learn: distinct texts to fit on; kept_out: others, to choose λ by. tokenizer: of the library tokenizers.

    width: components, at most the teacher's. Deterministic. Memory: that of the vectors, four times.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    n_tokens = max(vocabulary.values()) + 1
    y = _taught(teacher, learn, "encoding", progress)
    y_out = _taught(teacher, kept_out, "encoding", None)
    x, x_out = shares(tokenizer, learn, n_tokens), shares(tokenizer, kept_out, n_tokens)
    spoken = [tokenizer.decode([code]).strip() or " " for code in range(n_tokens)]
    alone = _taught(teacher, [text.removeprefix("##") for text in spoken], "tokens", progress)
    common = np.asarray(x.mean(axis=0)).ravel()
    prior = alone * (_SIF / (_SIF + common))[:, None].astype(np.float32)
    said = x @ prior
    scale = float((said * y).sum() / max(1e-12, float((said * said).sum())))
    prior *= scale

    def near(fitted: F32) -> float:
        return float((unit(x_out @ fitted) * y_out).sum(axis=1).mean()) if len(kept_out) else 1.0

    best: tuple[float, float, F32] = (-2.0, 0.0, prior)
    for step, ridge in enumerate(_GRID):
        fitted = np.asarray(_ridge(x, y - x @ prior, ridge) + prior, np.float32)
        cosine = near(fitted)
        if cosine > best[0]:
            best = (cosine, ridge, fitted)
        if progress is not None:
            progress("fitting", step + 1, len(_GRID))
    for _ in range(_AGAIN):
        # A unit vector says nothing of how long the sum is: each text is asked for at the length that it has.
        long = np.einsum("nd,nd->n", x @ best[2], y)
        wanted = y * np.clip(long / max(1e-6, float(long.mean())), 0.25, 4.0)[:, None].astype(np.float32)
        fitted = np.asarray(_ridge(x, wanted - x @ prior, best[1]) + prior, np.float32)
        cosine = near(fitted)
        if cosine <= best[0]:
            break
        best = (cosine, best[1], fitted)
    vectors = best[2]
    basis = _directions(x @ vectors, min(width, teacher.dim))
    return Student(np.ascontiguousarray(vectors @ basis), basis, best[1], best[0])


def shares(tokenizer: Any, texts: Sequence[str], n_tokens: int) -> Any:
    """(n, V) sparse: the share of each token in each text."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for place, text in enumerate(texts):
        ids: list[int] = tokenizer.encode(readable(text), add_special_tokens=False).ids
        rows += [place] * len(ids)
        columns += ids
        values += [1.0 / max(1, len(ids))] * len(ids)
    made: Any = sparse.csr_matrix((np.array(values, np.float32), (rows, columns)), shape=(len(texts), n_tokens))
    return made


def _taught(teacher: Encoder, texts: Sequence[str], stage: str, progress: Progress | None) -> F32:
    out = np.zeros((len(texts), teacher.dim), np.float32)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    for start in range(0, len(texts), _BLOCK):
        some = order[start : start + _BLOCK]
        out[some] = teacher.encode([texts[at] for at in some])
        if progress is not None:
            progress(stage, min(len(texts), start + _BLOCK), len(texts))
    return out


def _ridge(x: Any, rest: F32, ridge: float) -> F32:
    """argmin ‖x D − rest‖² + λ n̄‖D‖², n̄ the mean weight of a token that occurs; conjugate gradients, all columns at
    once. Only tokens that occur have a difference."""
    weight = np.asarray(x.multiply(x).sum(axis=0)).ravel()
    used = np.flatnonzero(weight > 0)
    strength = ridge * float(weight[used].mean()) if len(used) else 1.0
    whole = np.zeros((x.shape[1], rest.shape[1]), np.float32)
    x = x[:, used]
    found = np.zeros((len(used), rest.shape[1]), np.float32)
    left: Any = np.asarray(x.T @ rest, np.float32)
    way = left.copy()
    length = (left * left).sum(axis=0, dtype=np.float64)
    for _ in range(_ROUNDS):
        image = np.asarray(x.T @ (x @ way), np.float32) + np.float32(strength) * way
        step = length / np.maximum((way * image).sum(axis=0, dtype=np.float64), 1e-30)
        found += way * step.astype(np.float32)
        left -= image * step.astype(np.float32)
        now = (left * left).sum(axis=0, dtype=np.float64)
        if float(now.max()) < 1e-10:
            break
        way = left + way * (now / np.maximum(length, 1e-30)).astype(np.float32)
        length = now
    whole[used] = found
    return whole


def _directions(rows: F32, width: int) -> F32:
    """(d, width) orthonormal: the directions in which rows are longest, the mean among them."""
    moment: F64 = (rows.T @ rows).astype(np.float64)
    _, vectors = np.linalg.eigh(moment)
    top = vectors[:, ::-1][:, :width]
    # One sign for each, so that the same rows give the same bits whatever the library.
    top = top * np.where(top[np.abs(top).argmax(axis=0), np.arange(width)] < 0, -1.0, 1.0)
    return np.ascontiguousarray(top, np.float32)


def packed(vectors: F32) -> dict[str, Any]:
    """As they are stored: int8 with a scale a token, a quarter of the size, off by less than half a percent."""
    scale = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / 127.0
    return {"vectors": np.round(vectors / scale[:, None]).astype(np.int8), "scale": scale.astype(np.float32)}


def learn_tokens(texts: Sequence[str], size: int = 16_000) -> Any:
    """A tokeniser of bytes (BPE, Sennrich et al. 2016) for a teacher that has none of its own: any language, nothing
    unknown. Deterministic."""
    library: Any = import_module("tokenizers")
    made: Any = library.Tokenizer(library.models.BPE())
    made.normalizer = library.normalizers.Sequence([library.normalizers.NFKC(), library.normalizers.Lowercase()])
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = library.decoders.ByteLevel()
    trainer: Any = library.trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, show_progress=False,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator([readable(text) for text in texts], trainer)
    return made


def tokens_of(model: str, folder: Path | None) -> Any:
    """The tokeniser of a teacher: of a text model's or model's folder, or minilm's; None where it has none that can be
    read."""
    place = folder / textmodel.TOKENIZER if folder is not None else None
    if model == "minilm":
        place = locate("minilm", MINILM_TOKENS)
    elif folder is None and model.partition(":")[0] in ("hf", "onnx"):
        place = Path(model.partition(":")[2]).expanduser() / textmodel.TOKENIZER
    if place is None or not place.is_file():
        return None
    library: Any = import_module("tokenizers")
    return library.Tokenizer.from_file(str(place))
