"""Candidates: the caller's, or retrieved from the catalogue; and the hard rules that take some of them away."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.features import Subject
from palate.features.neighbours import EASE_LAST, EASE_RECENT, NEAR_20, NEAR_ALL, NEAR_LAST, NEXT_5, NEXT_COS
from palate.filters import Fields, all_plain, available, compile_filter
from palate.retrieve.fusion import fuse
from palate.retrieve.item_to_item import ItemToItem
from palate.retrieve.recent_popular import RecentPopular
from palate.state import State
from palate.state.lookup import Lookup
from palate.types import F32, F64, I32, Bools, Candidate, Candidates, FieldValue, RankRequest, RecommendRequest

_MASKS = 64
REPEATS = 0.05
"""Repeat rate of the log from which people here come back to items that they had before."""


class Sourcing:
    """Candidates of requests over one state and catalogue; under the engine's lock."""

    def __init__(self, state: State, catalogue: Catalogue, settings: Settings) -> None:
        self.state = state
        self.catalogue = catalogue
        self.settings = settings
        self._popular = {"trending": RecentPopular(state, 0), "popular": RecentPopular(state, 2)}
        self._masks: dict[bytes, tuple[int, int, Bools]] = {}
        self._lookup = Lookup(state.items)

    def given(self, items: list[str | Candidate]) -> Candidates:
        if set(map(type, items)) == {str}:  # the usual case, without a loop
            ids, fields = cast(list[str], items), dict[int, dict[str, FieldValue]]()
        else:
            ids = [item if isinstance(item, str) else item.id for item in items]
            fields = {n: item.fields for n, item in enumerate(items) if not isinstance(item, str) and item.fields}
        return Candidates(self._lookup.rows(ids), ids, fields, np.zeros(len(ids), np.int64))

    def retrieved(
        self,
        request: RecommendRequest,
        subject: Subject,
        reached: I32,
        strengths: F64,
        now: int,
        query: tuple[list[str], F32] | None,
        seen: str,
    ) -> tuple[Candidates, dict[str, int], dict[str, int]]:
        """Retrieve from every source that applies and fuse by reciprocal rank.

        reached (m,), strengths (m, 10): from ``Computer.reach``. Returns the candidates, how many each retriever
        named, and how many each rule took from the catalogue. Items that the user had before come from a retriever
        of their own (``again``), so that they never crowd out new ones.
        """
        sizes = self.settings.retrieve
        allowed, removed = self._allowed(request, subject, seen)
        lists: dict[str, I32] = {}
        if query is not None:
            words, meaning = query
            lists["lexical"] = self.catalogue.words().search(words, sizes.lexical, allowed)[0]
            if np.any(meaning):
                lists["vector"] = self.catalogue.vectors.search(meaning[None], sizes.lexical, allowed)[0][0]
        else:
            fresh = allowed.copy()
            fresh[subject.seen[subject.seen_count > 0]] = False
            before = allowed & ~fresh
            repeats = self.state.repeat_rate >= REPEATS and bool(before.any())
            for label, popular in self._popular.items():
                lists[label] = popular(sizes.popular, fresh)[0]
            for label, value in (
                ("next", strengths[:, NEXT_COS] + strengths[:, NEXT_5]),
                ("near", strengths[:, NEAR_20] + strengths[:, NEAR_ALL]),
                ("near_last", strengths[:, NEAR_LAST]),
                ("ease", strengths[:, EASE_RECENT] + strengths[:, EASE_LAST]),
            ):
                lists[label] = ItemToItem(reached, value)(sizes.item_to_item // 2, fresh)[0]
                if repeats:
                    lists[f"{label}_again"] = ItemToItem(reached, value)(sizes.item_to_item // 4, before)[0]
            if seen == "keep" and len(subject.seen):
                worth = np.log1p(subject.seen_count) + 2.0 ** (
                    self.state.silences.since(subject.seen_last, now) / (-30 * 86_400_000.0)
                )
                lists["again"] = ItemToItem(subject.seen, worth)(sizes.again, allowed)[0]
            if len(subject.tastes):
                # The long-term taste, or the interests that make it up, and what the last events say.
                probes = subject.tastes[1:] if len(subject.tastes) > 2 else subject.tastes[::-1]
                found = self.catalogue.vectors.search(probes, sizes.vector // 2, fresh)
                for place, (near, _) in enumerate(found):
                    lists["taste_now" if place == 0 else f"taste_{place}"] = near
        rows, _, held, names = fuse(lists, sizes.candidates, sizes.rrf)
        wanted = request.k or 10
        if query is None and len(rows) < wanted:
            newest = self._newest(rows, allowed, wanted - len(rows))
            rows, names = np.concatenate([rows, newest]), (*names, "catalogue")
            held = np.concatenate([held, np.full(len(newest), 1 << (len(names) - 1), np.int64)])
        counts = {"retrieved": len(rows)} | {name: len(found) for name, found in lists.items()}
        ids = self.state.items.ids
        return Candidates(rows, [ids[row] for row in rows.tolist()], {}, held, names), counts, removed

    def _newest(self, rows: I32, allowed: Bools, n: int) -> I32:
        """``n`` newest catalogue items not in ``rows``, so that a list is full even before the first event."""
        rest = allowed.copy()
        rest[rows] = False
        others = np.flatnonzero(rest)
        return others[np.lexsort((others, -self.state.item("created")[others]))][:n].astype(np.int32)

    def _allowed(self, request: RecommendRequest, subject: Subject, seen: str) -> tuple[Bools, dict[str, int]]:
        """(n_items,) rows that retrieval may return, and how many each rule took from the catalogue, in this order."""
        allowed = np.ones(self.state.n_items, np.bool_)
        removed: dict[str, int] = {}
        left = len(allowed)

        def count(reason: str) -> None:
            nonlocal left
            now = int(np.count_nonzero(allowed))
            if now < left:
                removed[reason] = left - now
            left = now

        for name in request.exclude:
            row = self.state.items.get(name)
            if row >= 0:
                allowed[row] = False
        count("excluded")
        allowed &= self.state.alive
        count("deleted")
        allowed &= self.catalogue.showable()
        count("unavailable")
        if len(subject.seen):
            allowed[subject.seen[subject.seen_neg > subject.seen_last]] = False
            count("blocked")
            if seen == "drop":
                allowed[subject.seen[subject.seen_count > 0]] = False
                count("seen")
        if request.filter:
            allowed &= self._passing(request.filter)
            count("filter")
        return allowed, removed

    def _passing(self, expression: dict[str, Any]) -> Bools:
        """(n_items,) items that a request's filter lets through; kept until an item changes."""
        key = hashlib.blake2b(msgspec.json.encode(expression), digest_size=16).digest()
        version, n = self.catalogue.version, self.state.n_items
        cached = self._masks.get(key)
        if cached is None or cached[:2] != (version, n):
            predicate = compile_filter(expression)
            fields = self.state.item_fields
            passing = np.fromiter((predicate(fields.get(row, {})) for row in range(n)), np.bool_, n)
            while len(self._masks) >= _MASKS:
                self._masks.pop(next(iter(self._masks)))
            cached = self._masks[key] = (version, n, passing)
        return cached[2]

    def filtered(
        self, candidates: Candidates, request: RankRequest, subject: Subject, seen: str
    ) -> tuple[Candidates, dict[str, int]]:
        """Drop given candidates that may not be shown, with the count of each reason."""
        predicate = compile_filter(request.filter) if request.filter else None
        if not (request.exclude or candidates.fields or predicate) and self._all_plain(candidates.rows, subject, seen):
            return candidates, {}
        excluded = set(request.exclude)
        dropped = set(subject.seen[subject.seen_count > 0].tolist()) if seen == "drop" else set[int]()
        blocked = set(subject.seen[subject.seen_neg > subject.seen_last].tolist())
        keep: list[int] = []
        removed: dict[str, int] = {}
        for place, (row, name) in enumerate(zip(candidates.rows.tolist(), candidates.ids, strict=True)):
            reason = self._reason(row, name, candidates.fields.get(place), excluded, dropped, blocked)
            if reason is None and predicate is not None and not predicate(self._fields(row, candidates, place)):
                reason = "filter"
            if reason is None:
                keep.append(place)
            else:
                removed[reason] = removed.get(reason, 0) + 1
        if len(keep) == len(candidates):
            return candidates, removed
        return (
            Candidates(
                candidates.rows[keep],
                [candidates.ids[place] for place in keep],
                {n: candidates.fields[place] for n, place in enumerate(keep) if place in candidates.fields},
                candidates.held[keep],
                candidates.retrievers,
            ),
            removed,
        )

    def _all_plain(self, rows: I32, subject: Subject, seen: str) -> bool:
        """Whether no candidate is deleted, unavailable, blocked or seen: the common case, decided without a loop."""
        alive, available = self.catalogue.presence()
        return all_plain(
            rows, alive, available, subject.seen, subject.seen_count, subject.seen_last, subject.seen_neg,
            seen == "drop",
        )  # fmt: skip

    def _fields(self, row: int, candidates: Candidates, place: int) -> Fields:
        return self.state.item_fields.get(row, {}) | candidates.fields.get(place, {})

    def _reason(
        self,
        row: int,
        name: str,
        fields: dict[str, FieldValue] | None,
        excluded: set[str],
        dropped: set[int],
        blocked: set[int],
    ) -> str | None:
        if name in excluded:
            return "excluded"
        if fields is not None and not available(fields):
            return "unavailable"
        if row < 0:
            return None
        if not self.state.alive[row]:
            return "deleted"
        if (fields is None or not {"available", "in_stock"} & fields.keys()) and not available(
            self.state.item_fields.get(row, {})
        ):
            return "unavailable"
        if row in blocked:
            return "blocked"
        return "seen" if row in dropped else None
