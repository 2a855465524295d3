"""Erasing people: unknown at once, gone from every file, and the state is that of a log which never held them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

import palate
from palate.engine import Engine
from palate.errors import Conflict, NotFound
from palate.rights import Correction
from palate.state import State, snapshot
from palate.store import Record, erasing
from palate.testing.world import START
from palate.train.history import read_history, stamped
from palate.types import Impression, Interaction, RecommendRequest, User
from tests.engines import HASHING, did, item
from tests.test_rights import world

DAY = 86_400_000


def opened(path: Path | str, **more: Any) -> Engine:
    return palate.open(path, language=HASHING, policy={"explore": False}, **more)


def log_of(engine: Engine) -> list[Record]:
    return [record for part in engine.parts.store.read() for record in part]


def never_saw(engine: Engine, log: Sequence[Record], users: set[str]) -> str:
    """The digest of a state that is given the others' part of ``log``, at the position of the engine's."""
    state = State(engine.settings)
    state.apply(stamped([record for record in log if record.subject not in users]), engine.state.seq)
    return snapshot.digest(state)


def bytes_of(path: Path, *but: str) -> bytes:
    """Everything in a directory, one after the other."""
    return b"\0".join(one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file() and one.name not in but)


def broken(*_: object) -> None:
    """In the place of what a crash cut off."""
    raise ZeroDivisionError


def mixed(user: str, number: int) -> list[palate.Item | Interaction | Impression | User]:
    """Of everything somebody can do."""
    return [
        did(number, user, "f1", text="I love it, the quality is great"),
        did(number + 1, user, f"only-{user}"),
        did(number + 2, user, "f2", "rating", value=4.25),
        Impression(id=f"shown-{user}", user=user, items=["f3", "f4"], timestamp=START + 5),
        User(id=f"said-{user}", user=user, timestamp=START + 6, fields={"city": f"city-of-{user}", "likes": ["drama"]}),
    ]


@pytest.mark.parametrize("where", ["memory", "directory"])
def test_a_forgotten_person_was_never_there(tmp_path: Path, where: str) -> None:
    path = ":memory:" if where == "memory" else tmp_path / "e.palate"
    with opened(path) as engine:
        engine.ingest(list(world()))
        engine.ingest(mixed("victim-7f3a", 500))
        engine.ingest(mixed("other", 600))
        engine.correct("victim-7f3a", Correction(mute=["horror"]))
        ranking = engine.recommend("victim-7f3a").ranking
        if where == "directory":
            engine.snapshot()
        log = log_of(engine)
        assert "only-victim-7f3a" in engine.state.items.ids
        done = engine.forget("victim-7f3a")
        # at once
        assert done.as_of == len(log) + 1
        assert not engine.user("victim-7f3a").known
        known, unknown = (
            engine.scored(RecommendRequest(user=name), START + 10**8) for name in ("victim-7f3a", "somebody unknown")
        )
        assert (known[0], known[1].tolist()) == (unknown[0], unknown[1].tolist())
        # in the end
        assert engine.erasure.wait(60)
        assert engine.erasure.state == "idle"
        assert snapshot.digest(engine.state) == never_saw(engine, log, {"victim-7f3a"})
        assert engine.rebuild()["equal"]
        assert engine.state.seq == done.as_of
        assert "victim-7f3a" not in engine.state.users.ids
        assert "only-victim-7f3a" not in engine.state.items.ids
        assert [row.table for row in engine.export("victim-7f3a")] == ["profile", "state"]
        with pytest.raises(NotFound):
            engine.explain(ranking, "f1")
        assert log_of(engine) == [record for record in log if record.subject != "victim-7f3a"]
        # the same events again are known; new ones are of somebody new
        again = engine.ingest([*mixed("victim-7f3a", 500)])
        assert (again.accepted, again.duplicates) == (0, 5)
        assert engine.ingest([did(700, "victim-7f3a", "f5")]).accepted == 1
        assert engine.user("victim-7f3a").interactions == 1
        assert engine.rebuild()["equal"]


def test_nothing_of_them_is_left_in_any_file(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with opened(path) as engine:
        engine.ingest(list(world()))
        engine.ingest(mixed("victim-7f3a", 500))
        engine.recommend("victim-7f3a")
        engine.snapshot()
        assert b"victim-7f3a" in bytes_of(path)
        engine.forget("victim-7f3a")
        assert engine.erasure.wait(60)
        assert b"victim-7f3a" not in bytes_of(path)
        assert b"did-000500" not in bytes_of(path)
    assert b"victim-7f3a" not in bytes_of(path)
    with opened(path) as engine:
        assert engine.ingest(mixed("victim-7f3a", 500)).duplicates == 5
        assert engine.rebuild()["equal"]


def test_a_session_is_erased_and_a_user_of_that_name_is_not(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with opened(path) as engine:
        engine.ingest(list(world()))
        walk = [Interaction(id=f"w{n}", timestamp=START + 10**6 + n, session="u0", item=f"f{n}") for n in range(3)]
        engine.ingest(walk)
        log, known = log_of(engine), engine.user("u0")
        assert engine.user(session="u0").interactions == 3
        done = engine.forget(session="u0")
        assert (done.user, engine.user(session="u0").known) == ("u0", False)
        assert engine.erasure.wait(60)
        assert log_of(engine) == [record for record in log if record.subject != "\0u0"]
        assert snapshot.digest(engine.state) == never_saw(engine, log, {"\0u0"})
        assert [row.table for row in engine.export(session="u0")] == ["profile", "state"]
        assert engine.user("u0").history == known.history
        assert engine.rebuild()["equal"]


def test_the_next_model_has_not_seen_them(tmp_path: Path) -> None:
    with opened(tmp_path / "e.palate") as engine:
        engine.ingest(list(world()))
        engine.ingest(mixed("victim", 500))
        engine.forget("victim")
        assert engine.erasure.wait(60)
        history = read_history(engine.parts.store, engine.settings)
        people = {event.user for _, _, event in history.events if isinstance(event, Interaction | Impression)}
        assert people == {f"u{n}" for n in range(9)}
        assert [event for _, _, event in history.content if isinstance(event, User)] == []


@pytest.mark.parametrize("cut", ["written down", "masked", "out of the log", "folded"])
def test_a_crash_in_the_middle_is_made_good_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    path = tmp_path / "e.palate"
    with opened(path) as engine:
        engine.ingest(list(world()))
        engine.ingest(mixed("victim-7f3a", 500))
        engine.ingest(mixed("other", 600))
        engine.recommend("victim-7f3a")
        engine.snapshot()
        log = log_of(engine)
        with monkeypatch.context() as patch:
            patch.setattr(engine.erasure, "_begin", lambda: None)  # the thread dies here
            if cut == "written down":
                patch.setattr(engine, "ingest", broken)
                with pytest.raises(ZeroDivisionError):
                    engine.forget("victim-7f3a")
            else:
                engine.forget("victim-7f3a")
            if cut == "out of the log":
                engine.parts.store.erase(erasing.positions(engine.parts.store, erasing.read_job(path)))
            elif cut == "folded":
                patch.setattr(engine.erasure, "refolded", broken)
                with pytest.raises(ZeroDivisionError):
                    engine.erasure._erase()  # pyright: ignore[reportPrivateUsage]
    with opened(path) as engine:
        assert not engine.user("victim-7f3a").known
        assert engine.erasure.wait(60)
        assert snapshot.digest(engine.state) == never_saw(engine, log, {"victim-7f3a"})
        assert engine.rebuild()["equal"]
        assert not erasing.read_job(path)
        assert b"victim-7f3a" not in bytes_of(path)
        assert engine.ingest(mixed("victim-7f3a", 500)).duplicates == 5


def test_several_at_once_and_events_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path / "e.palate") as engine:
        engine.ingest(list(world()))
        for user in ("u0", "u1", "u2", "u0"):
            engine.forget(user)
            engine.ingest([did(2000 + engine.state.seq, "u5", "f9")])
        assert engine.erasure.wait(60)
        assert {"u0", "u1", "u2"}.isdisjoint(engine.state.users.ids)
        assert snapshot.digest(engine.state) == never_saw(engine, log_of(engine), set())
        assert engine.rebuild()["equal"]


def test_an_erased_position_can_be_opened_until(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with opened(path) as engine:
        engine.ingest(list(world()))
        engine.ingest([did(2000, "last", "f9")])
        seq = engine.state.seq
        engine.forget("last")
        assert engine.erasure.wait(60)
    with opened(path, until=seq) as engine:
        assert engine.state.seq == seq
        assert engine.user("u0").known
        with pytest.raises(Conflict):
            engine.forget("u0")


# ----------------------------------------------------------------------------------------- retention


def test_what_is_too_old_leaves_log_and_state(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    now = int(time.time() * 1000)
    with opened(path) as engine:
        engine.ingest(
            [
                item("a", title="a film"),
                Interaction(id="old", user="both", item="a", timestamp=now - 40 * DAY),
                Interaction(id="new", user="both", item="a", timestamp=now - 2 * DAY),
                User(id="said", user="both", timestamp=now - 50 * DAY, fields={"city": "Graz"}),
                Interaction(id="gone", user="gone", item="a", timestamp=now - 50 * DAY),
                User(id="gone-said", user="gone", timestamp=now - 50 * DAY, fields={"city": "Linz"}),
                User(id="off", user="shy", timestamp=now - 60 * DAY, fields={"profiling": False}),
            ]
        )
        log = log_of(engine)
    with opened(path, retention={"days": 30.0}) as engine:
        assert engine.erasure.wait(60)
        deadline = time.monotonic() + 60
        while len(log_of(engine)) > 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine.erasure.wait(60)
        assert [record.id for record in log_of(engine)] == [log[0].id, "new", "said", "off"]
        assert [entry.timestamp for entry in engine.user("both").history] == [now - 2 * DAY]
        assert engine.user("both").fields == {"city": "Graz"}
        assert not engine.user("gone").known
        assert not engine.user("shy").profiling
        assert "gone" not in engine.state.users.ids
        assert engine.rebuild()["equal"]


# --------------------------------------------------------------------------------------------- the law

DEED = st.one_of(
    st.tuples(st.just("did"), st.integers(0, 2), st.integers(0, 29)),
    st.tuples(st.sampled_from(["mute", "pin", "unmute"]), st.integers(0, 2), st.sampled_from(["horror", "drama", "x"])),
    st.tuples(st.sampled_from(["off", "on", "forget", "delete"]), st.integers(0, 2), st.none()),
    st.tuples(st.sampled_from(["restart", "snapshot"]), st.none(), st.none()),
)


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(deeds=st.lists(DEED, min_size=3, max_size=14))
def test_the_state_is_a_function_of_the_log(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, int | None, Any]]
) -> None:
    path = tmp_path_factory.mktemp("law") / "e.palate"
    engine = opened(path)
    try:
        engine.ingest(list(world()))
        for number, (what, who, arg) in enumerate(deeds):
            user = f"u{who}"
            if what == "did":
                engine.ingest([did(3000 + number, user, f"f{arg}")])
            elif what in ("mute", "pin", "unmute"):
                if engine.user(user).profiling:
                    engine.correct(user, msgspec.structs.replace(Correction(), **{what: [arg]}))
            elif what in ("off", "on"):
                engine.correct(user, Correction(profiling=what == "on"))
            elif what == "forget":
                engine.forget(user)
            elif what == "delete":
                engine.ingest([User(id=f"deleted-{number}", user=user, deleted=True)])
            elif what == "snapshot":
                engine.snapshot()
            else:
                engine.close()
                engine = opened(path)
        assert engine.erasure.wait(60)
        assert snapshot.digest(engine.state) == never_saw(engine, log_of(engine), set())
        assert engine.rebuild()["equal"]
    finally:
        engine.close()
