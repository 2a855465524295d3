"""Snapshots: a directory that holds the state at one log position; written aside, checked on reading, never half there.

``state.safetensors`` holds the arrays, ``names.msgpack`` ids and fields, ``manifest.json`` position, the id of the
event there (so that a snapshot is never taken for one of another log), bounds, the weights of event types (defaults
included, so that other defaults of another version are noticed) and SHA-256 checksums, its own too. A
snapshot that fails a check is refused with ``CorruptArtefact``; the log can always rebuild it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from palate.config import Settings, StateSettings
from palate.disk import make_directory, sync_directory
from palate.errors import CorruptArtefact
from palate.feedback import words
from palate.state.arena import Arena
from palate.state.stamps import ARRAYS, Stamp, Stamps
from palate.state.state import Names, State
from palate.types import FieldValue
from palate.wishes import PROFILING


class _Format(msgspec.Struct):
    """What manifests of all formats have; the rest may be other fields."""

    format: int


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    seq: int
    last: str
    encoder: str
    bounds: StateSettings
    weights: dict[str, float]
    feedback: str
    files: dict[str, str]
    numbers: dict[str, int]
    seal: str = ""

    def sealed(self) -> str:
        """SHA-256 of everything else in the manifest."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, seal=""))).hexdigest()


class _Names(msgspec.Struct):
    users: list[str]
    items: list[str]
    types: list[str]
    item_fields: dict[int, dict[str, FieldValue]]
    user_fields: dict[int, dict[str, FieldValue]]
    item_lists: list[list[str]]
    user_lists: list[list[str]]
    item_apart: dict[int, dict[str, Stamp]]
    user_apart: dict[int, dict[str, Stamp]]
    dead: list[int] = []


_NUMBERS = ("seq", "events", "impressions", "clamped", "clock_ts", "clock_received")
_DIGITS = 12


def arrays_of(state: State) -> dict[str, npt.NDArray[Any]]:
    """Every array of the state, trimmed to what is used; the block layout of the arenas as it is."""
    n_users, n_items = state.n_users, state.n_items
    state._ensure(n_users, n_items)  # pyright: ignore[reportPrivateUsage]
    out: dict[str, npt.NDArray[Any]] = {f"user.{k}": v[:n_users] for k, v in state.user_columns.items()}
    out |= {f"item.{k}": v[:n_items] for k, v in state.item_columns.items()}
    out |= {"totals": state.totals, "bucket_totals": state.bucket_totals, "silences": state.silences.array()}
    for name, (arena, n, _) in _arenas(state).items():
        out |= arena.arrays(name, n)
    out |= state.said_of.arrays("said_of") | state.said_by.arrays("said_by")
    for kind, stamps in (("item", state.item_stamps), ("user", state.user_stamps)):
        out |= {f"stamps.{kind}.{name}": value for name, value in stamps.arrays().items()}
    return out


def digest(state: State) -> str:
    """SHA-256 of the whole state. Equal for equal log order, whatever the batches and snapshots on the way."""
    total = hashlib.sha256()
    names = _names(state)
    stamps = [{row: kept.of(row) for row in kept} for kept in (state.item_stamps, state.user_stamps)]
    fields = (names.item_fields, names.user_fields, *stamps)
    lists = (names.users, names.items, names.types, names.dead, [getattr(state, name) for name in _NUMBERS])
    for value in (*lists, *(sorted(rows.items()) for rows in fields)):
        total.update(msgspec.msgpack.encode(value, order="deterministic"))
    for name, array in sorted(arrays_of(state).items()):
        if name.split(".")[0] in ("user", "item", "totals", "bucket_totals", "silences", "said_of", "said_by"):
            total.update(name.encode() + np.ascontiguousarray(array).tobytes())
    for arena, n, hashed in _arenas(state).values():
        row, at = arena.flat(n, hashed)
        for array in (row, arena.keys[at], *(column[at] for column in arena.columns.values())):
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _arenas(state: State) -> dict[str, tuple[Arena, int, bool]]:
    """Each arena, its rows, and whether they are hash rows."""
    return {
        "seen": (state.seen, state.n_users, True),
        "pairs": (state.pairs, state.n_items, True),
        "history": (state.history, state.n_users, False),
        "wide": (state.wide, state.n_users, False),
    }


def _names(state: State) -> _Names:
    return _Names(
        state.users.ids,
        state.items.ids,
        state.types.ids,
        state.item_fields,
        state.user_fields,
        [list(one) for one in state.item_stamps.lists],
        [list(one) for one in state.user_stamps.lists],
        state.item_stamps.apart,
        state.user_stamps.apart,
        state.dead,
    )


