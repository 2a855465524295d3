"""The ``palate`` command.

Exit codes: 0 done, 1 something is broken or nobody reads the output any more, 2 bad input (one sentence), 130 Ctrl-C.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import palate
from palate.cli import (
    bench,
    chat,
    classify,
    compress,
    data,
    demo,
    doctor,
    evaluate,
    experiment,
    finetune,
    language,
    language_offline,
    language_report,
    models,
    ranking,
    replay,
    serve,
    simulate,
    tune,
)
from palate.cli.console import LangOption, fail
from palate.cli.messages import Language, choose, say
from palate.cli.translation import translate_help
from palate.errors import PalateError

app = typer.Typer(
    name="palate",
    help="Palate ranks a catalogue for one person, now, and understands language while it does so.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("import")(data.import_)
app.command("train")(models.train)
app.command("replay")(replay.replay_)
app.command("tune")(tune.tune_)
app.command("finetune")(finetune.finetune)
app.command("classify")(classify.classify)
app.command("compress")(compress.compress)
app.command("serve")(serve.serve)
app.command("rank")(ranking.rank)
app.command("recommend")(ranking.recommend)
app.command("chat")(chat.chat)
app.command("explain")(ranking.explain)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(models.app, name="models")
language.app.command("summarise")(language_offline.summarise_)
language.app.command("teach")(language_offline.teach_)
language.app.command("report")(language_report.report_)
app.add_typer(language.app, name="language")
app.add_typer(experiment.app, name="experiment")
app.command("simulate")(simulate.simulate)
app.command("bench")(bench.bench)
app.command("rebuild")(data.rebuild)
app.command("doctor")(doctor.doctor)
app.command("export")(data.export)
app.command("forget")(data.forget)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"palate {palate.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    lang: LangOption = None,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. What goes wrong becomes one sentence on stderr."""
    json = "--json" in arguments
    choose(_asked(arguments))
    command = typer.main.get_command(app)
    translate_help(command)
    try:
        code = command.main(list(arguments), prog_name="palate", standalone_mode=False)
    except typer.TyperException as error:
        return _fail(error.format_message().rstrip(".") + ".", "usage", None, json)
    except PalateError as error:
        return _fail(error.message, error.code, error.where, json)
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write(f"\n{say('interrupted')}\n")
        return 130
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.", "os", None, json)
    if code == 130:
        sys.stderr.write(f"\n{say('interrupted')}\n")
    return code if isinstance(code, int) else 0


def _asked(arguments: Sequence[str]) -> Language | None:
    """The language that ``--lang`` asks for: help and usage errors need it before the options are read."""
    for at, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--lang":
            value = value or "".join(arguments[at + 1 : at + 2])
            return "zh" if value == "zh" else "en" if value == "en" else None
    return None


def _fail(message: str, code: str, where: str | None, json: bool) -> int:
    fail(message, code, where, json)
    return 2


def main() -> None:
    """The entry point of the ``palate`` script."""
    code = run(sys.argv[1:])
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(code)
