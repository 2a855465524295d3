"""Histograms and percentiles on known values."""

from __future__ import annotations

from pathlib import Path

import pytest

import palate
from palate.serve.metrics import BOUNDS, Histogram, Latency, Metrics
from palate.store import decisions


def test_percentiles_of_known_latencies() -> None:
    histogram = Histogram()
    assert histogram.latency() == Latency(0, None, None, None)
    for millisecond in range(1, 101):
        histogram.observe(millisecond / 1000)
    assert histogram.latency() == Latency(100, 51.0, 96.0, 100.0)
    assert abs(histogram.sum - 5.05) < 1e-9


def test_buckets_are_cut_at_their_upper_bound() -> None:
    histogram = Histogram()
    for bound in BOUNDS:
        histogram.observe(bound)
    histogram.observe(60.0)
    assert histogram.buckets == [1] * (len(BOUNDS) + 1)


def test_only_recent_requests_count_for_percentiles() -> None:
    histogram = Histogram()
    for _ in range(2048):
        histogram.observe(1.0)
    for _ in range(2048):
        histogram.observe(0.001)
    assert histogram.latency() == Latency(4096, 1.0, 1.0, 1.0)


def test_decisions_that_were_dropped_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "MAX_PENDING", 1)
    keep = {"flush_seconds": 3600.0}
    with palate.open(tmp_path / "e.palate", language={"encoder": "hashing"}, decisions=keep) as engine:
        assert "\npalate_decisions_dropped_total 0\n" in Metrics().render(engine)
        for _ in range(3):
            engine.rank("u", ["a", "b"])
        assert "\npalate_decisions_dropped_total 2\n" in Metrics().render(engine)
