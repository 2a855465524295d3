"""The profile belongs to the user: mute, pin, opt out, export; the next ranking obeys, and all of it is in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import palate
from palate.engine import Engine
from palate.errors import Conflict, InvalidInput
from palate.rights import Correction
from palate.testing.world import START
from palate.types import Candidate, Impression, Interaction, Item, RankRequest, RecommendRequest, User
from tests.engines import HASHING, did, filled, ids, item, memory, stage

GENRES = ("Horror", "Drama", "Comedy")


def world() -> list[palate.Item | Interaction]:
    """Thirty films of three genres; u0 to u8 keep to one each."""
    films: list[palate.Item | Interaction] = [
        item(f"f{n}", title=f"film number {n}", genres=[GENRES[n % 3], "All"], year=1990 + n) for n in range(30)
    ]
    number = 0
    for user in range(9):
        for step in range(5):
            films.append(did(number := number + 1, f"u{user}", f"f{(user + 3 * (step + user)) % 30}"))
    return films


@pytest.fixture
def engine() -> Iterator[Engine]:
    with filled(list(world())) as engine:
        yield engine


def genres(engine: Engine, user: str | None, k: int = 30) -> list[str]:
    shown = ids(engine.recommend(user, k=k, policy="greedy", seen="keep"))
    return [str(engine.item(name)["genres"][0]) for name in shown]  # type: ignore[index]


def test_a_muted_tag_is_gone_from_the_next_ranking_until_it_is_taken_back(engine: Engine) -> None:
    assert "Horror" in genres(engine, "u0")
    before = engine.state.seq
    profile = engine.correct("u0", Correction(mute=["genre:Horror"]))
    assert (profile.as_of, profile.muted, profile.wishes[0].filter) == (
        before + 1, ["genre:Horror"], {"genres": {"nin": ["Horror"]}},
    )  # fmt: skip
    assert "genre:Horror" not in [one.tag for one in (*profile.tags, *profile.long_term, *profile.short_term)]
    assert "Horror" not in genres(engine, "u0")
    assert "Horror" in genres(engine, "u1")
    assert "f0" not in ids(engine.rank("u0", ["f0", "f1", "f2"]))
    assert engine.correct("u0", Correction(unmute=["horror"])).muted == []
    assert "Horror" in genres(engine, "u0")
    assert engine.rebuild()["equal"]


@pytest.mark.parametrize("name", ["genre:horror", "HORROR"])
def test_a_tag_is_named_in_any_case_or_by_its_value(engine: Engine, name: str) -> None:
    assert engine.correct("u0", Correction(mute=[name])).muted == ["genre:Horror"]


def test_a_pinned_interest_lifts_what_has_it(engine: Engine) -> None:
    def places() -> list[int]:
        return [place for place, genre in enumerate(genres(engine, "u0")) if genre == "Drama"]

    plain = places()
    profile = engine.correct("u0", Correction(pin=["drama"]))
    assert profile.pinned == ["genre:Drama"]
    assert sum(places()) < sum(plain)
    assert engine.correct("u0", Correction(unpin=["drama"])).pinned == []
    assert places() == plain


def test_muted_and_pinned_exclude_each_other_and_words_are_no_filters(engine: Engine) -> None:
    engine.correct("u0", Correction(pin=["drama", "space travel"]))
    profile = engine.correct("u0", Correction(mute=["genre:Drama", "vampires"]))
    assert (profile.muted, profile.pinned) == (["genre:Drama", "vampires"], ["space travel"])
    profile = engine.correct("u0", Correction(pin=["drama"]))
    assert (profile.muted, profile.pinned) == (["vampires"], ["space travel", "genre:Drama"])
    assert engine.correct("u0", Correction(unmute=["vampires"])).muted == []


def test_a_long_word_can_be_muted_up_to_its_bound_and_a_longer_one_taken_back(engine: Engine) -> None:
    assert engine.correct("u0", Correction(mute=[f" {'x' * 512} "])).muted == ["x" * 512]
    long = User(user="u0", fields={"wishes": [json.dumps({"less": "y" * 600})]})
    engine.ingest(long)
    assert engine.correct("u0", Correction(unmute=["y" * 600])).muted == []


def test_a_conversation_and_a_correction_write_the_same_wishes(engine: Engine) -> None:
    engine.chat("u0", "no horror, after 2000")
    assert engine.user("u0").muted == ["genre:Horror"]
    profile = engine.correct("u0", Correction(unmute=["genre:Horror"]))
    assert [one.filter for one in profile.wishes] == [{"year": {"gt": 2000}}] or len(profile.wishes) == 1
    assert profile.muted == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (Correction(), "mute"),
        (Correction(mute=[" "]), "mute"),
        (Correction(pin=["x"] * 41), "pin"),
        (Correction(mute=["tea", "x" * 513]), "mute"),
        (Correction(pin=["影" * 171]), "pin"),
        (Correction(pin=[f"word {n}" for n in range(40)], mute=["a"]), "mute"),
        (Correction(mute=["a"], profiling=False), "profiling"),
        (Correction(mute=["genre:Drama"], pin=[" Genre:drama"]), "pin"),
    ],
)
def test_what_can_not_be_corrected_is_said(engine: Engine, change: Correction, where: str) -> None:
    with pytest.raises(InvalidInput) as error:
        engine.correct("u0", change)
    assert error.value.where == where
    assert engine.state.seq == len(world())


# ------------------------------------------------------------------------------------------ opting out


def answer(engine: Engine, user: str | None) -> list[object]:
    """All that tells one ranking from another but its id; at one moment, since popularity fades by the millisecond."""
    now = START + 10**8
    found = engine.answer(RecommendRequest(user=user, k=12, explain=True), now)
    films: list[str | Candidate] = [f"f{n}" for n in range(12)]
    given = engine.answer(RankRequest(user=user, items=films, query="film number 3", explain=True), now)
    return [
        (one.model, one.items, one.cold, one.seen, one.policy, one.arm, one.degraded,
         [(stage.name, stage.status, stage.counts) for stage in one.stages])
        for one in (found, given)
    ]  # fmt: skip


def test_who_opted_out_gets_what_an_anonymous_person_gets(engine: Engine) -> None:
    engine.ingest([User(id="said", user="u0", timestamp=START, fields={"city": "Graz", "likes": ["drama"]})])
    assert answer(engine, "u0") != answer(engine, None)
    profile = engine.correct("u0", Correction(profiling=False))
    assert (profile.profiling, profile.history, profile.fields, profile.interactions) == (False, [], {}, 0)
    assert answer(engine, "u0") == answer(engine, None)
    assert engine.rebuild()["equal"]
    assert answer(engine, "u0") == answer(engine, None)


def test_their_events_are_withheld_and_their_rankings_name_nobody(engine: Engine) -> None:
    engine.correct("u0", Correction(profiling=False))
    before = engine.state.seq
    engine.recommend("u0")
    sent = [
        did(900, "u0", "f1"),
        Impression(id="seen", user="u0", items=["f1"]),
        User(id="more", user="u0", fields={"city": "Graz"}),
        did(901, "u1", "f1"),
        item("new", title="another"),
    ]
    result = engine.ingest(sent)
    assert (result.accepted, result.withheld, result.rejected, result.duplicates) == (2, 3, [], 0)
    assert engine.ingest(sent[:1]).withheld == 1
    assert [record.subject for part in engine.parts.store.read(before) for record in part] == ["u1", None]
    log = engine.parts.decisions.log
    assert log is not None
    newest = list(log.read())[-1]
    assert newest.subject is None
    assert newest.request is not None
    assert newest.request.user is None
    with pytest.raises(Conflict, match="doesn't want to be profiled"):
        engine.chat("u0", "no horror")
    with pytest.raises(Conflict, match='"profiling": true'):
        engine.correct("u0", Correction(mute=["drama"]))


def test_opting_in_again_begins_anew(engine: Engine) -> None:
    for wanted in (False, False, True, True):
        engine.correct("u0", Correction(profiling=wanted))
    assert engine.state.seq == len(world()) + 2  # what is so already is not said again
    assert not engine.user("u0").known
    late = did(2, "u0", "f2")
    late.id = "late"
    engine.ingest([late, did(800_000, "u0", "f4")])
    assert [entry.item for entry in engine.user("u0").history] == ["f4"]
    assert engine.rebuild()["equal"]


def test_one_batch_may_opt_out_and_in(engine: Engine) -> None:
    engine.correct("u1", Correction(profiling=False))  # so that there is somebody to look for
    now = START + 10**9
    result = engine.ingest(
        [
            User(id="off", user="u0", timestamp=now, fields={"profiling": False}),
            did(1, "u0", "f1", when=10**9 + 1),
            User(id="on", user="u1", timestamp=now, fields={"profiling": True}),
            Interaction(id="back", user="u1", item="f1", timestamp=now + 2),
        ]
    )
    assert (result.accepted, result.withheld) == (3, 1)
    assert (engine.user("u0").profiling, engine.user("u1").interactions) == (False, 1)
    assert engine.rebuild()["equal"]


def test_an_event_that_was_stored_before_anybody_knew_is_not_folded() -> None:
    with memory() as engine:
        engine.ingest(
            [
                did(1, "u", "a"),
                User(id="off", user="u", timestamp=START + 10**6, fields={"profiling": False, "name": "Ann"}),
                did(2, "u", "b", when=2 * 10**6),
                User(id="more", user="u", timestamp=START + 3 * 10**6, fields={"city": "Graz"}),
            ]
        )
        profile = engine.user("u")
        assert (profile.profiling, profile.history, profile.fields) == (False, [], {})
        assert engine.rebuild()["equal"]


def test_deleting_forgets_the_choice_as_well(engine: Engine) -> None:
    engine.correct("u0", Correction(profiling=False))
    engine.ingest([User(id="gone", user="u0", deleted=True)])
    assert (engine.user("u0").profiling, engine.user("u0").known, engine.state.opted_out) == (True, False, set())


def test_choices_survive_a_restart(tmp_path: Path) -> None:
    with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
        engine.ingest(list(world()))
        engine.correct("u0", Correction(profiling=False))
        engine.correct("u1", Correction(mute=["horror"]))
    with palate.open(tmp_path / "e.palate", language=HASHING) as engine:
        assert not engine.user("u0").profiling
        assert engine.user("u1").muted == ["genre:Horror"]
        assert engine.ingest([did(950, "u0", "f1")]).withheld == 1
        assert engine.rebuild()["equal"]


# ---------------------------------------------------------------------------------------------- export


def test_an_export_has_every_table_and_nobody_else(engine: Engine) -> None:
    engine.ingest([User(id="said", user="u0", timestamp=START, fields={"city": "Graz"})])
    engine.ingest([did(990, "u0", "f1", text="I love it, the quality is great")])
    engine.correct("u0", Correction(pin=["drama"]))
    ranking = engine.recommend("u0").ranking
    engine.recommend("u1")
    rows = list(engine.export("u0"))
    tables = {name: [row.value for row in rows if row.table == name] for name in dict.fromkeys(r.table for r in rows)}
    assert list(tables) == ["profile", "state", "events", "decisions"]
    (profile,), (state,) = tables["profile"], tables["state"]
    assert profile == engine.user("u0")
    assert state["fields"]["city"] == "Graz"
    assert state["fields"]["wishes"]
    assert state["counters"]["count"] == len(state["seen"]) or state["counters"]["count"] == 6
    assert state["said"]["texts"] == 1
    assert state["among_the_latest_of"]
    mine = [event for event in engine.export() if not isinstance(event, Item) and event.user == "u0"]
    assert tables["events"] == mine
    assert [decision.ranking for decision in tables["decisions"]] == [ranking]
    assert [row.table for row in engine.export("nobody")] == ["profile", "state"]


def test_what_a_session_did_is_taken_along_too(engine: Engine) -> None:
    walked = [
        Interaction(id=f"walk-{n}", timestamp=START + n, session="u0", item=name) for n, name in enumerate(("f1", "f2"))
    ]
    engine.ingest(walked)
    engine.recommend(session="u0")
    rows = list(engine.export(session="u0"))
    assert [row.table for row in rows] == ["profile", "state", "events", "events", "decisions"]
    assert [row.value for row in rows if row.table == "events"] == walked
    assert rows[0].value == engine.user(session="u0")
    assert (rows[0].value.user, rows[0].value.interactions) == ("u0", 2)
    assert engine.user("u0").interactions == 5, "a user of that name is somebody else"
    with pytest.raises(InvalidInput, match="not both"):
        engine.export("u0", "u0")  # type: ignore[call-overload]
    for named in (engine.forget, engine.user):
        with pytest.raises(InvalidInput, match="Neither user nor session"):
            named()


def test_a_correction_is_keywords_too(engine: Engine) -> None:
    assert engine.correct("u0", mute=["horror"], pin=["drama"]).muted == ["genre:Horror"]
    assert engine.correct("u0", unmute=["horror"]) == engine.user("u0")
    for wrong, where in (({"mutes": ["horror"]}, "mutes"), ({"mute": "horror"}, "mute"), ({}, "mute")):
        with pytest.raises(InvalidInput) as error:
            engine.correct("u0", **wrong)
        assert error.value.where == where


def test_wishes_are_a_stage_of_the_ranking(engine: Engine) -> None:
    engine.correct("u0", Correction(mute=["horror"], pin=["drama"]))
    assert stage(engine.recommend("u0"), "wishes").counts == {"filters": 1, "preferences": 1}
