"""Reasons: why an item stands there, in words that are true of it.

A reason is as strong as the contributions of its features together, or, where contributions were not asked for, their
evidence. The strongest is always among those given. Before it is said one that is particular to the item or the person
(what it goes with, a tag, their words, …) where that is ``SIZEABLE`` beside it; among such, the one that fewer items
above were given for. Words of a reason hold by the value of its feature, never by its weight alone. None names another
person, and none speaks of fewer than ``LEAST`` people.
"""

from __future__ import annotations

import numpy as np

from palate.catalogue import Catalogue
from palate.features import Computer, ItemSide, Neighbours, Subject, column, said
from palate.features.alike import LEAST
from palate.features.company import FOLLOWS
from palate.features.speakers import CODE_OF, CODES, SPOKEN, lifts
from palate.feedback.words import aspects
from palate.types import F32, F64, I32, I64, Contribution, Reason

_CODES: list[str] = [CODES[code] for code in CODE_OF]
_WORDS = {
    code: Reason(code, text)
    for code, text in (
        ("again", "You had it before."),
        ("popular", "Popular with everybody."),
        ("trending", "Popular right now."),
        ("people", "People with a history like yours choose it."),
        ("new", "New in the catalogue."),
        ("query", "Matches your words."),
        ("friends", "Had by people whom you follow."),
        ("asked", "What you asked for."),
    )
}
SHORT: dict[str, tuple[str, str]] = {
    "because_of": ("because of {items}", "因为 {items}"),
    "again": ("again", "再次"),
    "popular": ("popular", "热门"),
    "trending": ("trending", "上升中"),
    "people": ("people like you", "相似的人"),
    "new": ("new", "新品"),
    "new_of": ("new: {tags}", "新品，且符合口味：{tags}"),
    "taste": ("your taste", "符合口味"),
    "tag": ("your taste: {tags}", "符合口味：{tags}"),
    "query": ("matches the query", "匹配查询"),
    "friends": ("had by people followed", "关注的人有过"),
    "asked": ("asked for", "主动要求"),
    "language": ("moved by a language model", "由语言模型调整"),
    "said": ("well spoken of", "评价好"),
    "exploration": ("exploration", "探索"),
    "ranked": ("many small reasons", "综合得分"),
    "unscored": ("could not be scored", "无法打分"),
}
"""Reasons in a few words, English and Chinese, by code."""
_MOST = 2
"""Reasons of an item."""
_OF_CROWD = frozenset({"popular", "people", "new"})
"""Reasons that would be said of many items in the same words: others go before them. ``new`` without tags, that is."""
_OF_PEOPLE = frozenset({"popular", "trending", "friends", "people", "said"})
"""Reasons that speak of people: of everybody, of those followed, of those who had the item or wrote of it."""
_VERBS = {"because_of": "goes with", "taste": "is close in content to"}
_MEANING = column("query_meaning")
_MEANT = Reason("query", "Close in meaning to your words.")
_RANKED = Reason("ranked", "No single reason stands out: many small ones together make its score.")


def short(reason: Reason) -> str:
    """The key of a reason in ``SHORT``."""
    return "new_of" if reason.code == "new" and reason.tags else reason.code


