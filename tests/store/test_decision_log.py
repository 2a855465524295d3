"""The decision log: what is written can be read, whatever a crash tears off, until the caps say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from palate.config import DecisionSettings
from palate.errors import CorruptArtefact, Gone, NotFound, Unavailable
from palate.store import Decisions, open_decisions, segments
from palate.store.decision import FORMAT, Rules, decode
from palate.store.decisions import Asked, Shown, Unshown, pack
from palate.store.memory import MemoryDecisionLog
from palate.types import Candidate, FieldValue, Stage
from tests.store.store_helpers import DAY, Clock, add, decision, log_at, timestamps


def test_a_round_trip_keeps_every_field(tmp_path: Path) -> None:
    full = decision(
        7,
        unshown=Unshown(["c", "d"], pack(np.ones((2, 3), np.float32))),
        arm="b",
        source="replay",
        policy="plackett_luce",
        request=Asked(
            "recommend",
            user="u",
            k=2,
            query="红鞋",
            context={"hour": 3, "tags": ["x"]},
            candidates=400,
            items=["a", Candidate("b", {"price": 3})],
        ),
        stages=[Stage("retrieve", 1.5, "ran", counts={"popular": 100}), Stage("query", 0.0, "skipped", "no query")],
        filters={"seen": 12},
        clicked=["i7"],
        base=-0.5,
        rules=Rules(True, 0.25, 0.5, "shop", "keep", True),
        penalties=[0.0, 0.125],
    )
    with log_at(tmp_path) as log:
        ranking = log.reserve()
        log.append(ranking, full)
        assert log.get(ranking) == full, "before it is written"
        log.flush()
        assert log.get(ranking) == full
        assert full.ranking == ranking
    with log_at(tmp_path) as log:
        assert log.get(ranking) == full
        assert list(log.read()) == [full]
        np.testing.assert_array_equal(full.shown.matrix(), [[7, 8, 9], [10, 11, 12]])
        assert full.shown.matrix().dtype == np.float32
        assert Shown([], [], [], [], [], b"").matrix().shape == (0, 0)


class AskedOfFormat1(msgspec.Struct, omit_defaults=True):
    kind: str
    user: str | None = None
    session: str | None = None
    k: int | None = None
    query: str | None = None
    context: dict[str, FieldValue] = {}
    seen: str = "auto"
    candidates: int = 0
    filter: dict[str, Any] | None = None
    exclude: list[str] = []


class DecisionOfFormat1(msgspec.Struct, kw_only=True, omit_defaults=True):
    ranking: str = ""
    timestamp: int
    as_of: int
    subject: str | None
    model: str
    features: str
    shown: Shown
    unshown: Unshown | None = None
    arm: str = ""
    source: str = "live"
    policy: str = "greedy"
    request: AskedOfFormat1 | None = None
    stages: list[Stage] = []
    filters: dict[str, int] = {}
    clicked: list[str] = []
    base: float = 0.0


def test_a_record_of_format_1_is_read_as_it_was(tmp_path: Path) -> None:
    shown = Shown(["a", "b"], [1.5, None], [1, 2], [1.0, 0.25], [False, True], pack(np.ones((2, 3), np.float32)))
    key = segments.Key(1, 1, 7)
    old = DecisionOfFormat1(
        ranking=key.text(), timestamp=3, as_of=9, subject="u", model="v0001", features="f", shown=shown,
        unshown=Unshown(["c"], pack(np.zeros((1, 3), np.float32))), policy="plackett_luce",
        request=AskedOfFormat1("rank", "u", k=2, candidates=3, exclude=["x"]), filters={"excluded": 1},
    )  # fmt: skip
    body = msgspec.msgpack.encode(old)
    segments.path_of(tmp_path, 1).write_bytes(segments.head(2**41) + segments.frame(key, body))
    with log_at(tmp_path, max_days=1e6) as log:
        for found in (log.get(key.text()), *log.read()):
            assert (found.format, found.rules, found.penalties) == (1, None, [])
            assert found.request == Asked("rank", "u", k=2, candidates=3, exclude=["x"])
            assert (found.shown, found.unshown, found.policy, found.as_of) == (shown, old.unshown, old.policy, 9)
        assert log.get(add(log, 4)).format == FORMAT


def test_a_record_of_a_later_format_is_refused(tmp_path: Path) -> None:
    body = msgspec.msgpack.encode(decision(1, format=FORMAT + 1))
    with pytest.raises(CorruptArtefact, match=r"unreadable \(format 3\): it was written by another version"):
        decode(body, "here")


def test_ids_are_unique_and_sort_in_the_order_of_reservation(tmp_path: Path) -> None:
    with log_at(tmp_path) as log:
        ids = [log.reserve() for _ in range(500)]
        add(log, 1)
    with log_at(tmp_path) as log:
        ids += [log.reserve() for _ in range(500)]
    assert ids == sorted(set(ids))
    assert all(len(one) == 32 for one in ids)


def test_decisions_may_come_in_another_order_than_their_ids(tmp_path: Path) -> None:
    with log_at(tmp_path) as log:
        ids = [log.reserve() for _ in range(10)]
        for number in (3, 9, 0, 5):
            log.append(ids[number], decision(number))
        log.flush()
        assert [log.get(ids[number]).timestamp for number in (0, 3, 5, 9)] == [0, 3, 5, 9]
        with pytest.raises(NotFound):
            log.get(ids[1])


def test_rotation_keeps_every_decision_findable(tmp_path: Path) -> None:
    with log_at(tmp_path, segment_bytes=4096) as log:
        early = log.reserve()
        ids = [add(log, number) for number in range(200)]
        log.flush()
        log.append(early, decision(999))  # written long after the segment of its reservation was closed
        log.flush()
        names = sorted(path.name for path in tmp_path.iterdir())
        assert len(names) > 5
        assert all(path.stat().st_size <= 4096 for path in tmp_path.iterdir())
        assert [log.get(one).timestamp for one in ids] == list(range(200))
        assert log.get(early).timestamp == 999
        assert timestamps(log) == [*range(200), 999]


def test_a_decision_larger_than_a_segment(tmp_path: Path) -> None:
    with log_at(tmp_path, segment_bytes=4096) as log:
        ids = [add(log, 0), add(log, 1, unshown=Unshown(["c"], bytes(20_000))), add(log, 2)]
        log.flush()
        assert [log.get(one).timestamp for one in ids] == [0, 1, 2]
        assert timestamps(log) == [0, 1, 2]


def test_the_cap_of_bytes_deletes_the_oldest(tmp_path: Path) -> None:
    with log_at(tmp_path, segment_bytes=4096, max_bytes=20_000) as log:
        ids: list[str] = []
        for number in range(300):
            ids.append(add(log, number))
            if number % 10 == 0:
                log.flush()
                assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
        kept = timestamps(log)
        assert kept == list(range(kept[0], 300))
        assert 0 < kept[0] < 299
        assert log.get(ids[kept[0]]).timestamp == kept[0]
        with pytest.raises(
            Gone, match=r"has expired: decisions are kept for 30 days and 20000 bytes \(decisions.max_days"
        ):
            log.get(ids[0])


def test_the_cap_of_days_deletes_the_oldest(tmp_path: Path) -> None:
    clock = Clock()
    with log_at(tmp_path, clock=clock, max_days=8.0) as log:
        ids: list[str] = []
        for number in range(30):
            ids.append(add(log, number))
            log.flush()
            clock.now += DAY / 2
        kept = timestamps(log)
        assert kept == list(range(kept[0], 30))
        assert 7 * 2 <= len(kept) <= 8 * 2
        with pytest.raises(Gone, match="has expired: decisions are kept for 8 days"):
            log.get(ids[0])
        clock.now += 100 * DAY
        log.flush()
        assert timestamps(log) == []
        with pytest.raises(Gone):
            log.get(ids[-1])
    with log_at(tmp_path, clock=clock, max_days=8.0) as log:
        assert log.reserve() > ids[-1], "segments are never numbered anew"
        with pytest.raises(Gone):
            log.get(ids[-1])


def test_what_expired_while_closed_goes_on_opening(tmp_path: Path) -> None:
    clock = Clock()
    with log_at(tmp_path, clock=clock) as log:
        ranking = add(log, 1)
    clock.now += 31 * DAY
    with log_at(tmp_path, clock=clock) as log:
        assert timestamps(log) == []
        with pytest.raises(Gone):
            log.get(ranking)


@pytest.mark.parametrize(
    "bad", ["", "x", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "é" * 32, "../../../../etc/passwd", "\0" * 32, "f" * 32]
)
def test_an_id_that_is_none(tmp_path: Path, bad: str) -> None:
    with log_at(tmp_path) as log:
        add(log, 1)
        log.flush()
        with pytest.raises(
            NotFound, match=r"There is no decision .*: take the id from an answer's 'ranking' field"
        ) as caught:
            log.get(bad)
        assert not isinstance(caught.value, Gone)
        if len(bad) != 32 or bad != "f" * 32:
            with pytest.raises(NotFound):
                log.append(bad, decision(1))


def test_a_guess_with_the_right_place_and_the_wrong_nonce(tmp_path: Path) -> None:
    with log_at(tmp_path) as log:
        ranking = add(log, 1)
        log.flush()
        with pytest.raises(NotFound):
            log.get(ranking[:-1] + ("0" if ranking[-1] != "0" else "1"))


def test_the_sample_is_fixed_by_the_id_and_has_its_size(tmp_path: Path) -> None:
    with log_at(tmp_path, sample=0.25) as log:
        ids = [log.reserve() for _ in range(4000)]
        kept = [log.keeps_unshown(one) for one in ids]
        assert kept == [log.keeps_unshown(one) for one in ids]
        assert 800 < sum(kept) < 1200
        assert not log.keeps_unshown("x")
    for share in (0.0, 1.0):
        with log_at(tmp_path, sample=share) as log:
            assert {log.keeps_unshown(log.reserve()) for _ in range(100)} == {share == 1.0}


MAKERS: list[Callable[[Path, DecisionSettings], Decisions]] = [
    lambda path, keep: open_decisions(path / "decisions", keep),
    lambda path, keep: open_decisions(None, keep),
]


@pytest.mark.parametrize("make", MAKERS, ids=["disk", "memory"])
def test_disk_and_memory_behave_alike(tmp_path: Path, make: Callable[[Path, DecisionSettings], Decisions]) -> None:
    log = make(tmp_path, DecisionSettings(max_bytes=20_000))
    ids = [add(log, number) for number in range(5)]
    log.flush()
    assert [log.get(one).timestamp for one in ids] == timestamps(log) == list(range(5))
    ids += [add(log, number) for number in range(5, 500)]
    log.flush()
    assert log.get(ids[-1]).timestamp == 499
    with pytest.raises(Gone):
        log.get(ids[0])
    with pytest.raises(NotFound):
        log.get(log.reserve())
    log.close()
    log.close()
    with pytest.raises(Unavailable, match="closed"):
        log.append(ids[0], decision(1))


@pytest.mark.parametrize("make", MAKERS, ids=["disk", "memory"])
def test_turned_off_it_still_gives_ids(tmp_path: Path, make: Callable[[Path, DecisionSettings], Decisions]) -> None:
    log = make(tmp_path, DecisionSettings(enabled=False))
    ranking = add(log, 1)
    log.flush()
    assert timestamps(log) == []
    with pytest.raises(NotFound, match=r"while decisions.enabled is false"):
        log.get(ranking)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_memory_logs_are_what_the_factory_gives() -> None:
    assert isinstance(open_decisions(None, DecisionSettings()), MemoryDecisionLog)
