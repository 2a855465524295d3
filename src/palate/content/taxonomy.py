"""A taxonomy of a catalogue: its keywords by tf-idf, grouped into topics by factorising what items say.

Terms are the words that ``annotate`` reads, nouns, names and adjectives where it knows parts of speech. An item's
weights are tf · idf, unit length (Salton and Buckley 1988); topics are the rows of H in X ≈ W H, both ≥ 0 (Lee and
Seung 2001, multiplicative updates for the squared error), named by their heaviest terms. Fitted from a seed: the same
texts give the same taxonomy. Cost: some 1 s for 1,500 plots of films and 24 topics, after reading.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.content.annotate import PlainReader, Reader, Word
from palate.content.text import tokens
from palate.errors import CorruptArtefact
from palate.types import F32, I32

Sparse = Any
"""A ``scipy.sparse.csr_matrix``, which has no types."""
LEAST, MOST_SHARE = 3, 0.2
"""A term is in as many items, and in no larger share of them."""
TERMS = 5_000
RELATIONS = (
    "nsubj", "nsubjpass", "dobj", "pobj", "attr", "amod", "advmod", "compound", "conj", "relcl", "advcl", "xcomp",
    "neg",
)  # fmt: skip
"""Dependencies as spaCy's English parser names them (ClearNLP's)."""
PARTS = ("ADJ", "ADP", "ADV", "AUX", "DET", "NOUN", "NUM", "PRON", "PROPN", "VERB")
_KEPT = frozenset({"", "NOUN", "PROPN", "ADJ"})
_ROUNDS = 40
_FUNCTION = """
    the and for with from this that these those his her their its my your our who whom whose which what into onto has
    have had are was were been being but not you one all any some when while where how why out up down off over about
    after before they she him them we us will can could would should must may might she's he's it's it is in of on to an
    as by at be or if so do does did no than then too very just only more most other each both own same there here also
    take make get himself herself themselve themselves become
"""
_PLAIN = frozenset(_FUNCTION.split())


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """terms: (v,) words; idf: (v,) float32; topics: (k, v) float32, rows that sum to 1; reader: its name."""

    terms: tuple[str, ...]
    idf: F32
    topics: F32
    reader: str

    def names(self, words: int = 3) -> list[str]:
        """(k,) each topic by its heaviest terms."""
        best: list[list[int]] = np.argsort(-self.topics, axis=1, kind="stable")[:, :words].tolist()
        return ["·".join(self.terms[n] for n in row) for row in best]

    def weights(self, read: Sequence[Sequence[Word]]) -> Sparse:
        """(n, v) tf-idf of texts that were read, rows of unit length or empty."""
        return _weights(read, {term: n for n, term in enumerate(self.terms)}, self.idf)

    def shares(self, weights: Sparse) -> F32:
        """(n, k) shares of topics in texts, rows that sum to 1, or 0 where nothing is known: H fixed, W fitted."""
        x = weights.astype(np.float32)
        h = self.topics / np.maximum(np.linalg.norm(self.topics, axis=1, keepdims=True), 1e-12)
        w = _fitted(x, h.astype(np.float32))
        total = w.sum(axis=1, keepdims=True)
        return np.divide(w, total, out=np.zeros_like(w), where=total > 1e-9)

    def keywords(self, weights: Sparse, most: int = 3) -> list[list[str]]:
        """The ``most`` heaviest terms of each text."""
        out: list[list[str]] = []
        ends: list[int] = weights.indptr.tolist()
        for begin, end in pairwise(ends):
            order: list[int] = np.argsort(-weights.data[begin:end], kind="stable")[:most].tolist()
            out.append([self.terms[int(weights.indices[begin + at])] for at in order])
        return out

    def of(self, texts: Sequence[str], most: int = 2, least: float = 0.25) -> I32:
        """(n, most) the topics of texts, largest share first, −1 where none has a share of ``least``. Read plainly,
        whatever it was fitted with: a term counts by its word in the lexical index. Some 0.1 ms a text."""
        place: dict[str, int] = {}
        for n, term in enumerate(self.terms):
            if len(words := tokens(term)) == 1 or not term.isascii():
                place.setdefault(words[0] if term.isascii() else term, n)
        shares = self.shares(_weights(list(PlainReader().read(texts)), place, self.idf))
        out = np.full((len(texts), most), -1, np.int32)
        for n, share in enumerate(shares):
            best = [topic for topic in np.argsort(-share, kind="stable")[:most] if share[topic] >= least]
            out[n, : len(best)] = best
        return out

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Its arrays; terms and reader go beside them."""
        return {"idf": self.idf, "topics": self.topics}


