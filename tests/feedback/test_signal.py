"""What a text makes of its event: grades and weights, the state and its law, the profile, rankings, reasons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.config import Settings
from palate.errors import CorruptArtefact
from palate.feedback.grades import grade_of, graded, sent, weighed
from palate.feedback.kinds import kind_of
from palate.state import State, snapshot
from palate.testing.state import BEGIN, stamp
from palate.types import Interaction
from tests.engines import HASHING, filled, memory

FURIOUS, DELIGHTED = "Terrible. It broke after a day, I want my money back!", "I love it, wonderful quality!"


def told(user: str, item: str, text: str | None, kind: str = "review", **more: Any) -> dict[str, Any]:
    return {"event": "interaction", "user": user, "item": item, "type": kind, "text": text, **more}


def things(*names: str) -> list[dict[str, Any]]:
    return [{"event": "item", "item": name, "fields": {"title": f"thing {name}"}} for name in names]


def test_a_type_with_a_grade_comes_apart_again() -> None:
    for kind in ("review", "a-1", "买"):
        for sentiment in np.linspace(-1, 1, 21):
            name = graded(kind, float(sentiment))
            assert sent(name) == kind
            assert grade_of(name) == pytest.approx(round(5 * sentiment) / 5)


def test_weights_follow_grades() -> None:
    steps = [weighed(3.0, grade / 5, -2.0) for grade in range(-5, 6)]
    assert steps == sorted(steps)
    assert (steps[0], steps[3], steps[5], steps[10]) == (-2.0, 0.0, 3.0, 4.5)
    assert weighed(-2.0, 0.8, -2.0) == weighed(-2.0, -0.8, -2.0) == -2.0
    settings = Settings(weights={"review": 2.0, "dislike": -1.0})
    assert settings.weight("review\0-5") == -1.0
    assert settings.weight("review\0+5") == 3.0
    assert settings.weight("review") == 2.0


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "click"}, "click"),
        ({"type": "review", "text": "on a Tuesday"}, "review"),
        ({"type": "rating", "value": 5.0, "text": FURIOUS}, "rating"),
    ],
)
def test_what_has_no_grade(event: dict[str, Any], kind: str) -> None:
    assert kind_of(Interaction(item="a", user="u", **event), Settings()) == kind


def test_a_rating_without_a_value_is_read() -> None:
    assert grade_of(kind_of(Interaction(item="a", user="u", type="rating", text=FURIOUS), Settings())) < -0.4
    off = Settings(language=palate.config.LanguageSettings(feedback=False))
    assert kind_of(Interaction(item="a", user="u", type="rating", text=FURIOUS), off) == "rating"


def test_a_purchase_with_a_furious_comment_is_no_like() -> None:
    calm, angry = (
        filled([*things("a", "b"), told("u", "a", text, "purchase")]) for text in ("It came on Tuesday.", FURIOUS)
    )
    with calm, angry:
        weights = [
            engine.line.computer.subject(engine.state.users.get("u"), engine.catalogue.side()).weights[0]
            for engine in (calm, angry)
        ]
        assert weights[0] == 3.0
        assert weights[1] < 0
        assert angry.state.item("count")[0] == 0, "it doesn't make it popular"
        assert "a" not in [one.id for one in angry.recommend("u", 5, seen="keep").items], (
            "nor is it shown to them again"
        )
        assert "a" in [one.id for one in calm.recommend("u", 5, seen="keep").items]
        assert [entry.type for entry in angry.user("u").history] == ["purchase"], "people see the type that was sent"


def test_switched_off_a_text_changes_nothing() -> None:
    language = {**HASHING, "feedback": False}
    with memory(language=language) as off, memory(language=language) as without:
        off.ingest([*things("a"), told("u", "a", FURIOUS, id="e", timestamp=BEGIN)])
        without.ingest([*things("a"), told("u", "a", None, id="e", timestamp=BEGIN)])
        assert off.state.types.ids == without.state.types.ids == ["review"]
        assert len(off.state.said_of) == len(off.state.said_by) == 0
        assert off.user("u").opinions == []


def test_the_profile_and_the_item_tell_what_was_said() -> None:
    with filled(
        [
            *things("a", "b"),
            told("u", "a", "The delivery was slow, but the quality is great"),
            told("u", "b", "delivery was terrible"),
            told("v", "a", "excellent quality"),
        ]
    ) as engine:
        mine = {one.aspect: (one.good, one.bad) for one in engine.user("u").opinions}
        assert mine == {"delivery": (0, 2), "quality": (1, 0)}
        assert [one.aspect for one in engine.user("u").opinions] == ["delivery", "quality"]
        found = {one.aspect: (one.good, one.bad, one.share) for one in engine.opinions("a")}
        assert found == {"quality": (2, 0, 1.0), "delivery": (0, 1, 0.0)}
        assert [one.chinese for one in engine.opinions("a")] == ["质量", "配送"]
        assert engine.opinions("never heard of") == []


def test_deleting_a_user_forgets_what_they_said_and_keeps_what_was_said_of_items() -> None:
    with filled([*things("a"), told("u", "a", FURIOUS, id="e1", timestamp=BEGIN)]) as engine:
        engine.ingest({"event": "user", "id": "bye", "timestamp": BEGIN + 5, "user": "u", "deleted": True})
        engine.ingest(told("u", "a", DELIGHTED, id="e2", timestamp=BEGIN + 1))
        assert engine.user("u").opinions == []
        assert engine.state.said_by.texts == 0
        said = engine.state.said_of.of(0)
        assert said is not None
        assert said.texts == 1
        assert engine.rebuild()["equal"]


def events(n: int) -> list[tuple[int, int, Interaction]]:
    texts = (None, FURIOUS, DELIGHTED, "不好看，剧情太差", "on a Tuesday", "物流很快，很满意")
    return [
        stamp(
            Interaction(
                id=f"e{k}",
                timestamp=BEGIN + 1000 * k,
                user=f"u{k % 3}",
                item=f"i{k % 4}",
                text=texts[k % 6],
                type="review",
            )
        )
        for k in range(n)
    ]


def test_a_snapshot_and_the_tail_are_a_full_replay(tmp_path: Path) -> None:
    some = events(40)
    whole = State(Settings())
    whole.apply(some, 40)
    half = State(Settings())
    half.apply(some[:21], 21)
    again, _ = snapshot.read(snapshot.write(tmp_path, 21, snapshot.freeze(half, "none")), Settings())
    again.apply(some[21:], 40)
    assert len(whole.said_of) == 4
    assert snapshot.digest(again) == snapshot.digest(whole)
    assert again.said_of.total == whole.said_of.total


def test_a_snapshot_of_another_reading_is_refused(tmp_path: Path) -> None:
    state = State(Settings())
    state.apply(events(5), 5)
    path = snapshot.write(tmp_path, 5, snapshot.freeze(state, "none"))
    off = Settings(language=palate.config.LanguageSettings(feedback=False))
    with pytest.raises(CorruptArtefact, match="understood otherwise"):
        snapshot.read(path, off)


def test_what_is_spoken_well_of_ranks_higher_and_says_so() -> None:
    some = [*things("a", "b", "c")]
    for n in range(12):
        some += [told(f"u{n}", "a", "The sound is great, wonderful quality"), told(f"u{n}", "b", "The sound is poor")]
        some += [told(f"u{n}", "c", None)]
    with filled(some) as engine:
        found = engine.rank("new", ["a", "b", "c"], explain=True)
        assert found.items[0].id == "a"
        value = {c.feature: c.value for c in found.items[0].contributions}
        assert value["said"] > 0
        reasons = {item.id: {reason.code: reason for reason in item.reasons} for item in found.items}
        assert "said" in reasons["a"]
        assert reasons["a"]["said"].text == "People praise its quality and its music."
        assert "said" not in reasons["b"]
        assert "said" not in reasons["c"]


def test_few_texts_are_no_reason_and_their_mean_is_shrunk() -> None:
    with filled(
        [*things("a", "b"), told("u", "a", DELIGHTED), *[told(f"v{n}", "b", DELIGHTED) for n in range(9)]]
    ) as engine:
        found = engine.rank("new", ["a", "b"], explain=True)
        reasons = {item.id: [reason.code for reason in item.reasons] for item in found.items}
        assert "said" not in reasons["a"]


def test_what_this_person_writes_about_counts() -> None:
    some = things("fast", "slow", "x")
    for n in range(4):
        some += [told(f"u{n}", "fast", "delivery was quick"), told(f"u{n}", "slow", "delivery was slow")]
    some += [told("cares", "x", "delivery was terrible")]
    with filled(some) as engine:
        found = engine.rank("cares", ["fast", "slow"], explain=True)
        value = {item.id: {c.feature: c.value for c in item.contributions} for item in found.items}
        assert value["fast"]["said_own"] > 0 > value["slow"]["said_own"]
        other = engine.rank("someone", ["fast", "slow"], explain=True)
        assert all(c.feature != "said_own" for item in other.items for c in item.contributions)


def test_without_texts_the_columns_are_empty() -> None:
    with filled([*things("a", "b"), told("u", "a", None)]) as engine:
        names = [c.feature for item in engine.rank("u", ["a", "b"], explain=True).items for c in item.contributions]
        assert not [name for name in names if name.startswith("said")]
