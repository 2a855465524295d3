"""Learning about people: groups of tastes, what their fields tell of these, and attributes that can be predicted.

Attributes: for each field of users with a few values, what the people who said it do is fitted to it by the back end
chosen (``train.people``): boosted trees, a random forest, a linear SVM or logistic regression. Each of these people is
predicted once by what was learnt from others; a field is kept only where that beats always naming the commonest value,
in accuracy by two points and a standard error and in macro-F1. People who didn't say it teach too, where they are
predicted surely (self-training, Yarowsky 1995), if that does better on the first fold, which then judges nothing.

Groups of tastes are found in ``groups``.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from palate.catalogue import Catalogue
from palate.errors import MissingExtra
from palate.features import NO_GROUPS, Computer, Groups, Subject
from palate.features.company import PRIVATE
from palate.features.groups import MOST
from palate.people.attributes import Attribute, Linear, People, Predictor, RandomForest, Trees
from palate.people.extract import BEHAVIOUR, Extractor, Layout
from palate.people.select import Pca, Scale, bins_of, gain_above_chance, pca, quantile_edges, robust, select
from palate.score.trees import TreeScorer
from palate.state import State
from palate.train.groups import RARE, fit_groups
from palate.types import F64, I64

LEAST = 100
"""People who must have said a field for it to be learnt, and who must have a history for groups."""
VALUES = (2, 20)
MOST_PEOPLE = 6000
MARGIN = 0.02
FOLDS = 3
_TAGS, _ITEMS, _TEXTS, _COLUMNS = 200, 300, 16, 120
_SURE, _PSEUDO = 0.9, 0.3
_BINS = 5


class Learnt(NamedTuple):
    """people: None where nobody said anything that can be predicted; groups; gains: of each field about the groups, in
    nats; reports: of every field tried."""

    people: People | None
    groups: Groups
    gains: dict[str, float]
    reports: dict[str, dict[str, float]]


def fit_people(state: State, catalogue: Catalogue, kind: str, seed: int, now: int, attributes: bool = True) -> Learnt:
    """Learn about the people of ``state`` at ``now`` (ms). kind: of ``KINDS``, or ``off``. Without ``attributes``
    groups and gains only.

    Errors: ``MissingExtra`` where ``kind`` wants scikit-learn. Cost: seconds; at most ``MOST_PEOPLE`` people.
    """
    if kind == "off":
        return Learnt(None, NO_GROUPS, {}, {})
    check_kind(kind)
    computer, side = Computer(state), catalogue.side()
    rows = np.flatnonzero(state.user_columns["count"][: state.n_users] > 0)
    rng = np.random.default_rng(seed)
    if len(rows) > MOST_PEOPLE:
        rows = np.sort(rng.choice(rows, MOST_PEOPLE, replace=False))
    subjects = [computer.subject(int(row), side) for row in rows]
    kept = [one for one in subjects if int((one.weights > 0).sum()) > MOST]
    groups, of = fit_groups(catalogue, kept, LEAST, rng)
    gains = _gains(state, kept, of) if len(groups.centres) else {}
    fields = _fields(state, rows) if attributes else {}
    if not fields:
        return Learnt(None, groups, gains, {})
    layout, x, components = _table(state, catalogue, computer, subjects, now)
    found: list[Attribute] = []
    reports: dict[str, dict[str, float]] = {}
    for field, (values, codes) in fields.items():
        attribute, report = _attribute(field, values, codes, x, kind, seed)
        reports[field] = report
        if attribute is not None:
            found.append(attribute)
    return Learnt(People(layout, components, found) if found else None, groups, gains, reports)


def people_arrays(learnt: Learnt) -> dict[str, np.ndarray[Any, Any]]:
    """For the artefact of a ranking model, beside its own arrays."""
    groups = {f"groups.{name}": array for name, array in learnt.groups.arrays().items()}
    people = {} if learnt.people is None else learnt.people.arrays()
    return groups | {f"people.{name}": array for name, array in people.items()}


def people_meta(learnt: Learnt) -> dict[str, Any]:
    """For its manifest. Empty where nothing was learnt."""
    return {
        "gains": learnt.gains,
        "groups": list(learnt.groups.tag_names),
        "reports": learnt.reports,
        "people": None if learnt.people is None else learnt.people.meta(),
    }


def load_people(
    arrays: Mapping[str, np.ndarray[Any, Any]], meta: Mapping[str, Any]
) -> tuple[People | None, Groups, dict[str, float]]:
    """The inverse of ``people_arrays`` and ``people_meta``; models without any have none. Errors:
    ``CorruptArtefact``."""
    if not meta:
        return None, NO_GROUPS, {}
    groups = {k.removeprefix("groups."): v for k, v in arrays.items() if k.startswith("groups.")}
    people = {k.removeprefix("people."): v for k, v in arrays.items() if k.startswith("people.")}
    known = None if meta.get("people") is None else People.load(people, meta["people"])
    return known, Groups.load(groups, meta.get("groups", ())), dict(meta.get("gains", {}))


def kind_is_there(kind: str) -> bool:
    """Whether what a back end needs is installed."""
    return kind == "trees" or importlib.util.find_spec("sklearn") is not None


def check_kind(kind: str) -> None:
    """Errors: ``MissingExtra`` where a back end is wanted that isn't installed."""
    if not kind_is_there(kind):
        raise MissingExtra("scikit-learn", "tune", f"train.people = {kind!r}")


