"""``palate train`` and ``palate models``: ranking artefacts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from palate.cli.console import JsonOption, LangOption, Out, moment, number, row, table
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, engine_of, existing, quoted, service_of, target
from palate.cli.translation import local, word
from palate.cli.why import show_importance
from palate.config import Tier, load
from palate.errors import InvalidInput
from palate.types import Against, Margin, ModelInfo

app = typer.Typer(help="Ranking artefacts: list, activate, roll back.", no_args_is_help=False)


def train(
    directory: DirOption = DEFAULT_DIR,
    activate: Annotated[
        bool, typer.Option("--activate/--no-activate", help="Serve the new model once it has won its validation.")
    ] = True,
    tier: Annotated[
        str | None,
        typer.Option("--tier", metavar="full|cheap", help="How much is done; default: train.tier, which is full."),
    ] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Train the ranking model on the decisions in the log, or on the history replayed into decisions.

    The best on the validation window ships: the prior, the best single feature, a linear blend, trees, or linear and
    trees together. Where a model serves, the new one is judged against it on choices that neither learnt from, and one
    that is worse beyond doubt isn't activated: palate models activate does it all the same.

    The cheap tier does a fraction of the work, and gives up some quality for it.

    [bold]Examples[/bold]

    palate train

    palate train --tier cheap

    palate train --dir shop.palate --no-activate --json
    """
    out = Out(json_)
    wanted = tier_of(tier)
    service = service_of(existing(directory))
    if service is not None:
        if wanted is not None:
            raise InvalidInput(
                f"The service at {service.url} holds this directory and trains as its settings say; leave --tier out, "
                "set train.tier, or stop it.",
                "--tier",
            )
        if not activate:
            raise InvalidInput(
                f"The service at {service.url} holds this directory and activates what it trains; leave --no-activate "
                "out, or stop it.",
                "--no-activate",
            )
        service.train()
        out.result({"training": "running", "url": service.url})
        out.say("training", url=service.url)
        return
    with engine_of(directory) as engine, out.progress() as bars:
        report = engine.train(progress=bars, activate=activate, tier=wanted)
    out.result(report)
    seconds = report.seconds.get("total", sum(report.seconds.values()))
    state = say("active") if report.activated else say("inactive", version=report.version)
    out.say(
        "trained",
        version=report.version,
        kind=word("kind", report.kind),
        decisions=report.decisions,
        seconds=seconds,
        state=state,
    )
    if report.note:
        out.note(local(report.note))
    if report.against is not None:
        told = against(report.against)
        (out.note if report.refused else out.show)(told)
    made = table("", say("col.metrics"), ("", "right"), (say("col.margin"), "right"))
    for name, value in report.metrics.items():
        own = name.removeprefix("ndcg@10.")
        row(made, name, number(value), interval(report.margins[own]) if own in report.margins else "")
    out.show(made)
    if report.single:
        out.say("single", feature=_feature(report.single))


def tier_of(name: str | None) -> Tier | None:
    """What ``--tier`` names. Errors: ``InvalidInput``."""
    if name is None or name in ("full", "cheap"):
        return name
    raise InvalidInput(f"--tier {name!r} is unknown: use full or cheap.", "--tier")


def _feature(single: str) -> str:
    """A feature by its word, with an arrow that says which end of it comes first."""
    return f"{word('feature', single.removeprefix('-'))} {'↓' if single.startswith('-') else '↑'}"


def interval(margin: Margin) -> str:
    """A margin with its interval, signs shown."""
    return f"{margin.value:+.4f} [{margin.low:+.4f}, {margin.high:+.4f}]"


def against(found: Against) -> str:
    """How a model stands against the one that served, in a sentence."""
    span = "" if found.margin is None else interval(found.margin)
    return say(f"former.{found.why or found.verdict}", decisions=found.decisions, former=found.former, span=span)


