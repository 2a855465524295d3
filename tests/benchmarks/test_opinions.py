"""The benchmark of what reviews are worth: its world is what it says, and texts that can't be misread pay in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import opinions
from palate.types import Interaction


def reviews(path: Path) -> Path:
    good = [f"Wonderful, I love number {n}, great quality." for n in range(40)]
    bad = [f"Terrible, number {n} broke at once, awful." for n in range(40)]
    path.write_text("text,label\n" + "".join(f'"{text}",{int(text in good)}\n' for text in good + bad))
    return path


def test_reviews_tell_of_quality_and_nothing_else_does() -> None:
    chance = np.random.default_rng(1)
    world = opinions.world_of("hidden", chance, people=40, things=120)
    events, signs, had = opinions.events_of(world, (["bad"], ["good"]), 1500, chance)
    told = [(one, sign) for one, sign in zip(events, signs, strict=True) if isinstance(one, Interaction)]
    assert all((one.text is None) == (sign < 0) for one, sign in told)
    written = [(world.quality[int(one.item[1:])], sign) for one, sign in told if sign >= 0]
    quality, favourable = np.array(written).T
    assert np.corrcoef(quality, favourable)[0, 1] > 0.4
    assert abs(np.corrcoef(world.quality, had.sum(axis=0))[0, 1]) < 0.25  # what is good isn't chosen more often
    seen = opinions.world_of("seen", np.random.default_rng(1), people=40, things=120)
    _, _, chosen = opinions.events_of(seen, (["bad"], ["good"]), 1500, np.random.default_rng(2))
    assert np.corrcoef(seen.quality, chosen.sum(axis=0))[0, 1] > 0.5
    assert not opinions.world_of("noise", chance).quality.any()


def test_where_only_reviews_tell_reading_them_pays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = reviews(tmp_path / "reviews.csv")
    assert opinions.main([str(path), "--seeds", "1", "--events", "1500", "--only", "hidden"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["world"], line["trained"], line["people"]) == ("hidden", False, 150)
    assert line["blamed"] == [1.0, 0.0]
    assert line["plain - off"][1] > 0
    assert line["on - off"][1] > 0
