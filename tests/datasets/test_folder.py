"""Folders and files of every kind: recognised columns, mappings, times, types, ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from palate.datasets import Dataset, load
from palate.errors import ConfigError, InvalidInput, NotFound
from palate.types import Impression, Interaction, Item, User

DAY = 1_322_388_000_000  # 2011-11-27T10:00:00Z


def put(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(content, encoding="utf-8")
    return folder


def rows(data: Dataset) -> list[tuple[Any, ...]]:
    """Events as tuples in time order, None for no value."""
    return [
        (event.user, event.item, event.timestamp, event.type, event.value)
        for chunk in data.stream()
        for event in chunk
        if isinstance(event, Interaction)
    ]


def test_a_shop(tmp_path: Path) -> None:
    put(
        tmp_path,
        sales_csv="CustomerID,StockCode,InvoiceDate,Quantity\n"
        "17850.0,85123A,2011-11-27 10:00:00,6\n"
        "17850,0042,2011-11-27T11:00:00+01:00,2\n",
        products_csv="StockCode,Name,Price,Categories\n85123A,Lantern,2.55,Home|Light\n0042,Mug,3,\n",
        customers_csv="CustomerID,Country,Age\n17850,France,40\n",
    )
    data = load(tmp_path)
    assert rows(data) == [
        ("17850", "85123A", DAY, "purchase", 6.0),
        ("17850", "0042", DAY, "purchase", 2.0),
    ]
    assert {item.item: item.fields for item in data.items} == {
        "85123A": {"title": "Lantern", "Price": 2.55, "Categories": ["Home", "Light"]},
        "0042": {"title": "Mug", "Price": 3.0},
    }
    assert [(user.user, user.fields) for user in data.users] == [("17850", {"Country": "France", "Age": 40})]
    assert {event.timestamp for event in [*data.items, *data.users]} == {DAY - 1}
    assert data.name == tmp_path.name


@pytest.mark.parametrize(
    ("header", "kind", "value"),
    [
        ("user,item,rating", "rating", 4.0),
        ("userId,movieId,stars", "rating", 4.0),
        ("reviewerID,asin,overall", "rating", 4.0),
        ("customer_id,product_id,quantity", "purchase", 4.0),
        ("user,item,hours", "view", 4.0),
        ("visitor,sku,other", "view", None),
    ],
)
def test_types_told_by_the_value_column(tmp_path: Path, header: str, kind: str, value: float | None) -> None:
    put(tmp_path, log_csv=f"{header},timestamp\nu,i,4,{DAY}\n")
    assert rows(load(tmp_path)) == [("u", "i", DAY, kind, value)]


def test_types_told_by_a_column(tmp_path: Path) -> None:
    put(tmp_path, log_tsv="ts\tuser\titem\tevent\n1\tu\ti\tView\n2\tu\ti\taddtocart\n3\tu\ti\t\n")
    data = load(tmp_path)
    assert [row[3] for row in rows(data)] == ["view", "addtocart", "view"]
    assert data.report.types == {"view": 2, "addtocart": 1}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1322388000", DAY),
        ("1322388000.5", DAY + 500),
        ("1322388000000", DAY),
        ("1322388000000000", DAY),
        ("1322388000000000000", DAY),
        ("1.322388e9", DAY),
        ("2011-11-27", DAY - 36_000_000),
        ("20111127", DAY - 36_000_000),
        ("20111327", 20_111_327_000),
        ("2011-11-27T10:00:00Z", DAY),
        ("2011-11-27 11:00:00+01:00", DAY),
        ("2011/11/27 10:00", DAY),
        ("0", 0),
    ],
)
def test_times(tmp_path: Path, cell: str, expected: int) -> None:
    put(tmp_path, log_csv=f"user,item,time\nu,i,{cell}\n")
    assert rows(load(tmp_path)) == [("u", "i", expected, "view", None)]


@pytest.mark.parametrize(
    ("mapping", "cell", "expected"),
    [
        ({"time_format": "%d/%m/%Y %H:%M"}, "27/11/2011 10:00", DAY),
        ({"time_unit": "ms"}, "1000", 1_000),
        ({"time_unit": "s"}, "1322388000", DAY),
        ({"time_unit": "us"}, "5000", 5),
    ],
)
def test_times_by_mapping(tmp_path: Path, mapping: dict[str, Any], cell: str, expected: int) -> None:
    put(tmp_path, log_csv=f"user,item,time\nu,i,{cell}\n")
    assert rows(load(tmp_path, mapping)) == [("u", "i", expected, "view", None)]


def test_no_times_at_all_row_order_is_time_and_the_report_says_so(tmp_path: Path) -> None:
    put(tmp_path, plays_csv="user,item,hours\nu,a,2\nu,b,1\n")
    data = load(tmp_path)
    assert [row[1:3] for row in rows(data)] == [("a", 946_684_800_000), ("b", 946_684_801_000)]
    assert data.report.missing_timestamps == 2
    assert data.report.notes == ["plays.csv has no times: the order of its rows is taken for time, a second each."]


def test_a_column_of_times_that_is_empty_throughout(tmp_path: Path) -> None:
    put(tmp_path, plays_csv="user,item,timestamp\nu,a,\nu,b,\n")
    assert [row[1:3] for row in rows(load(tmp_path))] == [("a", 946_684_800_000), ("b", 946_684_801_000)]


def test_rows_without_a_time_among_others_that_have_one(tmp_path: Path) -> None:
    put(tmp_path, plays_csv="user,item,timestamp,review\nu,a,,x\nu,b,7,fine\nu,c,,y\nu,d,5,\n")
    data = load(tmp_path)
    events = [event for chunk in data.stream() for event in chunk]
    assert [(event.item, event.text) for event in events] == [("d", None), ("b", "fine")]  # pyright: ignore
    assert [(bad.row, bad.error) for bad in data.report.rejections] == [
        (2, "timestamp is missing."),
        (4, "timestamp is missing."),
    ]
    assert data.report.missing_timestamps == 2


def test_ties_keep_the_order_of_rows_and_ids_name_them(tmp_path: Path) -> None:
    put(tmp_path, log_csv="user,item,ts\nu,c,9\nu,b,5\nbroken\nu,a,5\n")
    ids = [(event.item, str(event.id)) for chunk in load(tmp_path).stream() for event in chunk]  # pyright: ignore
    assert [item for item, _ in ids] == ["b", "a", "c"]
    assert [name[-10:] for _, name in ids] == ["-000000001", "-000000003", "-000000000"]


def test_ids_are_those_of_the_last_import_and_new_ones_for_new_rows(tmp_path: Path) -> None:
    def ids() -> set[str | None]:
        return {event.id for chunk in load(tmp_path).stream() for event in chunk}

    put(tmp_path, a_csv="user,item,ts\nu,a,5\n", b_csv="user,item,ts\nu,b,6\n", items_csv="item,title\na,One\n")
    first = ids()
    assert ids() == first
    assert len(first) == 3
    put(tmp_path, a_csv="user,item,ts\nu,a,5\nu,c,7\n", items_csv="item,title\na,One\nb,Two\n")
    second = ids()
    assert first < second
    assert len(second) == 5
    put(tmp_path, items_csv="item,title\na,Renamed\nb,Two\n")
    assert len(ids() - second) == 1
    assert {event.id for chunk in load(tmp_path / "b.csv").stream() for event in chunk} < first


def test_the_same_name_elsewhere_has_other_ids(tmp_path: Path) -> None:
    for month in ("january", "february"):
        (tmp_path / month).mkdir()
        put(tmp_path / month, log_csv="user,item,ts\nu,a,5\n")
    one, other = (next(load(tmp_path / month).stream())[0].id for month in ("january", "february"))
    assert one != other


def test_a_raw_file_gives_way_to_its_clean_form(tmp_path: Path) -> None:
    put(
        tmp_path,
        events_clean_csv="user,item,ts\nu,a,5\n",
        raw_csv="user,item,ts\nu,a,5\nu,b,6\n",
        items_csv="item,title\na,One\n",
    )
    data = load(tmp_path)
    assert len(data.events) == 1
    assert data.report.skipped == ["raw.csv was left out: events_clean.csv is its clean form."]
    assert len(load(tmp_path / "raw.csv").events) == 2


def test_titles_in_events_fill_gaps_of_the_catalogue(tmp_path: Path) -> None:
    put(
        tmp_path,
        sales_csv="user,item,ts,Description\nu,a,5,LAMP\nu,b,6,MUG\nu,b,7,OTHER\n",
        items_csv="item,title\na,Lantern\n",
    )
    assert {item.item: item.fields for item in load(tmp_path).items} == {
        "a": {"title": "Lantern"},
        "b": {"title": "MUG"},
    }


def test_catalogues_are_merged_by_item(tmp_path: Path) -> None:
    put(tmp_path, a_csv="movieId,title,genres\n1,Up,Drama|Comedy\n2,Off,(no genres listed)\n",
        links_csv="movieId,imdbId,year\n1,0114709,2009\n3,7,1999\n")  # fmt: skip
    assert {item.item: item.fields for item in load(tmp_path).items} == {
        "1": {"title": "Up", "genres": ["Drama", "Comedy"], "imdbId": "0114709", "year": 2009},
        "2": {"title": "Off", "genres": []},
        "3": {"imdbId": "7", "year": 1999},
    }


def test_ndjson_and_json_keep_their_types(tmp_path: Path) -> None:
    put(
        tmp_path,
        log_ndjson='{"user": 1, "item": "a", "ts": 5, "type": "like"}\n\n{"user": 2, "item": "b", "ts": 6}\n',
        items_json='[{"id": "a", "name": "One", "tags": ["x", "y"], "price": 2.5, "sold": true, "maker": {"n": 1}}]',
    )
    data = load(tmp_path)
    assert rows(data) == [("1", "a", 5_000, "like", None), ("2", "b", 6_000, "view", None)]
    assert data.items[0].fields == {"title": "One", "tags": ["x", "y"], "price": 2.5, "sold": True}


def test_wire_events_pass_through(tmp_path: Path) -> None:
    events = [
        Interaction(id="e1", user="u", item="a", type="click", timestamp=9, ranking="r"),
        Interaction(session="s", item="b", type="buy", value=2.0, text="fine", timestamp=7),
        Impression(id="e3", user="u", items=["a", "b"], timestamp=8),
        Item(item="a", fields={"title": "One"}),
        Item(id="e5", item="a", fields={"title": "Two"}, timestamp=10),
        User(user="u", fields={"age": 3}),
        User(user="u", deleted=True, timestamp=11),
    ]
    lines = b"\n".join(msgspec.json.encode(event) for event in events)
    (tmp_path / "log.ndjson").write_bytes(lines + b"\n")
    data = load(tmp_path / "log.ndjson")
    streamed = [event for chunk in data.stream(chunk=3) for event in chunk]
    assert [(type(event).__name__, event.timestamp) for event in streamed] == [
        ("Item", 6), ("User", 6), ("Interaction", 7), ("Impression", 8), ("Interaction", 9), ("Item", 10), ("User", 11),
    ]  # fmt: skip
    buy, impression, click = streamed[2], streamed[3], streamed[4]
    assert isinstance(buy, Interaction)
    assert (buy.user, buy.session, buy.value, buy.text, buy.type) == (None, "s", 2.0, "fine", "buy")
    assert impression == events[2]
    assert click == events[0]
    assert data.frame()["user"].tolist() == ["s", "u"]
    assert data.report.rows == data.report.kept == len(data) == 7
    assert len({event.id for event in streamed}) == 7


def test_a_log_describes_its_items_with_dated_events(tmp_path: Path) -> None:
    events = [
        Item(item="a", fields={"title": "One"}, timestamp=5),
        Item(item="b", fields={"price": 2}, timestamp=5),
        Item(item="c", fields={"title": "Three"}, timestamp=5),
        Interaction(user="u", item="a", type="click", timestamp=6),
        Interaction(user="u", item="d", type="click", timestamp=6),
        Item(item="a", fields={"price": 3}, timestamp=7),
        Item(item="c", deleted=True, timestamp=8),
    ]
    (tmp_path / "log.ndjson").write_bytes(b"\n".join(map(msgspec.json.encode, events)))
    report = load(tmp_path / "log.ndjson").report
    assert (report.items, report.catalogue, report.missing_text) == (4, 3, 2)


def test_a_headerless_file_with_a_mapping_file(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(
        'ignore = ["*.bak.csv"]\n[files."ratings.dat"]\ndelimiter = "::"\nencoding = "latin-1"\n'
        'columns = ["user", "item", "rating", "timestamp"]\n'
    )
    (tmp_path / "ratings.dat").write_bytes("1::é::5::978300760\n".encode("latin-1"))
    put(tmp_path)
    (tmp_path / "old.bak.csv").write_text("user,item\nu,i\n")
    data = load(tmp_path)
    assert rows(data) == [("1", "é", 978_300_760_000, "rating", 5.0)]
    assert data.report.skipped == ["old.bak.csv was left out: the mapping says so."]


def test_a_mapping_names_the_columns(tmp_path: Path) -> None:
    put(tmp_path, log_csv="who,what,when,how\nu,i,5,buy\n", goods_csv="what,label\ni,Thing\n")
    mapping = {"user": "who", "item": "what", "timestamp": "when", "type": "how", "title": "label"}
    data = load(tmp_path, mapping)
    assert rows(data) == [("u", "i", 5_000, "buy", None)]
    assert data.items[0].fields == {"title": "Thing"}


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ({"usr": "who"}, "Object contains unknown field `usr`"),
        ({"user": 3}, "Expected `str | null`, got `int`"),
        ({"time_unit": "days"}, "Invalid enum value 'days'"),
        (
            {"value": "stars"},
            "The mapping names the column 'stars' for value; no file has it. There are: item, ts, user.",
        ),
        ({"files": {"x*": {}}}, "The mapping is for files 'x*'; there is none among log.csv."),
        ({"kind": "events", "user": "who"}, "log.csv has no column 'who' for user; it has user, item, ts."),
        ("absent.toml", "The mapping absent.toml can't be read"),
    ],
)
def test_bad_mappings(tmp_path: Path, mapping: Any, sentence: str) -> None:
    put(tmp_path, log_csv="user,item,ts\nu,i,5\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, mapping)
    assert sentence in caught.value.message


def test_kind_by_mapping_needs_the_columns(tmp_path: Path) -> None:
    put(tmp_path, log_csv="a,b\nu,i\n")
    with pytest.raises(ConfigError, match=r"log.csv is mapped as events, but its columns \(a, b\)"):
        load(tmp_path, {"kind": "events"})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\ufeffuser,item,ts\nu,i,5\n", ("u", "i")),
        ("user;item;ts\nu;i;5\n", ("u", "i")),
        ('"user","item","ts"\r\n"u ""x""","a,b","5"\r\n', ('u "x"', "a,b")),
        ('user,item,ts\n"u\nv",i,5\n', ("u\nv", "i")),
        ('user,item,ts\nu,5" pipe,5\n', ("u", '5" pipe')),
        ("user,item,ts\nu,i,5", ("u", "i")),
    ],
)
def test_shapes_of_csv(tmp_path: Path, content: str, expected: tuple[str, str]) -> None:
    (tmp_path / "log.csv").write_bytes(content.encode())
    assert [row[:2] for row in rows(load(tmp_path))] == [expected]


