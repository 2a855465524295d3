"""One item of a logged ranking, explained in full."""

from __future__ import annotations

import msgspec
import numpy as np

from palate.answer import explain_decision, known_then, seeded
from palate.catalogue import Catalogue
from palate.explaining.again import Again
from palate.explaining.counterfactual import Counterfactuals, counterfactuals
from palate.explaining.groups import GroupTerm, grouped
from palate.explaining.lime import Local, lime
from palate.line import Line, Model, total_score
from palate.store import Store
from palate.store.decision import Decision
from palate.wording import WordedExplanation

_ROWS = 50
"""Candidates that a background has at the least, where there are as many."""


class ItemExplanation(WordedExplanation, omit_defaults=True):
    """An ``Explanation`` with its contributions by group; and, where asked for, counterfactuals, and what a linear
    model near the item says of the scorer (LIME), for comparison: contributions are exact, that is not."""

    groups: list[GroupTerm] = msgspec.field(default_factory=list[GroupTerm])
    counterfactuals: Counterfactuals | None = None
    local: Local | None = None


def explain_item(
    line: Line,
    catalogue: Catalogue,
    store: Store,
    decision: Decision,
    item: str,
    model: Model,
    changes: bool = False,
    local: bool = False,
) -> ItemExplanation:
    """The explanation of ``item``; under the engine's lock. changes: with counterfactuals; local: with LIME.

    Errors: as ``answer.explain_decision``.
    """
    known = known_then(line, catalogue, store, decision)
    found = explain_decision(line, catalogue, decision, item, model, known)
    parts = {name: getattr(found, name) for name in found.__struct_fields__}
    out = ItemExplanation(**parts, groups=grouped(found.contributions, decision.filters))
    if (changes or local) and found.score is not None:
        again = Again(line, catalogue, decision, model, known[0])
        if changes:
            out.counterfactuals = counterfactuals(again, item, found.position, found.contributions)
        if local:
            out.local = _local(again, decision, item, model)
    return out


def _local(again: Again, decision: Decision, item: str, model: Model) -> Local:
    """LIME over the logged candidates, or, where too few were kept, over those ranked again."""
    shown, unshown = decision.shown, decision.unshown
    ids, x = list(shown.ids), shown.matrix()
    if unshown is not None and unshown.ids:
        ids, x = ids + unshown.ids, np.concatenate([x, unshown.matrix()])
    row = x[ids.index(item)]
    if len(x) < _ROWS:
        more = again.ranked(again.past)[2]
        if more.shape[1] == x.shape[1]:
            x = np.concatenate([x, more])
    asked = decision.request is not None and bool(decision.request.query)
    seed = int(seeded(decision.ranking).integers(1 << 31))
    return lime(lambda rows: total_score(model, rows, asked), row, x, model.scorer.features, seed)
