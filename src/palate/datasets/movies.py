"""``movies``: MovieLens 100k (Harper and Konstan 2015), 100,000 ratings of 1,682 films by 943 users in 1997–98.

Two sources with the same content, and one reading of both: GroupLens's own archive, and, where that can't be
reached, the copy inside the RecBole wheel, which pip fetches but doesn't install. GroupLens allows research use and
no redistribution, so the data are fetched by each user and kept in the cache.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palate.datasets.dataset import Dataset, EventColumns, Progress, describe, measure
from palate.datasets.download import cache_dir, cached, fetch, pip_download
from palate.datasets.report import DataReport
from palate.errors import CorruptArtefact, Unavailable

ARCHIVE = "ml-100k.zip"
ARCHIVE_URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
# GroupLens publishes the MD5 only: 0e33842e24a9c977be4e0107933c0723.
ARCHIVE_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"

WHEEL = "recbole-1.2.1-py3-none-any.whl"
WHEEL_REQUIREMENT = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The columns of ``u.item``, in their order."""

_ARTICLES = "The|A|An|La|Le|Les|L'|Il|Lo|I|Gli|El|Los|Las|Un|Une|Der|Die|Das|Det|Den|O|Os"
_TRAILING = re.compile(rf"^(?P<name>.+), (?P<article>{_ARTICLES})$")
_BRACKETED = re.compile(r"\(([^()]*)\)")
_YEAR = re.compile(r"^(?P<title>.*?)\s*\((?P<year>\d{4})\)(?:\s*\([A-Z]+\))?$")


@dataclass(slots=True)
class Tables:
    """The three tables as both sources have them: ratings (user, item, value, seconds), items (id, title with its
    year, genres), users (id, age, gender, occupation)."""

    ratings: list[tuple[str, str, float, int]]
    items: list[tuple[str, str, list[str]]]
    users: list[tuple[str, int, str, str]]


def load(progress: Progress | None = None) -> Dataset:
    """The data set from the cache or the network. Errors: ``Unavailable`` when neither source can be had."""
    archive = cached(ARCHIVE, ARCHIVE_SHA256)
    wheel = cached(WHEEL, WHEEL_SHA256) if archive is None else None
    reasons: list[str] = []
    if archive is None and wheel is None:
        try:
            archive = fetch(ARCHIVE_URL, ARCHIVE, ARCHIVE_SHA256, progress=progress)
        except Unavailable as error:
            reasons.append(error.message)
    if archive is None and wheel is None:
        try:
            wheel = pip_download(WHEEL_REQUIREMENT, WHEEL, WHEEL_SHA256, progress=progress)
        except Unavailable as error:
            reasons.append(error.message)
    if progress is not None:
        progress("reading movies", 0, 100_000)
    if archive is not None:
        data = build(read_archive(archive), f"{ARCHIVE} of files.grouplens.org")
    elif wheel is not None:
        data = build(read_wheel(wheel), f"{WHEEL} of the Python package index")
    else:
        raise Unavailable(
            f"movies can't be had. {' '.join(reasons)} Get {ARCHIVE_URL} by hand and put it into {cache_dir()}."
        )
    if progress is not None:
        progress("reading movies", 100_000, 100_000)
    return data


def read_archive(path: Path) -> Tables:
    """The tables of GroupLens's archive: ``u.data``, ``u.item``, ``u.user`` in Latin-1. Errors: ``CorruptArtefact``."""
    try:
        with zipfile.ZipFile(path) as archive:
            ratings = list(_lines(archive, "ml-100k/u.data", "latin-1"))
            items = list(_lines(archive, "ml-100k/u.item", "latin-1"))
            users = list(_lines(archive, "ml-100k/u.user", "latin-1"))
        return Tables(
            [_rating(line.split("\t")) for line in ratings],
            [_official_item(line.split("|")) for line in items],
            [_user(line.split("|")) for line in users],
        )
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise CorruptArtefact(f"{path} is not the MovieLens 100k archive: {error}. Delete it and try again.") from None