class Reasons:
    """Words reasons for the items of one request. Under the engine's lock."""

    def __init__(
        self, computer: Computer, catalogue: Catalogue, side: ItemSide, subject: Subject, ease: Neighbours
    ) -> None:
        self.side = side
        self.computer = computer
        self.catalogue = catalogue
        self.subject = subject
        self.ease = ease

    def of(self, rows: I32, weights: F64, x: F32) -> list[list[Reason]]:
        """At most two reasons for each of ``rows`` (k,), by the ``weights`` (k, f) of its features ``x`` (k, f).

        A feature only gives a reason where its value says what the words say (``speakers.speak``). What an item is
        given depends on the items before it, never on those behind.
        """
        spoken = np.empty((len(rows), SPOKEN, 4), np.int32)
        self.computer.speak(self.subject, rows, weights, x, self.side, self.ease, spoken)
        worded: dict[tuple[int, int, int], Reason] = {}  # the same few entries of a history speak for most items
        had: list[int] = np.count_nonzero(self.computer.state.item_columns["crowd"][rows], axis=1).tolist()
        said: dict[tuple[str, int], int] = {}
        out: list[list[Reason]] = []
        for at, mine in enumerate(spoken.tolist()):
            found: list[tuple[int, int, int]] = []
            praise: Reason | None = None
            best, chosen, least = 0, ("", -1), (True, 0)
            for place, first, second, sizeable in mine:
                if place < 0:
                    break
                code = _CODES[place]
                if code in _OF_PEOPLE and not self._many(code, int(rows[at]), had[at]):
                    continue
                if code == "said":
                    praise = self._said(int(rows[at]))
                    if praise is None:
                        continue
                if sizeable or not found:
                    words = code, first
                    common = code in _OF_CROWD and first < 0, said.get(words, 0)
                    if not found or common < least:
                        best, chosen, least = len(found), words, common
                found.append((place, first, second))
            if not found:
                out.append([_RANKED])
                continue
            said[chosen] = said.get(chosen, 0) + 1
            reasons: list[Reason] = []
            for key in (found[best], found[0]) if best else found[:_MOST]:
                reason = praise if _CODES[key[0]] == "said" else worded.get(key)
                if reason is None:
                    reason = worded[key] = self._worded(*key)
                reasons.append(reason)
            out.append(reasons)
        return out

    def _many(self, code: str, row: int, had: int) -> bool:
        """Whether the people of whom a reason of ``code`` speaks are at least ``LEAST``. had: those remembered of the
        item."""
        if code == "people":  # first, since it is the most frequent
            return had >= LEAST
        state = self.computer.state
        if code in ("popular", "trending"):
            return len(state.users) >= LEAST
        if code == "friends":
            value = (state.user_fields.get(self.subject.row) or {}).get(FOLLOWS, [])
            return len(self.computer.company.followed(value, self.subject.row)) >= LEAST
        found = state.said_of.of(row)
        return had >= LEAST and found is not None and found.texts >= LEAST

    def _said(self, row: int) -> Reason | None:
        """What texts praise; None where they are too few to tell, or don't."""
        state, told = self.computer.state, aspects()
        if praised := said.praised(state, row)[:2]:
            names = [told.names[place] for place in praised]
            return Reason("said", f"People praise its {' and its '.join(names)}.", tags=names)
        return Reason("said", "What people write of it is mostly good.") if said.good(state, row) else None

    def _worded(self, place: int, first: int, second: int) -> Reason:
        code = _CODES[place]
        words = _MEANT if place == _MEANING else _WORDS.get(code)
        if words is not None and first < 0:
            return words
        if code in ("tag", "new"):
            tags = [self.catalogue.tags.ids[one] for one in ((first,) if second < 0 else (first, second))]
            often = f"ou often choose {', '.join([tag.split(':', 1)[-1] for tag in tags])}."
            return Reason(code, f"Y{often}" if code == "tag" else f"New in the catalogue, and y{often}", tags=tags)
        ids, title = self.computer.state.items.ids, self.catalogue.title
        if second < 0:
            return Reason(code, f"It {_VERBS[code]} {title(first)}.", [ids[first]])
        return Reason(code, f"It {_VERBS[code]} {title(first)} and {title(second)}.", [ids[first], ids[second]])


def moved(places: int) -> Reason:
    """The reason of an item that a language model moved: up by so many places, or down where negative."""
    many = "place" if abs(places) == 1 else "places"
    return Reason("language", f"A language model moved it {'up' if places > 0 else 'down'} {abs(places)} {many}.")


def moved_term(places: int) -> Contribution:
    """Its term: no part of the score, which is the scorer's."""
    return Contribution("language.rerank", float(places), 0.0)


def evidence(x: F32, order: I64, prior: F64) -> F64:
    """(k, f) how much each feature speaks for the shown items: prior-weighted difference to the mean candidate.

    Cheap and model-free; used for reasons when exact contributions weren't asked for. x: (m, f), order: (k,).
    """
    out: F64 = np.zeros((len(order), len(prior)))
    lifts(x, order, prior, out)
    return out
