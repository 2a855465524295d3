"""pandas and polars frames: columns by their usual names, missing values, every unit of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palate
from palate.errors import InvalidInput
from palate.frames import field_value, find_columns, frame_events, is_frame, moment
from palate.types import Interaction, Item, User
from palate.wire import parse_timestamp

MS = 1_704_067_200_123
"""2024-01-01T00:00:00.123Z"""


@pytest.mark.parametrize("library", [pd, pl])
def test_interactions(library: Any) -> None:
    frame = library.DataFrame(
        {"userId": [1, 2], "movie_id": ["a", "b"], "rating": [4.0, 3.5], "ts": [MS, MS + 1], "other": [[1], [2]]}
    )
    assert is_frame(frame)
    assert list(frame_events(frame)) == [
        Interaction(user="1", item="a", type="rating", value=4.0, timestamp=MS),
        Interaction(user="2", item="b", type="rating", value=3.5, timestamp=MS + 1),
    ]


@pytest.mark.parametrize("library", [pd, pl])
def test_every_column_of_an_interaction(library: Any) -> None:
    row = {
        "event_id": "e1", "customer_id": "c", "session": "s", "StockCode": "i", "InvoiceDate": MS,
        "event_type": "purchase", "score": 2, "review": "fine", "ranking": "r",
    }  # fmt: skip
    found = list(frame_events(library.DataFrame({name: [value] for name, value in row.items()})))
    assert found == [
        Interaction(
            id="e1", user="c", session="s", item="i", timestamp=MS, type="purchase", value=2.0, text="fine", ranking="r"
        )
    ]


def test_without_a_type_it_is_a_view_and_with_stars_a_rating() -> None:
    frame = pd.DataFrame({"user": ["u"], "item": ["i"], "value": [2.0]})
    assert next(frame_events(frame)).type == "view"
    assert next(frame_events(frame.rename(columns={"value": "Stars"}))).type == "rating"


def test_sessions_alone_are_people_too() -> None:
    (event,) = frame_events(pd.DataFrame({"session_id": ["s"], "item": ["i"]}))
    assert (event.user, event.session) == (None, "s")


@pytest.mark.parametrize("library", [pd, pl])
def test_items_and_users(library: Any) -> None:
    items = library.DataFrame(
        {"item_id": ["a", "b"], "title": ["x", None], "price": [1.5, None], "genres": [["D"], []]}
    )
    assert list(frame_events(items)) == [
        Item(item="a", fields={"title": "x", "price": 1.5, "genres": ["D"]}),
        Item(item="b", fields={"genres": []}),
    ]
    users = library.DataFrame({"user": ["u"], "age": [30], "vip": [True], "date": [MS]})
    assert list(frame_events(users)) == [User(user="u", timestamp=MS, fields={"age": 30, "vip": True})]


def test_the_first_alias_wins_and_names_ignore_case() -> None:
    assert find_columns(["uid", "USER", "Item", "ts", "timestamp"]) == {
        "user": "USER", "item": "Item", "timestamp": "timestamp",
    }  # fmt: skip
    assert find_columns(["nothing"]) == {}


def test_a_frame_of_something_else() -> None:
    with pytest.raises(InvalidInput, match=r"no user or item column; it has a, b\. Rename one to 'item'"):
        list(frame_events(pd.DataFrame({"a": [1], "b": [2]})))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.nan])
def test_missing_values(missing: Any) -> None:
    frame = pd.DataFrame(
        {
            "user": ["u"], "item": ["i"], "timestamp": pd.Series([missing], dtype=object),
            "value": pd.Series([missing], dtype=object), "type": pd.Series([missing], dtype=object),
            "session": pd.Series([missing], dtype=object),
        }
    )  # fmt: skip
    assert list(frame_events(frame)) == [Interaction(user="u", item="i", type="view")]
    assert field_value(missing) is None
    assert moment(missing) is None


def test_ids_that_became_floats_because_some_were_missing() -> None:
    frame = pd.DataFrame({"customer_id": [17850.0, float("nan")], "item": [1.0, 2.5], "session": ["s", "s"]})
    assert [(e.user, e.item) for e in frame_events(frame)] == [("17850", "1"), (None, "2.5")]


def test_a_row_without_an_item_is_rejected_by_its_number() -> None:
    frame = pd.DataFrame({"user": ["u", "u", "u"], "item": ["i", None, "j"], "timestamp": [MS, MS, MS]})
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        result = engine.ingest(frame)
        assert (result.accepted, [bad.index for bad in result.rejected]) == (2, [1])
        assert result.rejected[0].error == "item is empty: an id has 1 to 512 bytes."


def test_column_labels_that_are_no_strings() -> None:
    frame = pd.DataFrame({"item": ["a"], 0: ["x"], ("b", 1): [2]})
    assert next(frame_events(frame)) == Item(item="a", fields={"0": "x", "('b', 1)": 2})


# ------------------------------------------------------------------------------ time


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_pandas_datetimes_of_every_unit_and_zone(unit: str, zone: str | None) -> None:
    stamps = pd.Series(pd.to_datetime([MS - MS % 1000, 1_000], unit="ms")).astype(f"datetime64[{unit}]")
    if zone:
        stamps = stamps.dt.tz_localize("UTC").dt.tz_convert(zone)
    frame = pd.DataFrame({"user": "u", "item": ["i", "j"], "timestamp": stamps})
    assert [event.timestamp for event in frame_events(frame)] == [MS - MS % 1000, 1_000]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_polars_datetimes_of_every_unit(unit: Any) -> None:
    stamps = pl.Series([MS], dtype=pl.Int64).cast(pl.Datetime("ms")).cast(pl.Datetime(unit))
    frame = pl.DataFrame({"user": ["u"], "item": ["i"], "timestamp": stamps})
    assert next(frame_events(frame)).timestamp == MS
    zoned = frame.with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
    assert next(frame_events(zoned)).timestamp == MS
    days = frame.with_columns(pl.col("timestamp").dt.date())
    assert next(frame_events(days)).timestamp == 1_704_067_200_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MS, MS),
        (MS // 1000, MS // 1000 * 1000),
        (1_704_067_200.123, MS),
        (MS * 1000, MS),
        (MS * 1000 + 999, MS),
        (MS * 1_000_000, MS),
        (np.int64(MS * 1_000_000), MS),
        (0, 0),
        ("2024-01-01", "2024-01-01"),
        (date(2024, 1, 1), 1_704_067_200_000),
        (datetime(2024, 1, 1, 0, 0, 0, 123_000), MS),
        (datetime(2024, 1, 1, 8, 0, 0, 123_000, tzinfo=timezone(timedelta(hours=8))), MS),
        (np.datetime64("2024-01-01T00:00:00.123"), MS),
        (np.datetime64("2024-01-01T00:00:00.123456789"), MS),
        (np.datetime64("2024-01-01"), 1_704_067_200_000),
    ],
)
def test_moments(value: Any, expected: int | str) -> None:
    assert moment(value) == expected


@given(st.integers(10**11, 10**13))
def test_no_unit_loses_a_millisecond(ms: int) -> None:
    naive = datetime(1970, 1, 1) + timedelta(milliseconds=ms)
    aware = naive.replace(tzinfo=UTC)
    assert (
        moment(naive) == moment(aware) == parse_timestamp(aware.isoformat()) == parse_timestamp(naive.isoformat()) == ms
    )
    assert moment(ms * 1000) == moment(ms * 1_000_000) == ms


def test_texts_of_times_follow_the_rules_of_the_wire() -> None:
    frame = pd.DataFrame(
        {"user": "u", "item": ["i", "j", "k"], "date": ["2024-01-01T00:00:00.123Z", "nonsense", str(MS)]}
    )
    with palate.open(":memory:", language={"encoder": "hashing"}) as engine:
        result = engine.ingest(frame)
        assert [bad.index for bad in result.rejected] == [1]
        assert "neither ISO-8601" in result.rejected[0].error
        assert [event.timestamp for event in engine.export()] == [MS, MS]


def test_values_of_fields() -> None:
    assert field_value(np.array(["a", "b"])) == ["a", "b"]
    assert field_value(np.float32(1.5)) == 1.5
    assert field_value(np.int64(3)) == 3
    assert field_value(np.bool_(True)) is True
    assert field_value(("a", 1)) == ["a", "1"]
    assert field_value(date(2024, 1, 1)) == "2024-01-01"


def test_two_columns_of_one_name() -> None:
    frame = pd.DataFrame([["u", "i", 1, 2]], columns=["user", "item", "x", "x"])
    with pytest.raises(InvalidInput, match="two columns named 'x': rename or drop one"):
        list(frame_events(frame))
