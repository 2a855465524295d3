"""Texts with labels, read from a file of comma- or tab-separated values, and their split."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from palate.errors import InvalidInput
from palate.types import I64

FEWEST = 5
"""Rows of a class below which it can't be learnt and judged."""
_MOST_CLASSES = 1000
_MOST_FIELD = 1 << 20


class Table(NamedTuple):
    """labels: (n,) place in ``names``, which are sorted. blank: rows left out for want of text or label; repeated: rows
    left out since their text was there before, which would be learnt in one part and asked in another."""

    texts: list[str]
    labels: I64
    names: list[str]
    blank: int
    repeated: int


class Parts(NamedTuple):
    """Places of rows. learn: to fit; valid: to stop by; test: to judge, looked at once."""

    learn: I64
    valid: I64
    test: I64


def read_table(path: Path, text: str, label: str) -> Table:
    """The columns ``text`` and ``label`` of ``path``. A file that ends in .tsv is separated by tabs.

    Errors: ``InvalidInput`` in a sentence: no such file, not UTF-8, no header, a column that isn't there, rows of
    another width, nothing in it, one class, a class with fewer than five rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(_MOST_FIELD)
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            header = list(reader.fieldnames or [])
            if not header:
                raise InvalidInput(f"{path} is empty: its first line must name the columns.", "--csv")
            for option, name in (("--text", text), ("--label", label)):
                if name not in header:
                    # A file that is no table has a first line of any length.
                    names = ", ".join(one if len(one) <= 40 else f"{one[:40]}…" for one in header[:20])
                    more = ", …" if len(header) > 20 else ""
                    raise InvalidInput(f"{path} has no column {name!r}; it has {names}{more}.", option)
            pairs: list[tuple[str, str]] = []
            blank = 0
            for row in reader:
                if None in row or row[text] is None or row[label] is None:
                    raise InvalidInput(
                        f"{path}, line {reader.line_num}: the row has not {len(header)} values as the first line has.",
                        "--csv",
                    )
                said, kind = row[text].strip(), row[label].strip()
                blank += not said or not kind
                if said and kind:
                    pairs.append((said, kind))
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.", "--csv") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8.", "--csv") from None
    except csv.Error as error:
        raise InvalidInput(f"{path} is no table of comma-separated values: {error}.", "--csv") from None
    return _table(path, pairs, blank)


def _table(path: Path, pairs: list[tuple[str, str]], blank: int) -> Table:
    if not pairs:
        raise InvalidInput(f"{path} has no row with both a text and a label.", "--csv")
    first: dict[str, str] = {}
    for said, kind in pairs:
        first.setdefault(said, kind)
    counts = Counter(first.values())
    names = sorted(counts)
    if len(names) == 1:
        raise InvalidInput(f"Every label is {names[0]!r}; there must be two classes or more.", "--label")
    if len(names) > _MOST_CLASSES:
        raise InvalidInput(f"There are {len(names):,} labels; at most {_MOST_CLASSES:,} can be learnt.", "--label")
    rare = min(names, key=lambda name: counts[name])
    if counts[rare] < FEWEST:
        raise InvalidInput(
            f"The label {rare!r} has {counts[rare]} different texts; each needs {FEWEST} or more.", "--label"
        )
    place = {name: number for number, name in enumerate(names)}
    labels = np.array([place[kind] for kind in first.values()], np.int64)
    return Table(list(first), labels, names, blank, len(pairs) - len(first))


def split(labels: I64, test: float = 0.2, valid: float = 0.1, seed: int = 1) -> Parts:
    """A stratified split: of every class, ``test`` of its rows to judge by, of the rest ``valid`` to stop by, and at
    least one each. Deterministic from ``seed``."""
    chance = np.random.default_rng(seed)
    parts: list[list[I64]] = [[], [], []]
    for one in np.unique(labels):
        rows = chance.permutation(np.flatnonzero(labels == one))
        judged = max(1, round(len(rows) * test))
        stopped = max(1, round((len(rows) - judged) * valid))
        for part, some in zip(parts, np.split(rows, [judged, judged + stopped]), strict=True):
            part.append(some)
    asked, stop, learn = (np.sort(np.concatenate(part)) for part in parts)
    return Parts(learn, stop, asked)


def fewer(table: Table, limit: int, seed: int = 1) -> Table:
    """At most about ``limit`` rows of ``table``, of every class its share and at least ``FEWEST``; 0 for all."""
    if not limit or len(table.texts) <= limit:
        return table
    chance = np.random.default_rng(seed)
    kept: list[I64] = []
    for one in np.unique(table.labels):
        own = np.flatnonzero(table.labels == one)
        kept.append(chance.permutation(own)[: max(FEWEST, round(limit * len(own) / len(table.texts)))])
    rows = np.sort(np.concatenate(kept))
    return table._replace(texts=[table.texts[int(at)] for at in rows], labels=table.labels[rows])
