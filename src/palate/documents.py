"""Documents of a caller in the order in which they answer a query, for one person where one is named.

The shapes are those of Cohere's and Jina's rerank calls (``serve.rerank`` speaks both); ``user``, ``session``,
``taste``, ``explain`` and a document's ``id`` are Palate's own. A score lies in [0, 1]::

    relevance = ½ words + ½ meaning                      (words alone where the encoder says nothing)
    score     = (1 − taste) · relevance + taste · liking (relevance alone where nothing is known of the person)

words: the share of the query's words that the document has, each weighted by its idf in the catalogue, with BM25's
saturation and length (``retrieve.lexical``). meaning: cosine of query and document, at least 0. liking: cosine of the
document and the nearest of the person's tastes, less half of that to the nearest text they rejected, at least 0; for a
document that names an item of the catalogue the mean of that and of σ(z), z being the item's score in the served model
for this person, standardised among the items of the request. Neither ranks nor logs anything of the catalogue.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.checks import check_id, check_text
from palate.config import Settings
from palate.content.text import tokens
from palate.errors import InvalidInput, TooLarge
from palate.line import Line
from palate.retrieve.lexical import K1, MAX_TERMS, B
from palate.state.keys import subject_of
from palate.types import F32, F64, RankRequest

TASTE = 0.3
"""Weight of a person's taste, where the request doesn't say another."""
_WORDS = 50
"""Words of a usual document, where the catalogue has none to compare with."""
_KEPT = 4096
"""Vectors of documents kept in memory, for a caller who asks about the same ones again. Nothing is written."""

Document = str | dict[str, Any]


class RerankRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """documents: texts, or objects whose ``rank_fields`` (by default ``text``) are read; an object's ``id`` may name an
    item of the catalogue, whose own text counts where the object has none. top_n: all by default. taste: in [0, 1].
    ``model`` and the fields after ``explain`` belong to the dialects; Palate ranks with what it serves."""

    query: str
    documents: list[str | dict[str, Any]]
    top_n: int | None = None
    return_documents: bool | None = None
    rank_fields: list[str] | None = None
    user: str | None = None
    session: str | None = None
    taste: float = TASTE
    explain: bool = False
    model: str | None = None
    max_chunks_per_doc: int | None = None
    max_tokens_per_doc: int | None = None
    truncation: bool | None = None
    priority: int | None = None


class Parts(msgspec.Struct):
    """What a score is made of, each in [0, 1]; liking is None where nothing is known of the person."""

    words: float
    meaning: float
    liking: float | None


class Placed(msgspec.Struct, omit_defaults=True):
    """One document: its place in what was sent, its score, and with ``explain`` its parts."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None
    parts: Parts | None = None


class Reranked(msgspec.Struct):
    """results: best first. model: what scored. words: how many were read, the query's once. notes: what was asked for
    and had no effect."""

    results: list[Placed]
    model: str
    words: int
    notes: list[str]


class Host(Protocol):
    """What of an engine this needs."""

    settings: Settings
    line: Line
    catalogue: Catalogue

    def scored(self, request: RankRequest, now: int) -> tuple[list[str], F64]: ...
    def clock(self) -> int: ...
    @property
    def model(self) -> str: ...


