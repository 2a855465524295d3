"""Tables of texts and labels: what is read, what is refused with which sentence, how rows are split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from palate.errors import InvalidInput
from palate.train.text.scores import score, wilson
from palate.train.text.table import Table, fewer, read_table, split

FIVE = "".join(f"text {n},a\ntext b{n},b\n" for n in range(5))


def csv(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_columns_are_found_by_name_and_rows_counted(tmp_path: Path) -> None:
    rows = 'id,said,kind\n1,"one, two",x\n2,,x\n3,three, \n4,"one, two",y\n' + "".join(
        f"{n},say {n},{'xy'[n % 2]}\n" for n in range(10)
    )
    found = read_table(csv(tmp_path, "\ufeff" + rows), "said", "kind")
    assert found.texts[0] == "one, two"
    assert (found.names, found.blank, found.repeated) == (["x", "y"], 2, 1)
    assert found.labels.tolist() == [0] + [n % 2 for n in range(10)]


def test_tabs_separate_a_tsv(tmp_path: Path) -> None:
    assert (
        len(read_table(csv(tmp_path, ("text,label\n" + FIVE).replace(",", "\t"), "t.tsv"), "text", "label").texts) == 10
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty: its first line must name the columns"),
        ("words,label\nx,y\n", "has no column 'text'; it has words, label."),
        ('{"event": "' + "item" * 50 + '"}\n', "itemi…."),
        (",".join("abcdefghijklmnopqrstuvwxyz") + "\n", "q, r, s, t, …."),
        ("text,kind\nx,y\n", "has no column 'label'; it has text, kind."),
        ("text,label\n", "has no row with both a text and a label."),
        ("text,label\n , \n,\n", "has no row with both a text and a label."),
        ("text,label\n" + "".join(f"t{n},one\n" for n in range(9)), "Every label is 'one'; there must be two classes"),
        ("text,label\n" + FIVE + "rare,c\n", "The label 'c' has 1 different texts; each needs 5 or more."),
        ("text,label\n" + FIVE + "short\n", "line 12: the row has not 2 values"),
        ("text,label\n" + FIVE + "a,b,c\n", "line 12: the row has not 2 values"),
        (("text,label\n" + FIVE).encode("utf-16"), "is not UTF-8 (byte 0): save it as UTF-8."),
        (("text,label\nna\u00efve,a\n" + FIVE).encode("latin-1"), "is not UTF-8 (byte 13): save it as UTF-8."),
        ('text,label\n"never closed,a\n', "is no table of comma-separated values"),
    ],
)
def test_a_bad_table_is_refused_in_a_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_table(csv(tmp_path, text), "text", "label")
    assert sentence in refused.value.message


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InvalidInput, match="can't be read"):
            read_table(path, "text", "label")


@pytest.mark.parametrize("counts", [(5, 5), (100, 10), (7, 33, 60)])
def test_a_split_is_stratified_whole_and_the_same_each_time(counts: tuple[int, ...]) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = split(labels)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(len(labels)))
    for one, count in enumerate(counts):
        assert (labels[parts.test] == one).sum() == max(1, round(0.2 * count))
        assert all((labels[part] == one).any() for part in parts)
    assert all((a == b).all() for a, b in zip(parts, split(labels), strict=True))
    assert any((a.shape != b.shape) or (a != b).any() for a, b in zip(parts, split(labels, seed=2), strict=True))


def test_fewer_rows_keep_their_shares() -> None:
    labels = np.repeat([0, 1, 2], [300, 90, 10])
    whole = Table([f"t{n}" for n in range(400)], labels, ["a", "b", "c"], 0, 0)
    few = fewer(whole, 100)
    assert np.bincount(few.labels).tolist() == [75, 22, 5]
    assert all(whole.labels[int(text[1:])] == label for text, label in zip(few.texts, few.labels, strict=True))
    assert fewer(whole, 0) is whole
    assert fewer(whole, 400) is whole


def test_scores_of_a_known_confusion() -> None:
    true = np.array([0] * 6 + [1] * 4)
    said = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    found = score(true, said, ["a", "b"])
    assert found.confusion == [[4, 2], [1, 3]]
    assert found.accuracy == pytest.approx(0.7)
    assert found.majority == pytest.approx(0.6)
    assert found.classes[0].precision == pytest.approx(4 / 5)
    assert found.classes[1].recall == pytest.approx(3 / 4)
    assert found.classes[1].f1 == pytest.approx(2 * 0.6 * 0.75 / 1.35)
    assert found.f1 == pytest.approx(np.mean([one.f1 for one in found.classes]))
    assert found.low < 0.7 < found.high


def test_a_class_that_is_never_named_scores_nothing() -> None:
    found = score(np.array([0, 1]), np.array([0, 0]), ["a", "b", "c"])
    assert [one.f1 for one in found.classes] == [pytest.approx(2 / 3), 0.0, 0.0]


def test_the_interval_of_wilson() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(1.0, 10)[1] == pytest.approx(1.0)
