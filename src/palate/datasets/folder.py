"""Any folder, or one file, of CSV, TSV, NDJSON, JSON or Parquet as a data set.

What a file is follows from its columns (see ``palate.datasets.mapping``): events, the catalogue, users, or who follows
whom (``userID``, ``friendID``). NDJSON whose
objects are wire events (``"event": "interaction"`` …) passes through as it is. Rules, so that a folder with
several versions of the same thing reads sensibly:

- where an event file is called ``*_clean``, the event files that are not are left out: they are its raw form;
- files called ``*eval_only*`` are left out: they are not for learning from;
- both are said in the report, as is every file that is left out.

Broken rows are refused with their number and a sentence, and never stop an import. Where a file has no times at all,
its events get one second each in the order of their rows, from 2000-01-01 on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from palate.datasets.catalogue import Records
from palate.datasets.dataset import Dataset, EventColumns, Progress, describe, measure
from palate.datasets.mapping import ColumnMapping, FileMapping, Roles, find_roles, read_mapping
from palate.datasets.report import MAX_REJECTIONS, DataReport, RejectedRow
from palate.datasets.rows import LINES, SUFFIXES, Sheet, lines, open_sheet
from palate.datasets.values import LIMITS, absent, to_id, to_ms, to_number
from palate.errors import InvalidInput
from palate.types import Event, Impression, Interaction, Item, User
from palate.wire import decode_events

ROW_ORDER_START = 946_684_800_000
"""2000-01-01T00:00:00Z, where times made of row order begin."""

MAX_FOLLOWS = 500
"""People kept of those whom somebody follows, the last in the file; a ranking looks at fewer."""
_STEP_MS = 1_000
_TICK = 20_000
_WIRE = frozenset({"interaction", "impression", "item", "user"})


def load(
    path: Path, mapping: Mapping[str, Any] | str | Path | None = None, progress: Progress | None = None
) -> Dataset:
    """The data set in ``path``. About 250,000 rows a second.

    Errors: ``InvalidInput`` where no file can be used or no row is good, ``ConfigError`` for a bad mapping,
    ``MissingExtra`` for Parquet without pyarrow.
    """
    path = path.resolve()
    folder = path if path.is_dir() else path.parent
    return _Reader(path, read_mapping(mapping, folder), progress).load()


class _Reader:
    def __init__(self, path: Path, mapping: ColumnMapping, progress: Progress | None) -> None:
        self._path, self._mapping, self._progress = path, mapping, progress
        self._root = path if path.is_dir() else path.parent
        name = path.name if path.is_dir() else path.stem
        self._report = DataReport(name=name, source=name if path.is_dir() else path.name)
        self._columns = EventColumns()
        self._items, self._users = Records("item"), Records("user")
        self._others: list[Event] = []
        self._row = 0
        self._dropped: set[int] = set()
        self._untimed: list[tuple[int, int]] = []
        self._timed = False

    # ------------------------------------------------------------------------------ the whole

    def load(self) -> Dataset:
        files = list(self._usable(self._candidates()))
        if not files:
            reasons = " ".join(self._report.skipped) or "It holds no CSV, TSV, NDJSON, JSON or Parquet file."
            raise InvalidInput(f"Nothing in {self._path} can be read as a data set. {reasons}")
        for name, sheet, roles in files:
            self._file(name, sheet, roles)
        return self._finish()

    def _finish(self) -> Dataset:
        report = self._report
        report.kept = report.rows - report.rejected
        if report.rows and not report.kept:
            first = report.rejections[0]
            raise InvalidInput(
                f"None of the {report.rows:,} rows of {self._path} is good; the first trouble is in {first.file}, "
                f"row {first.row}: {first.error}"
            )
        events = self._columns.finish(self._dropped)
        prefix = self._prefix(self._path)
        items, users = describe(report.name, events, self._items.fields.items(), self._users.fields.items(), prefix)
        measure(report, events, [*items, *(event for event in self._others if isinstance(event, Item))])
        return Dataset(report.name, report.source, events, items, users, report, prefix, self._others)

    def _prefix(self, path: Path) -> str:
        # Files of one name lie in many places, and files grow: ids must neither collide nor shift when they do.
        place = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
        return f"{path.name if path.is_dir() else path.stem}.{place}"

    def _candidates(self) -> Iterator[Path]:
        if self._path.is_file():
            yield self._path
            return
        for file in sorted(self._path.rglob("*")):
            inside = file.relative_to(self._path)
            if (
                file.is_file()
                and file.suffix.lower() in SUFFIXES
                and not any(p.startswith((".", "_")) for p in inside.parts)
            ):
                yield file

    def _usable(self, files: Iterator[Path]) -> list[tuple[Path, Sheet | None, Roles | None]]:
        found: list[tuple[Path, Sheet | None, Roles | None]] = []
        names: list[str] = []
        columns: set[str] = set()
        for file in files:
            name = self._name(file)
            names.append(name)
            if self._mapping.ignores(name):
                self._skip(name, "the mapping says so")
            elif "eval_only" in file.stem.lower() and self._path.is_dir():
                self._skip(name, "its name says that it is for evaluation only")
            elif file.suffix.lower() not in SUFFIXES:
                self._skip(name, f"its suffix is none of {', '.join(sorted(SUFFIXES))}")
            elif _is_wire(file):
                found.append((file, None, None))
            else:
                try:
                    sheet = open_sheet(file, self._mapping.of(name))
                except InvalidInput as error:
                    self._skip(name, error.message.rstrip("."))
                    continue
                columns.update(sheet.columns)
                roles = find_roles(name, sheet.columns, self._mapping.of(name))
                if roles is None:
                    shown = ", ".join(repr(column) for column in sheet.columns[:20])
                    self._skip(name, f"none of its columns ({shown}) names users or items; a mapping can")
                else:
                    found.append((file, sheet, roles))
        self._mapping.check(names, columns)
        clean = {file for file, _, roles in found if roles and roles.kind == "events" and _is_clean(file)}
        raw = (
            {file for file, _, roles in found if roles and roles.kind == "events" and not _is_clean(file)}
            if clean
            else set[Path]()
        )
        for file in sorted(raw):
            self._skip(self._name(file), f"{self._name(min(clean))} is its clean form")
        # Catalogues first, so that titles in events only fill gaps.
        order = {"items": 0, "users": 1, "follows": 1, "events": 2}
        return sorted((e for e in found if e[0] not in raw), key=lambda e: order[e[2].kind] if e[2] else 2)

    def _name(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix()

    def _skip(self, name: str, reason: str) -> None:
        self._report.skipped.append(f"{name} was left out: {reason}.")

    def _reject(self, name: str, number: int, sentence: str) -> None:
        self._report.rejected += 1
        if len(self._report.rejections) < MAX_REJECTIONS:
            self._report.rejections.append(RejectedRow(name, number, sentence))

    # ------------------------------------------------------------------------------ one file

    def _file(self, file: Path, sheet: Sheet | None, roles: Roles | None) -> None:
        name = self._name(file)
        self._untimed, self._timed, self._row = [], False, 0
        self._columns.begin(self._prefix(file))
        if sheet is None or roles is None:
            self._wire(file, name)
        elif roles.kind == "follows":
            self._follows(name, sheet, roles)
        elif roles.kind == "events":
            self._events(name, sheet, roles, self._mapping.of(name))
        else:
            self._described(name, sheet, roles)
        self._settle_times(name)
        self._tick(name)

    def _tick(self, name: str) -> None:
        if self._progress is not None:
            self._progress(f"reading {name}", self._report.rows, 0)

    def _described(self, name: str, sheet: Sheet, roles: Roles) -> None:
        records = self._items if roles.kind == "items" else self._users
        id_at = roles.at["item" if roles.kind == "items" else "user"]
        table = records.table(sheet.columns, id_at, roles.at.get("title"), sheet.typed)
        for number, cells in sheet.rows():
            self._report.rows += 1
            if isinstance(cells, str):
                self._reject(name, number, cells)
                continue
            try:
                table.add(number, cells)
            except ValueError as error:
                self._reject(name, number, str(error))
        for number, sentence in table.finish():
            self._reject(name, number, sentence)

    def _follows(self, name: str, sheet: Sheet, roles: Roles) -> None:
        """Who follows whom, one a row: the field ``follows`` of a user, in the order of the rows."""
        found: dict[str, dict[str, None]] = {}
        for number, cells in sheet.rows():
            self._report.rows += 1
            if isinstance(cells, str):
                self._reject(name, number, cells)
                continue
            try:
                user, other = to_id(cells[roles.at["user"]], "user"), to_id(cells[roles.at["follows"]], "follows")
            except ValueError as error:
                self._reject(name, number, str(error))
                continue
            found.setdefault(user, {})[other] = None
        for user, others in found.items():
            self._users.fields.setdefault(user, {})["follows"] = list(others)[-MAX_FOLLOWS:]

    def _events(self, name: str, sheet: Sheet, roles: Roles, mapping: FileMapping) -> None:
        read = _EventReader(self._columns, sheet, roles, mapping)
        title_at = roles.at.get("title")
        for number, cells in sheet.rows():
            row, self._row = self._row, self._row + 1
            self._report.rows += 1
            if self._row % _TICK == 0:
                self._tick(name)
            if isinstance(cells, str):
                self._reject(name, number, cells)
                continue
            try:
                timed = read(row, cells)
            except ValueError as error:
                self._reject(name, number, str(error))
                continue
            self._note_time(timed, number)
            if title_at is not None:
                self._items.offer_title(to_id(cells[roles.at["item"]], "item"), cells[title_at])

    # ------------------------------------------------------------------------------ wire events

    def _wire(self, file: Path, name: str) -> None:
        for number, line, good in lines(file, self._mapping.of(name).encoding):
            if good and not line.strip():
                continue
            events, refused = _decode(line) if good else ([], ["The row is not valid UTF-8."])
            self._report.rows += len(events) + len(refused)
            for sentence in refused:
                self._reject(name, number, sentence)
            for event in events:
                self._wire_event(event, file, number)
                self._row += 1

    def _wire_event(self, event: Event, file: Path, number: int) -> None:
        row, name = self._row, self._name(file)
        time = event.timestamp if isinstance(event.timestamp, int) else None
        if isinstance(event, Interaction):
            self._columns.add(
                row, event.user, event.item, event.type, -1 if time is None else time, event.value,
                event.session, event.text, event.id, event.ranking,
            )  # fmt: skip
            self._note_time(time is not None, number)
        elif time is None and isinstance(event, Item | User) and not event.deleted:
            records, key = (self._items, event.item) if isinstance(event, Item) else (self._users, event.user)
            records.fields.setdefault(key, {}).update(event.fields)
        elif time is None:
            what = "An impression" if isinstance(event, Impression) else "A deletion"
            self._reject(name, number, f"{what} needs a timestamp here: without one it has no place in the history.")
        else:
            event.id = event.id or f"{self._prefix(file)}-{row:09d}"
            self._others.append(event)

    # ------------------------------------------------------------------------------ times

    def _note_time(self, timed: bool, number: int) -> None:
        if timed:
            self._timed = True
        else:
            self._untimed.append((len(self._columns) - 1, number))

    def _settle_times(self, name: str) -> None:
        """Rows without a time are refused where other rows of the file have one; else the order of rows is time."""
        if not self._untimed:
            return
        self._report.missing_timestamps += len(self._untimed)
        if self._timed:
            for position, number in self._untimed:
                self._dropped.add(position)
                self._reject(name, number, "timestamp is missing.")
            return
        self._columns.number_times([position for position, _ in self._untimed], ROW_ORDER_START, _STEP_MS)
        self._report.notes.append(f"{name} has no times: the order of its rows is taken for time, a second each.")


class _EventReader:
    """Cells of one file to the columns; called for each row, it says whether the row had a time."""

    def __init__(self, columns: EventColumns, sheet: Sheet, roles: Roles, mapping: FileMapping) -> None:
        self._columns, self._roles = columns, roles
        at = roles.at
        self._user, self._item, self._session = at.get("user"), at["item"], at.get("session")
        self._time, self._type, self._value, self._text = (at.get(k) for k in ("timestamp", "type", "value", "text"))
        exact = self._time is not None and sheet.columns[self._time] in sheet.exact
        self._unit = "ms" if exact else mapping.time_unit
        self._layout = None if exact else mapping.time_format

    def __call__(self, row: int, cells: Sequence[Any]) -> bool:
        user = session = None
        if self._session is not None and not absent(cells[self._session]):
            session = to_id(cells[self._session], "session")
        if self._user is not None and (session is None or not absent(cells[self._user])):
            user = to_id(cells[self._user], "user")
        elif self._user is None and session is None:
            raise ValueError("session is missing.")
        item = to_id(cells[self._item], "item")
        kind = self._roles.default_type
        if self._type is not None and not absent(cells[self._type]):
            kind = to_id(cells[self._type], "type").lower()
        value = None
        if self._value is not None:
            value = to_number(cells[self._value], self._roles.value_name)
            if value is None and kind == "rating":
                raise ValueError(f"{self._roles.value_name} is missing.")
            if value is not None and value < 0 and kind == "purchase":
                raise ValueError(f"{self._roles.value_name} {value:g} is negative: a return is not a purchase.")
        time = -1
        if self._time is not None and not absent(cells[self._time]):
            time = to_ms(cells[self._time], "timestamp", self._unit, self._layout)
        text = None if self._text is None or absent(cells[self._text]) else str(cells[self._text]).strip()
        self._columns.add(row, user, item, kind, time, value, session, text)
        return time >= 0


def _decode(line: str) -> tuple[list[Event], list[str]]:
    """The event of a line, or the sentence that refuses it. A line is one row: the wire's arrays are no lines."""
    if line.lstrip()[:1] == "[":
        return [], ["The row is not a JSON object."]
    try:
        events, rejected, _ = decode_events(line.encode(), LIMITS)
    except InvalidInput as error:
        return [], [error.message]
    return [event for _, event in events], [bad.error for bad in rejected]


def _is_clean(file: Path) -> bool:
    return file.stem.lower().endswith("_clean")


def _is_wire(file: Path) -> bool:
    """Whether the first object of an NDJSON file is a wire event."""
    if file.suffix.lower() not in LINES:
        return False
    with file.open("rb") as source:
        for line in source:
            events = [kind for kind in _WIRE if f'"{kind}"'.encode() in line]
            if b'"event"' in line and events:
                return True
            if line.strip():
                return False
    return False
