"""Who declined what: the cascade, late rewards, silence; the same log gives the same belief."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from palate.bandits.context import NAMES, SHARED, prior_of
from palate.bandits.learner import Learner, Learnt, Shown
from palate.config import load
from palate.types import F64, Event, Impression, Interaction

D = 12
MINUTE = 60_000
START = 1_700_000_000_000


def context(ranking: str, place: int) -> F64:
    """Of an item of a ranking, a function of both."""
    return np.random.default_rng((int(ranking[1:]), place)).normal(size=D)


def shown(ranking: str, k: int = 5) -> Shown | None:
    if not ranking.startswith("r"):
        return None
    z = np.stack([context(ranking, place) for place in range(k)])
    return Shown([f"i{place}" for place in range(k)], z, "m/12", START + int(ranking[1:]) * MINUTE)


def learner(**policy: Any) -> Learner:
    return Learner(load(overrides={"policy": {"dimensions": D, "ridge": 1.0, **policy}}), shown)


def click(ranking: str, place: int, minutes: float = 1.0, kind: str = "click") -> Interaction:
    when = START + int((int(ranking[1:]) + minutes) * MINUTE)
    return Interaction(
        id=f"{ranking}-{place}-{kind}-{minutes}", timestamp=when, user="u", item=f"i{place}", type=kind, ranking=ranking
    )


def seen(ranking: str, places: list[int], minutes: float = 0.5) -> Impression:
    when = START + int((int(ranking[1:]) + minutes) * MINUTE)
    items = [f"i{place}" for place in places]
    return Impression(id=f"{ranking}-seen-{minutes}", timestamp=when, user="u", items=items, ranking=ranking)


def tell(to: Learner, *events: Event) -> Learner:
    for number, event in enumerate(events, to.seq + 1):
        assert isinstance(event.timestamp, int)
        to.learn(number, [(event.timestamp, event.timestamp, event)])
    return to


def check(found: Learner, answers: list[tuple[str, int, float]], shares: list[float] | None = None) -> None:
    """The belief is that of exactly these answers: (ranking, place, reward), and shares of answers."""
    precision, prior = prior_of(D, 1.0)
    z = np.stack([context(ranking, place) for ranking, place, _ in answers])
    r = np.array([reward for *_, reward in answers])
    w = np.ones(len(z)) if shares is None else np.array(shares)
    a = precision + (z * w[:, None]).T @ z
    belief = found.belief("m/12")
    np.testing.assert_allclose(belief.covariance, np.linalg.inv(a), atol=1e-9)
    np.testing.assert_allclose(belief.mean, np.linalg.solve(a, precision @ prior + z.T @ (w * r)), atol=1e-9)


def test_what_stands_above_a_click_was_declined_and_below_nothing_is_known() -> None:
    found = tell(learner(), click("r1", 2))
    check(found, [("r1", 0, 0.0), ("r1", 1, 0.0), ("r1", 2, 1.0)])
    assert found.counts == {"rewards": 1, "declines": 2, "credits": 0, "late": 0, "unknown": 0}
    tell(found, click("r1", 4))
    check(found, [("r1", 0, 0.0), ("r1", 1, 0.0), ("r1", 2, 1.0), ("r1", 3, 0.0), ("r1", 4, 1.0)])


def test_a_reward_that_comes_late_changes_the_answer_that_was_learnt() -> None:
    found = tell(learner(), click("r1", 2), click("r1", 1, 20.0))
    check(found, [("r1", 0, 0.0), ("r1", 1, 1.0), ("r1", 2, 1.0)])
    assert found.counts["credits"] == 1
    tell(found, click("r1", 1, 21.0), click("r1", 1, 22.0, "view"))
    check(found, [("r1", 0, 0.0), ("r1", 1, 1.0), ("r1", 2, 1.0)])


def test_a_dislike_is_a_decline_and_says_what_was_looked_at() -> None:
    check(tell(learner(), click("r1", 1, kind="dislike")), [("r1", 0, 0.0), ("r1", 1, 0.0)])


@pytest.mark.parametrize(
    ("reward", "kinds", "worth"),
    [
        ("purchase", ["click"], 0.0),
        ("purchase", ["click", "purchase"], 1.0),
        ("weights", ["click"], 1 / 3),
        ("weights", ["click", "purchase"], 1.0),
        ("weights", ["dislike"], -2 / 3),
        ("any", ["purchase"], 1.0),
    ],
)
def test_what_an_interaction_is_worth(reward: str, kinds: list[str], worth: float) -> None:
    found = learner(reward=reward)
    tell(found, *[click("r1", 0, 1.0 + at, kind) for at, kind in enumerate(kinds)])
    check(found, [("r1", 0, worth)])


def test_silence_declines_what_an_impression_says_was_seen_and_nothing_else() -> None:
    found = tell(learner(answer_minutes=10.0), seen("r1", [0, 1, 2]), click("r9", 0, 0.5))
    check(found, [("r9", 0, 1.0)])
    tell(found, click("r12", 0, 0.5))  # 11.5 minutes after the first ranking
    silent = [("r1", 0, 0.0), ("r1", 1, 0.0), ("r1", 2, 0.0)]
    check(found, [("r9", 0, 1.0), *silent, ("r12", 0, 1.0)], [1.0, 1.0, 1 / 2, 1 / 3, 1.0])


def test_an_answer_in_time_leaves_what_is_below_it_unknown_whatever_was_seen() -> None:
    found = tell(learner(answer_minutes=10.0), seen("r1", [0, 1, 2, 3]), click("r1", 1), click("r30", 0))
    check(found, [("r1", 0, 0.0), ("r1", 1, 1.0), ("r30", 0, 1.0)])


def test_a_click_after_silence_was_learnt_but_dated_in_time_counts() -> None:
    found = tell(learner(answer_minutes=10.0), seen("r1", [0, 1, 2]), click("r12", 0), click("r1", 1, 9.0))
    check(found, [("r12", 0, 1.0), ("r1", 0, 0.0), ("r1", 1, 1.0), ("r1", 2, 0.0)], [1.0, 1.0, 1.0, 1 / 3])


def test_what_comes_too_late_or_names_nothing_known_is_counted_and_not_learnt() -> None:
    found = tell(learner(answer_minutes=10.0), click("r5", 0), click("r1", 2, 11.0), click("r1", 2, -6.0))
    strange = click("r1", 9)
    lost = msgspec.structs.replace(click("r1", 0), ranking="gone")
    tell(found, strange, lost, msgspec.structs.replace(click("r1", 0), ranking=None))
    check(found, [("r5", 0, 1.0)])
    assert (found.counts["late"], found.counts["unknown"]) == (2, 2)


def events(seed: int = 4, rankings: int = 60) -> list[Event]:
    rng = np.random.default_rng(seed)
    out: list[Event] = []
    for number in range(1, rankings + 1):
        out.append(seen(f"r{number}", list(range(int(rng.integers(1, 6))))))
        if rng.random() < 0.6:
            out.append(click(f"r{number}", int(rng.integers(5)), float(rng.random() * 8)))
    return out


def as_bits(found: Learner) -> bytes:
    return msgspec.json.encode(found.keep())


@pytest.mark.parametrize("forget", [0.0, 0.01])
def test_the_same_log_gives_the_same_bits_with_or_without_a_stop(forget: float) -> None:
    made: dict[str, Any] = {"answer_minutes": 10.0, "forget_days": forget}
    whole = tell(learner(**made), *events())
    for stop in (1, 37, 80):
        first = tell(learner(**made), *events()[:stop])
        again = learner(**made)
        again.restore(msgspec.json.decode(as_bits(first), type=Learnt))
        tell(again, *events()[stop:])
        assert as_bits(again) == as_bits(whole)


def test_events_out_of_order_give_the_same_belief() -> None:
    one = tell(learner(forget_days=0.02), *[e for e in events() if isinstance(e, Interaction)])
    order = np.random.default_rng(1).permutation(len(events()))
    other = tell(learner(forget_days=0.02), *[e for e in (events()[at] for at in order) if isinstance(e, Interaction)])
    late = click("r60", 0, 9.0)
    for found in (one, other):
        tell(found, late)
    np.testing.assert_allclose(one.belief("m/12").mean, other.belief("m/12").mean, rtol=1e-8)


def test_open_rankings_are_bounded_and_what_was_closed_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palate.bandits.learner.MOST_OPEN", 50)
    found = learner()
    for number in range(1, 60):
        found.learn(number, [(START, START, seen(f"r{number}", []))])
    assert len(found.keep().open) == 50
    tell(found, click("r3", 0))
    assert found.counts["late"] == 1


def test_rankings_whose_time_is_over_twice_are_closed() -> None:
    found = tell(learner(answer_minutes=10.0), seen("r1", [0]), click("r20", 0), click("r90", 0))
    assert [one.ranking for one in found.keep().open] == ["r90"]
    tell(found, click("r1", 0))
    assert found.counts["late"] == 1


def test_another_model_begins_with_what_is_known_of_the_components_that_all_share() -> None:
    found = tell(learner(), *events())
    new = found.belief("other/12")
    old = found.belief("m/12")
    np.testing.assert_allclose(new.mean[:SHARED], old.mean[:SHARED], atol=1e-12)
    np.testing.assert_allclose(new.covariance[:SHARED, :SHARED], old.covariance[:SHARED, :SHARED], atol=1e-12)
    assert not new.mean[SHARED:].any()
    untaught = learner().belief("m/12")
    assert untaught.mean[NAMES.index("score")] > 0.0
    assert np.count_nonzero(untaught.mean) == 1


def test_a_belief_of_another_width_is_left_behind() -> None:
    kept = tell(learner(), *events()).keep()
    other = learner(dimensions=14)
    other.restore(kept)
    assert not other.beliefs
    assert other.seq == kept.seq
