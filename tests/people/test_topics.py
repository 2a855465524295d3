"""Interests by topics of a catalogue's texts: fitted by a training, carried in its artefact, read in the profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import palate
from palate.content.taxonomy import load
from palate.errors import CorruptArtefact
from palate.train.topics import load_topics, topic_arrays, topic_meta
from tests.engines import HASHING

WORDS = {
    "tea": ["teapot", "jasmine", "leaves", "cup", "kettle", "matcha"],
    "war": ["soldier", "battle", "tank", "general", "trench", "enemy"],
    "sea": ["ship", "captain", "harbour", "island", "storm", "sailor"],
    "law": ["judge", "trial", "lawyer", "jury", "witness", "court"],
    "farm": ["cow", "tractor", "barn", "wheat", "farmer", "pig"],
}
TRAIN = {"topics": 5, "trees": 5, "decisions": 60, "towers": [], "people": "off"}


def shop(path: Path) -> palate.Engine:
    rng = np.random.default_rng(5)
    engine = palate.open(path, language=HASHING, train=TRAIN)
    kinds = list(WORDS)
    for n in range(100):
        text = " and the ".join(rng.choice(WORDS[kinds[n % 5]], 4, replace=False))
        engine.ingest({"event": "item", "item": f"i{n}", "fields": {"description": text}})
    engine.ingest(
        [
            {"event": "interaction", "user": f"u{n % 5}", "item": f"i{n % 5 + 5 * int(rng.integers(20))}"}
            for n in range(150)
        ]
    )
    return engine


def test_the_profile_names_the_topics_that_somebody_chooses(tmp_path: Path) -> None:
    with shop(tmp_path / "shop.palate") as engine:
        assert engine.user("u0").tags == [], "before a training there is no taxonomy"
        engine.train()
        for n, kind in enumerate(WORDS):
            top = engine.user(f"u{n}").tags[0]
            assert top.tag.startswith("topic:")
            said = set(top.tag.removeprefix("topic:").split("·"))
            assert said <= {word.removesuffix("s") for word in WORDS[kind]} | set(WORDS[kind]) | {"leave"}
            assert top.weight > 0.9
        mine = [one.tag for one in engine.user("u1").tags]
    with palate.open(tmp_path / "shop.palate", language=HASHING, train=TRAIN) as again:
        assert [one.tag for one in again.user("u1").tags] == mine, "the artefact carries it"


def test_none_is_fitted_where_none_is_wanted(tmp_path: Path) -> None:
    with shop(tmp_path / "shop.palate") as engine:
        engine.settings = palate.config.load(None, {"language": HASHING, "train": {**TRAIN, "topics": 0}})
        engine.train()
        assert engine.user("u0").tags == []


def test_arrays_that_do_not_fit_are_refused() -> None:
    assert topic_arrays(None) == {} == topic_meta(None)
    assert load_topics({}, {}) is None
    with pytest.raises(CorruptArtefact, match="train again"):
        load({"idf": np.zeros(2, np.float32), "topics": np.zeros((1, 3), np.float32)}, ["a", "b"], "plain")
    with pytest.raises(CorruptArtefact):
        load_topics({}, {"terms": ["a"], "reader": "plain", "names": ["a"]})