def test_utf_16(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("user,item,ts\nü,i,5\n".encode("utf-16"))
    assert [row[:2] for row in rows(load(tmp_path))] == [("ü", "i")]


def test_progress_is_told(tmp_path: Path) -> None:
    put(tmp_path, log_csv="user,item,ts\n" + "u,i,5\n" * 50_000)
    seen: list[tuple[str, int, int]] = []
    load(tmp_path, progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert seen == [("reading log.csv", count, 0) for count in (20_000, 40_000, 50_000)]


def test_nowhere(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        load("moovies")
    assert caught.value.message == ("'moovies' is neither a data set (movies, grocery) nor an existing file or folder.")
    with pytest.raises(InvalidInput, match="It holds no CSV, TSV, NDJSON, JSON or Parquet file"):
        load(tmp_path)


# ------------------------------------------------------------------------------------------ real folders


def test_online_retail(shared_data: Path) -> None:
    report = load(shared_data / "online-retail").report
    assert report.types == {"purchase": 396_337}
    assert (report.users, report.items, report.missing_text, report.rejected) == (4_334, 3_659, 0, 0)
    assert report.skipped == ["online_retail.parquet was left out: events_clean.parquet is its clean form."]
    assert round(report.repeat_rate, 3) == 0.328
    assert report.first == 1_291_191_960_000


def test_movietweetings(shared_data: Path) -> None:
    data = load(shared_data / "movietweetings")
    report = data.report
    assert report.types == {"rating": 99_952}
    assert (report.users, report.catalogue, report.rejected, report.repeat_rate) == (16_551, 12_611, 0, 0.0)
    assert report.skipped == ["item_text_eval_only.csv was left out: its name says that it is for evaluation only."]
    assert data.items[0].fields == {"title": "The Adventures of Dollie (1908)", "genres": ["Action", "Short"]}
    assert (data.frame()["value"].min(), data.frame()["value"].max()) == (0.0, 10.0)


def test_ml_latest_small(shared_data: Path) -> None:
    data = load(shared_data / "ml-latest-small")
    assert data.report.types == {"rating": 100_004, "tag": 1_296}
    assert (data.report.users, data.report.catalogue, data.report.rejected) == (671, 9_125, 0)
    toy = data.items[0].fields
    assert (toy["title"], toy["imdbId"]) == ("Toy Story (1995)", "0114709")
    assert toy["genres"] == ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]
    texts = set(data.events.texts.values())
    assert "dentist" in texts
