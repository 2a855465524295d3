"""Tuning: bounded, resumable to the bit, judged on a half that chose nothing, and never below what was there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import palate
from palate.config import Settings
from palate.errors import InvalidInput, MissingExtra
from palate.store import open_store
from palate.testing.world import make_world
from palate.train.journal import FILE, Journal, Trial, fingerprint
from palate.train.tiers import CHEAP, planned
from palate.train.tune import Tuned, space, tune
from tests.engines import HASHING, filled

pytest.importorskip("optuna")

TRAIN = {"trees": 12, "leaves": 5, "decisions": 240, "candidates": 30, "valid_share": 0.4}
WORLD = make_world(people=20, interactions=1200, follow=0.5)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuning") / "e.palate"
    with palate.open(path, language=HASHING, train=TRAIN) as engine:
        engine.ingest(WORLD.events)
    return path


def search(path: Path, journal: Path | None = None, **options: Any) -> Tuned:
    settings = palate.Settings(language=msgspec.convert(HASHING, type(Settings().language)))
    settings = msgspec.structs.replace(settings, train=msgspec.convert(TRAIN, type(Settings().train)))
    from palate.language import make_encoder
    from palate.language.cache import VectorCache

    store = open_store(path / "events.db", read_only=True)
    return tune(store, settings, VectorCache(None, make_encoder("hashing")), directory=journal, **options)


def lines(journal: Path) -> list[Trial]:
    raw = (journal / FILE).read_bytes().splitlines()[1:]
    return [msgspec.json.decode(line, type=Trial) for line in raw]


@pytest.fixture(scope="module")
def whole(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tuned, Path]:
    """A search of ten trials that nothing interrupted, and its journal."""
    journal = tmp_path_factory.mktemp("whole")
    return search(directory, journal, trials=10), journal


def test_the_first_trial_is_what_is_there_and_the_best_is_never_below(whole: tuple[Tuned, Path]) -> None:
    found, journal = whole
    trials = lines(journal)
    assert (len(trials), found.trials, found.resumed, found.stopped) == (10, 10, 0, "trials")
    assert trials[0].params == {
        "train.learning_rate": 0.05, "train.leaves": 5, "train.trees": 12, "train.candidates": 30,
    }  # fmt: skip
    assert found.before == trials[0].value
    assert found.after == max(trial.value for trial in trials) >= found.before
    assert found.gain.low <= found.gain.value <= found.gain.high
    if found.settings:
        assert found.gain.value > 0
        best = max(trials, key=lambda trial: trial.value)
        assert found.settings == {k: v for k, v in best.params.items() if v != trials[0].params[k]}
    expected = np.mean(max(trials, key=lambda t: t.value).held) - np.mean(trials[0].held)
    assert found.gain.value == pytest.approx(expected)
    assert len({str(trial.params) for trial in trials}) > 5


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    directory: Path, tmp_path: Path, whole: tuple[Tuned, Path]
) -> None:
    search(directory, tmp_path, trials=4)
    text = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(text[:-7])  # the last line is torn, as a crash leaves it
    found = search(directory, tmp_path, trials=10)
    assert found.resumed == 3
    assert (tmp_path / FILE).read_bytes() == (whole[1] / FILE).read_bytes()
    assert (found.settings, found.gain) == (whole[0].settings, whole[0].gain)


def test_a_killed_search_is_resumed(directory: Path, tmp_path: Path, whole: tuple[Tuned, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from tests.train.test_tune import search\n"
        "search(Path(sys.argv[1]), Path(sys.argv[2]), trials=10)"
    )
    root = str(Path(__file__).parent.parent.parent)
    child = subprocess.Popen([sys.executable, "-c", code, str(directory), str(tmp_path), root], env=dict(os.environ))
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if (tmp_path / FILE).is_file() and (tmp_path / FILE).read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = (tmp_path / FILE).read_bytes().count(b"\n") - 1
    assert kept >= 2
    found = search(directory, tmp_path, trials=10)
    assert found.resumed == kept
    assert (tmp_path / FILE).read_bytes() == (whole[1] / FILE).read_bytes()


def test_minutes_bound_it_too(directory: Path) -> None:
    ticks = iter(range(0, 10_000, 25))
    found = search(directory, trials=50, minutes=1, clock=lambda: float(next(ticks)))
    assert found.stopped == "minutes"
    assert 1 <= found.trials < 6


def test_another_log_begins_the_journal_anew(tmp_path: Path) -> None:
    settings = Settings()
    names = ["train.leaves"]
    first, second = (fingerprint(settings, seq, names, 1) for seq in (5, 6))
    assert first != second != fingerprint(settings, 6, names, 2)
    trial = Trial({"train.leaves": 5}, 0.5, [1.0, 0.0])
    with Journal(tmp_path, first) as journal:
        journal.add(trial)
    with Journal(tmp_path, first) as journal:
        assert journal.trials == [trial]
    with Journal(tmp_path, second) as journal:
        assert journal.trials == []
    for text in (b"", b"not JSON\n", b'{"format":9,"fingerprint":""}\n'):
        (tmp_path / FILE).write_bytes(text)
        with Journal(tmp_path, second) as journal:
            assert journal.trials == []


def test_replays_are_searched_where_they_are_asked_for(directory: Path) -> None:
    wide = space(Settings(), replays=True)
    assert set(wide) - set(space(Settings(), replays=False)) == {"train.window_share", "state.half_lives"}
    found = search(directory, trials=4, replays=True, seed=3)
    assert found.trials == 4


def test_the_space_holds_what_is_there() -> None:
    train = msgspec.structs.replace(Settings().train, learning_rate=0.9, leaves=200, trees=3, candidates=15)
    found = space(msgspec.structs.replace(Settings(), train=train), replays=True)
    assert found["train.learning_rate"].high == 0.9
    assert found["train.leaves"].high == 200
    assert found["train.trees"].low == 3
    assert (found["train.candidates"].low, found["train.candidates"].high) == (15, 15)
    cheap = msgspec.structs.replace(Settings(), train=msgspec.structs.replace(Settings().train, tier="cheap"))
    assert space(planned(cheap), replays=False)["train.trees"].high == CHEAP["trees"]


def test_too_little_to_judge_by_is_a_sentence() -> None:
    sentence = "validation decisions to tune by, and at least 40 are needed"
    with (
        filled(make_world(people=5, interactions=60), train=TRAIN) as engine,
        pytest.raises(InvalidInput, match=sentence),
    ):
        tune(engine.parts.store, engine.settings, engine.parts.cache)


def test_without_optuna_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"Tuning needs the package 'optuna'.*palate\[tune\]"):
        search(directory)
