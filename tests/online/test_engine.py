"""Learning while an engine serves: rankings are corrected, explained, kept, resumed; models trained and taken back."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.engine import Engine
from palate.errors import ConfigError
from palate.features import NAMES
from palate.online.service import Online
from palate.testing.world import START
from palate.types import Against, Interaction, Item, Margin
from tests.engines import HASHING

MINUTE = 60_000
ONLINE: dict[str, Any] = {"correct": "auto", "judged": 600, "features": ["age", "trend"], "window_minutes": 5.0}
ITEMS = 12


def opened(path: Path | str, **online: Any) -> Engine:
    return palate.open(path, language=HASHING, policy={"explore": False}, online={**ONLINE, **online})


def filled(path: Path | str, **online: Any) -> Engine:
    """Items of which every second is older than the others by a year."""
    engine = opened(path, **online)
    engine.ingest(
        [
            Item(id=f"item-{n}", timestamp=START - (n % 2) * 365 * 86_400_000, item=f"i{n}", fields={"title": f"t{n}"})
            for n in range(ITEMS)
        ]
    )
    engine.wait_encoded(60)
    return engine


def play(engine: Engine, first: int, rankings: int, wanted: int) -> None:
    """People take up any item of those that are old (1) or new (0), wherever it stands."""
    rng = np.random.default_rng(first)
    for number in range(first, first + rankings):
        now = START + number * MINUTE
        user = f"u{number % 7}"
        ranking = engine.answer(palate.RankRequest(user=user, items=[f"i{n}" for n in range(ITEMS)]), now)
        item = f"i{2 * rng.integers(ITEMS // 2) + wanted}"
        if number % 5:
            engine.ingest(
                [
                    Interaction(
                        id=f"did-{number}",
                        timestamp=now + 1,
                        user=user,
                        item=item,
                        type="view",
                        ranking=ranking.ranking,
                    )
                ]
            )


def weights(engine: Engine) -> dict[str, Any]:
    return engine.online._learner.state()


@pytest.fixture(scope="module")
def corrected() -> Any:
    """An engine whose people have shown what they want, so that its correction is proven."""
    engine = filled(":memory:")
    play(engine, 0, 420, 1)
    engine.online.catch_up()
    yield engine
    engine.close()


def test_it_learns_what_people_take_up_and_applies_it(corrected: Engine) -> None:
    status = corrected.online.status
    assert (status.state, status.model) == ("correcting", "prior")
    assert status.gain > 0
    assert status.weights["age"] > 0.1
    assert status.as_of == corrected.state.seq
    assert status.loss_corrected < status.loss


def test_the_correction_is_a_term_of_its_own_and_contributions_still_add_up(corrected: Engine) -> None:
    ranking = corrected.rank("u1", [f"i{n}" for n in range(ITEMS)], k=4, explain=True)
    for item in ranking.items:
        terms = {term.feature: term.contribution for term in item.contributions}
        assert terms["online"] != 0
        assert sum(terms.values()) == pytest.approx(item.score, rel=1e-6)
        found = corrected.explain(ranking.ranking, item.id, counterfactuals=True)
        assert found.score == item.score
        logged = {term.feature: term.contribution for term in found.contributions}
        assert logged["online"] == terms["online"]
        assert found.base + sum(logged.values()) == pytest.approx(item.score, rel=1e-6)
        assert next(one for one in found.groups if one.group == "online").contribution == terms["online"]


def test_the_correction_moves_nobody_further_than_its_cap(corrected: Engine) -> None:
    shift = corrected.line.shift
    assert shift is not None
    ranking = corrected.rank("u1", [f"i{n}" for n in range(ITEMS)], explain=True)
    moves = [term.contribution for item in ranking.items for term in item.contributions if term.feature == "online"]
    assert len(moves) == ITEMS
    assert max(map(abs, moves)) <= shift.cap + 1e-12


def test_unknown_items_stay_unscored_beside_corrected_ones(corrected: Engine) -> None:
    ranking = corrected.rank("u1", ["i1", "nowhere", "i2"])
    assert [item.score is None for item in ranking.items] == [False, False, True]


def test_it_is_off_by_default_and_costs_no_thread() -> None:
    with palate.open(":memory:", language=HASHING) as engine:
        assert engine.settings.online.correct == "off"
        assert engine.online._thread is None
        assert engine.online.status.state == "off"


def test_the_same_logs_give_the_same_weights_whatever_stops_in_between(tmp_path: Path) -> None:
    with filled(tmp_path / "a") as engine:
        play(engine, 0, 120, 1)
        engine.online.catch_up()
        first = engine.online.status.as_of
        play(engine, 120, 60, 1)  # logged and not learnt from when it stops
        engine.online._closed = True  # as a kill does it: the file is what the last look left
        engine.online._stop.set()
    saved = msgspec.json.decode((tmp_path / "a" / "online.json").read_bytes())
    assert saved["seq"] <= first
    with opened(tmp_path / "a") as engine:
        play(engine, 180, 60, 1)
        engine.online.catch_up()
        resumed = weights(engine)
        status = engine.online.status
    (tmp_path / "a" / "online.json").unlink()
    with opened(tmp_path / "a") as engine:
        engine.online.catch_up()
        assert weights(engine) == resumed
        assert engine.online.status.as_of == status.as_of


def test_a_closed_engine_kept_what_it_learnt_and_nothing_of_a_person(tmp_path: Path) -> None:
    with filled(tmp_path / "a") as engine:
        play(engine, 0, 60, 1)
        engine.online.catch_up()
        learnt = weights(engine)
    body = (tmp_path / "a" / "online.json").read_text()
    assert "u1" not in body
    assert "i1" not in body
    with opened(tmp_path / "a") as engine:
        engine.online.catch_up()
        assert weights(engine) == learnt


def test_a_damaged_file_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with filled(tmp_path / "a") as engine:
        play(engine, 0, 40, 1)
    (tmp_path / "a" / "online.json").write_bytes(b"{")
    with opened(tmp_path / "a") as engine:
        engine.online.catch_up()
        assert engine.online.status.as_of == engine.state.seq
    assert "begins anew" in caplog.text


def test_another_model_is_not_corrected_by_what_was_learnt_of_the_last(corrected: Engine) -> None:
    shift = corrected.line.shift
    assert shift is not None
    corrected.corrected(msgspec_replace(shift, "v0009"))
    ranking = corrected.rank("u1", ["i1", "i2"], explain=True)
    assert all(term.feature != "online" for item in ranking.items for term in item.contributions)
    corrected.corrected(shift)


def msgspec_replace(shift: Any, version: str) -> Any:
    import dataclasses

    return dataclasses.replace(shift, version=version)


def test_features_that_there_arent_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"online\.features names 'colour'"):
        opened(":memory:", features=["colour"])
    with pytest.raises(ConfigError, match=r"online\.drift false"):
        opened(":memory:", retrain_on_drift=True)


class Host:
    """An engine's part for ``Online``, which notes what it is told to do."""

    def __init__(self) -> None:
        self.model, self.training = "v0001", "idle"
        self.did: list[str] = []

    def corrected(self, shift: object) -> None: ...

    def activate(self, version: str) -> None:
        self.did.append(f"activate {version}")
        self.model = version

    def train_in_background(self) -> None:
        self.did.append("train")

    def rollback(self) -> None:
        self.did.append("rollback")
        self.model = "v0001"


