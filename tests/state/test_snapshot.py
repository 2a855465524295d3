"""Snapshots: equal to what they were made from, refused whole when anything in them changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

import palate
from palate import settings
from palate.config import DEFAULT_WEIGHTS, Settings, StateSettings
from palate.errors import CorruptArtefact
from palate.state import State, snapshot
from palate.testing.world import make_world
from palate.types import Event, Interaction, User


def world_state(settings: Settings | None = None, n: int = 400) -> State:
    state = State(settings or Settings())
    events: list[Event] = list(make_world(interactions=n).events)
    newest = max(event.timestamp or 0 for event in events)
    events += [
        User(id="x", timestamp=5, user="p1", fields={"age": 3}),
        Interaction(id="y", timestamp=newest, user="p1", item="i1", value=0.3),  # a value that an entry has no room for
    ]
    state.apply(((int(e.timestamp or 0), 10**13, e) for e in events), len(events))
    return state


@pytest.fixture
def written(tmp_path: Path) -> Path:
    state = world_state()
    return snapshot.write(tmp_path, state.seq, snapshot.freeze(state, "hashing"))


def test_a_round_trip_changes_nothing(written: Path) -> None:
    state, encoder = snapshot.read(written, Settings())
    assert encoder == "hashing"
    assert snapshot.digest(state) == snapshot.digest(world_state())


def test_an_empty_state_can_be_kept_and_gone_on_with(tmp_path: Path) -> None:
    empty = State(Settings())
    state, _ = snapshot.read(snapshot.write(tmp_path, 0, snapshot.freeze(empty, "")), Settings())
    assert snapshot.digest(state) == snapshot.digest(empty)
    events = make_world(interactions=50).events
    for one in (state, empty):
        one.apply(((int(e.timestamp or 0), 10**13, e) for e in events), len(events))
    assert snapshot.digest(state) == snapshot.digest(empty)


def test_a_digest_notices_every_kind_of_difference() -> None:
    small = Settings(state=StateSettings(history=5, window=3))  # so that something has left the histories
    digests = {snapshot.digest(world_state(small))}
    changes = [
        lambda s: s.user_columns["last"].__setitem__(0, 1),
        lambda s: s.item_columns["shown"].__setitem__(0, 1),
        lambda s: s.totals.__setitem__(8, 0.5),
        lambda s: s.item_fields[0].__setitem__("title", "other"),
        lambda s: setattr(s, "clamped", 1),
        lambda s: s.history.columns["word"].__setitem__(int(s.history.start[0]), 1),
        lambda s: s.history.columns["tie"].__setitem__(int(s.history.start[0]), 1),
        lambda s: s.pairs.columns["co"].__setitem__(slice(None), 0),
        lambda s: s.seen.columns["neg"].__setitem__(slice(None), 1),
        lambda s: s.wide.columns["value"].__setitem__(slice(None), 1),
    ]
    for change in changes:
        state = world_state(small)
        change(state)
        digests.add(snapshot.digest(state))
    assert len(digests) == len(changes) + 1


@pytest.mark.parametrize("name", ["state.safetensors", "names.msgpack"])
def test_a_changed_byte_anywhere_is_refused(written: Path, name: str) -> None:
    path = written / name
    good = path.read_bytes()
    for place in (0, 8, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(CorruptArtefact, match=f"{name} of the snapshot .* doesn't match its checksum"):
            snapshot.read(written, Settings())
    path.write_bytes(good[:-1])
    with pytest.raises(CorruptArtefact, match="doesn't match its checksum"):
        snapshot.read(written, Settings())
    path.unlink()
    with pytest.raises(CorruptArtefact, match="can't be read"):
        snapshot.read(written, Settings())


def test_a_changed_byte_of_the_manifest_never_changes_the_state(written: Path) -> None:
    """Refused, or (white space, the case of \\u escapes) read as what it was."""
    path = written / "manifest.json"
    good = path.read_bytes()
    wanted = snapshot.digest(world_state())
    accepted = 0
    for place in range(2 * len(good)):
        flip, place = (1, place) if place < len(good) else (0xFF, place - len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
        try:
            state, encoder = snapshot.read(written, Settings())
        except CorruptArtefact:
            continue
        accepted += 1
        assert (snapshot.digest(state), encoder) == (wanted, "hashing"), good[max(0, place - 20) : place + 5]
    assert accepted < len(good) // 2


def test_other_bounds_or_weights_are_refused(written: Path) -> None:
    for other in (Settings(state=StateSettings(window=5)), Settings(weights={"click": 2.0})):
        with pytest.raises(CorruptArtefact, match=r"was made with other \[state\] or \[weights\] settings"):
            snapshot.read(written, other)


def test_other_default_weights_of_another_version_are_noticed(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot.read(written, Settings(weights={"click": DEFAULT_WEIGHTS["click"]}))
    monkeypatch.setattr(settings, "DEFAULT_WEIGHTS", {**DEFAULT_WEIGHTS, "click": 1.5})
    with pytest.raises(CorruptArtefact, match=r"was made with other \[state\] or \[weights\] settings"):
        snapshot.read(written, Settings())


def test_a_newer_format_is_refused(written: Path) -> None:
    path = written / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes())
    manifest["format"] = State.FORMAT + 1
    path.write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(CorruptArtefact, match=f"has format {State.FORMAT + 1}; this Palate reads {State.FORMAT}"):
        snapshot.read(written, Settings())


def test_the_newest_are_kept_and_what_was_half_written_is_no_snapshot(tmp_path: Path) -> None:
    files = snapshot.freeze(world_state(), "")
    for seq in (5, 100, 20):
        snapshot.write(tmp_path, seq, files)
    (tmp_path / ".000000000999.1").mkdir()
    (tmp_path / "notes").mkdir()
    assert [int(path.name) for path in snapshot.available(tmp_path)] == [20, 100]
    assert snapshot.available(tmp_path / "absent") == []
    shutil.rmtree(tmp_path / "000000000100")
    assert [int(path.name) for path in snapshot.available(tmp_path)] == [20]


def test_a_snapshot_of_another_log_is_not_used(tmp_path: Path) -> None:
    """A log that lost its end (a power loss, a backup) and went on: the same positions hold other events."""
    language, path = {"encoder": "hashing"}, tmp_path / "e.palate"

    def take(letter: str, n: int) -> None:
        with palate.open(path, language=language) as engine:
            engine.ingest([Interaction(id=f"{letter}{number}", user=letter, item="x") for number in range(n)])

    take("a", 5)
    shutil.copy(path / "events.db", tmp_path / "backup.db")
    take("b", 5)
    shutil.copy(tmp_path / "backup.db", path / "events.db")
    shutil.move(path / "snapshots", tmp_path / "others")
    take("c", 8)
    shutil.rmtree(path / "snapshots")
    shutil.move(tmp_path / "others", path / "snapshots")
    shutil.rmtree(path / "snapshots" / "000000000005")
    assert [int(one.name) for one in snapshot.available(path / "snapshots")] == [10]
    (path / "snapshots" / ".000000000099.123").mkdir()
    with palate.open(path, language=language) as engine:
        assert (engine.user("b").known, engine.user("c").interactions) == (False, 8)
        assert engine.rebuild()["equal"]
        engine.snapshot()
    assert not list((path / "snapshots").glob(".*")), "what a killed process left is swept out"