def read_wheel(path: Path) -> Tables:
    """The tables of the RecBole wheel: its atomic files, tab-separated with a header. Errors: ``CorruptArtefact``."""
    folder = "recbole/dataset_example/ml-100k/ml-100k"
    try:
        with zipfile.ZipFile(path) as wheel:
            ratings, items, users = (
                list(_lines(wheel, f"{folder}.{end}", "utf-8"))[1:] for end in ("inter", "item", "user")
            )
        return Tables(
            [_rating(line.split("\t")) for line in ratings],
            [_atomic_item(line.split("\t")) for line in items],
            [_user(line.split("\t")) for line in users],
        )
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise CorruptArtefact(f"{path} does not hold MovieLens 100k: {error}. Delete it and try again.") from None


def _lines(archive: zipfile.ZipFile, name: str, encoding: str) -> Iterator[str]:
    for line in archive.read(name).decode(encoding).split("\n"):
        if line.strip():
            yield line.rstrip("\r")


def _rating(cells: list[str]) -> tuple[str, str, float, int]:
    user, item, value, seconds = cells
    return user, item, float(value), int(float(seconds))


def _user(cells: list[str]) -> tuple[str, int, str, str]:
    return cells[0], int(cells[1]), cells[2], cells[3]


def _official_item(cells: list[str]) -> tuple[str, str, list[str]]:
    flags = cells[5:]
    if len(flags) != len(GENRES):
        raise ValueError(f"film {cells[0]} has {len(flags)} genre columns, not {len(GENRES)}")
    return cells[0], cells[1], [genre for genre, flag in zip(GENRES, flags, strict=True) if flag == "1"]


def _atomic_item(cells: list[str]) -> tuple[str, str, list[str]]:
    # RecBole cut the last bracket off the title and called it the year; put back, both sources read alike.
    item, title, year, genres = cells
    return item, f"{title} ({year})", genres.split(" ")


def split_title(text: str) -> tuple[str | None, int | None]:
    """Title and year of ``Usual Suspects, The (1995)``: ``("The Usual Suspects", 1995)``. The archive's one film
    without a name (``unknown``, misspelt in RecBole) has neither."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if text in ("unknown", "unkonwn (unkonwn)"):
        return None, None
    found = _YEAR.match(text)
    title, year = (found["title"], int(found["year"])) if found else (text, None)
    return front_article(title), year


def front_article(title: str) -> str:
    """``Big Blue, The (Grand bleu, Le)`` as ``The Big Blue (Le Grand bleu)``."""
    title = _BRACKETED.sub(lambda found: f"({front_article(found[1])})", title)
    head, bracket, tail = title.partition(" (")
    found = _TRAILING.match(head)
    if found:
        gap = "" if found["article"].endswith("'") else " "
        head = f"{found['article']}{gap}{found['name']}"
    return head + bracket + tail


def _fields(title: str, genres: list[str]) -> dict[str, Any]:
    name, year = split_title(title)
    fields: dict[str, Any] = {} if name is None else {"title": name}
    if year is not None:
        fields["year"] = year
    known = [genre for genre in GENRES if genre in genres and genre != "unknown"]
    if known:
        fields["genres"] = known
    return fields


def build(tables: Tables, source: str) -> Dataset:
    """The data set from its tables; the same tables give the same data set, whatever their source."""
    columns = EventColumns()
    for row, (user, item, value, seconds) in enumerate(tables.ratings):
        columns.add(row, user, item, "rating", seconds * 1000, value)
    events = columns.finish()
    items, users = describe(
        "movies",
        events,
        ((item, _fields(title, genres)) for item, title, genres in tables.items),
        (
            (user, {"age": age, "gender": gender, "occupation": occupation})
            for user, age, gender, occupation in tables.users
        ),
    )
    rows = len(tables.ratings) + len(tables.items) + len(tables.users)
    report = measure(DataReport(name="movies", source=source, rows=rows, kept=rows), events, items)
    return Dataset("movies", source, events, items, users, report)