def freeze(state: State, encoder: str) -> dict[str, bytes]:
    """The files of a snapshot, in memory: quick enough to do under the engine's lock, written outside of it."""
    files = {
        "state.safetensors": save_tensors({k: np.ascontiguousarray(v) for k, v in arrays_of(state).items()}),
        "names.msgpack": msgspec.msgpack.encode(_names(state)),
    }
    manifest = _Manifest(
        format=State.FORMAT,
        seq=state.seq,
        last=state.last,
        encoder=encoder,
        bounds=state.settings.state,
        weights=state.settings.all_weights(),
        feedback=_reading(state.settings),
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        numbers={name: getattr(state, name) for name in _NUMBERS},
    )
    manifest.seal = manifest.sealed()
    return files | {"manifest.json": msgspec.json.format(msgspec.json.encode(manifest))}


def _reading(settings: Settings) -> str:
    """How texts are understood."""
    return words.version() if settings.language.feedback else "off"


def write(directory: Path, seq: int, files: dict[str, bytes], keep: int = 2) -> Path:
    """Write a frozen snapshot under ``directory``, atomically; keep the ``keep`` newest."""
    final = directory / f"{seq:0{_DIGITS}d}"
    aside = directory / f".{final.name}.{os.getpid()}"
    for left in directory.glob(".[0-9]*.[0-9]*"):  # by a process that was killed while it wrote; one writes at a time
        shutil.rmtree(left, ignore_errors=True)
    make_directory(directory)
    aside.mkdir()
    for name, data in files.items():
        with (aside / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    sync_directory(aside)
    shutil.rmtree(final, ignore_errors=True)
    aside.rename(final)
    sync_directory(directory)
    for old in sorted(available(directory))[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def available(directory: Path) -> list[Path]:
    """Snapshots under ``directory``, oldest first."""
    if not directory.is_dir():
        return []
    return sorted(p for p in directory.iterdir() if p.name.isdigit() and len(p.name) == _DIGITS)


def read(path: Path, settings: Settings) -> tuple[State, str]:
    """The state of a snapshot and the name of its encoder.

    Errors: ``CorruptArtefact`` when a file is missing or changed, or was written with other bounds or weights.
    """
    try:
        raw = (path / "manifest.json").read_bytes()
        number = msgspec.json.decode(raw, type=_Format).format
        if number != State.FORMAT:
            raise CorruptArtefact(f"The snapshot {path} has format {number}; this Palate reads {State.FORMAT}.")
        manifest = msgspec.json.decode(raw, type=_Manifest)
        data = {name: (path / name).read_bytes() for name in ("state.safetensors", "names.msgpack")}
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise CorruptArtefact(f"The snapshot {path} can't be read: {error}.") from None
    if manifest.seal != manifest.sealed():
        raise CorruptArtefact(f"manifest.json of the snapshot {path} doesn't match its checksum.")
    for name, content in data.items():
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
            raise CorruptArtefact(f"{name} of the snapshot {path} doesn't match its checksum.")
    if manifest.bounds != settings.state or manifest.weights != settings.all_weights():
        raise CorruptArtefact(f"The snapshot {path} was made with other [state] or [weights] settings.")
    if manifest.feedback != _reading(settings):
        raise CorruptArtefact(f"The snapshot {path} was made where texts are understood otherwise.")
    try:
        return _thaw(settings, manifest, data), manifest.encoder
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        raise CorruptArtefact(f"The snapshot {path} is incomplete: {error}.") from None


def thaw(files: dict[str, bytes], settings: Settings) -> State:
    """The state that ``freeze`` froze in this process, under the same settings."""
    return _thaw(settings, msgspec.json.decode(files["manifest.json"], type=_Manifest), files)


def _thaw(settings: Settings, manifest: _Manifest, data: dict[str, bytes]) -> State:
    arrays = load_tensors(data["state.safetensors"])
    names = msgspec.msgpack.decode(data["names.msgpack"], type=_Names)
    state = State(settings)
    state.dead = names.dead
    state.last = manifest.last
    state.users, state.items, state.types = Names(names.users), Names(names.items), Names(names.types)
    state.item_fields, state.user_fields = names.item_fields, names.user_fields
    state.opted_out = {row for row, said in names.user_fields.items() if said.get(PROFILING) is False}
    state.item_stamps, state.user_stamps = (
        Stamps(lists, {name: arrays[f"stamps.{kind}.{name}"] for name in ARRAYS}, apart)
        for kind, lists, apart in (
            ("item", names.item_lists, names.item_apart),
            ("user", names.user_lists, names.user_apart),
        )
    )
    for name, value in manifest.numbers.items():
        if name in _NUMBERS:
            setattr(state, name, value)
    for key in state.user_columns:
        state.user_columns[key] = arrays[f"user.{key}"].copy()
    for key in state.item_columns:
        state.item_columns[key] = arrays[f"item.{key}"].copy()
    state.totals = arrays["totals"].copy()
    state.bucket_totals = arrays["bucket_totals"].copy()
    state.said_of.restore("said_of", arrays)
    state.said_by.restore("said_by", arrays)
    state.silences.restore(arrays["silences"])
    for name, (arena, _, _) in _arenas(state).items():
        arena.restore(name, arrays)
    return state