def test_a_model_that_earns_less_is_rolled_back_and_one_chosen_by_hand_is_left_alone() -> None:
    for chosen, done in (("v0002", ["activate v0002", "rollback"]), ("v0003", ["activate v0002"])):
        with filled(":memory:") as engine:
            host = Host()
            online = Online(host, engine.parts, engine.settings)
            online._guard.settled("v0001", 1.0)
            for reward in itertools.islice(itertools.cycle([0.0, 1.0, 1.0]), 600):
                online._guard.settled("v0001", reward)
            online.trained("v0002")
            host.model = chosen
            shown = type("S", (), {"model": "v0002", "labels": 0, "loss": 0.0, "mixed": False})
            for reward in itertools.islice(itertools.cycle([0.0, 0.0, 1.0]), 900):
                shown.reward = reward  # pyright: ignore[reportAttributeAccessIssue]
                online._settled(shown)  # pyright: ignore[reportArgumentType]
            online.close()
            assert host.did == done
            assert online._guard.trial is not None
            assert online._guard.trial.verdict == "worse"


def test_a_model_that_is_worse_on_what_neither_learnt_from_is_not_activated(caplog: pytest.LogCaptureFixture) -> None:
    worse = Against("v0001", "worse", "", 200, 30, 0.1, 0.2, Margin(-0.1, -0.15, -0.05))
    with filled(":memory:") as engine:
        host = Host()
        online = Online(host, engine.parts, engine.settings)
        online.trained("v0002", worse)
        assert host.did == []
        assert online.status.refused == 1
        assert "The model v0002 is not activated, v0001 goes on: NDCG@10 -0.1000" in caplog.text
        online.catch_up()
        assert online.status.refused == 1
        online.trained("v0003", Against("v0001", "untold", "few", 3))
        assert "The model v0003 isn't judged against v0001: there are 3 choices" in caplog.text
        online.trained("v0004", Against("v0003", "even", "", 200, 30, 0.2, 0.2, Margin(0.0, -0.05, 0.05)))
        assert host.did == ["activate v0003", "activate v0004"]
        assert online._guard.trial is not None  # and is watched
        online.close()


def test_the_clock_and_drift_train_in_the_background() -> None:
    with filled(":memory:", retrain_hours=1.0, drift=True, retrain_on_drift=True) as engine:
        host = Host()
        online = Online(host, engine.parts, engine.settings)
        online._clockwork()
        assert host.did == []
        online._train_at = 0.0
        online._clockwork()
        online._clockwork()
        assert host.did == ["train"]
        host.training = "running"
        online._train("why not")
        assert host.did == ["train"]
        online.close()


def test_a_trial_that_is_over_ends_the_thread(tmp_path: Path) -> None:
    with filled(tmp_path / "a", correct="off") as engine:
        online = engine.online
        assert online._thread is None
        engine.train_in_background = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
        engine.activate = lambda version: None  # pyright: ignore[reportAttributeAccessIssue]
        online.trained("v0002")
        assert online._thread is not None
        assert not online._done()
        trial = online._guard.trial
        assert trial is not None
        trial.verdict = "kept"
        online.catch_up()
        assert online._done()
        assert online.status.trial is not None
        assert online.status.trial.verdict == "kept"
    with opened(tmp_path / "a", correct="off") as engine:
        assert engine.online._thread is None, "the trial is over"


def test_features_of_the_default_are_declared_ones() -> None:
    assert set(palate.Settings().online.features) <= set(NAMES)
