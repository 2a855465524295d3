"""``palate demo``: real data, a real person, one event, and what it changes in the very next ranking."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, bar, moment, row, table
from palate.cli.data import feed
from palate.cli.messages import say
from palate.cli.models import tier_of
from palate.cli.ranking import ranking_table
from palate.cli.target import DirOption
from palate.cli.translation import word
from palate.errors import Conflict, InvalidInput
from palate.settings import Tier
from palate.types import HistoryEntry, Interaction, RankedItem, Ranking, RankRequest, RecommendRequest, TrainReport

if TYPE_CHECKING:
    from palate.datasets import Dataset
    from palate.engine import Engine

K = 20
LIKED_POSITION = 8
"""The demo's person likes the item at this position: plausible, and not yet known to them."""
_SHOWN = 10
_LEAST_HISTORY = 20
_MARK = "demo.json"


class Source(msgspec.Struct):
    """A contribution, of which the demo's event is the ``share``."""

    feature: str
    contribution: float
    event: str | None
    item: str
    share: float

    @property
    def part(self) -> float:
        """What the event alone adds to the score."""
        return self.contribution * self.share


class Move(msgspec.Struct, rename={"from_": "from"}):
    """An item whose place among the others changed. ``from`` or ``to`` is null outside the first k.

    because: the contributions to its score that come from the event. overtaken_by: ids of the items that stood below
    it and stand above it now, best first: an item may gain by the event and fall, because others gain more.
    """

    id: str
    title: str
    from_: int | None
    to: int | None
    score_before: float | None
    score_after: float | None
    because: list[Source]
    overtaken_by: list[str]


class Place(msgspec.Struct):
    id: str
    title: str
    score: float | None
    position: int


class Story(msgspec.Struct):
    """The demo's answer; the last line of ``palate demo --json``."""

    data: str
    users: int
    items: int
    events: int
    train_seconds: float
    tier: str
    user: str
    history: list[dict[str, Any]]
    before: list[Place]
    event: dict[str, Any]
    after: list[Place]
    moved: list[Move]
    reproduced: bool
    model: str
    degraded: list[str]
    directory: str


