"""The data report: what it counts, checked against the plain way of counting."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.datasets.dataset import EventColumns, measure
from palate.datasets.report import DataReport, suspects
from palate.types import Item

EVENT = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["view", "buy"]),
    st.integers(0, 3),
    st.sampled_from([None, 1.0]),
)


def measured(events: list[tuple[int, int, str, int, float | None]]) -> DataReport:
    columns = EventColumns()
    for row, (user, item, kind, time, value) in enumerate(events):
        if user:
            columns.add(row, f"u{user}", f"i{item}", kind, time, value)
        else:
            columns.add(row, None, f"i{item}", kind, time, value, session="s")
    return measure(
        DataReport(name="x", source="y"), columns.finish(), [Item(item="i1", fields={"title": "One", "n": 1})]
    )


@given(st.lists(EVENT, max_size=40))
@settings(max_examples=60, deadline=None)
def test_counts_are_those_of_a_plain_count(events: list[tuple[int, int, str, int, float | None]]) -> None:
    report = measured(events)
    n = len(events)
    assert report.events == n
    assert report.users == len({user for user, *_ in events})
    assert report.items == len({item for _, item, *_ in events} | {1})
    assert report.missing_text == len({item for _, item, *_ in events} - {1})
    assert report.duplicates == n - len(set(events))
    assert report.repeat_rate == ((n - len({event[:2] for event in events})) / n if n else 0.0)
    assert sum(report.types.values()) == n
    assert (report.first, report.last) == (
        (min(event[3] for event in events), max(event[3] for event in events)) if n else (None, None)
    )


def test_users_who_look_like_machines() -> None:
    subject = np.concatenate([np.zeros(5_000), np.repeat(np.arange(2, 60), 3), np.ones(1_200)]).astype(np.int64)
    timestamp = np.concatenate(
        [np.arange(5_000) * 600_000, np.arange(58 * 3) * 1_000, np.full(1_200, 90_000_000)]
    ).astype(np.int64)
    names = [f"u{n}" for n in range(60)]
    assert [(found.user, found.events, found.reason) for found in suspects(subject, timestamp, names)] == [
        ("u0", 5_000, "5,000 events, where the median user has 3."),
        ("u1", 1_200, "1,200 events, where the median user has 3."),
    ]
    burst = suspects(
        np.repeat(np.arange(3), 1_100).astype(np.int64), np.tile(np.arange(1_100), 3).astype(np.int64), names
    )
    assert [found.reason for found in burst] == ["1,100 events within one minute."] * 3


def test_it_survives_json() -> None:
    report = measured([(1, 1, "view", 5, None)] * 3)
    plain = msgspec.json.decode(msgspec.json.encode(report.to_dict()))
    assert msgspec.convert(plain, DataReport) == report
    assert report.sentences() == [
        "x: 0 rows read from y; 0 kept, 0 rejected.",
        "3 events of 1 users with 1 items (view 3).",
        "1 items are described; 0 have no text.",
        "The events span 1970-01-01 to 1970-01-01.",
        "66.7% of the events repeat a user and item that had met before; "
        "2 are equal in every respect to an earlier one.",
    ]
