"""R12: an event that can't be folded costs itself alone; a process killed between commit and fold takes effect once."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

import palate
from palate import background, wire
from palate.checks import MAX_TIMESTAMP
from palate.cli.doctor import examine
from palate.config import Settings
from palate.content import text as content
from palate.intake import records_of
from palate.language.hashing import HashingEncoder
from palate.opening import replay_state
from palate.state import State, snapshot
from palate.state.folding import Batch, fold_log
from palate.store import Record, Store, open_store
from palate.testing.world import START
from palate.types import Event, Interaction
from tests.engines import HASHING, did, filled, item, memory
from tests.faults.conftest import FULL, Begin
from tests.faults.conftest import Record as Figures
from tests.faults.launch import poison


@pytest.fixture(autouse=True)
def fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event that the wire or the log can hold makes the fold raise (see below), so these tests give it a fault."""
    poison("bad-", monkeypatch.setattr)


def good(number: int) -> Interaction:
    return did(number, f"u{number % 3}", f"i{number % 5}")


def bad(number: int) -> Interaction:
    return Interaction(id=f"bad-{number}", timestamp=START, user="u0", item="an item that nobody else names")


def log_of(store: Store, count: int, poisoned: set[int]) -> None:
    """``count`` events, those at the positions ``poisoned`` can't be folded."""
    events = [bad(number) if number in poisoned else good(number) for number in range(1, count + 1)]
    store.append(records_of(list(enumerate(events)), 300_000, START)[0])


def without(count: int, poisoned: set[int]) -> State:
    """The state of the same events without the poisoned ones."""
    state = State(Settings())
    for number in range(1, count + 1):
        if number not in poisoned:
            event = good(number)
            state.apply([(int(event.timestamp or 0), 10**13, event)], number)
    return state


def same_but_for_counts(one: State, other: State) -> None:
    """Equal in all that the events taught; counts of events and positions may differ."""
    for state in (one, other):
        state.events, state.seq, state.last, state.dead, state.clock_received = 0, 0, "", [], 0
    assert snapshot.digest(one) == snapshot.digest(other)


@pytest.mark.parametrize("poisoned", [{40}, {6, 7, 8}, {1, 20, 33, 60}, {60}, set(range(30, 50)), set(range(1, 61))])
def test_a_dead_letter_is_as_if_it_had_never_been(tmp_path: Path, poisoned: set[int], caplog: Any) -> None:
    store = open_store(tmp_path / "events.db")
    log_of(store, 60, poisoned)
    state = replay_state(store, Settings(), 60)
    assert (state.dead, state.seq, state.events) == (sorted(poisoned), 60, 60)
    for position in poisoned:
        assert f"The event 'bad-{position}' at position {position} of the log can't be folded" in caplog.text
    same_but_for_counts(state, without(60, poisoned))
    store.close()


def test_dead_letters_do_not_depend_on_the_batches(tmp_path: Path) -> None:
    store = open_store(tmp_path / "events.db")
    log_of(store, 60, {9, 10, 41})
    digests: set[str] = set()
    for size in (1, 2, 7, 10, 41, 60):

        def batches(after: int, size: int = size) -> Any:
            for records in store.read(after, 60, size):
                yield _batch(records)

        found = fold_log(State(Settings()), lambda: State(Settings()), batches)
        digests.add(snapshot.digest(found))
        assert found.dead == [9, 10, 41]
    assert len(digests) == 1
    store.close()


def _batch(records: list[Record]) -> Batch:
    return [(r.timestamp, r.received, wire._STORED.decode(r.payload)) for r in records], records[-1].seq


