"""``palate rank``, ``palate recommend`` and ``palate explain``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from palate.cli.console import JsonOption, LangOption, Out, bar, joined, number, row, table
from palate.cli.messages import MESSAGES, language, say
from palate.cli.target import DEFAULT_DIR, DirOption, target
from palate.cli.translation import word
from palate.cli.why import show_more, show_words
from palate.errors import InvalidInput
from palate.feedback.summary import chinese_names
from palate.reasons import short
from palate.settings_policy import POLICIES
from palate.types import (
    Candidate,
    Explanation,
    FieldValue,
    RankedItem,
    Ranking,
    RankRequest,
    Reason,
    RecommendRequest,
)

Title = Callable[[str], str]

SessionOption = Annotated[str | None, typer.Option("--session", help="The session; enough for an anonymous visitor.")]
QueryOption = Annotated[str | None, typer.Option("--query", "-q", help="Words to match, in any language.")]
ContextOption = Annotated[
    list[str] | None, typer.Option("--context", metavar="NAME=VALUE", help="A context field, such as device=phone.")
]
FilterOption = Annotated[
    str | None, typer.Option("--filter", metavar="JSON", help='Such as \'{"price": {"lte": 20}}\'.')
]
ExcludeOption = Annotated[list[str] | None, typer.Option("--exclude", metavar="ITEM", help="An item to leave out.")]
SeenOption = Annotated[str, typer.Option("--seen", metavar="auto|drop|keep", help="Items that the user knows already.")]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", metavar="|".join(POLICIES), help="How the order is chosen.")
]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Give every item's contributions.")]


def rank(
    items: Annotated[list[str], typer.Argument(metavar="ITEM…", help="The candidates.")],
    user: Annotated[str | None, typer.Option("--user", "-u", help="For whom.")] = None,
    session: SessionOption = None,
    k: Annotated[int | None, typer.Option("-k", help="How many to return; all when left out.")] = None,
    query: QueryOption = None,
    context: ContextOption = None,
    filter_: FilterOption = None,
    exclude: ExcludeOption = None,
    seen: SeenOption = "auto",
    policy: PolicyOption = None,
    explain: ExplainOption = False,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Put candidates of yours into the order for one person.

    [bold]Examples[/bold]

    palate rank 50 172 181 --user 42

    palate rank a b c --user u1 --context device=phone --json
    """
    request = RankRequest(
        items=cast("list[str | Candidate]", items),
        **_common(user, session, k, query, context, filter_, exclude, seen, policy, explain),
    )
    _answer(request, directory, json_)


