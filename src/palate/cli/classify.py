"""``palate classify``: the classes that a fine-tuned model tells, of texts given or of every item of a directory."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import say
from palate.cli.target import engine_of, existing
from palate.errors import InvalidInput

if TYPE_CHECKING:
    from palate.engine import Engine
    from palate.language.classes import Classifier

_BATCH = 512


class Told(msgspec.Struct):
    """Of one text: its class and the probabilities of all."""

    text: str
    label: str
    probabilities: dict[str, float]


class Written(msgspec.Struct):
    """Of a directory: items with a text, how many got each class, how many were too unsure, and events accepted;
    duplicates were there already."""

    field: str
    items: int
    classes: dict[str, int]
    unsure: int
    accepted: int
    duplicates: int


def classify(
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Tell the class of these.")] = None,
    model: Annotated[
        Path, typer.Option("--model", metavar="FOLDER", help="What palate finetune --csv has made.")
    ] = Path("text.model"),
    directory: Annotated[
        Path | None,
        typer.Option("--dir", "-d", metavar="DIRECTORY", help="Give every item of this engine its class as a field."),
    ] = None,
    field: Annotated[str, typer.Option("--field", help="The field that gets it.")] = "class",
    sure: Annotated[
        float, typer.Option("--sure", min=0.0, max=1.0, help="Items less probable than this get none.")
    ] = 0.0,
    threads: Annotated[int, typer.Option("--threads", min=1, max=1024, help="Of the encoder.")] = 1,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Tell classes of texts by a fine-tuned model, without PyTorch; with --dir, as a field of every item.

    Such a field is one like any other: people have a taste for its values, filters and rankings know it.

    [bold]Examples[/bold]

    palate classify "what a lovely film" --model reviews.model

    palate classify --dir shop.palate --model reviews.model --field mood --sure 0.7
    """
    from palate.language.classes import load_classifier

    out = Out(json_)
    if bool(texts) == (directory is not None):
        raise InvalidInput("Give either texts or --dir DIRECTORY.", "TEXT")
    if not field.strip():
        raise InvalidInput("--field must not be empty.", "--field")
    if directory is not None:
        existing(directory)
    classifier = load_classifier(model, threads)
    if directory is None:
        _tell(out, classifier, texts or [])
        return
    with engine_of(directory) as engine, out.progress() as bars:
        rows, events, counts, unsure = _labelled(engine, classifier, field, sure, model, bars)
        taken = engine.ingest(events) if events else None
    answer = Written(
        field, rows, dict(sorted(counts.items())), unsure, taken.accepted if taken is not None else 0,
        taken.duplicates if taken is not None else 0,
    )  # fmt: skip
    out.result(answer)
    made = table("", field, (say("col.items"), "right"))
    for name, count in answer.classes.items():
        row(made, name, f"{count:,}")
    out.show(made)
    out.say("classify.done", items=rows, unsure=unsure, accepted=answer.accepted, field=field)


def _tell(out: Out, classifier: Classifier, texts: list[str]) -> None:
    found: list[Told] = []
    for text, shares in zip(texts, classifier.probabilities(texts).tolist(), strict=True):
        named = {label: round(share, 6) for label, share in zip(classifier.labels, shares, strict=True)}
        found.append(Told(text, max(named, key=lambda name: named[name]), named))
    out.result(found)
    made = table("", say("col.text"), say("col.class"), (say("col.probability"), "right"))
    for one in found:
        row(made, one.text, one.label, f"{one.probabilities[one.label]:.3f}")
    out.show(made)


def _labelled(
    engine: Engine, classifier: Classifier, field: str, sure: float, model: Path, bars: Any
) -> tuple[int, list[dict[str, Any]], Counter[str], int]:
    """Items with a text, the events that give them their class, how many of each, and how many are unsure."""
    from palate.content.text import item_text
    from palate.language.textmodel import FILE

    state, language = engine.state, engine.settings.language
    version = hashlib.sha256((model.expanduser() / FILE).read_bytes()).hexdigest()[:12]
    wanted: list[tuple[int, str]] = []
    for place in range(state.n_items):
        # Without the field itself: a class must not be read off a class.
        fields = {name: value for name, value in state.item_fields.get(place, {}).items() if name != field}
        text = item_text(fields, language.text_fields, language.max_chars) if state.alive[place] else ""
        if text:
            wanted.append((place, text))
    counts: Counter[str] = Counter()
    events: list[dict[str, Any]] = []
    unsure = 0
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        shares = classifier.probabilities([text for _, text in some])
        for (place, text), best, share in zip(some, shares.argmax(axis=1), shares.max(axis=1), strict=True):
            if share < sure:
                unsure += 1
                continue
            label, item = classifier.labels[int(best)], state.items.ids[place]
            counts[label] += 1
            known = hashlib.sha256(f"{version}\0{field}\0{sure}\0{item}\0{text}".encode()).hexdigest()[:32]
            events.append({"event": "item", "id": f"classify-{known}", "item": item, "fields": {field: label}})
        bars("classifying", min(len(wanted), start + _BATCH), len(wanted))
    return len(wanted), events, counts, unsure
