"""An artefact as the model that serves it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from palate.catalogue import Catalogue
from palate.errors import Conflict, CorruptArtefact
from palate.features import NAMES
from palate.language.gate import Gate
from palate.line import Model
from palate.score import load_scorer
from palate.train.learnt import bind
from palate.train.manifest import Artefact


def scoring_of(found: Artefact) -> Model:
    """What of an artefact scores rows of features, bound to no catalogue: without what it learnt beside its scorer.
    Errors: ``Conflict`` where it was trained on other features; ``CorruptArtefact``."""
    manifest = found.manifest
    arrays = {k.removeprefix("scorer."): v for k, v in found.arrays.items() if k.startswith("scorer.")}
    extra: dict[str, Any] = manifest.extra
    scorer = load_scorer(arrays, extra.get("scorer", {}))
    if list(scorer.features) != manifest.features:
        raise CorruptArtefact(f"The model {manifest.version} scores other features than its manifest names.")
    if manifest.features != [*NAMES, *extra.get("context", ())]:
        raise Conflict(
            f"The model {manifest.version} was trained on other features than this version of Palate computes: "
            "install the version that trained it, or train again."
        )
    return Model(
        manifest.version,
        scorer,
        context=tuple(extra.get("context", ())),
        queries=bool(extra.get("queries", False)),
        scale=float(extra.get("scale", 1.0)),
        strangers=float(extra.get("strangers", extra.get("scale", 1.0))),
        gate=msgspec.convert(extra.get("gate", {}), Gate),
    )


def model_of(found: Artefact, catalogue: Catalogue) -> Model:
    """The model over the rows of ``catalogue``. Errors: ``Conflict`` where it was trained with another encoder or on
    other features; ``CorruptArtefact``."""
    manifest = found.manifest
    encoder = catalogue.cache.encoder.name
    if manifest.encoder and manifest.encoder != encoder:
        raise Conflict(
            f"The model {manifest.version} was trained with the encoder {manifest.encoder}, and this directory is "
            f"configured for {encoder}: set language.encoder back, or train again."
        )
    learnt = bind(found.arrays, manifest.extra, catalogue.state.items, catalogue.vectors)
    return replace(scoring_of(found), **learnt)