class Documents:
    """Ranks documents over one engine. Safe for several threads; encodes, so never on an event loop."""

    def __init__(self, host: Host, lock: AbstractContextManager[object]) -> None:
        self.host, self.lock = host, lock
        self._kept: dict[tuple[str, str], F32] = {}
        self._keeping = threading.Lock()

    def rank(self, request: RerankRequest) -> Reranked:
        """Cost: encoding the documents that weren't seen lately, 1 to 3 ms each; then microseconds.

        Errors: ``InvalidInput`` or ``TooLarge`` naming the field; ``Unavailable`` where the encoder is a server that
        can't be reached.
        """
        host = self.host
        read = _read(request, host.settings)
        catalogue = host.catalogue
        with self.lock:
            rows = [host.line.state.items.get(name) if name else -1 for name in read.ids]
            rows = [row if row >= 0 and host.line.state.alive[row] else -1 for row in rows]
            texts: list[str] = [
                catalogue.text(row) if text is None and row >= 0 else text or ""
                for text, row in zip(read.texts, rows, strict=True)
            ]
            asked = list(dict.fromkeys(tokens(request.query)))[:MAX_TERMS]
            rarity, usual = catalogue.words().rarity(asked)
        for place, (text, row) in enumerate(zip(read.texts, rows, strict=True)):
            if text is None and row < 0:
                raise InvalidInput(
                    f"documents[{place}] has none of the fields {', '.join(read.fields)}, and its id names no item of "
                    "the catalogue: send a text, one of rank_fields, or the id of an item.",
                    f"documents[{place}]",
                )
        limit = host.settings.language.max_chars
        vectors = self._vectors(catalogue, [text[:limit] for text in texts])
        meant = catalogue.cache.query(request.query[:limit])
        found = [tokens(text) for text in texts]
        words = np.array([_covered(asked, rarity, usual or _WORDS, mine) for mine in found])
        meaning = np.clip(vectors @ meant, 0.0, 1.0).astype(np.float64)
        speaks = bool(np.any(meant))
        relevance = 0.5 * words + 0.5 * meaning if speaks else words
        liking = self._liking(request, read.ids, rows, vectors)
        score = relevance if liking is None else (1.0 - request.taste) * relevance + request.taste * liking
        order = np.argsort(-score, kind="stable")[: request.top_n or len(score)].tolist()
        if liking is None and (request.user is not None or request.session is not None):
            read.notes.append("Nothing is known of this person: the order is by relevance alone.")
        if not speaks and host.settings.language.encoder != "none":
            read.notes.append("The query could not be encoded: the order is by words alone.")
        results = [
            Placed(
                place,
                round(float(min(1.0, max(0.0, score[place]))), 6),
                _shown(request.documents[place], str(texts[place])) if request.return_documents else None,
                _parts(place, words, meaning, liking) if request.explain else None,
            )
            for place in cast(list[int], order)
        ]
        named = catalogue.cache.encoder.name if liking is None else f"{catalogue.cache.encoder.name}+{host.model}"
        return Reranked(results, named, len(tokens(request.query)) + sum(map(len, found)), read.notes)

    def _vectors(self, catalogue: Catalogue, texts: list[str]) -> F32:
        """(n, d) unit rows; those of items come from the catalogue's file, others are encoded, and kept for a while."""
        encoder = catalogue.cache.encoder
        out = np.zeros((len(texts), encoder.dim), np.float32)
        held: dict[str, F32] = {}
        for text in dict.fromkeys(texts):
            kept = self._kept.get((encoder.name, text))
            if kept is not None:
                held[text] = kept
        todo = [text for text in dict.fromkeys(texts) if text not in held]
        fresh = catalogue.cache.missing(catalogue.cache.digests(todo))
        known = [text for text in todo if text not in fresh]
        if known:
            held |= dict(zip(known, catalogue.cache.get(known), strict=True))
        anew = sorted((text for text in todo if text in fresh), key=len)
        for start in range(0, len(anew), 256):
            batch = anew[start : start + 256]
            held |= dict(zip(batch, encoder.encode(batch), strict=True))
        with self._keeping:
            for text in anew:
                while len(self._kept) >= _KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[encoder.name, text] = held[text]
        for place, text in enumerate(texts):
            out[place] = held[text]
        return out

    def _liking(self, request: RerankRequest, ids: list[str], rows: list[int], vectors: F32) -> F64 | None:
        """(n,) in [0, 1], None where nothing is known of the person."""
        name = subject_of(request.user, request.session)
        if name is None or request.taste == 0.0:
            return None
        host = self.host
        with self.lock:
            side = host.catalogue.side()
            subject = host.line.computer.subject(host.line.state.users.get(name), side)
            if subject.cold:
                return None
            tastes = subject.tastes.copy()
            rejected = side.vectors[subject.disliked].copy()
        if tastes.shape[-1] != vectors.shape[-1]:
            return None
        near = (vectors @ tastes.T).max(axis=1) if len(tastes) else np.zeros(len(vectors))
        far = (vectors @ rejected.T).max(axis=1) if len(rejected) else np.zeros(len(vectors))
        liking = np.clip(np.maximum(near, 0.0) - 0.5 * np.maximum(far, 0.0), 0.0, 1.0).astype(np.float64)
        items = list(dict.fromkeys(one for one, row in zip(ids, rows, strict=True) if row >= 0))
        if items:
            served = RankRequest(user=request.user, session=request.session, items=cast(Any, items))
            order, scores = host.scored(served, host.clock())
            spread = float(scores.std()) if len(scores) > 1 else 0.0
            if spread > 0.0:
                chance = dict(zip(order, 1.0 / (1.0 + np.exp(-(scores - scores.mean()) / spread)), strict=True))
                for place, (one, row) in enumerate(zip(ids, rows, strict=True)):
                    if row >= 0 and one in chance:
                        liking[place] = 0.5 * liking[place] + 0.5 * chance[one]
        return liking