def fit(texts: Sequence[str], reader: Reader, topics: int = 32, seed: int = 1) -> Taxonomy:
    """The taxonomy of a catalogue's ``texts``. One with fewer terms than topics has as many topics as terms."""
    read = list(reader.read(texts))
    counts: Counter[str] = Counter()
    for words in read:
        counts.update({word.form for word in words if _worth(word)})
    most = max(LEAST, MOST_SHARE * len(texts))
    common = sorted((term for term, n in counts.items() if LEAST <= n <= most), key=lambda t: (-counts[t], t))[:TERMS]
    terms = tuple(sorted(common))
    idf = np.log((1 + len(texts)) / (1 + np.array([counts[term] for term in terms], np.float64))).astype(np.float32) + 1
    found = Taxonomy(terms, idf.astype(np.float32), np.zeros((0, len(terms)), np.float32), reader.name)
    k = min(topics, len(terms), len(texts))
    if not k:
        return found
    x = found.weights(read).astype(np.float32)
    rng = np.random.default_rng(seed)
    w, h = (rng.random(shape, np.float32) + np.float32(0.1) for shape in ((len(texts), k), (k, len(terms))))
    for _ in range(_ROUNDS):
        h *= np.asarray((x.T @ w).T) / np.maximum((w.T @ w) @ h, 1e-9)
        w *= np.asarray(x @ h.T) / np.maximum(w @ (h @ h.T), 1e-9)
    weight = (w.sum(axis=0) * h.sum(axis=1)).argsort(kind="stable")[::-1]
    h = h[weight] / np.maximum(h[weight].sum(axis=1, keepdims=True), 1e-9)
    return Taxonomy(terms, found.idf, h.astype(np.float32), reader.name)


def syntax(read: Sequence[Sequence[Word]]) -> F32:
    """(n, parts + relations + 2) of texts: shares of the parts of speech ``PARTS`` and of the dependencies
    ``RELATIONS`` (0 where no parser read them), share of words in entities, ln(1 + words)."""
    out = np.zeros((len(read), len(PARTS) + len(RELATIONS) + 2), np.float32)
    places = {name: at for at, name in enumerate((*PARTS, *RELATIONS))}  # no name is in both
    for n, words in enumerate(read):
        for word in words:
            for name in (word.part, word.relation):
                if name in places:
                    out[n, places[name]] += 1
            out[n, -2] += bool(word.entity)
        out[n, :-1] /= max(1, len(words))
        out[n, -1] = np.log1p(len(words))
    return out


def _worth(word: Word) -> bool:
    return word.part in _KEPT and len(word.form) > 1 and word.form not in _PLAIN and not word.form.isdigit()


def _weights(read: Sequence[Sequence[Word]], place: dict[str, int], idf: F32) -> Sparse:
    data: list[float] = []
    indices: list[int] = []
    ends = [0]
    for words in read:
        counts = Counter(place[word.form] for word in words if word.form in place)
        mine = sorted(counts)
        values = np.array([counts[term] for term in mine], np.float64) * idf[mine] if mine else np.zeros(0)
        norm = float(np.linalg.norm(values))
        data += (values / norm).tolist() if norm > 0 else []
        indices += mine
        ends.append(len(indices))
    import scipy.sparse  # a service that needs no taxonomy starts without

    make: Any = scipy.sparse.csr_matrix
    return make((np.array(data), np.array(indices, np.int32), np.array(ends)), shape=(len(read), len(idf)))


def _fitted(x: Sparse, h: F32) -> F32:
    w = np.ones((x.shape[0], len(h)), np.float32)
    target, gram = np.asarray(x @ h.T), h @ h.T
    for _ in range(_ROUNDS):
        w *= target / np.maximum(w @ gram, 1e-9)
    return w


def load(arrays: Mapping[str, npt.NDArray[Any]], terms: Sequence[str], reader: str) -> Taxonomy:
    """What ``Taxonomy.arrays`` gave. Errors: ``CorruptArtefact`` for arrays of another size."""
    idf, topics = arrays.get("idf"), arrays.get("topics")
    if idf is None or topics is None or len(idf) != len(terms) or topics.shape[1:] != (len(terms),):
        raise CorruptArtefact("The taxonomy of a model doesn't fit its terms: train again.")
    return Taxonomy(tuple(terms), idf.astype(np.float32), topics.astype(np.float32), reader)
