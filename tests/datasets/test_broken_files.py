"""Broken rows: each is refused with its row number and a sentence, and the rows around it are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.datasets import load
from palate.errors import InvalidInput

HEADER = b"user_id,item_id,rating,timestamp\n"
GOOD = b"u1,i1,4,881250949\n"

TIME = "is neither a Unix time nor ISO-8601; for another layout give time_format in the mapping."

CASES: list[tuple[str, bytes, list[tuple[int, str]]]] = [
    ("too few columns", b"u2,i2,3\n", [(3, "The row has 3 columns; the header has 4.")]),
    ("too many columns", b"u2,i2,3,881250949,x\n", [(3, "The row has 5 columns; the header has 4.")]),
    ("one cell", b"nonsense\n", [(3, "The row has 1 columns; the header has 4.")]),
    ("no user", b",i2,3,881250949\n", [(3, "user is missing.")]),
    ("blank user", b"  ,i2,3,881250949\n", [(3, "user is missing.")]),
    ("user is NaN", b"nan,i2,3,881250949\n", [(3, "user is missing.")]),
    ("no item", b"u2,,3,881250949\n", [(3, "item is missing.")]),
    ("item is null", b"u2,NULL,3,881250949\n", [(3, "item is missing.")]),
    ("huge id", b"u2," + b"x" * 600 + b",3,881250949\n", [(3, "item has 600 bytes; an id has 1 to 512.")]),
    ("NUL in an id", b"u\x002,i2,3,881250949\n", [(3, "user contains a NUL character, which ids may not.")]),
    ("rating in words", b"u2,i2,good,881250949\n", [(3, "rating 'good' is not a number.")]),
    ("decimal comma", b'u2,i2,"3,5",881250949\n', [(3, "rating '3,5' is not a number.")]),
    ("rating is NaN", b"u2,i2,NaN,881250949\n", [(3, "rating nan is not a finite number.")]),
    ("rating is infinite", b"u2,i2,inf,881250949\n", [(3, "rating inf is not a finite number.")]),
    ("rating overflows", b"u2,i2,1e999,881250949\n", [(3, "rating inf is not a finite number.")]),
    ("no rating", b"u2,i2,,881250949\n", [(3, "rating is missing.")]),
    ("time in words", b"u2,i2,3,yesterday\n", [(3, f"timestamp 'yesterday' {TIME}")]),
    ("day that is none", b"u2,i2,3,2011-02-30\n", [(3, f"timestamp '2011-02-30' {TIME}")]),
    ("day or month first", b"u2,i2,3,12/1/2010 8:26\n", [(3, f"timestamp '12/1/2010 8:26' {TIME}")]),
    ("time is infinite", b"u2,i2,3,inf\n", [(3, "timestamp inf is not a finite number.")]),
    ("time before 1970", b"u2,i2,3,-5\n", [(3, "timestamp '-5' lies outside the years 1970 to 9999.")]),
    ("no time", b"u2,i2,3,\n", [(3, "timestamp is missing.")]),
    ("broken UTF-8", b"u\xff2,i2,3,881250949\n",
     [(3, "The row is not valid UTF-8; for another encoding give encoding in the mapping.")]),
    ("torn UTF-8 at the end of a row", b"u2,caf\xc3\n",
     [(3, "The row is not valid UTF-8; for another encoding give encoding in the mapping.")]),
    ("open quotation mark", b'"u2,i2,3,881250949\n', [(3, "The row opens a quotation mark that is never closed.")]),
    ("three troubles at once", b"u2,i2,3\n,i2,3,1\n\nu2,i2,x,881250949\n",
     [(3, "The row has 3 columns; the header has 4."), (4, "user is missing."), (6, "rating 'x' is not a number.")]),
    ("a quoted line break before it", b'u2,"i\n2",3,881250949\nu3,i3\n',
     [(5, "The row has 2 columns; the header has 4.")]),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_csv(tmp_path: Path, broken: bytes, expected: list[tuple[int, str]]) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(HEADER + GOOD + broken + b"u9,i9,5,881250950\n")
    report = load(path).report
    assert [(bad.file, bad.row, bad.error) for bad in report.rejections] == [
        ("ratings.csv", row, sentence) for row, sentence in expected
    ]
    assert report.rejected == len(expected)
    assert report.kept == report.rows - len(expected) == report.events
    assert {"u1", "u9"} <= set(load(path).frame()["user"])


JSON_CASES: list[tuple[str, bytes, str]] = [
    ("torn object", b'{"user": "u2", "item":', "The row is not valid JSON: Input data was truncated."),
    ("an array", b'["u2", "i2"]', "The row is not a JSON object."),
    ("a number", b"7", "The row is not a JSON object."),
    ("no item", b'{"user": "u2", "ts": 881250949}', "item is missing."),
    ("null user", b'{"user": null, "item": "i2", "ts": 881250949}', "user is missing."),
    ("a record for an id", b'{"user": {"a": 1}, "item": "i2"}', "user is neither a text nor a number."),
    ("true for an id", b'{"user": true, "item": "i2"}', "user is neither a text nor a number."),
    ("a list for a time", b'{"user": "u2", "item": "i2", "rating": 1, "ts": [1]}', "timestamp '[1]' is not a time."),
    ("true for a rating", b'{"user": "u2", "item": "i2", "rating": true, "ts": 881250949}',
     "rating 'True' is not a number."),
    ("broken UTF-8", b'{"user": "\xff", "item": "i2"}',
     "The row is not valid UTF-8; for another encoding give encoding in the mapping."),
]  # fmt: skip


@pytest.mark.parametrize(("line", "sentence"), [case[1:] for case in JSON_CASES], ids=[case[0] for case in JSON_CASES])
def test_ndjson(tmp_path: Path, line: bytes, sentence: str) -> None:
    path = tmp_path / "log.ndjson"
    good = b'{"user": "u1", "item": 7, "rating": 4, "ts": 881250949}\n'
    path.write_bytes(good + line + b"\n" + good)
    report = load(path).report
    assert [(bad.row, bad.error) for bad in report.rejections] == [(2, sentence)]
    assert (report.rows, report.kept, report.events) == (3, 2, 2)


WIRE_CASES: list[tuple[str, bytes, str]] = [
    ("unknown key", b'{"event":"interaction","item":"a","user":"u","colour":1,"timestamp":5}',
     "Object contains unknown field `colour`."),
    ("unknown event", b'{"event":"purchase","item":"a","timestamp":5}', "Invalid value 'purchase' - at `$.event`: "
     "use item, user, impression or interaction, whose type says what was done."),
    ("no item", b'{"event":"interaction","user":"u","timestamp":5}', "Object missing required field `item`."),
    ("nobody", b'{"event":"interaction","item":"a","timestamp":5}',
     "Neither user nor session is given: an interaction or impression needs one of them."),
    ("no time", b'{"event":"interaction","item":"a","user":"u"}', "timestamp is missing."),
    ("impression without a time", b'{"event":"impression","items":["a"],"user":"u"}',
     "An impression needs a timestamp here: without one it has no place in the history."),
    ("deletion without a time", b'{"event":"item","item":"a","deleted":true}',
     "A deletion needs a timestamp here: without one it has no place in the history."),
    ("broken UTF-8", b'{"event":"item","item":"\xff"}', "The row is not valid UTF-8."),
    ("array", b"[1,2]", "The row is not a JSON object."),
]  # fmt: skip


@pytest.mark.parametrize(("line", "sentence"), [case[1:] for case in WIRE_CASES], ids=[case[0] for case in WIRE_CASES])
def test_wire_events(tmp_path: Path, line: bytes, sentence: str) -> None:
    path = tmp_path / "events.ndjson"
    good = b'{"event":"interaction","item":"a","user":"u","timestamp":5}\n'
    path.write_bytes(good + line + b"\n" + good)
    report = load(path).report
    assert [(bad.row, bad.error) for bad in report.rejections] == [(2, sentence)]
    assert (report.rows, report.kept, report.events) == (3, 2, 2)


def test_the_list_of_rejections_is_bounded_and_the_count_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(HEADER + GOOD + b"u2,i2,bad,1\n" * 250)
    report = load(path).report
    assert (report.rejected, len(report.rejections)) == (250, 100)
    assert report.rejections[99].row == 102
    assert report.sentences()[-1] == "150 further rejected rows are not listed."
    assert "ratings.csv, row 3: rating 'bad' is not a number." in report.sentences()


def test_a_file_without_one_good_row(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(HEADER + b"u2,i2,bad,1\n")
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert caught.value.message == (
        f"None of the 1 rows of {path} is good; the first trouble is in ratings.csv, row 2: "
        "rating 'bad' is not a number."
    )


def test_parquet_rows_are_numbered_by_record(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    times = ["2010-12-01 08:26", None, "2010-12-01 00:00", "2010-12-02 00:00"]
    frame = pandas.DataFrame(
        {
            "CustomerID": [17850.0, None, 3.0, 4.0],
            "StockCode": ["a", "b", None, "d"],
            "Quantity": [1.0, 2.0, 3.0, -4.0],
            "InvoiceDate": pandas.to_datetime(times),
        }
    )
    frame.to_parquet(tmp_path / "sales.parquet")
    data = load(tmp_path / "sales.parquet")
    assert [(bad.row, bad.error) for bad in data.report.rejections] == [
        (2, "user is missing."),
        (3, "item is missing."),
        (4, "Quantity -4 is negative: a return is not a purchase."),
    ]
    assert data.frame().to_dict("records") == [
        {"user": "17850", "item": "a", "timestamp": 1_291_191_960_000, "type": "purchase", "value": 1.0}
    ]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", b"", "empty.csv is empty"),
        ("words.csv", b"colour,size\nred,4\n", "none of its columns ('colour', 'size') names users or items"),
        ("broken.csv", b"us\xffer,item\n", "The header of broken.csv is broken."),
        ("fake.parquet", b"PAR0", "fake.parquet is not a Parquet file"),
        ("object.json", b'{"a": 1}', "object.json is not a JSON array of objects"),
        ("torn.json", b"[{", "torn.json is not valid JSON"),
        ("picture.png", b"x", "its suffix is none of"),
    ],
)
def test_files_that_are_no_data(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path / name)
    assert reason in caught.value.message
    (tmp_path / "ratings.csv").write_bytes(HEADER + GOOD)
    report = load(tmp_path).report
    assert report.events == 1
    assert any(reason in line for line in report.skipped) or name == "picture.png"