@app.callback(invoke_without_command=True)
def _models(context: typer.Context, lang: LangOption = None) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """List the models of a directory, the active one marked.

    [bold]Examples[/bold]

    palate models list --json
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.models()
    out.result(found)
    if found:
        out.show(_table(found))
        for model in found:
            if model.broken:
                out.note(local(model.broken))
    else:
        out.say("no_models", path=quoted(directory))


@app.command("activate")
def activate_(
    version: Annotated[str, typer.Argument(help="A version, as `palate models list` shows it.")],
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Serve this model from the next request on.

    [bold]Examples[/bold]

    palate models activate v0002
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.activate(version)
    out.result(found)
    out.say("activated", version=found.version)


@app.command("rollback")
def rollback(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Serve the model that was active before.

    [bold]Examples[/bold]

    palate models rollback
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.rollback()
    out.result(found)
    out.say("activated", version=found.version)


@app.command("importance")
def importance_(
    version: Annotated[
        str,
        typer.Argument(help="A version, as `palate models list` shows it; the one that serves when left out."),
    ] = "",
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Say what a model goes by, over logged rankings: importance and dependence of features, a few rules that stand
    for it, and how often what it puts first is taken up.

    [bold]Examples[/bold]

    palate models importance

    palate models importance v0002 --json
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.importance(version)
    out.result(found)
    if not json_:
        show_importance(out, found)


@app.command("online")
def online_(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Say what is learnt while the model serves: whether a correction is applied, what it is worth, changes that were
    found, and how a model that was trained in the background compares with the one before.

    [bold]Examples[/bold]

    palate models online --json
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.online()
    out.result(found)
    out.say(f"online.{found.state}", model=found.model, labels=found.labels)
    if found.judged:
        out.say("online.gain", gain=f"{found.gain:+.5f}", error=f"{found.error:.5f}", judged=found.judged,
                loss=number(found.loss), corrected=number(found.loss_corrected))  # fmt: skip
    if found.drifts or found.trained:
        out.say("online.drifts", drifts=found.drifts, trained=found.trained)
    if found.trial is not None:
        one = found.trial
        span = "–" if one.value is None else f"{one.value:+.4f} [{one.low or 0.0:+.4f}, {one.high or 0.0:+.4f}]"
        out.say(f"online.trial.{one.verdict}", model=one.model, before=one.before, rankings=one.rankings, span=span)
    if found.weights:
        made = table("", say("col.feature"), (say("col.weight"), "right"))
        for name, value in sorted(found.weights.items(), key=lambda pair: -abs(pair[1])):
            row(made, word("feature", name), f"{value:+.3f}")
        out.show(made)


@app.command("carry")
def carry(
    source: Annotated[Path, typer.Argument(metavar="DIRECTORY|FILE", help="Where a map is learnt, or kept.")],
    directory: DirOption = DEFAULT_DIR,
    to: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Keep the map in a file instead.")] = None,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Learn what texts go together in one catalogue, and use it in another that knows little yet.

    The map holds no ids and no texts. A service takes it in when it starts; the next training says what it is worth.

    [bold]Examples[/bold]

    palate models carry old.palate --dir shop.palate

    palate models carry old.palate --out books.safetensors
    """
    import palate
    from palate.language import transfer
    from palate.train.transfer import fit_map

    out = Out(json_)
    target_file = to
    if target_file is None:
        target_file = existing(directory) / "vectors" / transfer.FILE
        target_file.parent.mkdir(exist_ok=True)
    if source.is_dir():
        with palate.open(existing(source), until=1 << 62) as engine:
            engine.wait_encoded()
            found = fit_map(engine.state, engine.catalogue)
    else:
        found = transfer.load(source, load(None if to is not None else directory).language.encoder)
    transfer.save(target_file, found)
    out.result({"file": str(target_file), "encoder": found.encoder, "report": found.report})
    out.say("carried", path=quoted(target_file), rho=found.report["spearman"], text=found.report["spearman_text"])


def _table(models: list[ModelInfo]) -> Table:
    columns = [say(f"col.{name}") for name in ("version", "kind", "created", "metrics", "over_single", "former")]
    made = table(say("title.models"), "", *columns)
    for model in models:
        own = {name: value for name, value in model.metrics.items() if "." not in name} or model.metrics
        metrics = "  ".join(f"{name} {number(value)}" for name, value in own.items())
        over = f"{interval(model.margins['single'])} {_feature(model.single)}" if "single" in model.margins else ""
        found = model.against
        beside = f"{interval(found.margin)} {found.former}" if found is not None and found.margin is not None else ""
        beside += " ✗" if found is not None and found.refused else ""
        active = "●" if model.active else ""
        active = f"{active}✗" if model.broken else active
        row(made, active, model.version, word("kind", model.kind), moment(model.created), metrics, over, beside)
    return made
