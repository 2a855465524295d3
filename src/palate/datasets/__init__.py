"""Public data sets and readers of folders: ``load("movies")``, ``load("grocery")``, ``load("path/to/folder")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from palate.datasets import folder, grocery, movies
from palate.datasets.dataset import Dataset, Events, Progress
from palate.datasets.mapping import ColumnMapping
from palate.datasets.report import DataReport, RejectedRow, Suspect
from palate.errors import NotFound

__all__ = ["NAMES", "ColumnMapping", "DataReport", "Dataset", "Events", "RejectedRow", "Suspect", "load"]

_NAMED: dict[str, Callable[[Progress | None], Dataset]] = {"movies": movies.load, "grocery": grocery.load}

NAMES: tuple[str, ...] = tuple(_NAMED)
"""The data sets that Palate knows by name."""


def load(
    name_or_path: str | Path,
    mapping: Mapping[str, Any] | str | Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The data set of that name, or the one in that folder or file.

    mapping: which columns mean what, as a dict or a TOML file (see ``palate.datasets.mapping``); without it the
    folder's ``mapping.toml`` is read, and where there is none the columns are recognised by their names.
    progress: called with (stage, done, total).
    Errors: ``NotFound`` for neither a name nor a path, ``InvalidInput`` for a path with no usable file,
    ``ConfigError`` for a bad mapping, ``MissingExtra``, ``Unavailable``.
    """
    if isinstance(name_or_path, str) and name_or_path in _NAMED:
        return _NAMED[name_or_path](progress)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise NotFound(
            f"{str(name_or_path)!r} is neither a data set ({', '.join(NAMES)}) nor an existing file or folder."
        )
    return folder.load(path, mapping, progress)
