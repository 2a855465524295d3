"""When a judgement can't tell, and how to change that; and what a judgement leaves out."""

from __future__ import annotations

from typing import Any

import msgspec

from palate.config import Settings
from palate.evaluate.judgement import Judgement, Overlap, Remark

REWARDED = 10.0
"""Rankings with a reward, by ``Overlap.rewarded``, below which it can't tell."""
SUPPORT = 0.9
"""Mean weight below which, two standard errors up, part of what the configuration shows was never shown."""
_RANKS = ("weights", "seen", "scene", "state.", "language.encoder", "language.dims", "retrieve.")


def reasons_of(
    found: Judgement, overlap: Overlap | None, support: float, rewards: float, least: float, named: bool
) -> list[Remark]:
    """Why ``found`` can't tell; none where it can. support: the smallest mean weight of a place, two errors up."""
    if overlap is None:
        return [_nothing(found)]
    reasons: list[Remark] = []
    if not named:
        reasons.append(
            Remark(
                "no_names",
                "No interaction in the log names the ranking that it answers: send the answer's 'ranking' with clicks.",
            )
        )
    elif not rewards:
        reasons.append(
            Remark(
                "no_rewards",
                f"Nothing of the type {found.reward!r} followed a ranking within {found.window_minutes:g} minutes: "
                "choose another --reward or a longer --window.",
            )
        )
    if support < SUPPORT:
        reasons.append(
            Remark(
                "unsupported",
                f"The weights average {min(overlap.mean_weights):.2f} where they should average 1: much of what the "
                "configuration would show was never shown. Let policy.rank or policy.recommend be plackett_luce, with "
                "a higher policy.temperature, for a while.",
            )
        )
    if overlap.effective < least:
        reasons.append(
            Remark(
                "overlap",
                f"The log says as much as {overlap.effective:.0f} rankings of the configuration's own, and "
                f"{least:.0f} are needed: explore more (policy.temperature), log longer, or keep the candidates of "
                "more decisions (decisions.sample = 1).",
            )
        )
    if rewards and overlap.rewarded < REWARDED:
        reasons.append(
            Remark(
                "few_rewards",
                f"Only {overlap.rewarded:.1f} rankings' worth of rewards speak for the configuration, and "
                f"{REWARDED:.0f} are needed: log longer, or choose a --reward that comes more often.",
            )
        )
    return reasons


def _nothing(found: Judgement) -> Remark:
    skipped = found.skipped
    if not found.decisions:
        return Remark(
            "no_decisions",
            "The decision log is empty: rank with decisions.enabled = true, and let clicks name their 'ranking'.",
        )
    most = max(skipped, key=lambda name: skipped[name]) if skipped else "empty"
    texts = {
        "greedy": "The log holds no exploration: every place was certain, so nothing is known of what wasn't shown. "
        "Set policy.rank or policy.recommend to plackett_luce (or policy.explore = true, for one slot of recommend).",
        "no_slot": "No decision has an exploration slot: set policy.explore = true, and don't name a policy in the "
        "requests.",
        "contexts": "No decision kept the contexts that a bandit goes by: set policy.learn = true, or rank with a "
        "bandit for a while.",
        "floor": "The explored place of every decision went to an item that was owed impressions (policy.new_floor), "
        "which says nothing of other items there.",
        "incomplete": "No decision kept the features of its unshown candidates: raise decisions.sample (1 keeps all).",
        "features": "Every decision was logged with other features, by another version of Palate or with other "
        "features.off: they can't be scored by this one.",
        "empty": "No decision of the log showed anything that could be scored.",
    }
    return Remark(most, texts[most])


def notes_of(target: Settings, served: Settings, variant: str) -> list[Remark]:
    """What differs between the settings and isn't judged, since candidates and features are those of the log."""
    notes: list[Remark] = []
    mine, theirs = _flat(target), _flat(served)
    moved = sorted(name for name in mine if mine[name] != theirs.get(name) and name.startswith(_RANKS))
    if moved:
        notes.append(
            Remark(
                "not_judged",
                f"Not judged, since candidates and features are those of the log: {', '.join(moved)}.",
            )
        )
    if target.policy.diversity:
        notes.append(Remark("diversity", "policy.diversity is judged as 0: how alike items are is not in the log."))
    if served.online.correct != "off":
        said = "What was learnt while serving (online.correct) is not judged: scores are the model's."
        notes.append(Remark("online", said))
    if variant == "slot":
        notes.append(
            Remark(
                "slot",
                "Judged is what the configuration would have put into the exploration slot, below the same items as "
                "shown; the places around it were certain, and nothing is known of others there.",
            )
        )
    return notes


def _flat(settings: Any, above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, msgspec.Struct):
            found |= _flat(value, f"{above}{field.name}.")
        else:
            found[above + field.name] = value
    return found