# ------------------------------------------------------------------------------------- attributes


def _fields(state: State, rows: I64) -> dict[str, tuple[tuple[str, ...], I64]]:
    """Fields that can be learnt: their values in words, and the code of each of ``rows``, −1 where it isn't said or is
    rare. Numbers are cut into fifths."""
    out: dict[str, tuple[tuple[str, ...], I64]] = {}
    said = [state.user_fields.get(int(row), {}) for row in rows]
    for field in sorted({name for one in said for name in one} - set(PRIVATE)):
        found = [one.get(field) for one in said]
        numbers = [v for v in found if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) >= LEAST and len(numbers) == sum(v is not None for v in found) and len(set(numbers)) > _BINS:
            given = np.array([np.nan if v is None else float(v) for v in found if not isinstance(v, str | list)])
            edges = quantile_edges(given, _BINS)
            codes = np.where(np.isnan(given), -1, bins_of(given, edges))
            names = _ranges(edges)
        else:
            words = [None if v is None or isinstance(v, list) else str(v).lower() if v is True or v is False else str(v)
                     for v in found]  # fmt: skip
            common = Counter(word for word in words if word is not None and len(word) <= 64)
            names = tuple(sorted(word for word, count in common.items() if count >= RARE))
            place = {word: code for code, word in enumerate(names)}
            codes = np.array([-1 if word is None else place.get(word, -1) for word in words])
        if VALUES[0] <= len(names) <= VALUES[1] and int((codes >= 0).sum()) >= LEAST:
            out[field] = names, codes.astype(np.int64)
    return out


def _ranges(edges: F64) -> tuple[str, ...]:
    """Words for the bins of ``quantile_edges``: ``under 23``, ``23 to 31``, …, ``51 or more``."""
    if not len(edges):
        return ()
    middle = [f"{low:g} to {high:g}" for low, high in pairwise(edges.tolist())]
    return (f"under {edges[0]:g}", *middle, f"{edges[-1]:g} or more")


def _table(
    state: State, catalogue: Catalogue, computer: Computer, subjects: list[Subject], now: int
) -> tuple[Layout, F64, Pca]:
    """Layout, (n, p) rows of ``subjects``, and the principal components of their texts."""
    side = catalogue.side()
    weight = np.zeros(side.n_tags)
    for one in subjects:
        if len(one.tags_long):
            weight += one.tags_long
    heaviest: list[int] = np.argsort(-weight, kind="stable")[:_TAGS].tolist()
    tags = [catalogue.tags.ids[code] for code in heaviest if weight[code] > 0]
    best: list[int] = np.argsort(-state.item("count"), kind="stable")[:_ITEMS].tolist()
    draft = Layout(tuple(tags), tuple(state.items.ids[row] for row in best), 0)
    extractor = Extractor(state, catalogue, computer, draft)
    texts = [extractor.text(one) for one in subjects]
    known = np.array([text for text in texts if text is not None])
    components = pca(known.reshape(len(known), -1) if len(known) else np.zeros((0, side.vectors.shape[1])), _TEXTS)
    n = len(components.axes)
    x = np.array([
        np.concatenate([extractor.raw(one, now), np.full(n, np.nan) if text is None else components(text)])
        for one, text in zip(subjects, texts, strict=True)
    ])  # fmt: skip
    return draft._replace(texts=n), x, components


