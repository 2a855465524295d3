"""Which labels a ranking gives, and when: each once, positives at once, what wasn't taken up after the window."""

from __future__ import annotations

import numpy as np
import pytest

from palate.online import lists as module
from palate.online.lists import Lesson, Lists, Shown
from palate.train.replay import feature_key
from palate.types import Impression, Interaction, User
from tests.online.world import COLUMNS, decision, did, settings

WINDOW = 30


class Heard:
    def __init__(self) -> None:
        self.labels: list[tuple[str, int, float, float]] = []
        self.settled: list[Shown] = []
        self.lists = Lists(settings(), COLUMNS, feature_key(), self._teach, self.settled.append)

    def _teach(self, lesson: Lesson) -> None:
        for which, label, weight in zip(lesson.which, lesson.label, lesson.weight, strict=True):
            self.labels.append((lesson.shown.ranking, which, label, weight))

    def rank(self, number: int, k: int = 4, user: str = "u") -> None:
        self.lists.decision(decision(number, np.arange(float(k))[::-1].copy(), np.zeros((k, 2)), user))

    def take(self) -> list[tuple[str, int, float, float]]:
        found, self.labels = self.labels, []
        return found


def test_taking_up_tells_of_those_above_at_once_and_of_the_rest_after_the_window() -> None:
    heard = Heard()
    heard.rank(1)
    heard.lists.event(did(1, 1), "u")
    assert heard.take() == [("r1", 0, 0.0, 1.0), ("r1", 1, 1.0, 1.0)]
    heard.rank(1 + WINDOW - 1, user="other")
    assert heard.take() == []
    heard.rank(1 + WINDOW, user="other")
    assert heard.take() == [("r1", 2, 0.0, 1.0), ("r1", 3, 0.0, 1.0)]
    assert heard.settled[0].reward == 1.0


def test_a_ranking_without_any_answer_is_told_of_after_the_window_only() -> None:
    heard = Heard()
    heard.rank(1, 2)
    assert heard.take() == []
    heard.rank(1 + WINDOW, 2)
    assert heard.take() == [("r1", 0, 0.0, 1.0), ("r1", 1, 0.0, 1.0)]


def test_a_late_answer_to_what_was_learnt_as_unwanted_is_learnt_as_wanted() -> None:
    heard = Heard()
    heard.rank(1)
    heard.lists.event(did(1, 2), "u")
    heard.take()
    heard.lists.event(did(1, 0), "u")
    assert heard.take() == [("r1", 0, 1.0, 1.0)]


def test_a_heavier_answer_counts_for_the_difference_and_a_lighter_one_for_nothing() -> None:
    heard = Heard()
    heard.rank(1)
    heard.lists.event(did(1, 0), "u")
    heard.lists.event(did(1, 0, kind="purchase"), "u")
    heard.lists.event(did(1, 0), "u")
    assert [weight for _, _, _, weight in heard.take()] == [1.0, 2.0]
    assert heard.lists._waiting["r1"].reward == 3.0


def test_dismissals_are_learnt_at_once_and_cost_reward() -> None:
    heard = Heard()
    heard.rank(1, 2)
    heard.lists.event(did(1, 1, kind="hide"), "u")
    assert heard.take() == [("r1", 1, 0.0, 2.0)]
    heard.rank(1 + WINDOW)
    assert heard.take() == [("r1", 0, 0.0, 1.0)]
    assert heard.settled[0].reward == -2.0


def test_ratings_count_by_where_they_lie_among_everybodys() -> None:
    heard = Heard()
    for number in range(1, 13):
        heard.rank(number, 1)
        for _ in range(2):
            heard.lists.event(did(number, 0, kind="rating", value=5.0 if number % 2 else 1.0), "u")
    heard.take()
    heard.rank(20, 2)
    heard.lists.event(did(20, 0, kind="rating", value=1.0), "u")
    assert heard.take()[-1] == ("r20", 0, 0.0, 1.0)
    heard.lists.event(did(20, 1, kind="rating", value=5.0), "u")
    assert heard.take()[-1] == ("r20", 1, 1.0, 1.0)
    heard.lists.event(did(20, 1, kind="rating", value=3.0), "u")
    assert heard.take() == []


def test_a_bad_review_refuses_what_a_good_one_takes_up() -> None:
    heard = Heard()
    heard.rank(1, 2)
    heard.lists.event(did(1, 0, kind="review", text="Terrible. Awful, broken, a waste of money."), "u")
    heard.lists.event(did(1, 1, kind="review", text="Wonderful, I love it!"), "u")
    assert [(which, label) for _, which, label, _ in heard.take()] == [(0, 0.0), (1, 1.0)]


def test_events_that_name_no_ranking_go_to_the_newest_that_showed_the_item() -> None:
    heard = Heard()
    heard.rank(1)
    event = Interaction(item="i1-0", user="u", type="click")
    heard.lists.event(event, "u")
    assert heard.take() == [("r1", 0, 1.0, 1.0)]
    heard.lists.event(Interaction(item="nowhere", user="u", type="click"), "u")
    heard.lists.event(did(1, 0, user="other"), "other")
    assert heard.take() == []


def test_what_an_impression_didnt_name_was_not_seen() -> None:
    heard = Heard()
    heard.rank(1)
    heard.lists.event(Impression(items=["i1-0", "i1-1"], user="u", ranking="r1"), "u")
    heard.rank(1 + WINDOW)
    assert [which for _, which, _, _ in heard.take()] == [0, 1]


def test_somebody_who_was_deleted_teaches_nothing_more() -> None:
    heard = Heard()
    heard.rank(1)
    heard.lists.event(User(user="u", deleted=True), "u")
    heard.rank(1 + WINDOW, user="other")
    assert heard.take() == []
    assert len(heard.lists) == 1


def test_rankings_of_nobody_and_replayed_ones_dont_wait() -> None:
    heard = Heard()
    one = decision(1, np.array([1.0]), np.zeros((1, 2)))
    one.subject = None
    heard.lists.decision(one)
    two = decision(2, np.array([1.0]), np.zeros((1, 2)))
    two.source = "replay"
    heard.lists.decision(two)
    assert len(heard.lists) == 0


def test_too_many_that_wait_are_settled_before_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    heard = Heard()
    for number in range(1, 6):
        heard.rank(number, 1)
    assert [shown.ranking for shown in heard.settled] == ["r1", "r2"]
    assert len(heard.lists) == 3


def test_quietly_it_notes_and_says_nothing() -> None:
    heard = Heard()
    heard.lists.quiet = True
    heard.rank(1)
    heard.lists.event(did(1, 1), "u")
    heard.lists.quiet = False
    heard.lists.event(did(1, 1), "u")
    assert heard.take() == []
    heard.rank(1 + WINDOW)
    assert [which for _, which, _, _ in heard.take()] == [2, 3]
