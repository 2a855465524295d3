"""``palate experiment``: start, list, judge and stop A/B tests."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from palate.cli.console import JsonOption, LangOption, Out, moment, number, row, table
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, quoted, target
from palate.cli.translation import local
from palate.errors import InvalidInput
from palate.experiment import Arm, Experiment, Guardrail, Metric
from palate.experiment.report import Comparison, ExperimentReport

app = typer.Typer(help="A/B tests: arms, people, differences with intervals.", no_args_is_help=False)
_OF = ("users", "events", "value", "mean_value", "share", "sentiment", "per_ranking")
Name = Annotated[str, typer.Argument(help="The experiment's name.")]


@app.callback(invoke_without_command=True)
def _experiment(context: typer.Context, lang: LangOption = None) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("start")
def start(
    name: Name,
    arm: Annotated[
        list[str],
        typer.Option(
            "--arm",
            metavar="NAME[,key=value…]",
            help="An arm, the control first. Keys: weight, model, and settings of the policy.",
        ),
    ] = [],  # noqa: B006  Typer copies it
    metric: Annotated[
        list[str],
        typer.Option("--metric", metavar="TYPE:OF[>=VALUE]", help="Of events of a type; the first decides."),
    ] = [],  # noqa: B006
    guardrail: Annotated[
        list[str],
        typer.Option(
            "--guardrail",
            metavar="TYPE:OF[>=VALUE][,less][,worst=SHARE][,stop]",
            help="A metric that no arm may spoil.",
        ),
    ] = [],  # noqa: B006
    interleave: Annotated[
        bool, typer.Option("--interleave", help="Mix both arms into every ranking instead of spreading people.")
    ] = False,
    share: Annotated[float, typer.Option("--share", help="Of all people that take part.")] = 1.0,
    horizon: Annotated[
        float, typer.Option("--days", help="How long after a person's first ranking events count.")
    ] = 7.0,
    people: Annotated[int, typer.Option("--people", help="About how many are expected.")] = 5_000,
    directory: DirOption = DEFAULT_DIR,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Start an A/B test: from now on its arms rank for the people who take part.

    OF is users (share of people with at least one), events (how many a person), value (sum a person), mean_value,
    share (of values, those of at least so much), sentiment (of texts), or per_ranking (how many a ranking, of events
    that name theirs).

    A guardrail is worse than the control by at most worst, a share; less says that less is better, stop that the
    experiment ends where an arm breaks it.

    [bold]Examples[/bold]

    palate experiment start diverse --arm control --arm mixed,diversity=0.3 --metric click:per_ranking

    palate experiment start new-model --arm old,model=v0001 --arm new,model=v0002 --guardrail hide:users,less,stop

    palate experiment start which --interleave --arm old,model=v0001 --arm new,model=v0002 --metric click:per_ranking
    """
    out = Out(json_)
    metrics = [_metric(one) for one in metric]
    wanted = Experiment(name=name, arms=[_arm(one) for one in arm], share=share, horizon_days=horizon, people=people)
    if metrics:
        wanted.metrics = metrics
    elif interleave:
        wanted.metrics = [Metric("click", "per_ranking")]
    wanted.kind = "interleaved" if interleave else "split"
    wanted.guardrails = [_guardrail(one) for one in guardrail]
    with target(directory) as place:
        found = place.start_experiment(wanted)
    out.result(found)
    out.say("experiment.started", name=found.name)


