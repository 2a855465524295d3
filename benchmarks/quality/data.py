"""The data sets: those whose figures count, those that are only shown, and what has to be rewritten to be read.

Two have no times. ``lastfm-hetrec``: how often each of 1,892 listeners played each artist; its rows are dealt into one
order by a seed. ``amazon-minionerec``: next-item rows of Industrial and Scientific, each with up to ten items before
it; a person's history comes just before their first row, the rows in the order of the file, validation before test.

By two more nothing was ever chosen. ``caserec-steam``: who played which
game, dealt into one order by a seed; ``ebnerd-test``: a few people's views of news, to the second, without texts.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from palate import datasets
from palate.errors import InvalidInput

COUNTED = ("online-retail", "movietweetings", "grocery", "movies", "ml-latest-small")
SHOWN = ("lastfm-hetrec", "amazon-minionerec")
"""Without times: what is new in them, and when, can't be told."""
UNTOUCHED = ("caserec-steam", "ebnerd-test")
"""By which nothing was chosen: no feature, no setting, no bound."""
APART = (*SHOWN, *UNTOUCHED)
"""With tables of their own, and nothing but these."""
AGED = ("online-retail", "movietweetings", "ml-latest-small")
"""Of which quality is also measured against what is withheld."""
CARRIED = {"movietweetings": "movies", "movies": "movietweetings", "ml-latest-small": "movietweetings"}
"""From where a map from meaning to behaviour is carried into which, for the report on cold start."""
UNABLATED = ("grocery", *APART)
"""Without a table of parts off, unless that is asked for: a training for each part takes too long, or says little."""

Row = tuple[str, ...]


def found(name: str, beside: Path, work: Path) -> str:
    """What ``datasets.load`` takes: ``name`` where it is a data set, else a path: itself, or the folder in ``beside``.

    A folder that has to be rewritten is, under ``work``. Errors: ``InvalidInput`` for none of these.
    """
    if name in datasets.NAMES:
        return name
    for place in (Path(name), beside / name):
        if place.exists():
            rewrite = REWRITTEN.get(place.resolve().name)
            if rewrite is None:
                return str(place.resolve())
            return str(rewrite(place, work / "data" / place.resolve().name))
    raise InvalidInput(
        f"{name!r} is no data set ({', '.join(datasets.NAMES)}), no path, and not in {beside}: name one of them, or "
        "say with --beside where its folder lies.",
        "data",
    )


def _lastfm(source: Path, into: Path) -> Path:
    plays = list(_rows(source / "user_artists.dat", "\t", ("userID", "artistID", "weight")))
    order = np.random.default_rng(1).permutation(len(plays)).tolist()
    _write(into / "events.csv", ("user", "item", "type"), ((*plays[at][:2], "play") for at in order))
    artists = _rows(source / "artists.dat", "\t", ("id", "name"))
    _write(into / "items.csv", ("item", "title"), artists)
    return into


def _amazon(source: Path, into: Path) -> Path:
    def events() -> Iterator[Row]:
        known: set[str] = set()
        file = source / "Industrial_and_Scientific.eval.csv"
        rows = list(_rows(file, ",", ("user_id", "split", "history_item_id", "item_id")))
        for user, _, history, item in sorted(rows, key=lambda row: row[1] != "valid"):
            if user not in known:
                known.add(user)
                yield from ((user, before, "review") for before in history.split())
            yield user, item, "review"

    _write(into / "events.csv", ("user", "item", "type"), events())
    described = _rows(
        source / "Industrial_and_Scientific.items.csv", ",", ("item_id", "title", "description", "brand", "categories")
    )
    _write(into / "items.csv", ("item", "title", "description", "brand", "categories"), described)
    return into


def _steam(source: Path, into: Path) -> Path:
    plays = list(_rows(source / "game_play.dat", "\t", ("User_ID", "Game_ID", "Hours")))
    order = np.random.default_rng(1).permutation(len(plays)).tolist()
    _write(into / "events.csv", ("user", "item", "type"), ((*plays[at][:2], "play") for at in order))
    _write(into / "items.csv", ("item", "title"), _rows(source / "item_info.dat", "\t", ("Game_ID", "Game Name")))
    return into


def _ebnerd(source: Path, into: Path) -> Path:
    parquet = import_module("pyarrow.parquet")
    views: list[tuple[Any, str, str]] = []
    had: Any = parquet.read_table(source / "history.parquet").to_pylist()
    for row in had:
        views += [
            (time, str(row["user_id"]), str(item))
            for time, item in zip(row["impression_time_fixed"], row["article_id_fixed"], strict=True)
        ]
    shown: Any = parquet.read_table(source / "behaviors.parquet").to_pylist()
    for row in shown:
        views += [(row["impression_time"], str(row["user_id"]), str(item)) for item in row["article_ids_clicked"]]
    views.sort(key=lambda view: view[0])
    rows = ((user, item, "view", time.isoformat()) for time, user, item in views)
    _write(into / "events.csv", ("user", "item", "type", "timestamp"), rows)
    return into


REWRITTEN: dict[str, Callable[[Path, Path], Path]] = {
    "lastfm-hetrec": _lastfm, "amazon-minionerec": _amazon, "caserec-steam": _steam, "ebnerd-test": _ebnerd,
}  # fmt: skip


def _rows(file: Path, delimiter: str, columns: Row) -> Iterator[Row]:
    """The named columns of every row; where the first row doesn't name them, the first columns."""
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(
            lines, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
        )
        places = list(range(len(columns)))
        for number, cells in enumerate(reader):
            if not number and set(columns) <= set(cells):
                places = [cells.index(column) for column in columns]
            else:
                yield tuple(cells[place] for place in places)


def _write(file: Path, head: Row, rows: Iterator[Row]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(head)
        writer.writerows(rows)
    new.replace(file)