def _attribute(
    field: str, values: tuple[str, ...], codes: I64, x: F64, kind: str, seed: int
) -> tuple[Attribute | None, dict[str, float]]:
    """The attribute, None where it doesn't beat the commonest value by ``MARGIN``, and its report."""
    known, silent = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
    folds = np.array_split(np.random.default_rng((seed, len(values))).permutation(known), FOLDS)
    found, usual = np.full(len(codes), -1), np.full(len(codes), -1)
    pseudo = False
    for n, fold in enumerate(folds):
        rest = np.concatenate([other for other in folds if other is not fold])
        usual[fold] = np.bincount(codes[rest]).argmax()
        found[fold] = _predicted(_fitted(x, codes, rest, values, kind, seed, silent if pseudo else None), x, fold)
        if n == 0 and len(silent):  # the first fold chooses, and then no longer judges
            also = _predicted(_fitted(x, codes, rest, values, kind, seed, silent), x, fold)
            pseudo = bool((also == codes[fold]).sum() > (found[fold] == codes[fold]).sum())
    test = np.concatenate(folds[1:] if len(silent) else folds)
    truth = codes[test]
    right, easy = found[test] == truth, usual[test] == truth
    difference = right.astype(np.float64) - easy
    error = float(difference.std() / np.sqrt(max(1, len(test))))
    f1, usual_f1 = macro_f1(found[test], truth, len(values)), macro_f1(usual[test], truth, len(values))
    report = {
        "people": float(len(known)), "held_out": float(len(test)), "accuracy": round(float(right.mean()), 4),
        "majority": round(float(easy.mean()), 4), "macro_f1": round(f1, 4), "majority_f1": round(usual_f1, 4),
        "self_trained": float(pseudo),
    }  # fmt: skip
    kept = float(difference.mean()) >= max(MARGIN, error) and f1 > usual_f1
    report["kept"] = float(kept)
    if not kept:
        return None, report
    columns, scale, predictor = _fitted(x, codes, known, values, kind, seed, silent if pseudo else None)
    return Attribute(field, values, kind, columns, scale, predictor, report), report


def _fitted(
    x: F64, codes: I64, train: I64, values: tuple[str, ...], kind: str, seed: int, silent: I64 | None
) -> tuple[I64, Scale, Predictor]:
    """Columns, scale and predictor, learnt from the rows ``train``; ``silent`` people teach where they are sure."""
    # What people do is always looked at; of what they choose, that which tells of the values most.
    head = np.arange(len(BEHAVIOUR))
    told = select(x[train][:, len(head) :], codes[train], _COLUMNS) + len(head)
    columns = np.concatenate([head, np.sort(told)])
    scale = robust(x[train][:, columns])
    z, y, w = scale(x[train][:, columns]), codes[train], np.ones(len(train))
    predictor = _fit(z, y, w, len(values), kind, seed)
    if silent is not None and len(silent):
        mine = scale(x[silent][:, columns])
        odds = predictor(mine)
        sure = odds.max(axis=1) >= _SURE
        if np.any(sure):
            z, y = np.concatenate([z, mine[sure]]), np.concatenate([y, odds[sure].argmax(axis=1)])
            predictor = _fit(z, y, np.concatenate([w, np.full(int(sure.sum()), _PSEUDO)]), len(values), kind, seed)
    return columns, scale, predictor


def _predicted(fitted: tuple[I64, Scale, Predictor], x: F64, rows: I64) -> I64:
    columns, scale, predictor = fitted
    return predictor(scale(x[rows][:, columns])).argmax(axis=1).astype(np.int64)


def macro_f1(found: I64, truth: I64, values: int) -> float:
    """Mean over the values that occur in either of 2 tp / (2 tp + fp + fn)."""
    scores: list[float] = []
    for value in range(values):
        both = int(((found == value) & (truth == value)).sum())
        either = int((found == value).sum()) + int((truth == value).sum())
        if either:
            scores.append(2 * both / either)
    return float(np.mean(scores)) if scores else 0.0