@app.command("list")
def list_(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """List the experiments of a directory, running or ended.

    [bold]Examples[/bold]

    palate experiment list --json
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.experiments()
    out.result(found)
    if not found:
        out.say("experiment.none", path=quoted(directory))
        return
    columns = [say(f"col.{name}") for name in ("experiment", "arms", "metrics_named", "begun", "ended")]
    made = table(say("title.experiments"), *columns)
    for one in found:
        arms = ", ".join(arm.name for arm in one.arms)
        ended = moment(one.stopped) if one.stopped else ""
        row(made, one.name, arms, ", ".join(metric.name for metric in one.metrics), moment(one.started), ended)
    out.show(made)


@app.command("show")
def show(name: Name, directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Say how an experiment stands. Look as often as you like: the intervals hold at all times together.

    [bold]Examples[/bold]

    palate experiment show diverse
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.experiment(name)
    out.result(found)
    out.show(_arms(found))
    out.show(_differences(found))
    for one in found.preferences:
        out.say("experiment.preference", metric=one.metric, arm=found.arms[1].arm, wins=one.wins, losses=one.losses,
                ties=one.ties)  # fmt: skip
    if found.guardrails:
        out.show(_guardrails(found))
    if not found.trustworthy:
        out.say("experiment.broken", p=f"{found.sample_ratio_p:.2g}")
    for note in found.notes:
        out.note(local(note))


@app.command("stop")
def stop(name: Name, directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Stop an experiment: everybody is ranked for as before.

    [bold]Examples[/bold]

    palate experiment stop diverse
    """
    out = Out(json_)
    with target(directory) as place:
        found = place.stop_experiment(name)
    out.result(found)
    out.say("experiment.stopped", name=found.name)


def _arm(text: str) -> Arm:
    name, *pairs = text.split(",")
    arm = Arm(name.strip())
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise InvalidInput(f"--arm {text!r}: {pair!r} is not of the form key=value.", "--arm")
        if key == "model":
            arm.model = value
        elif key == "weight":
            arm.weight = _number(value, text)
        else:
            arm.policy[key] = _value(value)
    return arm


def _number(value: str, text: str, option: str = "--arm") -> float:
    try:
        return float(value)
    except ValueError:
        raise InvalidInput(f"{option} {text!r}: {value!r} is no number.", option) from None


def _value(value: str) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _metric(text: str, option: str = "--metric") -> Metric:
    plain, at_least, value = text.partition(">=")
    kind, _, of = plain.rpartition(":")
    if not kind:
        kind, of = of, "events"
    if of not in _OF:
        raise InvalidInput(f"{option} {text!r}: {of!r} is unknown; use {', '.join(_OF)}.", option)
    return Metric(kind, of, _number(value, text, option) if at_least else None)


def _guardrail(text: str) -> Guardrail:
    plain, *more = (part.strip() for part in text.split(","))
    metric = _metric(plain, "--guardrail")
    found = Guardrail(metric.type, metric.of, metric.at_least)
    for part in more:
        key, _, value = part.partition("=")
        if key == "worst":
            found.worst = _number(value, text, "--guardrail")
        elif part in ("less", "stop"):
            setattr(found, part, True)
        else:
            raise InvalidInput(
                f"--guardrail {text!r}: {part!r} is unknown; use less, stop, worst=SHARE.", "--guardrail"
            )
    return found


def _arms(found: ExperimentReport) -> Table:
    metrics = [metric.name for metric in found.experiment.metrics]
    made = table(
        say("title.arms", name=found.experiment.name),
        say("col.arm"),
        *((say(f"col.{name}"), "right") for name in ("people", "counted", "rankings")),
        *((name, "right") for name in metrics),
    )
    for one in found.arms:
        means = [number(one.means[name]) if one.means[name] is not None else "–" for name in metrics]
        row(made, one.arm, f"{one.people:,}", f"{one.counted:,}", f"{one.rankings:,}", *means)
    return made


def _differences(found: ExperimentReport) -> Table:
    made = table(
        say("title.differences", control=found.experiment.arms[0].name),
        say("col.metric"),
        say("col.arm"),
        (say("col.difference"), "right"),
        (say("col.relative"), "right"),
        ("p", "right"),
        say("col.verdict"),
    )
    for one in found.comparisons:
        row(made, one.metric, one.arm, _interval(one), _relative(one), _p(one), say(f"verdict.{one.verdict}"))
    return made


def _guardrails(found: ExperimentReport) -> Table:
    made = table(say("title.guardrails"), say("col.metric"), say("col.arm"), (say("col.relative"), "right"),
                 say("col.verdict"))  # fmt: skip
    for one in found.guardrails:
        value = "–" if one.value is None else f"{one.value:+.1%}"
        row(made, one.metric, one.arm, value, say(f"guardrail.{one.verdict}"))
    return made


def _interval(one: Comparison) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "–"
    return f"{one.value:+.4g} [{one.low:+.4g}, {one.high:+.4g}]"


def _relative(one: Comparison) -> str:
    return "–" if one.relative is None else f"{one.relative:+.1%}"


def _p(one: Comparison) -> str:
    return "–" if one.p is None else f"{one.p:.2g}"
