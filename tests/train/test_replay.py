"""Replay: decisions as of every interaction, from nothing but what came before it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from palate.catalogue import Catalogue
from palate.config import LanguageSettings, Settings, TrainSettings
from palate.features import NAMES, column
from palate.intake import records_of
from palate.language import make_encoder
from palate.language.cache import VectorCache
from palate.line import Model, prior_model
from palate.state import State
from palate.store.decision import Decision
from palate.store.memory import MemoryStore
from palate.testing.world import World, make_world
from palate.train.ease import fit_ease
from palate.train.examples import Examples
from palate.train.history import History, read_history
from palate.train.neighbours import bind_neighbours, pack_neighbours
from palate.train.replay import COLD, COLD_WEIGHT, FIRST, HIDDEN, SHOWN, Replayed, choose_window, feature_key, replay
from palate.types import Event, Interaction
from tests.engines import did

SETTINGS = Settings(language=LanguageSettings(encoder="hashing"), train=TrainSettings(candidates=24))
SLACK = 300_000
WORLD = make_world(people=12, per_genre=8, interactions=400, follow=0.3)


def history_of(events: list[Event], settings: Settings = SETTINGS) -> History:
    store = MemoryStore()
    store.append(records_of(list(enumerate(map(msgspec.structs.replace, events))), SLACK, 0)[0])
    return read_history(store, settings)


def decisions_of(history: History, settings: Settings = SETTINGS) -> list[tuple[int, Decision]]:
    """What is logged of them."""
    return [(place, one.decision()) for place, one in replayed_of(history, settings)]


def replayed_of(history: History, settings: Settings = SETTINGS) -> list[tuple[int, Replayed]]:
    """As ``train`` makes them."""
    window = choose_window(history, settings)
    codes: dict[str, int] = {}
    items = np.array([codes.setdefault(name, len(codes)) for name in history.items], np.int32)
    state = State(settings)
    catalogue = Catalogue(state, VectorCache(None, make_encoder("hashing")), settings.language)
    catalogue.update(state.apply(history.content))
    catalogue.encode_now()
    catalogue.update(state.apply(history.events[: int(history.interactions[window.begin])]))
    early = fit_ease(history.users[: window.begin], items[: window.begin], len(codes))
    ease = bind_neighbours(pack_neighbours(early, list(codes)), state.items)
    model = Model("replay", prior_model().scorer, ease, (), True)
    return list(replay(state, catalogue, history, window, model))


def changed_after(world: World, place: int) -> list[Event]:
    """The world with another future: from interaction ``place`` on other people do other things in reverse."""
    out: list[Event] = list(world.items)
    names = list(world.genre_of)
    for number, event in enumerate(world.interactions):
        if number >= place:
            event = msgspec.structs.replace(
                event, user=f"p{number % 5}", item=names[(number * 7) % len(names)], type="purchase"
            )
        out.append(event)
    return out


def test_the_future_never_leaks() -> None:
    """Other events after a decision's time leave its candidates, features and scores unchanged, bit for bit."""
    one = decisions_of(history_of(WORLD.events))
    place = 360
    other = decisions_of(history_of(changed_after(WORLD, place)))
    assert len(one) == len(other) == 80
    same = [pair for pair in zip(one, other, strict=True) if pair[0][0] < place]
    assert len(same) == 40
    for (a, mine), (b, theirs) in same:
        assert a == b
        assert mine == theirs
    later = [pair for pair in zip(one, other, strict=True) if pair[0][0] > place + 3]
    assert all(mine.shown.features != theirs.shown.features for (_, mine), (_, theirs) in later)


def test_a_decision_does_not_see_its_own_event() -> None:
    history = history_of(WORLD.events)
    known: dict[tuple[str, str], int] = {}
    counted = column("again_count")
    people = column("user_count")
    made = dict(decisions_of(history))
    hidden = 0
    for place, event in enumerate(WORLD.interactions):
        decision = made.get(place)
        if decision is not None:
            assert decision.timestamp == event.timestamp
            if decision.subject is None:  # of some decisions nobody is told whose they are
                hidden += 1
            else:
                assert decision.subject == event.user
            assert decision.clicked == [event.item]
            x, names = decision.shown.matrix(), list(decision.shown.ids)
            if decision.unshown is not None and decision.unshown.ids:
                x, names = np.concatenate([x, decision.unshown.matrix()]), names + decision.unshown.ids
            mine = known if decision.subject is not None else {}
            had = sum(n for (user, _), n in mine.items() if user == event.user)
            np.testing.assert_allclose(x[:, people], np.log1p(had), rtol=1e-6)
            for row, name in enumerate(names):
                times = mine.get((str(event.user), name), 0)
                assert x[row, counted] == pytest.approx(np.log1p(times), rel=1e-6)
        key = str(event.user), event.item
        known[key] = known.get(key, 0) + 1
    assert 0 < hidden < 0.3 * len(made)


def test_the_window_is_the_end_of_the_log_and_its_end_validates() -> None:
    history = history_of(WORLD.events)
    window = choose_window(history, SETTINGS)
    assert (window.begin, window.valid) == (320, 380)
    assert window.sampled.tolist() == list(range(320, 400))
    few = Settings(train=TrainSettings(decisions=20))
    sampled = choose_window(history, few).sampled
    assert len(sampled) == 20
    assert (np.diff(sampled) > 0).all()
    assert sampled.min() >= 320
    assert (sampled >= 380).sum() >= 5
    assert (choose_window(history, few).sampled == sampled).all(), "from the seed"


