"""How good predicted classes are: accuracy, precision, recall, F1 of each class and their means, confusion."""

from __future__ import annotations

import msgspec
import numpy as np

from palate.types import I64


class ClassScore(msgspec.Struct, frozen=True):
    """Of one class: precision TP / (TP + FP), recall TP / (TP + FN), F1 their harmonic mean; 0 where undefined."""

    label: str
    precision: float
    recall: float
    f1: float
    count: int


class Scores(msgspec.Struct, frozen=True):
    """accuracy: share that is right; low, high: its 95 % interval (Wilson 1927). majority: the accuracy of always
    naming the commonest class. precision, recall, f1: means over classes. confusion: rows are true."""

    accuracy: float
    low: float
    high: float
    majority: float
    precision: float
    recall: float
    f1: float
    classes: list[ClassScore]
    confusion: list[list[int]]


def score(true: I64, said: I64, names: list[str]) -> Scores:
    """Of (n,) places in ``names``, n ≥ 1."""
    n, c = len(true), len(names)
    confusion = np.zeros((c, c), np.int64)
    np.add.at(confusion, (true, said), 1)
    right = np.diag(confusion).astype(np.float64)
    precision = right / np.maximum(confusion.sum(axis=0), 1)
    recall = right / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2.0 * precision * recall / np.maximum(precision + recall, 1e-300)
    classes = [
        ClassScore(name, float(precision[at]), float(recall[at]), float(f1[at]), int(confusion[at].sum()))
        for at, name in enumerate(names)
    ]
    accuracy = float(right.sum() / n)
    low, high = wilson(accuracy, n)
    return Scores(
        accuracy, low, high, float(confusion.sum(axis=1).max() / n), float(precision.mean()), float(recall.mean()),
        float(f1.mean()), classes, confusion.tolist(),
    )  # fmt: skip


def wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of ``n`` (Wilson 1927)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))
