"""From a LightGBM booster to flat arrays. The training side only: nothing else imports LightGBM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from palate.errors import InvalidInput
from palate.score.tree_kernels import CATEGORIES, LEFT, SMALL, ZERO
from palate.score.trees import Forest, TreeScorer

if TYPE_CHECKING:
    import lightgbm

_ZERO = float(SMALL)
"""LightGBM's thresholds beside zero are ±this."""


def from_lightgbm(booster: lightgbm.Booster, features: Sequence[str] | None = None) -> TreeScorer:
    """The scorer that equals ``booster.predict(x, raw_score=True)``, with the best iteration where there is one.

    features: the names to keep, (f,); by default those of the booster (LightGBM replaces blanks by underscores).
    Errors: ``InvalidInput`` for what the scorer does not represent: linear trees, several classes, leaves without
    training rows.
    """
    dump: dict[str, Any] = booster.dump_model()
    names = list(booster.feature_name()) if features is None else list(features)
    if len(names) != booster.num_feature():
        raise InvalidInput(f"The booster has {booster.num_feature()} features; {len(names)} names were given.")
    if dump["num_tree_per_iteration"] != 1:
        raise InvalidInput("The booster predicts several classes; a ranking scorer needs an objective with one output.")
    trees: list[dict[str, Any]] = [tree["tree_structure"] for tree in dump["tree_info"]]
    nodes = _Nodes()
    for tree in trees:
        nodes.add_tree(tree)
    return TreeScorer(names, Forest.load(nodes.arrays(), len(names)))


class _Nodes:
    """Columns of a ``Forest`` while they grow, in pre-order."""

    def __init__(self) -> None:
        self.offset: list[int] = [0]
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.rule: list[int] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.value: list[float] = []
        self.cover: list[float] = []
        self.category_start: list[int] = [0]
        self.category: list[int] = []

    def add_tree(self, root: dict[str, Any]) -> None:
        # (node, parent, is right child): an explicit stack, because a tree may be deeper than Python's recursion limit
        stack: list[tuple[dict[str, Any], int, bool]] = [(root, -1, False)]
        while stack:
            node, parent, is_right = stack.pop()
            index = len(self.feature)
            if parent >= 0:
                (self.right if is_right else self.left)[parent] = index
            if "split_feature" in node:
                self._add_split(node)
                stack.append((node["right_child"], index, True))
                stack.append((node["left_child"], index, False))
            else:
                self._add_leaf(node, alone=parent < 0)
        self.offset.append(len(self.feature))

    def _add_split(self, node: dict[str, Any]) -> None:
        if node["decision_type"] == "==":
            # What is listed goes left, everything else right: others, missing values, numbers below 0.
            self.category += sorted(map(int, node["threshold"].split("||")))
            self._append(int(node["split_feature"]), 0.0, CATEGORIES, 0.0, node["internal_count"])
            return
        threshold = float(node["threshold"])
        if threshold == -_ZERO:  # −1e-35 itself reads as 0, hence goes right
            threshold = float(np.nextafter(threshold, -np.inf))
        if node["missing_type"] == "None":  # without missing values in training NaN is read as 0, and goes where 0 goes
            rule = LEFT if threshold >= 0.0 else 0
        else:
            rule = (LEFT if node["default_left"] else 0) + (ZERO if node["missing_type"] == "Zero" else 0)
        self._append(int(node["split_feature"]), threshold, rule, 0.0, node["internal_count"])

    def _add_leaf(self, node: dict[str, Any], alone: bool) -> None:
        if "leaf_coeff" in node:
            raise InvalidInput(
                "The booster has linear trees, which the scorer does not represent: train with linear_tree=false."
            )
        # A tree without splits records no count; any positive cover gives the same expectation.
        self._append(-1, 0.0, 0, float(node["leaf_value"]), 1 if alone else node["leaf_count"])

    def _append(self, feature: int, threshold: float, rule: int, value: float, cover: float) -> None:
        if cover <= 0:
            raise InvalidInput(
                "The booster has a node without training rows, so that contributions are not defined: "
                "train with min_data_in_leaf of at least 1."
            )
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.rule.append(rule)
        self.left.append(-1)
        self.right.append(-1)
        self.value.append(value)
        self.cover.append(float(cover))
        self.category_start.append(len(self.category))

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        kinds: dict[str, Any] = {
            "offset": np.int32, "feature": np.int32, "threshold": np.float64, "rule": np.uint8, "left": np.int32,
            "right": np.int32, "value": np.float64, "cover": np.float64, "category_start": np.int32,
            "category": np.int32,
        }  # fmt: skip
        return {name: np.array(getattr(self, name), dtype) for name, dtype in kinds.items()}
