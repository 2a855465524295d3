"""ADWIN on streams whose change is known; how often it cries wolf; its sums against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest

from palate.online.drift import Adwin


def alarms(values: np.ndarray, delta: float = 0.002) -> list[tuple[int, int]]:
    window = Adwin(delta)
    return [(place, way) for place, value in enumerate(values.tolist()) if (way := window.add(value))]


@pytest.mark.parametrize("kind", ["coin", "rare", "uniform"])
def test_false_alarms_on_streams_without_a_change(kind: str) -> None:
    """At the default δ no more than one stream of 3,000 values in fifty gives any alarm."""
    found = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        values = rng.random(3_000) if kind == "uniform" else (rng.random(3_000) < (0.5 if kind == "coin" else 0.05))
        found += bool(alarms(np.asarray(values, np.float64)))
    assert found <= 1


def test_a_rise_is_found_soon_and_called_one() -> None:
    delays = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = np.concatenate([rng.random(2_000) < 0.2, rng.random(2_000) < 0.4]).astype(np.float64)
        found = alarms(values)
        assert found, seed
        assert all(place >= 2_000 for place, _ in found)
        assert found[0][1] == 1
        delays.append(found[0][0] - 2_000)
    assert np.median(delays) < 350


def test_a_fall_is_called_a_fall() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.random(2_000) < 0.5, rng.random(2_000) < 0.2]).astype(np.float64)
    assert {way for _, way in alarms(values)} == {-1}


def test_after_a_change_the_window_holds_what_came_after() -> None:
    window = Adwin()
    rng = np.random.default_rng(2)
    for value in [*(rng.random(3_000) < 0.2), *(rng.random(2_000) < 0.7)]:
        window.add(float(value))
    assert window.width <= 2_200
    assert window.mean == pytest.approx(0.7, abs=0.05)


def test_its_mean_and_spread_are_those_of_the_window() -> None:
    window = Adwin(1e-12)  # never cuts
    values = np.random.default_rng(3).random(1_000)
    for value in values.tolist():
        window.add(value)
    assert window.width == 1_000
    assert window.mean == pytest.approx(values.mean())
    assert window.state()["spread"] == pytest.approx(((values - values.mean()) ** 2).sum())
    assert sum(len(row) for row in window.state()["rows"]) <= 5 * 10 + 5


def test_state_and_back_is_exact() -> None:
    values = np.random.default_rng(4).random(500).tolist()
    whole, half, again = Adwin(), Adwin(), Adwin()
    for value in values:
        whole.add(value)
    for value in values[:300]:
        half.add(value)
    again.restore(half.state())
    for value in values[300:]:
        again.add(value)
    assert again.state() == whole.state()


def test_what_is_dropped_leaves_the_sums_of_the_rest() -> None:
    window = Adwin()
    rng = np.random.default_rng(5)
    values = [*(rng.random(1_000) * 0.2), *(0.7 + 0.2 * rng.random(700))]
    for value in values:
        window.add(value)
    rest = np.array(values[-window.width :])
    assert window.width < 900
    assert window.mean == pytest.approx(rest.mean())
    assert window.state()["spread"] == pytest.approx(((rest - rest.mean()) ** 2).sum())