def test_a_running_engine_goes_on_and_so_does_the_next_start(tmp_path: Path, caplog: Any) -> None:
    path = tmp_path / "e.palate"
    with palate.open(path, language=HASHING) as engine:
        engine.ingest([good(number) for number in range(1, 30)])
        engine.snapshot()
        assert engine.ingest([good(30), bad(31), good(31)]).accepted == 3
        assert engine.counts().dead_letters == 1
        assert engine.counts().seq == engine.counts().events == 32
        assert engine.rank("u0", ["i1"]).degraded == []
        assert engine.user("u0").interactions == 10
        assert "The event 'bad-31' at position 31 of the log can't be folded" in caplog.text
        engine.ingest([good(32)])
        assert engine.user("u2").interactions == 11
        assert engine.rebuild()["equal"]
        digest = snapshot.digest(engine.state)
    for until in (None, 33):  # from the snapshot of the end; from the log
        with palate.open(path, language=HASHING, until=until) as engine:
            assert snapshot.digest(engine.state) == digest
            assert engine.counts().dead_letters == 1
    told = next(check for check in examine(path).checks if check.name == "snapshot")
    assert told.status == "warning"
    assert told.detail.endswith("1 events of the log can't be folded and are left out (positions 31)")


def test_a_snapshot_never_holds_a_half_changed_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be written between the fold that failed and the state made anew."""
    with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
        engine.ingest([good(number) for number in range(1, 30)])
        seen: list[str] = []
        restore = palate.engine.opening.restore_state

        def restoring(*arguments: Any) -> State:
            with pytest.raises(palate.Conflict, match="Events of the log are missing from the state"):
                engine.snapshot()
            seen.extend(engine.rank("u0", ["i1"]).degraded)
            return restore(*arguments)

        monkeypatch.setattr(palate.engine.opening, "restore_state", restoring)
        engine.ingest([bad(1)])
        assert seen == ["state_behind"]
        engine.snapshot()
        assert engine.rebuild()["equal"]


def test_training_leaves_dead_letters_out_and_the_model_goes_on_serving(tmp_path: Path) -> None:
    with palate.open(tmp_path / "e.palate", language=HASHING, train={"decisions": 50, "trees": 5}) as engine:
        engine.ingest([good(number) for number in range(1, 200)])
        engine.ingest([bad(1)])
        engine.train()
        engine.ingest([bad(2)])
        ranking = engine.rank("u0", [f"i{n}" for n in range(5)])
        assert (ranking.model, ranking.degraded) == (engine.model, [])
        assert engine.model != "prior"


def test_an_engine_in_memory_goes_on_too() -> None:
    with filled([good(number) for number in range(1, 30)]) as engine:
        engine.ingest([bad(1)])
        engine.ingest([good(30)])
        assert (engine.counts().dead_letters, engine.user("u0").interactions) == (1, 10)


def test_without_memory_no_event_is_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "events.db")
    log_of(store, 20, set())

    def exhausted(*_: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(State, "apply", exhausted)
        with pytest.raises(MemoryError):
            replay_state(store, Settings(), 20)
    assert replay_state(store, Settings(), 20).dead == []
    store.close()


# ------------------------------------------------------------------------- content of items


def test_an_item_whose_fields_cannot_be_read_spoils_no_other_and_no_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tags = content.item_tags

    def choosy(fields: Any, *rest: Any) -> list[str]:
        if fields.get("title") == "poison":
            raise ArithmeticError("a fault in reading tags")
        return tags(fields, *rest)

    monkeypatch.setattr(content, "item_tags", choosy)
    events = [item("a", title="poison"), item("b", title="tea", genre="green"), did(1, "u", "b")]
    for _ in range(2):  # again from the log
        with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
            engine.ingest(events)
            assert engine.catalogue.tags_of(engine.state.items.get("b")) == ["genre:green"]
            assert {one.id for one in engine.recommend("v", 5).items} == {"a", "b"}
            assert "The fields of item 'a' can't be read" in caplog.text
            caplog.clear()


def test_a_text_that_cannot_be_encoded_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    encode = HashingEncoder.encode

    def choosy(self: HashingEncoder, texts: Any) -> Any:
        if any("poison" in text for text in texts):
            raise ArithmeticError("a fault in the encoder")
        return encode(self, texts)

    monkeypatch.setattr(HashingEncoder, "encode", choosy)
    monkeypatch.setattr(background, "_PAUSE", 0.01)
    caplog.set_level(logging.CRITICAL + 1, "palate")
    with memory() as engine:
        engine.ingest([item(f"i{n}", title="poison" if n == 5 else f"number {n}") for n in range(20)])
        end = time.monotonic() + 30
        while engine.counts().pending_texts != 1 and time.monotonic() < end:
            time.sleep(0.005)
        placed = engine.catalogue.side().text_of
        assert [n for n in range(20) if placed[engine.state.items.get(f"i{n}")] < 0] == [5]
        assert engine.rank(None, ["i1"]).degraded == ["vectors_pending"]


# ------------------------------------------------------------------ is there one on the wire?

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
_ids = st.sampled_from(["a", "b", "c", "d"]) | _text
_number = st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_names = st.sampled_from(["title", "genres", "category", "price", "description", "available", "标题"]) | _text
_fields = st.dictionaries(_names, st.booleans() | _number | _text | st.lists(_text, max_size=10), max_size=4)
_times = st.integers(0, MAX_TIMESTAMP) | st.sampled_from([0, 1, START, MAX_TIMESTAMP])
_base: dict[str, Any] = {"id": _ids, "timestamp": _times}
_interaction = st.builds(
    Interaction,
    item=_ids,
    user=_ids,
    type=st.sampled_from(["click", "rating", "hide"]) | _text,
    value=st.none() | st.floats(-1e12, 1e12),
    **_base,
)
_events: st.SearchStrategy[Event] = st.one_of(
    _interaction,
    _interaction,
    st.builds(palate.Item, item=_ids, fields=_fields, deleted=st.booleans(), **_base),
    st.builds(palate.User, user=_ids, fields=_fields, deleted=st.booleans(), **_base),
    st.builds(palate.Impression, items=st.lists(_ids, max_size=5), user=_ids, **_base),
)


@given(st.lists(_events, min_size=1, max_size=30), _ids, _fields)
@examples(max_examples=1_000 if FULL else 40, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_passes_the_wire_is_folded_and_ranked(events: list[Event], query: str, context: dict[str, Any]) -> None:
    with memory() as engine:
        assert engine.ingest(events).rejected == []
        assert engine.wait_encoded(30)
        for user in ("a", query):
            for options in ({}, {"query": query}, {"context": context}):
                ranking = engine.recommend(user, 5, explain=True, **options)
                for shown in ranking.items:
                    engine.explain(ranking.ranking, shown.id)
            engine.rank(user, ["a", "b", "unknown"], context=context)
            engine.user(user)
        assert (engine.counts().dead_letters, engine.counts().non_finite) == (0, 0)
        assert engine.rebuild()["equal"]


# ----------------------------------------------------------------------------- in a service


def test_killed_between_commit_and_fold_then_poisoned(begin: Begin, record: Figures) -> None:
    """An event that was stored and not folded takes effect once; one that can't be folded doesn't stop the service."""

    def post(name: str, user: str) -> dict[str, Any]:
        return served.post("/v1/events", {"event": "interaction", "id": name, "user": user, "item": "a"}).json()

    served = begin(faults={"die": "boom"})
    for number in range(20):
        assert post(f"e{number}", "u")["accepted"] == 1
    with pytest.raises(httpx.TransportError):
        post("boom", "victim")
    served.wait()
    served.faults = {"poison": "bad-"}
    served.start()
    assert served.get("/v1/users/victim").json()["interactions"] == 1
    assert (post("boom", "victim")["accepted"], post("boom", "victim")["duplicates"]) == (0, 1)
    assert served.get("/v1/users/victim").json()["interactions"] == 1
    for name, letters in (("bad-1", 1), ("good-1", 1), ("bad-2", 2), ("good-2", 2)):
        assert post(name, "u")["accepted"] == 1
        counts = served.counts()
        assert (counts["dead_letters"], counts["interactions"]) == (letters, counts["seq"] - letters)
    assert "palate_dead_letters 2\n" in served.get("/metrics").text
    ranked = served.post("/v1/rank", {"user": "u", "items": ["a", "b"]})
    assert (ranked.status_code, ranked.json()["degraded"]) == (200, [])
    served.kill()
    served.start()
    counts = served.counts()
    assert (counts["dead_letters"], counts["seq"], counts["events"]) == (2, 25, 25)
    assert served.get("/v1/users/u").json()["interactions"] == 22
    assert served.stop() == 0
    record("R12", events_found_on_the_wire=0, examples=1_000, effects_after_a_crash_before_the_fold=1)
