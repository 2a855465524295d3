"""What a model goes by: importance and dependence of its features over logged decisions, a tree that stands for it,
and how often what it puts first is taken up."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from palate.config import Settings
from palate.explaining.groups import NAMES, group_of
from palate.explaining.rows import Case, drawn, read_cases
from palate.explaining.surrogate import Surrogate, fit_surrogate
from palate.line import Model, contributions, total_score
from palate.score import Scorer
from palate.score.blend import BlendScorer
from palate.score.linear import LinearScorer
from palate.score.trees import TreeScorer
from palate.store import Store
from palate.store.decision import Decision
from palate.train.replay import feature_key
from palate.types import F32, F64, Bools

ROWS = 2_000
"""Candidates that are explained, drawn evenly from the decisions."""
BINS = 12
CURVES = 12
"""Features with a dependence curve: the most important ones."""
_SEED = 1


class Bin(msgspec.Struct):
    """Rows whose value of a feature lies near ``value``, their mean: the mean contribution, its quartiles, how many."""

    value: float
    contribution: float
    low: float
    high: float
    rows: int


class FeatureImportance(msgspec.Struct):
    """importance: mean |contribution|; share: of all features'. gain: the share of the scorer's own variance that it
    makes, by the model alone: of trees by cover · squared difference of children, of linear scorers by squared weights.
    curve: by value, empty but for the most important; missing: rows without a value."""

    feature: str
    group: str
    importance: float
    share: float
    gain: float
    curve: list[Bin] = []
    missing: int = 0


class GroupImportance(msgspec.Struct):
    """A group of features: mean |Σ contributions of the group|, and its share."""

    group: str
    name: str
    chinese: str
    importance: float
    share: float


class Confusion(msgspec.Struct):
    """Of decisions whose candidates are all known: among the first ``k`` by this model, as many as were shown, or
    below, against taken up or not. precision: of those among the first; recall: of those taken up; None of nothing."""

    decisions: int
    first_taken: int
    first_left: int
    below_taken: int
    below_left: int
    precision: float | None
    recall: float | None


class ModelExplanation(msgspec.Struct):
    """What a model goes by. source: ``live`` decisions, ``replay``: those of a training, or ``none``. decisions, rows:
    how many; base: the mean score that contributions are added to. features, groups: the most important first."""

    version: str
    kind: str
    source: str
    decisions: int
    rows: int
    base: float
    features: list[FeatureImportance]
    groups: list[GroupImportance]
    surrogate: Surrogate | None = None
    confusion: Confusion | None = None


def explain_model(
    model: Model,
    sources: Iterable[tuple[str, Iterable[Decision]]],
    off: frozenset[str],
    store: Store,
    settings: Settings,
    rows: int = ROWS,
) -> ModelExplanation:
    """Explain ``model`` over the first of ``sources`` (a name and decisions) that has decisions with its features.

    off: features that are switched off. Needs no lock. Cost: a second or two.
    """
    source, cases = "none", list[Case]()
    for name, decisions in sources:
        cases = read_cases(decisions, feature_key(off), model, store, settings)
        if cases:
            source = name
            break
    x, query = drawn(cases, rows, _SEED)
    gains = gains_of(model.scorer)
    out = ModelExplanation(model.version, model.scorer.kind, source, len(cases), len(x), 0.0, [], [])
    terms, base = _terms(model, x, query)
    out.base = float(base.mean()) if len(x) else 0.0
    out.features = _features(model, x, terms, gains, off)
    out.groups = _groups(model, terms, out.features)
    if len(x):
        out.surrogate = fit_surrogate(x, terms.sum(axis=1) + base, model.scorer.features)
        out.confusion = confusion(model, cases)
    return out


def _terms(model: Model, x: F32, query: Bools) -> tuple[F64, F64]:
    """Contributions (n, f) and base (n,)."""
    terms, base = np.zeros((len(x), len(model.scorer.features))), np.zeros(len(x))
    for asked in (False, True):
        mine = np.flatnonzero(query == asked)
        if len(mine):
            terms[mine], base[mine] = contributions(model, x[mine], asked)
    return terms, base


def _features(model: Model, x: F32, terms: F64, gains: F64, off: frozenset[str]) -> list[FeatureImportance]:
    size = np.abs(terms).mean(axis=0) if len(terms) else np.zeros(len(gains))
    size[[place for place, name in enumerate(model.scorer.features) if name in off]] = 0.0
    whole = float(size.sum())
    order: list[int] = np.lexsort((-gains, -size)).tolist()
    out: list[FeatureImportance] = []
    for place in order:
        name = model.scorer.features[place]
        one = FeatureImportance(
            name, group_of(name), float(size[place]), float(size[place]) / whole if whole > 0 else 0.0,
            float(gains[place]) if name not in off else 0.0,
        )  # fmt: skip
        if len(out) < CURVES and one.importance > 0:
            one.curve = dependence(x[:, place], terms[:, place])
            one.missing = int(np.count_nonzero(~np.isfinite(x[:, place])))
        out.append(one)
    return out


def _groups(model: Model, terms: F64, features: list[FeatureImportance]) -> list[GroupImportance]:
    """By mean |Σ| over the rows; without rows by the features' gains."""
    place = {name: at for at, name in enumerate(model.scorer.features)}
    used = [one for one in features if one.importance > 0] if len(terms) else features
    columns: dict[str, list[int]] = {}
    for one in used:
        columns.setdefault(one.group, []).append(place[one.feature])
    size = {code: float(np.abs(terms[:, at].sum(axis=1)).mean()) if len(terms) else 0.0 for code, at in columns.items()}
    if not len(terms):
        for one in features:
            size[one.group] += one.gain
    whole = sum(size.values())
    found = [GroupImportance(code, *NAMES[code], size[code], size[code] / whole if whole else 0.0) for code in size]
    return sorted((one for one in found if one.importance > 0), key=lambda one: (-one.importance, one.group))


