"""What features allow: whoever is told the truth is ahead of what a training of the same features ships."""

from __future__ import annotations

from benchmarks import ceiling


def test_the_truth_ranks_better_than_what_was_learnt_and_all_are_shares_of_the_best() -> None:
    found = ceiling.ceiling(21, 150, 150)
    (shipped,) = (value for what, value in found.items() if what.startswith("shipped"))
    (alone,) = (value for what, value in found.items() if what.startswith("alone"))
    assert all(0.0 < value < 1.0 for value in found.values())
    assert alone >= found["prior"]  # in hindsight, and the prior is no more than its features
    assert found["forest that is told the truth"] > shipped
