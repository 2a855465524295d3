"""Nothing stale is served, and a state that lacks events of the log says so and mends itself."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.background import BackgroundEncoder
from palate.engine import Engine
from palate.errors import Conflict, Unavailable
from palate.types import Event, Interaction, User
from tests.engines import HASHING, did, filled, item


def asleep(_: BackgroundEncoder) -> None:
    """In place of ``wake``: the encoder doesn't come to it."""


def failing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next fold fails before it has done anything."""
    plain = engine.state.apply

    def broken(*_: Any) -> Any:
        monkeypatch.setattr(engine.state, "apply", plain)
        raise RuntimeError("a fault in the fold")

    monkeypatch.setattr(engine.state, "apply", broken)


def test_a_fold_that_failed_once_is_made_good_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL + 1, "palate")
    with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
        engine.ingest([did(1, "u", "a")])
        failing(engine, monkeypatch)
        assert engine.ingest([did(2, "u", "b")]).accepted == 1
        assert engine.rank("u", ["a"]).degraded == []
        assert [entry.item for entry in engine.user("u").history] == ["b", "a"]
        assert engine.counts().dead_letters == 0
        assert engine.rebuild()["equal"]


def unreadable(*_: Any) -> Any:
    raise Unavailable("the disk does not answer")


@pytest.mark.parametrize("mend", ["rebuild", "restart", "ingest", "again"])
def test_events_that_could_not_be_folded_are_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mend: str
) -> None:
    caplog.set_level(logging.CRITICAL + 1, "palate")
    lost = Interaction(id="lost", timestamp=10**12, user="lost", item="a")
    engine = palate.open(tmp_path / "e.palate", language=HASHING)
    with engine:
        engine.ingest([did(1, "u", "a")])
        failing(engine, monkeypatch)
        with monkeypatch.context() as patch:  # nor can the log be read just now, from which that would be made good
            patch.setattr(engine.parts.store, "read", unreadable)
            with pytest.raises(Unavailable, match="the disk does not answer"):
                engine.ingest([lost])
            with pytest.raises(Unavailable):
                engine.ingest([did(2, "u", "b")])
        assert engine.rank("u", ["a"]).degraded == ["state_behind"]
        with pytest.raises(Conflict, match=r"missing from the state .* rebuild it first"):
            engine.snapshot()
        if mend != "restart":
            if mend == "ingest":
                assert engine.ingest([did(3, "v", "b"), lost]).duplicates == 1
            elif mend == "again":  # known to the log, so that nothing is new, and acknowledged none the less
                assert engine.ingest([lost]).duplicates == 1
            else:
                assert not engine.rebuild()["equal"]
            assert engine.user("lost").interactions == 1
            assert engine.rank("u", ["a"]).degraded == []
            assert engine.rebuild()["equal"]
            engine.snapshot()
    with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
        assert engine.user("lost").interactions == 1
        assert engine.counts().seq == engine.counts().events == 3 + (mend == "ingest")
        assert engine.rebuild()["equal"]


def test_a_corrected_item_changes_the_profiles_of_those_who_had_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    things: list[Event] = [item("a", title="a", genre="Drama"), item("b", title="b", genre="Comedy"), did(1, "u", "a")]
    with filled(things) as engine:
        assert [tag.tag for tag in engine.user("u").long_term] == ["genre:Drama"]
        monkeypatch.setattr(BackgroundEncoder, "wake", asleep)
        engine.ingest([item("a", 5, genre="Comedy")])
        assert [tag.tag for tag in engine.user("u").long_term] == ["genre:Comedy"]
        features = engine.rank("u", ["b"], explain=True).items[0].contributions
        assert "tags_long" in {term.feature for term in features}


def test_a_deleted_user_is_nobody_any_more() -> None:
    with filled([did(1, "u", "a"), did(2, "v", "a"), User(id="f", user="w", fields={"age": 3})]) as engine:
        assert (engine.counts().users, len(engine.users())) == (3, 3)
        engine.ingest([User(id="gone", timestamp=engine.clock(), user="u", deleted=True)])
        assert engine.users() == [("v", 1), ("w", 0)]
        assert engine.counts().users == 2
        engine.ingest([Interaction(id="back", timestamp=engine.clock() + 1000, user="u", item="a")])
        assert engine.users() == [("u", 1), ("v", 1), ("w", 0)]


def test_answers_share_nothing_with_the_state() -> None:
    with filled([item("a", title="a", genres=["Drama"]), User(id="f", user="u", fields={"likes": ["x"]})]) as engine:
        for fields in (engine.item("a"), engine.user("u").fields):
            for value in fields.values():
                if isinstance(value, list):
                    value.append("mine")
        assert engine.item("a")["genres"] == ["Drama"]
        assert engine.user("u").fields == {"likes": ["x"]}
        assert engine.rebuild()["equal"]


def test_a_plackett_luce_draw_is_a_term_of_its_own_in_explanations_too() -> None:
    with filled([did(n, f"u{n % 3}", f"i{n % 7}") for n in range(40)]) as engine:
        ranking = engine.rank("u1", [f"i{n}" for n in range(7)], policy="plackett_luce", explain=True)
        for one in ranking.items:
            told = engine.explain(ranking.ranking, one.id)
            assert [term.feature for term in told.contributions] == [term.feature for term in one.contributions]


def test_an_unknown_item_that_was_not_shown_gets_no_score_when_it_comes_to_be_known(tmp_path: Path) -> None:
    with palate.open(tmp_path / "e.palate", language=HASHING, decisions={"sample": 1.0}) as engine:
        engine.ingest([did(1, "u", "a"), did(2, "u", "b")])
        ranking = engine.rank("u", ["a", "b", "later"], k=2)
        engine.ingest([item("later", title="now it is there")])
        told = engine.explain(ranking.ranking, "later")
        assert (told.position, told.score, told.contributions) == (None, None, [])
        assert [reason.code for reason in told.reasons] == ["unscored"]
