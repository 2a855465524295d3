"""Who is in which arm: a function of salt and subject, even, steady, independent."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.config import PolicySettings
from palate.errors import InvalidInput
from palate.experiment import Arm, Experiment, Metric, arm_of, check

PEOPLE = [f"person-{n}" for n in range(20_000)]


def two(salt: str = "a", share: float = 1.0, weights: tuple[float, ...] = (1.0, 1.0)) -> Experiment:
    arms = [Arm(f"arm{place}", weight) for place, weight in enumerate(weights)]
    return Experiment(name="e", arms=arms, salt=salt, share=share)


def places(experiment: Experiment) -> np.ndarray:
    names = [arm.name for arm in experiment.arms]
    found = [arm_of(experiment, person) for person in PEOPLE]
    return np.array([-1 if arm is None else names.index(arm.name) for arm in found])


def test_people_are_spread_by_the_weights() -> None:
    counts = np.bincount(places(two(weights=(1.0, 2.0, 5.0)))) / len(PEOPLE)
    np.testing.assert_allclose(counts, [0.125, 0.25, 0.625], atol=0.015)


def test_a_larger_share_moves_nobody() -> None:
    few, many = places(two(share=0.2)), places(two(share=0.6))
    assert (few >= 0).mean() == pytest.approx(0.2, abs=0.015)
    assert (many[few >= 0] == few[few >= 0]).all()


def test_two_experiments_are_independent() -> None:
    one, other = places(two("a")), places(two("b"))
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(0, abs=0.03)


def test_the_same_person_is_always_in_the_same_arm() -> None:
    """Pinned: whoever changes the hash moves everybody of every running experiment."""
    assert "".join(str(place) for place in places(two("salt"))[:24]) == PINNED


PINNED = "001011100100000110111001"


@given(st.text(min_size=1), st.text())
def test_any_subject_and_salt_have_an_arm(subject: str, salt: str) -> None:
    assert arm_of(two(salt), subject) in two(salt).arms


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": "a b"}, "name"),
        ({"arms": [Arm("one")]}, "arms"),
        ({"arms": [Arm("one"), Arm("one")]}, "arms[1].name"),
        ({"arms": [Arm("one"), Arm("two", 0.0)]}, "arms[1].weight"),
        ({"arms": [Arm("one"), Arm("two", policy={"diversty": 0.3})]}, "arms[1].policy"),
        ({"arms": [Arm("one"), Arm("two", policy={"diversity": 3.0})]}, "arms[1].policy"),
        ({"metrics": []}, "metrics"),
        ({"metrics": [Metric("click"), Metric("click")]}, "metrics"),
        ({"metrics": [Metric("")]}, "metrics[0].type"),
        ({"share": 0.0}, "share"),
        ({"horizon_days": float("nan")}, "horizon_days"),
        ({"alpha": 0.9}, "alpha"),
        ({"people": 1}, "people"),
    ],
)
def test_what_is_no_experiment_is_told_where(change: dict[str, object], where: str) -> None:
    good = two()
    check(good, PolicySettings())
    with pytest.raises(InvalidInput) as caught:
        check(msgspec.structs.replace(good, **change), PolicySettings())
    assert caught.value.where == where