def demo(
    data: Annotated[
        str, typer.Option("--data", metavar="movies|grocery|PATH", help="What to show it with.")
    ] = "movies",
    directory: DirOption = Path("demo.palate"),
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Stop after the story; no dashboard.")] = False,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Of the dashboard; 0: any.")] = None,
    tier: Annotated[
        str, typer.Option("--tier", metavar="full|cheap", help="How much of training is done; full takes minutes.")
    ] = "cheap",
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Show Palate at work: import, train, one real person's ranking, one event, the ranking after, what moved and why.

    It trains the cheap tier, which takes seconds; --tier full takes minutes, and ranks better.

    Then the dashboard is served, unless --no-serve or --json is given or there is no terminal.

    [bold]Examples[/bold]

    palate demo

    palate demo --data movies --no-serve --json

    palate demo --tier full

    palate demo --lang zh
    """
    from palate import datasets

    out = Out(json_)
    chosen = tier_of(tier) or "cheap"
    _clear(directory)
    out.say("demo.intro", data=data)
    with out.progress() as bars:
        dataset = datasets.load(data, None, bars)
    story = _tell(dataset, directory, out, chosen)
    out.result(story)
    if not story.reproduced:
        raise typer.Exit(1)
    if no_serve or json_ or not (sys.stdout.isatty() and sys.stdin.isatty()):
        if not json_:
            out.say("demo.next", user=story.user, path=directory)
        return
    from palate.cli.serve import run

    run(directory, None, port, out, story.user)


def _clear(directory: Path) -> None:
    """Remove an earlier demo. Errors: ``Conflict`` for a directory that is something else."""
    if not directory.exists():
        return
    if not directory.is_dir() or (any(directory.iterdir()) and not (directory / _MARK).is_file()):
        raise Conflict(
            f"{directory} exists and was not made by palate demo, which would replace it; choose another --dir.",
            "--dir",
        )
    from palate.store.lock import DirectoryLock

    with DirectoryLock(directory):
        shutil.rmtree(directory)


def _tell(dataset: Dataset, directory: Path, out: Out, tier: Tier) -> Story:
    import palate

    directory.mkdir(parents=True)
    (directory / _MARK).write_text(json.dumps({"data": dataset.name}) + "\n", encoding="utf-8")
    with palate.open(directory) as engine:
        with out.progress() as bars:
            feed(engine, dataset, bars)
            report = engine.train(progress=bars, tier=tier)
        user, interactions = choose_person(engine)
        history = engine.user(user).history
        now = engine.clock()
        request = RecommendRequest(user=user, k=K, policy="greedy", explain=True)
        before = engine.answer(request, now=now)
        if not before.items:
            raise InvalidInput(f"Nothing can be recommended to user {user!r}: {dataset.name} has too few items.")
        until = engine.counts().seq
        liked = before.items[min(LIKED_POSITION, len(before.items)) - 1].id
        event = Interaction(id=f"demo-{user}-{liked}", timestamp=now, user=user, item=liked, type="like")
        result = engine.ingest([event])
        after = engine.answer(request, now=now)
        first, then = {item.id for item in before.items}, {item.id for item in after.items}
        fallen = _score(engine, user, sorted(first - then - {liked}), now)
        with palate.open(directory, until=until) as past:
            past.wait_encoded()
            again = past.answer(request, now=now)
            risen = _score(past, user, sorted(then - first), now)
        moved = moves([*before.items, *risen], [*after.items, *fallen], event, engine.title, K)
        story = _story(engine, dataset, directory, report, tier, history, before, event, after, again, moved)
        if not out.json:
            _show(engine, out, story, before, after, interactions, result.seq, until)
        engine.snapshot()
    return story


def choose_person(engine: Engine) -> tuple[str, int]:
    """The user whose number of interactions is the median of those with some history; ties by id. Deterministic."""
    users = engine.users(limit=engine.counts().users)
    busy = [pair for pair in users if pair[1] >= _LEAST_HISTORY] or users
    if not busy:
        raise InvalidInput("The data holds no user with interactions, so there is nobody to rank for.")
    ranked = sorted(busy, key=lambda pair: (pair[1], pair[0]))
    return ranked[len(ranked) // 2]


def _story(
    engine: Engine,
    dataset: Dataset,
    directory: Path,
    report: TrainReport,
    tier: Tier,
    history: list[HistoryEntry],
    before: Ranking,
    event: Interaction,
    after: Ranking,
    again: Ranking,
    moved: list[Move],
) -> Story:
    counts = engine.counts()
    return Story(
        data=dataset.name,
        users=counts.users,
        items=counts.items,
        events=counts.events - 1,
        train_seconds=round(report.seconds.get("total", sum(report.seconds.values())), 2),
        tier=tier,
        user=event.user or "",
        history=[msgspec.to_builtins(entry) for entry in history[:_SHOWN]],
        before=_places(engine, before),
        event={**msgspec.to_builtins(event), "title": engine.title(event.item)},
        after=_places(engine, after),
        moved=moved,
        reproduced=_same(before, again),
        model=after.model,
        degraded=sorted({*before.degraded, *after.degraded}),
        directory=str(directory),
    )


def _places(engine: Engine, ranking: Ranking) -> list[Place]:
    return [Place(item.id, engine.title(item.id), item.score, item.position) for item in ranking.items]


def _same(one: Ranking, other: Ranking) -> bool:
    """Whether two rankings hold the same items with the very same scores, in the same order."""
    return [(item.id, item.score) for item in one.items] == [(item.id, item.score) for item in other.items]


def _score(engine: Engine, user: str, items: list[str], now: int) -> list[RankedItem]:
    """Score and explain items that a list leaves out, without places of their own."""
    if not items:
        return []
    ranked = engine.answer(RankRequest(user=user, items=[*items], policy="greedy", explain=True), now=now).items
    return [msgspec.structs.replace(item, position=0) for item in ranked]


def moves(
    before: list[RankedItem], after: list[RankedItem], event: Interaction, title: Callable[[str], str], k: int
) -> list[Move]:
    """What changed its place for another reason than that the event's own item is gone: places are counted without it.

    before, after: the first ``k`` in order, then, with position 0, what stands only in the other list, for its score.
    """
    first, then = _places_of(before, event.item), _places_of(after, event.item)
    old, new = {item.id: item for item in before}, {item.id: item for item in after}
    found: list[Move] = []
    for name in [*then, *(name for name in first if name not in then)]:
        was, now = first.get(name), then.get(name)
        if was == now:
            continue
        passed = [
            other
            for other, place in then.items()
            if was is not None and was < (now or k + 1) and place < (now or k + 1) and first.get(other, k + 1) > was
        ]
        found.append(
            Move(name, title(name), was, now, old[name].score, new[name].score, _because(new[name], event), passed)
        )
    return found


def _places_of(items: list[RankedItem], own: str) -> dict[str, int]:
    listed = [item.id for item in items if item.position and item.id != own]
    return {name: place for place, name in enumerate(listed, 1)}


def _because(item: RankedItem, event: Interaction) -> list[Source]:
    named = [
        Source(c.feature, c.contribution, event.id, source.item, source.share)
        for c in item.contributions
        for source in c.sources
        if (source.item, source.type, source.timestamp) == (event.item, event.type, event.timestamp)
    ]
    return sorted(named, key=lambda source: -abs(source.part))


def _show(
    engine: Engine, out: Out, story: Story, before: Ranking, after: Ranking, interactions: int, seq: int, until: int
) -> None:
    out.say(
        "demo.data",
        users=story.users,
        items=story.items,
        events=story.events,
        seconds=story.train_seconds,
        tier=story.tier,
        model=story.model,
    )
    out.say("demo.person", user=story.user, interactions=interactions)
    past = table(
        say("title.history", who=story.user), say("col.when"), say("col.type"), say("col.title"), say("col.value")
    )
    for entry in story.history:
        name = entry.get("title") or entry["item"]
        row(past, moment(entry["timestamp"]), word("type", entry["type"]), name, _plain(entry["value"]))
    out.show(past)
    out.show(ranking_table(before, say("title.before"), engine.title, _SHOWN))
    out.say("demo.event", user=story.user, title=story.event["title"] or story.event["item"])
    out.say("demo.visible", seq=seq)
    out.show(ranking_table(after, say("title.after"), engine.title, _SHOWN))
    if story.moved:
        out.show(_moved_table(story.moved, story.after))
    else:
        out.say("demo.still", k=len(story.after))
    out.say("demo.reproduced" if story.reproduced else "demo.not_reproduced", seq=until)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _moved_table(moved: list[Move], after: list[Place]) -> Any:
    made = table(say("title.moved"), say("col.title"), (say("col.move"), "right"), say("col.because"), "")
    largest = max((abs(move.because[0].part) for move in moved if move.because), default=0.0)
    for move in sorted(moved, key=lambda move: move.to or K + 1)[:_SHOWN]:
        if move.overtaken_by:
            titles = {place.id: place.title or place.id for place in after}
            text = say("demo.overtaken", by=", ".join(titles[name] for name in move.overtaken_by[:3]))
        else:
            text = ", ".join(f"{word('feature', source.feature)} {source.part:+.3f}" for source in move.because[:3])
        value = move.because[0].part if move.because and not move.overtaken_by else 0.0
        row(made, move.title or move.id, f"{move.from_ or '–'} → {move.to or '–'}", text, bar(value, largest))
    return made
