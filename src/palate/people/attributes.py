"""What a person hasn't said, predicted from what they do: the side that serves. ``palate.train.people`` fits it.

A prediction is never mixed with what was said: it is shown apart, with its probability, and ranks nothing. Four kinds:
``trees`` (LightGBM, a forest a value, one against the rest), ``forest`` (a random forest), ``svm`` and ``logistic``
(linear). All are arrays here, whatever library fitted them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from palate.errors import CorruptArtefact
from palate.features import Subject
from palate.people.extract import Extractor, Layout
from palate.people.select import Pca, Scale
from palate.score.trees import TreeScorer
from palate.types import F64, I64

KINDS = ("trees", "forest", "svm", "logistic")
Arrays = dict[str, np.ndarray[Any, Any]]


class Predictor(Protocol):
    """Probabilities of an attribute's values from normalised columns."""

    def __call__(self, z: F64) -> F64:
        """(n, values) probabilities, rows summing to 1, of z (n, columns)."""
        ...

    def arrays(self) -> Arrays: ...


class Linear(NamedTuple):
    """softmax((z weights + bias) · sharp): logistic regression, or a linear SVM with a temperature. weights: (p, v)."""

    weights: F64
    bias: F64
    sharp: float = 1.0

    def __call__(self, z: F64) -> F64:
        """See ``Predictor``."""
        s = (z @ self.weights + self.bias) * self.sharp
        e = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def arrays(self) -> Arrays:
        """For the artefact."""
        return {"weights": self.weights, "bias": self.bias, "sharp": np.array([self.sharp])}


class RandomForest(NamedTuple):
    """Mean of the value shares at the leaves (Breiman 2001). root: (t,) first nodes; feature (n,) −1 at a leaf;
    ``z <= threshold`` goes left; shares: (n, v)."""

    root: I64
    feature: I64
    threshold: F64
    left: I64
    right: I64
    shares: F64

    def __call__(self, z: F64) -> F64:
        """See ``Predictor``. All rows go down all trees a level at a time."""
        at = np.tile(self.root, (len(z), 1))
        rows = np.arange(len(z))[:, None]
        while np.any(inner := self.feature[at] >= 0):
            test = z[rows, np.maximum(self.feature[at], 0)].astype(np.float32) <= self.threshold[at]
            at = np.where(inner, np.where(test, self.left[at], self.right[at]), at)
        return self.shares[at].mean(axis=1)

    def arrays(self) -> Arrays:
        """For the artefact."""
        return {name: np.asarray(getattr(self, name)) for name in self._fields}


class Trees:
    """One boosted forest a value, each against the rest; their probabilities, scaled to sum to 1."""

    def __init__(self, scorers: list[TreeScorer]) -> None:
        self.scorers = scorers

    def __call__(self, z: F64) -> F64:
        """See ``Predictor``."""
        x = np.ascontiguousarray(z, np.float32)
        p = np.stack([1 / (1 + np.exp(-scorer.score(x))) for scorer in self.scorers], axis=1)
        return p / np.maximum(1e-12, p.sum(axis=1, keepdims=True))

    def arrays(self) -> Arrays:
        """For the artefact."""
        return {f"{n}.{name}": array for n, one in enumerate(self.scorers) for name, array in one.arrays().items()}


def load_predictor(kind: str, arrays: Arrays, columns: int, values: int) -> Predictor:
    """From the arrays of ``Predictor.arrays``. Errors: ``CorruptArtefact`` where they don't fit together."""
    try:
        if kind == "trees":
            names = [f"f{n}" for n in range(columns)]
            return Trees([TreeScorer.load(_under(arrays, f"{n}."), {"features": names}) for n in range(values)])
        if kind == "forest":
            forest = RandomForest(**{name: arrays[name] for name in RandomForest._fields})
            nodes = len(forest.feature)
            inner = forest.feature >= 0
            children = np.concatenate([forest.left[inner], forest.right[inner], forest.root])
            after = np.minimum(forest.left, forest.right)[inner] > np.flatnonzero(inner)
            fits = forest.shares.shape == (nodes, values) and forest.feature.max(initial=-1) < columns
            if not (fits and np.all((children >= 0) & (children < nodes)) and np.all(after)):
                raise CorruptArtefact("The forest of an attribute doesn't fit together: train again.")
            return forest
        found = Linear(arrays["weights"], arrays["bias"], float(arrays["sharp"][0]))
        if found.weights.shape != (columns, values) or found.bias.shape != (values,):
            raise CorruptArtefact("The weights of an attribute don't fit together: train again.")
        return found
    except (KeyError, IndexError, TypeError) as error:
        raise CorruptArtefact(f"The predictor of an attribute can't be read ({error}): train again.") from None