def test_candidates_of_training_are_thinned_and_those_of_validation_are_not() -> None:
    history = history_of(WORLD.events)
    window = choose_window(history, SETTINGS)
    sizes: dict[bool, list[int]] = {True: [], False: []}
    for place, decision in decisions_of(history):
        unshown = decision.unshown.ids if decision.unshown is not None else []
        names = decision.shown.ids + unshown
        assert len(set(names)) == len(names)
        assert len(decision.shown.ids) == min(SHOWN, len(names))
        sizes[place >= window.valid].append(len(names))
        assert (decision.source, decision.features, decision.model) == ("replay", feature_key(), "replay")
        asked = decision.request
        assert asked is not None
        assert asked.candidates >= len(names)
        if place < window.valid and decision.clicked[0] in names and asked.seen == "keep":
            assert decision.clicked[0] in names
    assert 24 <= max(sizes[False]) <= 25, "the chosen one may come on top"
    assert max(sizes[True]) > 25


def test_thinning_never_loses_the_chosen_candidate() -> None:
    """Whatever is a candidate among all is one among few."""
    history = history_of(WORLD.events)
    wide = msgspec.structs.replace(SETTINGS, train=TrainSettings(candidates=10_000))
    thin = msgspec.structs.replace(SETTINGS, train=TrainSettings(candidates=12))
    compared = 0
    for (_, whole), (_, part) in zip(decisions_of(history, wide), decisions_of(history, thin), strict=True):
        assert whole.request is not None
        assert part.request is not None
        if (whole.request.seen, whole.request.user) != (part.request.seen, part.request.user):
            continue  # chance drew another kind of request
        compared += 1
        names = [d.shown.ids + (d.unshown.ids if d.unshown is not None else []) for d in (whole, part)]
        assert (whole.clicked[0] in names[0]) == (part.clicked[0] in names[1])
        assert set(names[1]) <= set(names[0])
    assert compared > 30


def test_an_item_had_before_is_judged_among_everything() -> None:
    had: set[tuple[str, str]] = set()
    made = dict(decisions_of(history_of(WORLD.events)))
    modes: dict[bool, set[str]] = {True: set(), False: set()}
    for place, event in enumerate(WORLD.interactions):
        key = str(event.user), event.item
        decision = made.get(place)
        if decision is not None and decision.request is not None:
            modes[key in had].add(decision.request.seen)
        had.add(key)
    assert modes == {True: {"keep"}, False: {"keep", "drop"}}


def arriving(people: int = 40) -> list[Event]:
    """Somebody new every eight interactions, from the first to the last."""
    return [did(n, f"p{n // 8}", f"i{(n * 7 + n // 8) % 30}", "view", n * 60_000) for n in range(8 * people)]


def test_what_newcomers_begin_with_is_what_a_person_without_a_history_teaches() -> None:
    history = history_of(arriving())
    window = choose_window(history, SETTINGS)
    assert window.first.tolist() == [n for n in range(window.begin, 320) if n % 8 < FIRST]
    few = choose_window(history, Settings(train=TrainSettings(decisions=100))).first
    assert len(few) == 100 * HIDDEN
    assert set(few.tolist()) < set(window.first.tolist())
    made = replayed_of(history)
    mine = [(place, one) for place, one in made if one.newcomer]
    assert [place for place, _ in mine] == window.first.tolist()
    for place, one in mine:
        assert one.subject is None
        assert one.item == history.items[place]
        assert not one.x[:, column("user_count")].any()
    assert all(one.subject is not None for _, one in made if not one.newcomer and not one.among_cold)


def test_where_nobody_new_comes_ordinary_decisions_are_hidden() -> None:
    history = history_of(WORLD.events)
    assert len(choose_window(history, SETTINGS).first) == 0
    assert any(one.subject is None for _, one in replayed_of(history))


def test_decisions_for_items_hardly_known_weigh_more() -> None:
    many = make_world(people=12, per_genre=60, interactions=400, follow=0.3)
    made = dict(replayed_of(history_of(many.events)))
    count: dict[str, int] = {}
    weights: dict[bool, set[float]] = {True: set(), False: set()}
    for place, event in enumerate(many.interactions):
        if place in made:
            weights[count.get(event.item, 0) <= COLD].add(made[place].weight)
        count[event.item] = count.get(event.item, 0) + 1
    assert weights == {True: {COLD_WEIGHT}, False: {1.0}}


def test_history_sorts_by_time_then_id_clamps_and_leaves_out_what_is_negative() -> None:
    def walk(number: int, when: int, **more: Any) -> Interaction:
        return Interaction(id=f"e{number}", timestamp=when, user="u", item=f"i{number}", **more)

    store = MemoryStore()
    events: list[Event] = [walk(3, 30), walk(10, 10), walk(9, 10), walk(4, 40, type="hide"), walk(5, 10**15)]
    records = records_of(list(enumerate(events)), SLACK, 0)[0]
    store.append(records)
    history = read_history(store, SETTINGS)
    assert [event.id for _, _, event in history.events] == ["e9", "e10", "e3", "e4", "e5"]
    assert history.items == ["i9", "i10", "i3", "i5"]
    assert history.events[-1][0] == records[-1].received
    assert history.seq == 5


def test_a_choice_that_was_no_candidate_counts_as_missed() -> None:
    (_, decision), *_ = decisions_of(history_of(WORLD.events))
    examples = Examples()
    examples.add(decision, ())
    examples.add(msgspec.structs.replace(decision, clicked=["never heard of"]), ())
    examples.add(msgspec.structs.replace(decision, clicked=[]), ())
    assert (len(examples), examples.missed) == (1, 2)
    assert examples.x[0].shape[1] == len(NAMES)
