"""Files as rows: CSV and its kin, NDJSON, JSON arrays and Parquet, each row with its number.

A row that can't be read comes out as a sentence instead of cells, and the next one follows as if nothing had been.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from palate.datasets.dataset import need
from palate.datasets.mapping import FileMapping
from palate.errors import InvalidInput

Row = tuple[int, "Sequence[Any] | str"]
"""The number of a row, and its cells or the sentence that says why it has none."""

SEPARATED = frozenset({".csv", ".tsv", ".dat", ".tab"})
LINES = frozenset({".ndjson", ".jsonl"})
SUFFIXES = SEPARATED | LINES | {".json", ".parquet", ".pq"}
_MAX_QUOTED_LINES = 1_000
_BATCH = 65_536


@dataclass(slots=True)
class Sheet:
    """A file as a table. ``typed``: cells are values, not text. ``exact``: columns whose numbers are milliseconds."""

    columns: list[str]
    rows: Callable[[], Iterator[Row]]
    typed: bool = False
    exact: frozenset[str] = field(default_factory=frozenset[str])


def open_sheet(path: Path, mapping: FileMapping) -> Sheet:
    """The table in ``path``, by its suffix. Errors: ``InvalidInput`` where it is no table at all."""
    suffix = path.suffix.lower()
    try:
        if suffix in SEPARATED:
            return _separated(path, mapping)
        if suffix in LINES:
            return _objects(path, mapping, lambda: _json_lines(path, mapping))
        if suffix == ".json":
            return _objects(path, mapping, lambda: _json_array(path))
        return _parquet(path)
    except (OSError, LookupError) as error:
        raise InvalidInput(f"{path.name} can't be read: {error}.") from None


def lines(path: Path, encoding: str | None) -> Iterator[tuple[int, str, bool]]:
    """Line number from 1, the line without its end, and whether it is valid in its encoding (else it is empty)."""
    with path.open("rb") as file:
        head = file.read(4)
    if encoding is None:
        encoding = "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    if encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        with path.open(encoding=encoding, errors="replace", newline="") as text:
            for number, line in enumerate(text, 1):
                yield number, line.rstrip("\r\n"), True
        return
    codecs.lookup(encoding)
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                yield number, raw.decode(encoding).rstrip("\r\n"), True
            except UnicodeDecodeError:
                yield number, "", False


def _bad_encoding(mapping: FileMapping) -> str:
    return f"The row is not valid {mapping.encoding or 'UTF-8'}; for another encoding give encoding in the mapping."


# ------------------------------------------------------------------------------------- separated values


def _separated(path: Path, mapping: FileMapping) -> Sheet:
    first = next(((line, good) for _, line, good in lines(path, mapping.encoding) if line.strip() or not good), None)
    if first is None:
        raise InvalidInput(f"{path.name} is empty.")
    line, good = first
    if not good:
        raise InvalidInput(f"The header of {path.name} is broken. {_bad_encoding(mapping)}")
    delimiter = mapping.delimiter or _sniff(path, line)
    columns = mapping.columns or [cell.strip() for cell in _cells(line, delimiter)]
    return Sheet(columns, lambda: _separated_rows(path, mapping, delimiter, len(columns)))


def _sniff(path: Path, header: str) -> str:
    if path.suffix.lower() in (".tsv", ".tab"):
        return "\t"
    return max((",", "\t", ";", "::", "|"), key=header.count)


def _separated_rows(path: Path, mapping: FileMapping, delimiter: str, width: int) -> Iterator[Row]:
    header = mapping.columns is None
    for number, cells in _records(path, mapping, delimiter):
        if header:
            header = False
        elif not isinstance(cells, str) and len(cells) != width:
            yield number, f"The row has {len(cells)} columns; the header has {width}."
        else:
            yield number, cells


def _records(path: Path, mapping: FileMapping, delimiter: str) -> Iterator[Row]:
    """Records by the number of their first line. A quotation mark that is never closed costs its own line only."""
    source = lines(path, mapping.encoding)
    waiting: list[tuple[int, str, bool]] = []
    opening = delimiter + '"'
    while True:
        entry = waiting.pop() if waiting else next(source, None)
        if entry is None:
            return
        number, line, good = entry
        if not good:
            yield number, _bad_encoding(mapping)
        elif not line.strip():
            continue
        elif not (line.startswith('"') or opening in line):
            yield number, line.split(delimiter)
        else:
            ahead: list[tuple[int, str, bool]] = []
            parts, is_open = [line], _left_open(line, delimiter, False)
            while is_open and len(ahead) < _MAX_QUOTED_LINES:
                following = waiting.pop() if waiting else next(source, None)
                if following is None:
                    break
                ahead.append(following)
                if not following[2]:
                    break
                parts.append(following[1])
                is_open = _left_open(following[1], delimiter, True)
            if is_open:
                waiting.extend(reversed(ahead))
                yield number, "The row opens a quotation mark that is never closed."
            else:
                yield number, _cells("\n".join(parts), delimiter)


def _left_open(line: str, delimiter: str, inside: bool) -> bool:
    """Whether a quoted field is still open at the end of ``line``; ``inside``: one was open at its start."""
    position = 0
    while True:
        if not inside:
            if line.startswith('"', position):
                inside, position = True, position + 1
                continue
            position = line.find(delimiter, position)
            if position < 0:
                return False
            position += len(delimiter)
            continue
        position = line.find('"', position)
        if position < 0:
            return True
        if line.startswith('""', position):
            position += 2
        else:
            inside, position = False, position + 1


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text or len(delimiter) > 1:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter)) if "\n" not in text else _quoted(text, delimiter)
    except csv.Error:
        return text.split(delimiter)


def _quoted(text: str, delimiter: str) -> list[str]:
    return next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))


# ------------------------------------------------------------------------------------------------ JSON


def _json_lines(path: Path, mapping: FileMapping) -> Iterator[tuple[int, dict[str, Any] | str]]:
    decoder = msgspec.json.Decoder()
    for number, line, good in lines(path, mapping.encoding):
        if not good:
            yield number, _bad_encoding(mapping)
        elif line.strip():
            try:
                value = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeEncodeError) as error:
                yield number, f"The row is not valid JSON: {error}."
                continue
            yield number, value if isinstance(value, dict) else "The row is not a JSON object."


def _json_array(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        values = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path.name} is not valid JSON: {error}.") from None
    if not isinstance(values, list):
        raise InvalidInput(f"{path.name} is not a JSON array of objects.")
    for number, value in enumerate(values, 1):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        yield number, value if isinstance(value, dict) else "The row is not a JSON object."


def _objects(path: Path, mapping: FileMapping, read: Callable[[], Iterator[tuple[int, dict[str, Any] | str]]]) -> Sheet:
    columns: dict[str, None] = {}
    for _, value in read():
        if not isinstance(value, str):
            columns.update(dict.fromkeys(value))
    names = list(columns)

    def rows() -> Iterator[Row]:
        for number, value in read():
            yield number, value if isinstance(value, str) else [value.get(name) for name in names]

    return Sheet(names, rows, typed=True)


# --------------------------------------------------------------------------------------------- Parquet


def _parquet(path: Path) -> Sheet:
    purpose = f"Reading {path.name}"
    arrow, parquet = need("pyarrow", "data", purpose), need("pyarrow.parquet", "data", purpose)
    try:
        schema = parquet.ParquetFile(path).schema_arrow
    except (arrow.ArrowException, OSError) as error:
        raise InvalidInput(f"{path.name} is not a Parquet file: {error}.") from None
    times = [entry.name for entry in schema if arrow.types.is_timestamp(entry.type) or arrow.types.is_date(entry.type)]

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in parquet.ParquetFile(path).iter_batches(_BATCH):
                columns: list[list[Any]] = []
                for entry, column in zip(schema, batch.columns, strict=True):
                    if entry.name in times:
                        column = column.cast(arrow.timestamp("ms", tz="UTC"), safe=False).cast(arrow.int64())
                    columns.append(column.to_pylist())
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield number, cells
        except (arrow.ArrowException, OSError) as error:
            yield number + 1, f"The rest of the file can't be read: {error}."

    return Sheet(list(schema.names), rows, typed=True, exact=frozenset(times))
