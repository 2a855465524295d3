"""The breaker and the budget by a clock of the test's own, and kept answers in memory and in files."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import Unavailable
from palate.language.answers import Answers
from palate.language.breaker import Breaker, Budget


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admit()
        breaker.failed()


def test_it_opens_after_failures_in_a_row_and_lets_one_through_after_its_rest(clock: Clock) -> None:
    breaker = Breaker(3, 30.0, clock)
    fail(breaker, 2)
    breaker.admit()
    breaker.succeeded()
    fail(breaker, 2)
    assert not breaker.open
    fail(breaker, 1)
    assert breaker.open
    assert not breaker.admit()
    clock.now = 29.9
    assert not breaker.admit()
    clock.now = 30.0
    assert not breaker.open
    assert breaker.admit()
    assert breaker.open  # for everybody else
    assert not breaker.admit()
    breaker.failed()
    clock.now = 59.9
    assert not breaker.admit()
    clock.now = 60.0
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.admit()


def test_it_opens_when_half_of_the_last_twenty_failed(clock: Clock) -> None:
    breaker = Breaker(15, 30.0, clock)
    for number in range(19):
        assert breaker.admit()
        breaker.failed() if number % 2 else breaker.succeeded()
    assert not breaker.open
    fail(breaker, 1)
    assert breaker.open


def test_a_probe_that_was_never_put_leaves_the_next_one_its_chance(clock: Clock) -> None:
    breaker = Breaker(1, 30.0, clock)
    fail(breaker, 1)
    clock.now = 31.0
    assert breaker.admit()
    breaker.spared()
    assert breaker.admit()


def test_an_answer_to_what_was_asked_before_it_opened_says_nothing(clock: Clock) -> None:
    breaker = Breaker(2, 30.0, clock)
    assert breaker.admit()
    fail(breaker, 2)
    breaker.succeeded()
    assert breaker.open


@given(st.lists(st.sampled_from(["admit", "succeeded", "failed", "spared", "wait"]), max_size=60))
def test_however_it_goes_rest_lets_one_through_in_the_end(steps: list[str]) -> None:
    clock = Clock()
    breaker = Breaker(3, 10.0, clock)
    hand = 0
    for step in steps:
        if step == "wait":
            clock.now += 4.0
        elif step == "admit":
            hand += breaker.admit()
        elif hand:
            hand -= 1
            getattr(breaker, step)()
    for _ in range(hand):
        breaker.failed()
    clock.now += 10.0
    assert not breaker.open
    assert breaker.admit()


def test_a_budget_comes_back_over_the_day(clock: Clock) -> None:
    budget = Budget(1000, clock)
    assert not budget.spent
    budget.spend(1000)
    assert budget.spent
    clock.now = 86.4  # a thousandth of a day
    assert not budget.spent
    budget.spend(500)  # more than was left: owed
    assert budget.spent
    clock.now += 86.4 * 499
    assert budget.spent
    clock.now += 86.4 * 2
    assert not budget.spent
    clock.now += 10 * 86_400
    assert not budget.spent
    budget.spend(1000)  # no more than a day's is ever saved
    assert budget.spent


def test_no_budget_is_no_bound(clock: Clock) -> None:
    budget = Budget(0, clock)
    budget.spend(10**12)
    assert not budget.spent


# ------------------------------------------------------------------------------------ kept answers


def test_the_least_recently_used_goes_first() -> None:
    answers = Answers(None, 2)
    answers.put(b"a", "1")
    answers.put(b"b", "2")
    assert answers.get(b"a") == "1"
    answers.put(b"c", "3")
    assert [answers.get(key) for key in (b"a", b"b", b"c")] == ["1", None, "3"]


def test_a_file_is_bounded_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.db"
    answers = Answers(path, 20)
    for number in range(100):
        answers.put(b"%d" % number, str(number))
    answers.close()
    answers.close()
    again = Answers(path, 20)
    found = [number for number in range(100) if again.get(b"%d" % number) == str(number)]
    again.close()
    assert 4 <= len(found) <= 20
    assert found[-1] == 99


def test_a_file_that_is_none_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"no database" * 100)
    answers = Answers(path, 10)
    answers.put(b"a", "1")
    answers.close()
    assert Answers(path, 10).get(b"a") == "1"
    assert (tmp_path / "answers.db.broken").read_bytes().startswith(b"no database")


def test_a_place_that_can_hold_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="can't be opened"):
        Answers(tmp_path / "file" / "answers.db", 10)


def test_a_closed_file_costs_answers_and_never_a_call(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.db", 10)
    answers.close()
    answers.put(b"a", "1")
    assert answers.get(b"a") == "1"
    assert answers.get(b"b") is None


def test_two_processes_worth_of_threads_share_a_file(tmp_path: Path) -> None:
    both = [Answers(tmp_path / "answers.db", 1000) for _ in range(2)]

    def fill(answers: Answers, first: int) -> None:
        for number in range(first, first + 50):
            answers.put(b"%d" % number, str(number))

    threads = [threading.Thread(target=fill, args=(one, 50 * place)) for place, one in enumerate(both)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.get(b"%d" % number) for one in both for number in range(100)] == [str(n) for n in range(100)] * 2
    for one in both:
        one.close()