class _Read(msgspec.Struct):
    """Documents as they count: text None where an object has none of ``fields``; id '' where it has none."""

    texts: list[str | None]
    ids: list[str]
    fields: list[str]
    notes: list[str]


def _read(request: RerankRequest, settings: Settings) -> _Read:
    """Errors: ``InvalidInput`` or ``TooLarge`` naming the field."""
    limits = settings.limits
    check_text(request.query, "query", limits)
    if not request.query.strip():
        raise InvalidInput("query is empty: say what the documents are to be ranked for.", "query")
    if not request.documents:
        raise InvalidInput("documents is empty: send the texts to rank.", "documents")
    if len(request.documents) > limits.candidates:
        raise TooLarge(
            f"documents has {len(request.documents)} entries; at most {limits.candidates} are allowed.", "documents"
        )
    if request.top_n is not None and request.top_n < 1:
        raise InvalidInput(f"top_n is {request.top_n}; it must be 1 or more, or be left out for all.", "top_n")
    if not 0.0 <= request.taste <= 1.0:
        raise InvalidInput(f"taste is {request.taste:g}; it must lie between 0 and 1.", "taste")
    if request.user is not None:
        check_id(request.user, "user", limits)
    if request.session is not None:
        check_id(request.session, "session", limits)
    fields = request.rank_fields or ["text"]
    for place, name in enumerate(fields):
        check_text(name, f"rank_fields[{place}]", limits)
    read = _Read([], [], fields, [])
    for place, document in enumerate(request.documents):
        where = f"documents[{place}]"
        name = "" if isinstance(document, str) else document.get("id", "")
        text = document if isinstance(document, str) else _text(document, fields, where)
        if text is not None:
            check_text(text, where, limits)
        if isinstance(name, str) and name:
            check_id(name, f"{where}.id", limits)
        read.texts.append(text)
        read.ids.append(name if isinstance(name, str) else "")
    unused = ("max_chunks_per_doc", "max_tokens_per_doc", "truncation", "priority")
    if given := [name for name in unused if getattr(request, name) is not None]:
        read.notes.append(
            f"{', '.join(given)}: no effect here; of a document's meaning the first {settings.language.max_chars} "
            "characters count, of its words all."
        )
    return read


def _text(document: Mapping[str, Any], fields: Sequence[str], where: str) -> str | None:
    """The text of an object: one field as it is, several as ``name: value`` lines; None where it has none of them."""
    found: list[tuple[str, str]] = []
    for name in fields:
        value = document.get(name)
        if isinstance(value, str):
            found.append((name, value))
        elif isinstance(value, bool | int | float):
            found.append((name, str(value)))
        elif isinstance(value, list) and all(isinstance(part, str) for part in cast(list[Any], value)):
            found.append((name, ", ".join(cast(list[str], value))))
        elif value is not None:
            raise InvalidInput(f"{where}.{name} is neither text, number nor a list of texts.", f"{where}.{name}")
    if len(fields) == 1:
        return found[0][1] if found else None
    return "\n".join(f"{name}: {value}" for name, value in found) if found else None


def _covered(asked: Sequence[str], rarity: F64, usual: float, words: Sequence[str]) -> float:
    """The idf-weighted share of ``asked`` that ``words`` hold; each at most once, less in a text that is long."""
    total = float(rarity.sum())
    if not total or not words:
        return 0.0
    counts = Counter(words)
    length = K1 * (1.0 - B + B * len(words) / usual)
    held = [min(1.0, counts[word] * (K1 + 1.0) / (counts[word] + length)) for word in asked]
    return float(np.dot(rarity, held)) / total


def _shown(document: Document, text: str) -> dict[str, Any]:
    return {"text": document} if isinstance(document, str) else {"text": text, **document}


def _parts(place: int, words: F64, meaning: F64, liking: F64 | None) -> Parts:
    mine = None if liking is None else round(float(liking[place]), 6)
    return Parts(round(float(words[place]), 6), round(float(meaning[place]), 6), mine)