class Attribute(NamedTuple):
    """field: of users; values: what it may be, in order; kind: of ``KINDS``; columns: of the table that it looks at;
    report: accuracy and macro-F1 on people held out, beside always naming the commonest value."""

    field: str
    values: tuple[str, ...]
    kind: str
    columns: I64
    scale: Scale
    predictor: Predictor
    report: dict[str, float]


class Prediction(NamedTuple):
    """The likeliest value of a field and its probability, as it was on people held out."""

    field: str
    value: str
    probability: float


class People:
    """Everything that training learnt of people as a table: layout, principal components, attributes. Immutable."""

    def __init__(self, layout: Layout, components: Pca, attributes: list[Attribute]) -> None:
        self.layout, self.components, self.attributes = layout, components, attributes

    def row(self, extractor: Extractor, subject: Subject, now: int) -> F64:
        """(p,) the columns of ``layout``, NaN where one doesn't apply."""
        text = extractor.text(subject)
        known = text is not None and len(text) == len(self.components.mean)
        coordinates = self.components(text) if known and text is not None else np.full(self.layout.texts, np.nan)
        return np.concatenate([extractor.raw(subject, now), coordinates])

    def predict(self, extractor: Extractor, subject: Subject, now: int, said: Mapping[str, object]) -> list[Prediction]:
        """The likeliest value of every attribute that isn't ``said``, surest first; nothing without a history."""
        wanted = [one for one in self.attributes if one.field not in said]
        if not wanted or not np.any(subject.weights > 0):
            return []
        x = self.row(extractor, subject, now)[None]
        out: list[Prediction] = []
        for one in wanted:
            odds = one.predictor(one.scale(x[:, one.columns]))[0]
            best = int(odds.argmax())
            out.append(Prediction(one.field, one.values[best], float(odds[best])))
        return sorted(out, key=lambda found: -found.probability)

    def arrays(self) -> Arrays:
        """Everything numeric, for the artefact."""
        out: Arrays = {"mean": self.components.mean, "axes": self.components.axes}
        for n, one in enumerate(self.attributes):
            out |= {f"{n}.columns": one.columns, f"{n}.centre": one.scale.centre, f"{n}.spread": one.scale.spread}
            out |= {f"{n}.model.{name}": array for name, array in one.predictor.arrays().items()}
        return out

    def meta(self) -> dict[str, Any]:
        """Everything else, JSON-compatible."""
        return {
            "tags": list(self.layout.tags),
            "items": list(self.layout.items),
            "texts": self.layout.texts,
            "attributes": [
                {"field": one.field, "values": list(one.values), "kind": one.kind, "report": one.report}
                for one in self.attributes
            ],
        }

    @classmethod
    def load(cls, arrays: Arrays, meta: Mapping[str, Any]) -> People:
        """The inverse of ``arrays`` and ``meta``. Errors: ``CorruptArtefact``."""
        try:
            layout = Layout(tuple(meta["tags"]), tuple(meta["items"]), int(meta["texts"]))
            attributes: list[Attribute] = []
            for n, one in enumerate(meta["attributes"]):
                columns, values = arrays[f"{n}.columns"], tuple(one["values"])
                predictor = load_predictor(one["kind"], _under(arrays, f"{n}.model."), len(columns), len(values))
                scale = Scale(arrays[f"{n}.centre"], arrays[f"{n}.spread"])
                attributes.append(
                    Attribute(one["field"], values, one["kind"], columns, scale, predictor, dict(one["report"]))
                )
            return cls(layout, Pca(arrays["mean"], arrays["axes"]), attributes)
        except (KeyError, TypeError) as error:
            raise CorruptArtefact(f"What a model knows of people can't be read ({error}): train again.") from None


def _under(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
