"""Retrieval: from the whole catalogue to a few hundred candidates. The contract of a retriever."""

from __future__ import annotations

from typing import Protocol

from palate.types import F32, I32, Bools


class Retriever(Protocol):
    """A retriever bound to one request (its words, vector or subject); ``palate.testing.RetrieverContract`` tests each.

    Indexes are bound with a closure: ``lambda k, alive: lexical.search(tokens, k, alive)``.
    """

    def __call__(self, k: int, alive: Bools | None) -> tuple[I32, F32]:
        """At most ``k`` catalogue rows and their scores (higher is better), best first, ties by row.

        alive: (items,) the rows that may be returned; rows beyond its end may not; None allows all.
        No row twice; the same call gives the same answer; nothing known of the request gives no rows, not an error.
        """
        ...