def recommend(
    user: Annotated[str | None, typer.Argument(help="For whom; left out with --session.")] = None,
    session: SessionOption = None,
    k: Annotated[int, typer.Option("-k", help="How many to return.")] = 10,
    query: QueryOption = None,
    context: ContextOption = None,
    filter_: FilterOption = None,
    exclude: ExcludeOption = None,
    seen: SeenOption = "auto",
    policy: PolicyOption = None,
    explain: ExplainOption = False,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Retrieve from the whole catalogue and rank for one person.

    [bold]Examples[/bold]

    palate recommend 42

    palate recommend 42 -k 5 --query "space adventure" --json
    """
    if user is None and session is None:
        raise InvalidInput("Name a user, or an anonymous visitor with --session.", "user")
    request = RecommendRequest(
        **_common(user, session, k, query, context, filter_, exclude, seen, policy, explain),
    )
    _answer(request, directory, json_)


def explain(
    ranking: Annotated[str, typer.Argument(help="The id of a ranking, which every answer carries.")],
    item: Annotated[str, typer.Argument(help="An item of that ranking.")],
    changes: Annotated[
        bool, typer.Option("--counterfactuals", help="Where it would stand had the person done otherwise.")
    ] = False,
    lime: Annotated[
        bool, typer.Option("--lime", help="A linear model near it, beside the exact contributions.")
    ] = False,
    words: Annotated[
        str,
        typer.Option(
            "--words",
            metavar="en|zh",
            help="Also give its reasons as a text, in a generator's words where there is one.",
        ),
    ] = "",
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Say why an item stood where it stood: the base and the contributions add up to its score, exactly.

    [bold]Examples[/bold]

    palate explain RANKING ITEM --dir shop.palate

    palate explain RANKING ITEM --counterfactuals

    palate explain RANKING ITEM --words en
    """
    if words not in ("", "en", "zh"):
        raise InvalidInput(f"--words {words[:20]!r} is unknown: use en or zh.", "--words")
    out = Out(json_)
    with target(directory) as place:
        found = place.explain(ranking, item, changes, lime, words)
        out.result(found)
        if found.words is not None:
            show_words(out, found.words)
        out.show(explanation_table(found, place.title))
        if not json_:
            show_more(out, found, place.title)


def _answer(request: RecommendRequest, directory: Any, json_: bool) -> None:
    out = Out(json_)
    with target(directory) as place:
        found = place.answer(request)
        out.result(found)
        who = request.user or request.session or "–"
        out.show(ranking_table(found, say("title.ranking", ranking=found.ranking, who=who), place.title))
        milliseconds = sum(stage.ms for stage in found.stages)
        if not json_:
            out.note(say("stages", model=found.model, as_of=found.as_of, ms=milliseconds))
            if found.degraded:
                out.note(say("degraded", what=", ".join(word("degraded", what) for what in found.degraded)))
            if place.url:
                out.note(say("through_service", url=place.url))


def _common(
    user: str | None,
    session: str | None,
    k: int | None,
    query: str | None,
    context: list[str] | None,
    filter_: str | None,
    exclude: list[str] | None,
    seen: str,
    policy: str | None,
    explain: bool,
) -> dict[str, Any]:
    if seen not in ("auto", "drop", "keep"):
        raise InvalidInput(f"--seen {seen!r} is unknown: use auto, drop or keep.", "seen")
    return {
        "user": user,
        "session": session,
        "k": k,
        "query": query,
        "context": dict(map(_pair, context or [])),
        "filter": _filter(filter_),
        "exclude": exclude or [],
        "seen": seen,
        "policy": policy,
        "explain": explain,
    }


def _pair(text: str) -> tuple[str, FieldValue]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise InvalidInput(f"--context {text!r} is not of the form name=value.", "context")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, read if isinstance(read, bool | int | float) else value


def _filter(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        read = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"--filter is not a JSON object: {error}.", "filter") from None
    if not isinstance(read, dict):
        raise InvalidInput(f"--filter is not a JSON object: {text[:40]!r} is a {type(read).__name__}.", "filter")
    return cast("dict[str, Any]", read)


def ranking_table(ranking: Ranking, title: str, titled: Title, most: int | None = None) -> Table:
    """A ranking as a table; ``most`` rows of it."""
    made = table(
        title,
        (say("col.position"), "right"),
        say("col.item"),
        say("col.title"),
        (say("col.score"), "right"),
        say("col.reason"),
    )
    for item in ranking.items[:most]:
        row(made, item.position, item.id, titled(item.id), number(item.score), reason_text(item, titled))
    return made


def reason_text(item: RankedItem, titled: Title) -> str:
    """The first reason of an item, in the language in use, with titles instead of ids."""
    return translated(item.reasons[0], titled) if item.reasons else ""


def translated(reason: Reason, titled: Title) -> str:
    """A reason in the language in use."""
    key = f"reason.{short(reason)}"
    if key not in MESSAGES or (reason.code == "because_of" and not reason.items):
        return reason.text
    if language() == "en" and reason.code not in ("because_of", "tag"):
        return reason.text
    if reason.code == "said" and reason.tags:
        return say("reason.said_of", tags=joined(chinese_names(reason.tags)))
    names = [titled(item) or item for item in reason.items]
    return say(key, items=joined(names), tags=joined(reason.tags))


def explanation_table(found: Explanation, titled: Title) -> Table:
    """Contributions, largest first, each with the events it comes from."""
    name = titled(found.item) or found.item
    made = table(
        say("title.explain", item=name, score=number(found.score), ranking=found.ranking),
        say("col.feature"),
        (say("col.value"), "right"),
        (say("col.contribution"), "right"),
        "",
        say("col.source"),
        caption=f"{say('base')} {number(found.base)}",
    )
    largest = max((abs(c.contribution) for c in found.contributions), default=0.0)
    for c in sorted(found.contributions, key=lambda c: -abs(c.contribution)):
        sources = joined([titled(source.item) or source.item for source in c.sources])
        row(
            made,
            word("feature", c.feature),
            number(c.value),
            f"{c.contribution:+.4f}",
            bar(c.contribution, largest),
            sources,
        )
    return made
