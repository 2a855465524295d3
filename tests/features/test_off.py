"""Features that are switched off: they read 0, retrieve nothing, teach nothing; names that are unknown are refused."""

from __future__ import annotations

import numpy as np
import pytest

import palate
from palate.errors import ConfigError
from palate.features import FEATURES, NAMES, Off, off
from palate.features.off import GROUPS, RETRIEVERS
from palate.testing.world import make_world
from palate.train.replay import feature_key
from palate.types import RecommendRequest
from tests.engines import SMALL, filled, memory

WORLD = make_world(people=15, interactions=600)
PERSON = WORLD.interactions[-1].user


def asked(engine, seen="keep", **more):
    request = RecommendRequest(user=PERSON, seen=seen, **more)
    return engine.line.run(request, WORLD.end, engine._model)


def columns(*groups):
    return [place for place, one in enumerate(FEATURES) if one.group in groups]


@pytest.mark.parametrize("group", ["popularity", "item_to_item", "content", "tags", "again"])
def test_a_group_that_is_off_reads_zero_and_all_others_what_they_did(group):
    with filled(WORLD) as whole, filled(WORLD, features={"off": [group]}) as part:
        one, other = asked(whole), asked(part)
        rows = np.intersect1d(one.candidates.rows, other.candidates.rows)
        assert len(rows) > 5
        x = one.x[[one.candidates.rows.tolist().index(row) for row in rows]]
        y = other.x[[other.candidates.rows.tolist().index(row) for row in rows]]
    own = columns(group)
    assert np.abs(x[:, own]).max() > 0
    assert not y[:, own].any()
    rest = [place for place in range(len(NAMES)) if place not in own]
    np.testing.assert_array_equal(x[:, rest], y[:, rest])


def test_a_retriever_is_off_with_all_that_orders_it_and_no_sooner():
    with filled(WORLD) as engine:
        everything = set(asked(engine).candidates.retrievers)
    assert {"popular", "trending", "near", "again", "taste_now"} <= everything
    for wanted, gone in [
        (["popularity"], {"popular", "trending"}),
        (["content"], {name for name in everything if name.startswith("taste")}),
        (["again"], {"again"}),
        (["near_20"], set()),
        (["near_20", "near_all"], {name for name in everything if name in ("near", "near_again")}),
    ]:
        with filled(WORLD, features={"off": wanted}) as engine:
            assert everything - set(asked(engine).candidates.retrievers) == gone, wanted


def test_every_retriever_is_ordered_by_features_that_there_are():
    with filled(WORLD) as engine:
        labels = {*asked(engine).candidates.retrievers, *asked(engine, query="rocket").candidates.retrievers}
    for label in labels:
        assert Off(GROUPS).hides(label), f"RETRIEVERS doesn't say what orders {label!r}"
    for label in ("friends", "asked_words", "asked_0", "alike"):
        assert Off(("company",)).hides(label)
        assert not Off(("content", "people")).hides(label)
    for names in RETRIEVERS.values():
        assert set(names) <= {*GROUPS, *NAMES}


def test_training_learns_nothing_from_what_is_off():
    away = ("item_to_item", "again_count")
    with filled(WORLD, features={"off": away}, train=SMALL) as engine:
        engine.train()
        terms, _ = engine._model.scorer.contributions(asked(engine).x)
        hidden = list(off(away).columns)
        assert len(hidden) == len(columns("item_to_item")) + 1
        assert not terms[:, hidden].any()
        assert np.abs(terms).max() > 0


def test_decisions_made_with_other_features_on_do_not_teach():
    assert feature_key() == feature_key(off(()).names)
    assert feature_key(off(("content",)).names) != feature_key()
    assert feature_key(off(("content", "tags")).names) == feature_key(off(("tags", "content")).names)


def test_an_unknown_name_is_refused_with_what_was_meant_and_what_there_is():
    with pytest.raises(ConfigError, match=r"features.off names 'contents'.*did you mean 'content'\?.*popularity"):
        memory(features={"off": ["contents"]})
    with pytest.raises(ConfigError, match=r"features\.of is no setting"):
        palate.open(":memory:", features={"of": []})


def test_without_an_encoder_texts_count_by_their_words():
    with filled(WORLD, language={"encoder": "none"}) as engine:
        found = asked(engine)
        assert engine.catalogue.pending == 0
        assert not found.degraded
        assert len(engine.catalogue.vectors.vectors) == 0
        assert not found.x[:, columns("content")].any()
        assert found.x[:, columns("tags")].any()
        word = engine.catalogue.text(0).split()[0]
        queried = asked(engine, query=word)
        assert "vector" not in queried.candidates.retrievers
        assert queried.x[:, NAMES.index("query_words")].max() > 0
        assert not queried.x[:, NAMES.index("query_meaning")].any()
        engine.train()
