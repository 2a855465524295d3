"""Candidates: the caller's, or retrieved from the catalogue; and the hard rules that take some of them away."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast, overload

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.config import Settings
from palate.content.text import tokens
from palate.features import Hints, Placed, Reach, Signals, Subject
from palate.features.neighbours import (
    EASE_LAST,
    EASE_RECENT,
    LINAR,
    LINAR_LAST,
    NEAR_20,
    NEAR_ALL,
    NEAR_LAST,
    NEXT_5,
    NEXT_COS,
)
from palate.features.off import Off, off
from palate.filters import UNAVAILABLE, WHY, Fields, available, compile_filter, standing
from palate.retrieve.fusion import fuse
from palate.retrieve.item_to_item import ItemToItem, Reached
from palate.retrieve.recent_popular import RecentPopular
from palate.retrieve.topk import top_k
from palate.state import State
from palate.state.lookup import Lookup
from palate.types import F32, I32, Bools, Candidate, Candidates, FieldValue, RankRequest, RecommendRequest
from palate.wished import Wished

_LED_TO = ("next", "near", "near_last", "ease", "linar")
_COLUMNS = np.array(
    [(NEXT_COS, NEXT_5), (NEAR_20, NEAR_ALL), (NEAR_LAST, -1), (EASE_RECENT, EASE_LAST), (LINAR, LINAR_LAST)], np.int64
)
"""The lists of what the history leads to, and the strengths whose sum orders each."""
_NEAR = ("taste_now", "taste_last", "taste_1", "taste_2")
"""The lists of what is near in meaning, as ``Sourcing._probes`` has them."""
_MASKS = 64
_REASONS = ("", *(WHY[(bits & -bits).bit_length() - 1] for bits in range(1, 1 << len(WHY))))
"""By what ``standing`` says of a candidate."""
_WISHED = 0.25
"""Weight down to which wishes name candidates, not only order them."""
_KNOWN = 2000
"""Popular items among which those of a kind are looked for."""
_DIFFERENT = 0.01
"""Length from which the difference between people alike and everybody is a direction."""
EARLY = 5
"""Interactions of somebody up to which what all time liked best is named, too: people begin with what everybody knows,
and where few people have long visits, what is popular of late is what the last of them had."""
REPEATS = 0.05
"""Repeat rate of the log from which people here come back to items that they had before."""


class _Lent:
    """A mask of which some rows are False for a while."""

    def __init__(self, mask: Bools) -> None:
        self.mask = mask
        self._taken: list[I32] = []

    def without(self, rows: I32) -> I32:
        """Take distinct ``rows`` away; those that were True."""
        taken = rows[self.mask[rows]]
        self.mask[taken] = False
        self._taken.append(taken)
        return taken

    def give_back(self) -> None:
        """What was taken is True again."""
        for rows in self._taken:
            self.mask[rows] = True


class _Ids(Sequence[str]):
    """The ids of rows, each looked up when it is asked for: of hundreds of candidates ten are shown."""

    def __init__(self, names: list[str], rows: I32) -> None:
        self._names = names
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._names[row] for row in self._rows[place].tolist()]
        return self._names[int(self._rows[place])]


def _best_of(rows: I32, scores: F32, k: int, allowed: Bools) -> I32:
    """The ``k`` allowed rows with the highest scores."""
    keep = rows < len(allowed)
    keep[keep] = allowed[rows[keep]]
    return top_k(rows[keep], scores[keep], k)[0]


class Sourcing:
    """Candidates of requests over one state and catalogue; under the engine's lock."""

    def __init__(self, state: State, catalogue: Catalogue, settings: Settings) -> None:
        self.state = state
        self.catalogue = catalogue
        self.settings = settings
        self._off: Off = off(settings.features.off)
        self._popular = {"trending": RecentPopular(state, 0), "popular": RecentPopular(state, 2)}
        self._all_time = RecentPopular(state, None)
        self._masks: dict[bytes, tuple[int, int, Bools]] = {}
        self._lookup = Lookup(state.items)
        self.wished = Wished(state)
        self._only: Bools = np.zeros(0, np.bool_)
        self.newcomers: I32 = np.zeros(0, np.int32)
        """Items that the next retrieval names too, where rules allow it: new ones that are owed impressions."""

    def given(self, items: list[str | Candidate]) -> Candidates:
        ids, fields = cast(list[str], items), dict[int, dict[str, FieldValue]]()
        try:
            "".join(ids)  # the usual case: all of them are texts
        except TypeError:
            ids = [item if isinstance(item, str) else item.id for item in items]
            fields = {n: item.fields for n, item in enumerate(items) if not isinstance(item, str) and item.fields}
        return Candidates(self._lookup.rows(ids), ids, fields, np.zeros(len(ids), np.int64))

    def retrieved(
        self,
        request: RecommendRequest,
        subject: Subject,
        reach: Reach,
        now: int,
        query: tuple[list[str], F32] | None,
        seen: str,
        signals: Signals | None = None,
        hints: Hints | None = None,
    ) -> tuple[Candidates, dict[str, int], dict[str, int]]:
        """Retrieve from every source that applies and fuse by reciprocal rank.

        reach: where the subject's history leads to; signals, hints: of this person. Returns the candidates, how many
        each retriever named, and how many each rule took from the catalogue. Items that the user had before come from
        retrievers of their own (``again``), so that they never crowd out new ones. Cost: nothing an item of the
        catalogue but the scan of vectors and, where a filter is given, one pass over its mask.
        """
        sizes = self.settings.retrieve
        shown, *counts = self.catalogue.shown()
        lent = _Lent(shown)
        try:
            allowed, removed = self._allowed(request, subject, seen, lent, *counts)
            if query is not None:
                lists = self._for_query(query, allowed)
            else:
                lists = self._for_subject(subject, reach, now, seen, allowed, signals.towers if signals else ())
                for label, (reached, scores) in signals.scored().items() if signals else ():
                    if len(reached):
                        lists[label] = _best_of(reached, scores, sizes.popular // 2, allowed)
                if hints is not None:
                    self._hinted(lists, hints, subject, allowed)
            if self._off:
                lists = {name: rows for name, rows in lists.items() if not self._off.hides(name)}
            rows, _, held, names = fuse(lists, sizes.candidates, sizes.rrf)
            wanted = max(request.k or 10, sizes.popular if self.wished.of(subject.row) else 0)
            if query is None and len(rows) < wanted:
                newest = self._newest(rows, allowed, wanted - len(rows))
                rows, names = np.concatenate([rows, newest]), (*names, "catalogue")
                held = np.concatenate([held, np.full(len(newest), 1 << (len(names) - 1), np.int64)])
            if len(self.newcomers):
                new, self.newcomers = self.newcomers[allowed[self.newcomers]], self.newcomers[:0]
                new = new[~np.isin(new, rows)]
                rows, names = np.concatenate([rows, new]), (*names, "newcomers")
                held = np.concatenate([held, np.full(len(new), 1 << (len(names) - 1), np.int64)])
        finally:
            lent.give_back()
        found = {"retrieved": len(rows)} | {name: len(named) for name, named in lists.items()}
        return Candidates(rows, _Ids(self.state.items.ids, rows), {}, held, names), found, removed

    def _for_query(self, query: tuple[list[str], F32], allowed: Bools) -> dict[str, I32]:
        """What the query names, by words and by meaning."""
        words, meaning = query
        k = self.settings.retrieve.lexical
        lists = {"lexical": self.catalogue.words().search(words, k, allowed)[0]}
        if np.any(meaning):
            lists["vector"] = self.catalogue.vectors.search(meaning[None], k, allowed)[0][0]
        return lists

    def _for_subject(
        self, subject: Subject, reach: Reach, now: int, seen: str, allowed: Bools, towers: Sequence[Placed]
    ) -> dict[str, I32]:
        """What is popular, what the history leads to, and what is like it, each new and, where it fits, had before."""
        sizes = self.settings.retrieve
        lists: dict[str, I32] = {}
        again: I32 | None = None
        if seen == "keep" and len(subject.seen):
            worth = np.log1p(subject.seen_count) + 2.0 ** (
                self.state.silences.since(subject.seen_last, now) / (-30 * 86_400_000.0)
            )
            again = ItemToItem(subject.seen, worth)(sizes.again, allowed)[0]
        fresh = _Lent(allowed)  # only what is new to the subject, until it is given back
        before = fresh.without(subject.seen[subject.seen_count > 0])
        try:
            for label, popular in self._popular.items():
                lists[label] = popular(sizes.popular, allowed)[0]
            if subject.count <= EARLY:
                lists["all_time"] = self._all_time(sizes.popular, allowed)[0]
            reached = Reached(reach.rows, reach.strengths, _COLUMNS)
            new = reached(sizes.item_to_item // 2, allowed)
            old = self._had(reached, before) if len(before) and self.state.repeat_rate >= REPEATS else []
            for place, label in enumerate(_LED_TO):
                lists[label] = new[place]
                if old:
                    lists[f"{label}_again"] = old[place]
            if again is not None:
                lists["again"] = again
            for placed in towers:
                lists[placed.column] = placed.nearest(subject, now, sizes.towers, allowed)
            if len(subject.tastes):
                found = self.catalogue.vectors.search(self._probes(subject), sizes.vector // 2, allowed)
                for (near, _), label in zip(found, _NEAR, strict=False):
                    lists[label] = near
        finally:
            fresh.give_back()
        return lists

    def _probes(self, subject: Subject) -> F32:
        """(≤ 4, d) what the last events say, the last one alone (a series goes on where a mean of five would not), and
        the interests that make up the long-term taste, but the one that the last is nearest to where there are three:
        four are searched for at the price of one."""
        newest = self.catalogue.vectors.vectors[subject.last[:1]]
        interests = subject.tastes[2:] if len(subject.tastes) > 2 else subject.tastes[:1]
        if len(interests) > 2:
            interests = interests[np.sort(np.argsort(interests @ newest[0], kind="stable")[:2])]
        return np.concatenate([subject.tastes[1:2], newest, interests])

    def _hinted(self, lists: dict[str, I32], hints: Hints, subject: Subject, allowed: Bools) -> None:
        """Adds what people followed had, what was asked for, and what is like the taste of people alike."""
        sizes = self.settings.retrieve
        fresh = _Lent(allowed)
        fresh.without(subject.seen[subject.seen_count > 0])
        try:
            if len(hints.rows):
                lists["friends"] = ItemToItem(hints.rows, hints.worth)(sizes.popular, allowed)[0]
            if len(hints.asked.kinds) and hints.fade >= _WISHED:
                known = self._popular["popular"](_KNOWN, allowed)[0]
                fits = np.isin(self.catalogue.side().tags[known], hints.asked.kinds).any(axis=1)
                lists["asked_kinds"] = known[fits][: sizes.popular]
            if (hints.asked.words or len(hints.asked.texts)) and hints.fade >= _WISHED:
                words = [word for wish in hints.asked.words for word in tokens(wish)]
                if words:
                    lists["asked_words"] = self.catalogue.words().search(words, sizes.lexical, allowed)[0]
                wanted = hints.asked.texts[hints.asked.text_worth > 0] if len(hints.asked.texts) else hints.asked.texts
                if np.any(wanted):
                    found = self.catalogue.vectors.search(wanted[-4:], sizes.vector // 2, allowed)
                    lists |= {f"asked_{place}": near for place, (near, _) in enumerate(found)}
            length = float(np.linalg.norm(hints.alike)) if subject.cold else 0.0
            if length > _DIFFERENT:
                near = self.catalogue.vectors.search(hints.alike[None] / np.float32(length), sizes.vector, allowed)
                lists["alike"] = near[0][0]
        finally:
            fresh.give_back()

    def _had(self, reached: Reached, before: I32) -> list[I32]:
        """What the history leads to among the rows ``before``."""
        if len(self._only) < self.state.n_items:
            self._only = np.zeros(max(self.state.n_items, 2 * len(self._only)), np.bool_)
        self._only[before] = True
        found = reached(self.settings.retrieve.item_to_item // 4, self._only)
        self._only[before] = False
        return found

    def _newest(self, rows: I32, allowed: Bools, n: int) -> I32:
        """``n`` newest catalogue items not in ``rows``, so that a list is full even before the first event."""
        rest = _Lent(allowed)
        rest.without(rows)
        others = np.flatnonzero(allowed).astype(np.int32)
        rest.give_back()
        return top_k(others, self.state.item("created")[others].astype(np.float64), n)[0]

    def _allowed(
        self, request: RecommendRequest, subject: Subject, seen: str, shown: _Lent, present: int, left: int
    ) -> tuple[Bools, dict[str, int]]:
        """(n_items,) rows that retrieval may return, and how many each rule took from the catalogue, in this order.

        present, left: how many rows aren't deleted, and how many are ``shown``, before anything is taken from it.
        """
        named = np.zeros(0, np.int32)
        if request.exclude:
            named = np.unique(np.fromiter((self.state.items.get(name) for name in request.exclude), np.int32))
            named = named[named >= 0]
        alive = int(np.count_nonzero(self.state.alive[named])) if len(named) else 0
        n = self.state.n_items
        excluded = len(shown.without(named)) if len(named) else 0
        removed = {
            "excluded": len(named),
            "deleted": n - present - (len(named) - alive),
            "unavailable": present - left - (alive - excluded),
        }
        left -= excluded
        if len(subject.seen):
            removed["blocked"] = len(shown.without(subject.seen[subject.seen_neg > subject.seen_last]))
            if seen == "drop":
                removed["seen"] = len(shown.without(subject.seen[subject.seen_count > 0]))
            left -= removed["blocked"] + removed.get("seen", 0)
        allowed = shown.mask
        if request.filter:
            allowed = allowed & self._passing(request.filter)
            removed["filter"] = left - int(np.count_nonzero(allowed))
        held = self.wished.of(subject.row)
        if held is not None and held.expression is not None:
            left = int(np.count_nonzero(allowed)) if request.filter else left
            allowed = allowed & self._passing(held.expression)
            removed["wishes"] = left - int(np.count_nonzero(allowed))
        return allowed, {reason: count for reason, count in removed.items() if count}

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
        held = self.wished.of(subject.row)
        wished = held.predicate if held is not None else None
        bits = np.empty(len(candidates), np.uint8)
        alive, present = self.catalogue.presence()
        every = standing(
            candidates.rows, alive, present, subject.seen, subject.seen_at, subject.seen_count, subject.seen_last,
            subject.seen_neg, seen == "drop", bits,
        )  # fmt: skip
        if not (request.exclude or candidates.fields or predicate or wished):
            if not every:
                return candidates, {}
            keep: list[int] = np.flatnonzero(bits == 0).tolist()
            against: list[int] = bits[bits > 0].tolist()
            removed = dict(Counter([_REASONS[one] for one in against]))
        else:
            keep, removed = [], dict[str, int]()
            excluded = set(request.exclude)
            for place, name in enumerate(candidates.ids):
                reason = "excluded" if name in excluded else _reason(int(bits[place]), candidates.fields.get(place))
                if not reason and (predicate or wished):
                    fields = self._fields(int(candidates.rows[place]), candidates, place)
                    if predicate is not None and not predicate(fields):
                        reason = "filter"
                    elif wished is not None and not wished(fields):
                        reason = "wishes"
                if reason:
                    removed[reason] = removed.get(reason, 0) + 1
                else:
                    keep.append(place)
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

    def _fields(self, row: int, candidates: Candidates, place: int) -> Fields:
        return self.state.item_fields.get(row, {}) | candidates.fields.get(place, {})


def _reason(bits: int, fields: dict[str, FieldValue] | None) -> str:
    """Why a candidate may not be shown, '' where it may. fields: its own, whose availability goes before the item's."""
    if fields is not None and not {"available", "in_stock"}.isdisjoint(fields):
        return "unavailable" if not available(fields) else _REASONS[bits & ~UNAVAILABLE]
    return _REASONS[bits]
