"""The cold-start report: what each way of knowing somebody, or something, new is worth, with it and without.

A tenth of the items and a fifth of the people (at most ``MOST``) are new: nothing of either is in the log that the
engine is trained on. Then each row changes one thing and nothing else:

===============  ==================================================================================
text             new items, with their texts and tags, beside new items that are ids alone; ranked among
                 each other for everybody who had one of them
session          the first ``KNOWN`` events of a new person, in a session without a name, beside nothing
segment          the fields of a new person (age, country, …), used and not
preferences      the two commonest tags of those first events, as if asked for (``likes``), used and not
pseudo-labels    the first ``KNOWN`` events of a new person, with the groups of tastes that training found and without
follows          whom a new person follows, used and not
transfer         in a catalogue in which nobody did anything yet, the first ``KNOWN`` events of a new
                 person, with the map from meaning to behaviour of another catalogue and without
===============  ==================================================================================

NDCG@10 is over what the person had after these events, of all that exists; gains are binary, intervals are over people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from palate.config import Settings
from palate.content.text import item_tags
from palate.errors import InvalidInput
from palate.evaluate import Progress
from palate.evaluate.bootstrap import Estimate, by_user, paired
from palate.evaluate.stream import EventStream, from_source
from palate.features.company import FOLLOWS, LIKES
from palate.features.lifts import NO_LIFTS
from palate.language.transfer import Map, check_encoder
from palate.types import FieldValue, Interaction, Item, RankRequest, RecommendRequest, User

KNOWN = 3
"""Events of a new person that are known."""
LEAST = 8
"""Different items that a new person must have had."""
WANTED = 20
MOST = 400
_NEW_ITEMS = 0.1
_NEW_PEOPLE = 0.2


class ColdRow(msgspec.Struct, frozen=True):
    """One way of knowing. people: of whom it was asked; with_it, without, gain: NDCG@10 and the paired difference, None
    where nobody could be asked, for the reason in ``note``."""

    name: str
    people: int
    with_it: Estimate
    without: Estimate
    gain: Estimate
    note: str = ""


class ColdResult(msgspec.Struct, frozen=True):
    """What ``cold_start`` found."""

    data: str
    seed: int
    known: int
    new_people: int
    new_items: int
    model: str
    rows: list[ColdRow]


def cold_start(
    source: object,
    *,
    seed: int = 1,
    settings: Settings | None = None,
    progress: Progress | None = None,
    carried: Map | None = None,
) -> ColdResult:
    """See the module. source: as for ``evaluate``. carried: the map of another catalogue (``language.transfer``), by
    the encoder of ``settings``.

    Errors: ``InvalidInput`` where nobody had ``LEAST`` items; ``Conflict`` where ``carried`` is of another encoder.
    Cost: one training, and some thousand rankings.
    """
    import palate as imported

    module: Any = imported
    settings = settings if settings is not None else Settings()
    stream = from_source(source, settings)
    report: Progress = progress if progress is not None else (lambda stage, done, total: None)
    told = _Split(stream, seed)
    with module.open(":memory:", settings=settings) as engine:
        if carried is not None:
            check_encoder(carried.encoder, engine.catalogue.cache.encoder.name)
        for start in range(0, len(told.log), 10_000):
            engine.ingest(told.log[start : start + 10_000])
            report("cold start: ingesting", start, len(told.log))
        engine.wait_encoded()

        def training(stage: str, done: int, total: int) -> None:
            report(f"cold start: {stage}", done, total)

        try:
            trained = engine.train(progress=training)
            kind = trained.kind
        except InvalidInput:  # too little to train on: the prior ranks
            kind = "prior"
        rows = _People(engine, told).rows(report)
        rows.insert(0, _new_items(engine, told))
    if carried is None:
        rows.append(_row("transfer", [], [], "no map of another catalogue was given"))
    else:
        report("cold start: transfer", 0, 1)
        with module.open(":memory:", settings=settings) as young:
            rows.append(_transferred(young, told, carried))
    return ColdResult(stream.name, seed, KNOWN, len(told.people), len(told.items), kind, rows)


class _Split:
    """Who and what is new, the log without them, and what is asked of them."""

    def __init__(self, stream: EventStream, seed: int) -> None:
        self.stream = stream
        rng = np.random.default_rng(seed)
        good = np.flatnonzero(stream.positive)
        had: dict[int, dict[int, int]] = {}
        for position in good.tolist():
            had.setdefault(int(stream.users[position]), {}).setdefault(int(stream.items[position]), position)
        texts: list[int] = [code for code, fields in enumerate(stream.fields) if fields]
        drawn: list[int] = rng.permutation(np.array(texts, np.int64))[: int(len(texts) * _NEW_ITEMS)].tolist()
        self.items = set(drawn)
        able = [user for user, mine in had.items() if len(mine) >= LEAST and not stream.anonymous[user]]
        if not able:
            raise InvalidInput(f"Nobody in {stream.name} had {LEAST} different items: no one can be new.", "data")
        count = min(MOST, max(1, int(len(had) * _NEW_PEOPLE)))
        self.people: list[int] = rng.permutation(able)[:count].tolist()
        fresh = set(self.people)
        self.first: dict[int, list[int]] = {}
        self.wanted: dict[int, set[str]] = {}
        for user in self.people:
            mine = [position for item, position in had[user].items() if item not in self.items]
            self.first[user] = mine[:KNOWN]
            self.wanted[user] = {self.item(position) for position in mine[KNOWN : KNOWN + WANTED]}
        self.people = [user for user in self.people if self.wanted[user]]
        self.of_new: dict[str, set[str]] = {}
        for user, mine in had.items():
            found = {stream.item_ids[item] for item in mine if item in self.items}
            if found and user not in fresh and not stream.anonymous[user]:
                self.of_new[stream.user_ids[user]] = found
        names = {stream.user_ids[user] for user in self.people}
        new_names = {stream.item_ids[item] for item in self.items}
        self.fields: dict[str, dict[str, FieldValue]] = {}
        self.log: list[Any] = []
        begin = int(stream.times[0]) - 1
        for n, (_, event) in enumerate(stream.side):
            if isinstance(event, User) and event.user in names:
                self.fields.setdefault(event.user, {}).update(event.fields)
            elif isinstance(event, User) or (isinstance(event, Item) and event.item not in new_names):
                moment = begin if event.timestamp is None else event.timestamp
                self.log.append(msgspec.structs.replace(event, id=f"s{n}", timestamp=moment))
        for position in range(len(stream)):
            if int(stream.users[position]) not in fresh and int(stream.items[position]) not in self.items:
                self.log.append(stream.interaction(position))
        self.now = int(stream.times[-1]) + 1

    def item(self, position: int) -> str:
        return self.stream.item_ids[int(self.stream.items[position])]


def _new_items(engine: Any, told: _Split) -> ColdRow:
    """Items nobody had: as ids, then with what is said of them."""
    new = sorted(told.items)
    names = [told.stream.item_ids[code] for code in new]
    people = sorted(told.of_new)[:MOST]
    if not names or not people:
        return _row("text", [], [], "there are no items with a text, or nobody had one")
    engine.ingest([Item(id=f"new-{n}", timestamp=told.now, item=name) for n, name in enumerate(names)])

    def judged() -> list[float]:
        found: list[float] = []
        for user in people:
            order = engine.scored(RankRequest(user=user, items=list(names), seen="keep"), told.now)[0]
            found.append(_ndcg(order, told.of_new[user]))
        return found

    without = judged()
    engine.ingest([
        Item(id=f"text-{n}", timestamp=told.now + 1, item=name, fields=told.stream.fields[code])
        for n, (code, name) in enumerate(zip(new, names, strict=True))
    ])  # fmt: skip
    engine.wait_encoded()
    return _row("text", judged(), without)


def _transferred(engine: Any, told: _Split, carried: Map) -> ColdRow:
    """A catalogue of texts alone, people with a few events each, and what is known of another catalogue."""
    engine.ingest([event for event in told.log if isinstance(event, Item)])
    engine.wait_encoded()
    asked = _People(engine, told)
    asked.company.map = carried
    pairs: list[tuple[float, float]] = []
    for user in told.people:
        name = asked.new("person")
        asked.did(told.first[user], user=name)
        pairs.append(asked.both(user, name, "transfer"))
    return _row("transfer", *_columns(pairs))


class _People:
    """The rows about people."""

    def __init__(self, engine: Any, told: _Split) -> None:
        self.engine, self.told = engine, told
        self.company: Any = engine.line.computer.company
        self._count = 0

    def rows(self, progress: Progress) -> list[ColdRow]:
        """Every row, in the order of the module."""
        steps = (self._session, self._segment, self._preferences, self._pseudo, self._follows)
        out: list[ColdRow] = []
        for done, step in enumerate(steps):
            progress("cold start: rows", done, len(steps))
            out.append(step())
        return out

    def _session(self) -> ColdRow:
        with_it: list[float] = []
        without: list[float] = []
        for user in self.told.people:
            without.append(self._asked(user, {}))
            name = self.new("session")
            self.did(self.told.first[user], session=name)
            with_it.append(self._asked(user, {"session": name}))
        return _row("session", with_it, without)

    def _segment(self) -> ColdRow:
        def fields(user: int) -> dict[str, FieldValue]:
            said = self.told.fields.get(self.told.stream.user_ids[user], {})
            return {name: value for name, value in said.items() if name not in (FOLLOWS, LIKES)}

        return self._said("segment", "segments", fields, "nobody said anything of themselves")

    def _preferences(self) -> ColdRow:
        def fields(user: int) -> dict[str, FieldValue]:
            stream, tags = self.told.stream, Counter[str]()
            for position in self.told.first[user]:
                tags.update(item_tags(stream.fields[int(stream.items[position])]))
            best = [tag for tag, _ in tags.most_common(2)]
            return {LIKES: best} if best else {}

        return self._said("preferences", "likes", fields, "no item has a tag to ask for")

    def _follows(self) -> ColdRow:
        def fields(user: int) -> dict[str, FieldValue]:
            found = self.told.fields.get(self.told.stream.user_ids[user], {}).get(FOLLOWS)
            return {FOLLOWS: found} if found else {}

        return self._said("follows", "follows", fields, "nobody follows anybody")

    def _pseudo(self) -> ColdRow:
        if not len(self.company.groups.centres):
            return _row("pseudo-labels", [], [], "training found no groups: it needs a hundred people with a history")
        pairs: list[tuple[float, float]] = []
        for user in self.told.people:
            name = self.new("person")
            self.did(self.told.first[user], user=name)
            pairs.append(self.both(user, name, "groups"))
        return _row("pseudo-labels", *_columns(pairs))

    def _said(self, label: str, source: str, fields: Any, why_not: str) -> ColdRow:
        """A row of new people who say ``fields(user)`` of themselves and do nothing."""
        pairs: list[tuple[float, float]] = []
        for user in self.told.people:
            said = fields(user)
            if not said:
                continue
            name = self.new("person")
            self.engine.ingest([User(id=f"said-{name}", timestamp=self.told.now, user=name, fields=said)])
            pairs.append(self.both(user, name, source))
            self.engine.ingest([User(id=f"bye-{name}", timestamp=self.told.now + 1, user=name, deleted=True)])
        return _row(label, *_columns(pairs), "" if pairs else why_not)

    def both(self, user: int, name: str, source: str) -> tuple[float, float]:
        """NDCG@10 with a source of the company, and without it; without segments no popularity in them either."""
        found, whole = self._asked(user, {"user": name}), self.engine._model
        self.company.enabled.discard(source)
        if source == "segments":
            self.engine._model = replace(whole, lifts=NO_LIFTS)
        try:
            return found, self._asked(user, {"user": name})
        finally:
            self.company.enabled.add(source)
            self.engine._model = whole

    def new(self, what: str) -> str:
        self._count += 1
        return f"cold {what} {self._count}"

    def did(self, positions: Sequence[int], **subject: str) -> None:
        events: list[Any] = []
        for n, position in enumerate(positions):
            event: Interaction = self.told.stream.interaction(position)
            self._count += 1
            events.append(
                Interaction(
                    id=f"cold-{self._count}", timestamp=self.told.now + n, item=event.item, type=event.type,
                    value=event.value, user=subject.get("user"), session=subject.get("session"),
                )
            )  # fmt: skip
        self.engine.ingest(events)

    def _asked(self, user: int, subject: dict[str, str]) -> float:
        request = RecommendRequest(
            user=subject.get("user"), session=subject.get("session"), k=10, seen="drop", exclude=self._known(user)
        )
        self.engine.line.prepare(request)
        return _ndcg(self.engine.scored(request, self.told.now + KNOWN)[0], self.told.wanted[user])

    def _known(self, user: int) -> list[str]:
        """What is left out of every answer, so that having it and not having it are asked the same."""
        return [self.told.item(position) for position in self.told.first[user]]


def _ndcg(order: list[str], wanted: set[str], k: int = 10) -> float:
    """Binary gains over those of the best order (Järvelin and Kekäläinen 2002)."""
    gains = sum(1 / np.log2(place + 2) for place, name in enumerate(order[:k]) if name in wanted)
    return float(gains / sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted)))))


def _columns(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [one for one, _ in pairs], [other for _, other in pairs]


def _row(name: str, with_it: Sequence[float], without: Sequence[float], note: str = "") -> ColdRow:
    if not len(with_it):
        nothing = Estimate(None)
        return ColdRow(name, 0, nothing, nothing, nothing, note)
    users = np.arange(len(with_it))
    first, second = np.array(with_it), np.array(without)
    one, two = by_user(np.stack([first, second], axis=1), users)
    return ColdRow(name, len(users), one, two, paired(first, second, users), note)