def _fit(z: F64, y: I64, w: F64, values: int, kind: str, seed: int) -> Predictor:
    if kind == "trees":
        return _fit_trees(z, y, w, values, seed)
    if kind == "forest":
        return _fit_forest(z, y, w, values, seed)
    linear: Any = importlib.import_module("sklearn.linear_model")
    if kind == "logistic":
        model = linear.LogisticRegression(C=0.05, max_iter=500)
        model.fit(z, y, sample_weight=w)
        return _widened(model, values, 1.0)
    svm: Any = importlib.import_module("sklearn.svm")
    model = svm.LinearSVC(C=0.01, random_state=seed, dual="auto", max_iter=5000)
    model.fit(z, y, sample_weight=w)
    found = _widened(model, values, 1.0)
    # A margin is no probability: the temperature that fits these people best, halved for having seen them.
    best = min((0.5, 1.0, 2.0, 4.0), key=lambda sharp: _loss(found._replace(sharp=sharp)(z), y))
    return found._replace(sharp=max(0.5, best / 2))


def _loss(odds: F64, y: I64) -> float:
    return float(-np.log(np.maximum(1e-12, odds[np.arange(len(y)), y])).mean())


def _widened(model: Any, values: int, sharp: float) -> Linear:
    """scikit-learn's weights as (p, v): of two values it gives one row, and of a value nobody had none."""
    weights, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weights) == 1:
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    out, base = np.zeros((weights.shape[1], values)), np.full(values, -30.0)
    out[:, model.classes_], base[model.classes_] = weights.T, bias
    return Linear(out, base, sharp)


def _fit_trees(z: F64, y: I64, w: F64, values: int, seed: int) -> Trees:
    """Gradient boosting (LightGBM), one forest of small trees a value."""
    import lightgbm

    from palate.score.convert import from_lightgbm

    parameters: dict[str, Any] = {
        "objective": "binary", "learning_rate": 0.08, "num_leaves": 7, "min_data_in_leaf": 15, "lambda_l2": 5.0,
        "feature_fraction": 0.3, "bagging_fraction": 0.8, "bagging_freq": 1, "seed": seed, "deterministic": True,
        "force_col_wise": True, "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    names = [f"f{n}" for n in range(z.shape[1])]
    module: Any = lightgbm
    data = module.Dataset(z.astype(np.float32), label=y, weight=w, feature_name=names, free_raw_data=False)
    scorers: list[TreeScorer] = []
    for value in range(values):
        data.set_label((y == value).astype(np.float32))
        scorers.append(from_lightgbm(module.train(parameters, data, num_boost_round=60), names))
    return Trees(scorers)


def _fit_forest(z: F64, y: I64, w: F64, values: int, seed: int) -> RandomForest:
    ensemble: Any = importlib.import_module("sklearn.ensemble")
    model = ensemble.RandomForestClassifier(200, min_samples_leaf=3, random_state=seed, n_jobs=1)
    model.fit(z, y, sample_weight=w)
    roots: list[int] = []
    parts: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "shares")}
    n = 0
    for one in model.estimators_:
        tree = one.tree_
        inner = tree.children_left >= 0
        roots.append(n)
        parts["feature"].append(np.where(inner, tree.feature, -1).astype(np.int64))
        parts["threshold"].append(tree.threshold.astype(np.float64))
        parts["left"].append(np.where(inner, tree.children_left + n, -1).astype(np.int64))
        parts["right"].append(np.where(inner, tree.children_right + n, -1).astype(np.int64))
        shares = np.zeros((tree.node_count, values))
        counts = tree.value[:, 0, :]
        shares[:, model.classes_] = counts / counts.sum(axis=1, keepdims=True)
        parts["shares"].append(shares)
        n += int(tree.node_count)
    return RandomForest(np.array(roots, np.int64), *(np.concatenate(part) for part in parts.values()))


def _gains(state: State, people: list[Subject], of: I64) -> dict[str, float]:
    """What each field of people tells of their group of tastes, above chance, in nats; fields that tell nothing too."""
    out: dict[str, float] = {}
    placed = np.flatnonzero(of >= 0)
    rows = np.array([people[n].row for n in placed], np.int64)
    for field, (_, codes) in _fields(state, rows).items():
        said = codes >= 0
        out[field] = round(gain_above_chance(codes[said], of[placed][said]), 6)
    return out
