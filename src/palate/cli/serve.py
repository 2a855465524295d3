"""``palate serve``: the HTTP service and the dashboard of a directory."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import msgspec
import typer

from palate.cli.console import JsonOption, LangOption, Out
from palate.cli.target import DEFAULT_DIR, DirOption
from palate.cli.translation import local
from palate.errors import ConfigError


def serve(
    directory: DirOption = DEFAULT_DIR,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Default 8787; 0: any free one.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, help="Processes that answer; default 1.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make an API key, show it once, and stop.")] = False,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Serve a directory over HTTP, with the dashboard at /; a new directory is made where there is none.

    Without API keys only this machine is answered. Ctrl-C or SIGTERM stops it in good order.

    [bold]Examples[/bold]

    palate serve

    palate serve --dir shop.palate --port 9000

    palate serve --workers 4

    palate serve --new-key
    """
    from palate import serve as service

    out = Out(json_)
    if new_key:
        key, digest = service.new_key()
        out.result({"key": key, "sha256": digest})
        out.say("serve.key")
        out.show(f"  {key}")
        out.say("serve.key_where", path=directory)
        out.show(f'  [serve]\n  keys = ["{digest}"]')
        return
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory} is a file; an engine lives in a directory.", "--dir")
    run(directory, host, port, out, workers=workers)


def run(
    directory: Path, host: str | None, port: int | None, out: Out, user: str | None = None, workers: int | None = None
) -> None:
    """Serve until a signal stops it, and say where once it answers: the dashboard, of ``user`` where one is given.

    Leaves the address in ``service.json`` meanwhile, for the commands of other processes.
    """
    from palate import serve as service

    note = directory / "service.json"

    def announce(url: str) -> None:
        try:
            note.write_bytes(msgspec.json.encode({"url": url, "pid": os.getpid()}))
        except OSError as error:  # it serves all the same
            out.note(local(f"{note}: {error.strerror}. Until that is mended, other commands don't find this service."))
        out.result({"url": url, "directory": str(directory)})
        out.say("serve.at", path=directory, url=url if user is None else f"{url}/?{urlencode({'user': user})}")

    try:
        service.serve(directory, host, port, announce=announce, workers=workers)
    finally:
        _forget(note)


def _forget(note: Path) -> None:
    """Remove the note where it is this process's own: a second service that was refused must leave the first's."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if json.loads(note.read_bytes()).get("pid") == os.getpid():
            note.unlink()
