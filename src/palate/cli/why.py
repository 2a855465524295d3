"""``palate explain`` beyond contributions, and ``palate models importance``."""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table

from palate.cli.console import Out, bar, number, row, table
from palate.cli.messages import language, say
from palate.cli.translation import word
from palate.explaining.counterfactual import Change, Counterfactuals
from palate.explaining.groups import OUTSIDE
from palate.explaining.importance import Confusion, FeatureImportance, ModelExplanation
from palate.explaining.item import ItemExplanation
from palate.explaining.surrogate import Rule
from palate.wording import Worded

Title = Callable[[str], str]


def show_more(out: Out, found: ItemExplanation, titled: Title) -> None:
    """Groups; and counterfactuals and LIME where they were asked for."""
    if found.groups:
        out.show(_groups(found))
    if found.counterfactuals is not None:
        out.show(say("why.again", place=_place(found.counterfactuals.position), count=found.counterfactuals.candidates))
        for one in found.counterfactuals.changes:
            out.show(changed(found.counterfactuals, one, titled))
        if not found.counterfactuals.changes:
            out.show(say("why.nothing"))
    if found.local is not None:
        out.show(_local(found))


def show_words(out: Out, found: Worded) -> None:
    """The reasons as a text, and who worded them."""
    out.show(found.text)
    out.show(say("words.ai" if found.ai_generated else "words.template"))
    if found.degraded:
        out.note(say("degraded", what=", ".join(word("degraded", what) for what in found.degraded)))


def _name(english: str, chinese: str) -> str:
    return chinese if language() == "zh" else english


def _groups(found: ItemExplanation) -> Table:
    made = table(say("title.groups"), say("col.reason"), (say("col.contribution"), "right"), "", say("col.feature"))
    largest = max((abs(one.contribution) for one in found.groups), default=0.0)
    for one in found.groups:
        outside = one.group in OUTSIDE
        named = [word("amount" if one.group == "rules" else "feature", name.removeprefix("rules."))
                 for name in one.features[:3]]  # fmt: skip
        row(
            made,
            _name(one.name, one.chinese),
            say("why.outside") if outside else f"{one.contribution:+.4f}",
            "" if outside else bar(one.contribution, largest),
            ("、" if language() == "zh" else ", ").join(named),
        )
    return made


def changed(found: Counterfactuals, one: Change, titled: Title) -> str:
    """A counterfactual in the language in use."""
    if one.position is None:
        key = "gone"
    elif one.position == found.position:
        key = "same"
    else:
        key = "fall" if one.position > (found.position or 0) else "rise"
    name = titled(one.item) or one.item
    event = say(f"why.{one.kind}", type=word("type", one.type), title=name)
    return say(f"why.{key}", event=event, before=_place(found.position), after=_place(one.position))


def _place(position: int | None) -> str:
    return "–" if position is None else str(position)


def _local(found: ItemExplanation) -> Table:
    assert found.local is not None
    made = table(
        say("title.lime", fit=found.local.fit),
        say("col.feature"),
        (say("col.lime"), "right"),
        (say("col.exact"), "right"),
    )
    exact = {term.feature: term.contribution for term in found.contributions}
    for term in found.local.contributions[:10]:
        row(made, word("feature", term.feature), f"{term.contribution:+.4f}", f"{exact.get(term.feature, 0.0):+.4f}")
    return made


def show_importance(out: Out, found: ModelExplanation) -> None:
    """What a model goes by."""
    out.show(say(f"importance.{found.source}", model=found.version, decisions=found.decisions, rows=found.rows))
    made = table(say("title.parameters"), say("col.reason"), (say("col.share"), "right"), "")
    for one in found.groups:
        row(made, _name(one.name, one.chinese), f"{one.share:.1%}", bar(one.share, found.groups[0].share))
    out.show(made)
    heads = [(say(f"col.{name}"), "right") for name in ("importance", "share", "variance")]
    made = table(say("title.importance"), say("col.feature"), *heads, say("col.curve"))
    for one in [one for one in found.features if one.importance > 0 or one.gain > 0][:15]:
        row(
            made,
            word("feature", one.feature),
            number(one.importance),
            f"{one.share:.1%}",
            f"{one.gain:.1%}",
            _curve(one),
        )
    out.show(made)
    if found.surrogate is not None:
        out.show(say("importance.surrogate", fidelity=found.surrogate.fidelity, rows=found.surrogate.rows))
        for rule in found.surrogate.rules:
            out.show(f"  {_rule(rule)}")
    if found.confusion is not None:
        out.show(_confusion(found.confusion))


def _curve(one: FeatureImportance) -> str:
    """Its contribution from its lowest values to its highest ones, as small bars."""
    values = [part.contribution for part in one.curve]
    if not values:
        return ""
    low, reach = min(values), (max(values) - min(values)) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * (value - low) / reach))] for value in values)


def _rule(rule: Rule) -> str:
    tests = [
        f"{word('feature', one.feature)} {'≤' if one.sign == '<=' else '>'} {one.threshold:.3g}"
        for one in rule.conditions
    ]
    joined = say("importance.and").join(tests) or say("importance.always")
    return say("importance.rule", tests=joined, score=rule.score, rows=rule.rows)


def _confusion(found: Confusion) -> Table:
    made = table(
        say("title.clicked", decisions=found.decisions),
        "",
        (say("col.taken"), "right"),
        (say("col.left"), "right"),
        caption=say("importance.precision", precision=found.precision or 0.0, recall=found.recall or 0.0),
    )
    row(made, say("importance.first"), number(found.first_taken), number(found.first_left))
    row(made, say("importance.below"), number(found.below_taken), number(found.below_left))
    return made