def dependence(values: F32, terms: F64, bins: int = BINS) -> list[Bin]:
    """Contributions (n,) of a feature by its values (n,): bins of about as many rows each, equal values together."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return []
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[1:-1]))
    of = np.searchsorted(edges, values[known], side="left")
    out: list[Bin] = []
    for one in np.unique(of).tolist():
        mine = known[of == one]
        low, high = np.quantile(terms[mine], (0.25, 0.75)).tolist()
        out.append(Bin(float(values[mine].mean()), float(terms[mine].mean()), low, high, len(mine)))
    return out


def confusion(model: Model, cases: list[Case]) -> Confusion | None:
    """None where no decision has all of its candidates and something that was taken up."""
    counts = np.zeros((2, 2), np.int64)
    judged = 0
    for case in cases:
        if not case.whole or not case.chosen.any() or case.shown >= len(case.x):
            continue
        judged += 1
        order = np.argsort(-total_score(model, case.x, case.query), kind="stable")
        first = np.zeros(len(order), np.bool_)
        first[order[: case.shown]] = True
        np.add.at(counts, (1 - first, 1 - case.chosen.astype(np.int64)), 1)
    if not judged:
        return None
    (hit, shown), (missed, left) = counts.tolist()
    return Confusion(judged, hit, shown, missed, left, hit / max(1, hit + shown), hit / max(1, hit + missed))


def gains_of(scorer: Scorer) -> F64:
    """(f,) shares of the variance that each feature makes in a scorer, by the model alone; zeros of an unknown kind."""
    gains = _variances(scorer)
    whole = float(gains.sum())
    return gains / whole if whole > 0 else gains


def _variances(scorer: Scorer) -> F64:
    if isinstance(scorer, LinearScorer):
        return scorer.weights**2
    if isinstance(scorer, TreeScorer):
        return _tree_variances(scorer)
    if isinstance(scorer, BlendScorer):
        return scorer.share**2 * _variances(scorer.linear) + _variances(scorer.trees)
    return np.zeros(len(scorer.features))


def _tree_variances(scorer: TreeScorer) -> F64:
    """Σ over splits of cover · (squared difference of a child's mean to the node's), over the root's cover."""
    f = scorer.forest
    mean = f.value.copy()
    inner = np.flatnonzero(f.feature >= 0)
    for node in inner[::-1].tolist():  # children come after their parent
        a, b = int(f.left[node]), int(f.right[node])
        mean[node] = (f.cover[a] * mean[a] + f.cover[b] * mean[b]) / (f.cover[a] + f.cover[b])
    out = np.zeros(len(scorer.features))
    root = np.repeat(f.cover[f.offset[:-1]], np.diff(f.offset))
    for child in (f.left, f.right):
        at = child[inner]
        np.add.at(out, f.feature[inner], f.cover[at] * (mean[at] - mean[inner]) ** 2 / root[inner])
    return out
