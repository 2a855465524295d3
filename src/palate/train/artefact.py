"""Ranking artefacts on disk: written whole or not at all, verified byte by byte before anything is used.

::

    models/
    ├── ACTIVE                    JSON: the active version, and those active before it (for rollback)
    ├── v0001/
    │   ├── manifest.json         what it is, with the size and SHA-256 of every file, and of itself
    │   └── arrays.safetensors    numbers only
    └── v0002/

A version is written to a temporary directory, synced and renamed into place; ``ACTIVE`` is replaced the same way.
Nothing is ever unpickled. Whatever doesn't match its manifest is a ``CorruptArtefact``, and nothing of it is kept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from palate.disk import make_directory, sync_directory
from palate.errors import Conflict, CorruptArtefact, NotFound, Unavailable
from palate.train.manifest import (
    FORMAT,
    AnyManifest,
    ArrayEntry,
    Arrays,
    Artefact,
    FileEntry,
    Manifest,
    as_read,
    encode,
    libraries,
    sealed,
)

_MANIFEST = "manifest.json"
_ARRAYS = "arrays.safetensors"
_VERSION = re.compile(r"v(\d{4,9})")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MANIFEST_BYTES = 16 * 1024 * 1024
_HISTORY = 50
_STALE_SECONDS = 86_400.0
_CHANGE = threading.RLock()


class _Active(msgspec.Struct, forbid_unknown_fields=True):
    active: str | None = None
    history: list[str] = []


# ------------------------------------------------------------------------------------- writing


def save(models_dir: Path | str, arrays: Mapping[str, np.ndarray[Any, Any]], manifest: Manifest) -> Manifest:
    """Write the next version and return its completed manifest. It is not activated.

    Durable on return; a crash at any moment leaves either the whole version or none. Errors: ``InvalidInput`` for a
    manifest that JSON can't hold exactly; ``Unavailable`` where the disk refuses.
    """
    models = Path(models_dir)
    temporary = models / f".new-{uuid.uuid4().hex}"
    body = safetensors.numpy.save({name: _dense(array) for name, array in arrays.items()})
    complete = msgspec.structs.replace(
        manifest,
        format=FORMAT,
        created=manifest.created or time.time_ns() // 1_000_000,
        files={_ARRAYS: FileEntry(hashlib.sha256(body).hexdigest(), len(body))},
        arrays={name: ArrayEntry(array.dtype.name, list(array.shape)) for name, array in arrays.items()},
        libraries=libraries(),
    )
    complete = as_read(complete)
    try:
        make_directory(models)
        temporary.mkdir(mode=0o755)
        _write(temporary / _ARRAYS, body)
        while True:
            complete = sealed(complete, _next_version(models))
            _write(temporary / _MANIFEST, encode(complete))
            sync_directory(temporary)
            try:
                temporary.rename(models / complete.version)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process took the number
                    continue
                raise
            sync_directory(models)
            return complete
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise Unavailable(f"The model could not be written to {models}: {error}. Mend the disk, then train.") from error


def activate(models_dir: Path | str, version: str) -> Manifest:
    """Make ``version`` the active one, after loading it whole. The one before goes into the history.

    Errors: ``NotFound``; ``CorruptArtefact`` (the active version stays); ``Unavailable`` where the disk refuses.
    """
    models = Path(models_dir)
    artefact = load(locate(models, version))
    with _CHANGE:
        try:
            pointer = _pointer(models)
        except CorruptArtefact:
            pointer = _Active()  # activating is how a broken pointer is mended
        if pointer.active != version:
            history = pointer.history if pointer.active is None else [*pointer.history, pointer.active]
            _point(models, _Active(version, history[-_HISTORY:]))
    return artefact.manifest


def rollback(models_dir: Path | str) -> Manifest:
    """Go back to the version that was active before, after loading it whole. Versions pruned since are skipped.

    Errors: ``Conflict`` where there is none; ``CorruptArtefact`` (the active version stays); ``Unavailable``.
    """
    models = Path(models_dir)
    with _CHANGE:
        history = list(_pointer(models).history)
        while history:
            version = history.pop()
            if (models / version).is_dir():
                manifest = load(models / version).manifest
                _point(models, _Active(version, history))
                return manifest
    raise Conflict("There is no earlier model to roll back to; activate a version by its name instead.")


def prune(models_dir: Path | str, keep: int = 10, also: Collection[str] = ()) -> list[str]:
    """Remove all but the ``keep`` newest versions, the active one, the one that a rollback would go to, and ``also``.

    Returns the removed versions, oldest first. Leftovers of writers that crashed more than a day ago go too.
    Errors: ``Unavailable`` where the disk refuses.
    """
    models = Path(models_dir)
    with _CHANGE:
        pointer = _pointer(models)
        versions = list_versions(models)
        previous = [version for version in pointer.history if version in versions][-1:]
        kept = {*versions[max(0, len(versions) - max(keep, 1)) :], *previous, *also, pointer.active}
        removed = [version for version in versions if version not in kept]
        try:
            for version in removed:
                # Renamed first, so that a version is never seen half removed.
                (models / version).rename(models / f".old-{uuid.uuid4().hex}")
            _sweep(models)
        except OSError as error:
            raise Unavailable(f"Old models in {models} could not be removed: {error}.") from error
    return removed


# ------------------------------------------------------------------------------------- reading


def list_versions(models_dir: Path | str) -> list[str]:
    """The versions on disk, oldest first; empty where there is no directory."""
    models = Path(models_dir)
    if not models.is_dir():
        return []
    found = [path.name for path in models.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda name: int(name[1:]))


def locate(models_dir: Path | str, version: str) -> Path:
    """The directory of ``version``, which may not exist. Errors: ``NotFound`` for what is no version, like ``../x``."""
    models = Path(models_dir)
    if not _VERSION.fullmatch(version):
        raise NotFound(
            f"There is no model {version[:80]!r} in {models}: versions are called v0001, v0002, …; list the models to "
            "see those there."
        )
    return models / version


def active(models_dir: Path | str) -> str | None:
    """The active version, or None before the first activation. Errors: ``CorruptArtefact`` for a broken pointer."""
    return _pointer(Path(models_dir)).active


def read_manifest(path: Path | str) -> Manifest:
    """The verified manifest of the version at ``path`` (``models/v0001``), without reading its arrays.

    Errors: ``NotFound`` where there is no such version; ``CorruptArtefact``.
    """
    directory = Path(path)
    if not _VERSION.fullmatch(directory.name) or not directory.is_dir():
        raise NotFound(
            f"There is no model {directory.name!r} in {directory.parent}; list the models to see those there."
        )
    raw = _read(directory, _MANIFEST, _MANIFEST_BYTES)
    try:
        number = msgspec.json.decode(raw, type=AnyManifest).format
        manifest = msgspec.json.decode(raw, type=Manifest) if number == FORMAT else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(directory, f"its manifest can't be read: {error}") from None
    if manifest is None:
        raise _corrupt(directory, f"it has format {number}, and this version of Palate reads {FORMAT}")
    for name in manifest.files:
        if not _FILE_NAME.fullmatch(name):
            raise _corrupt(directory, f"its manifest names a file {name[:80]!r}, which is not a plain file name")
    if encode(manifest) != raw or sealed(manifest, manifest.version).checksum != manifest.checksum:
        raise _corrupt(directory, "its manifest doesn't match its own checksum")
    if manifest.version != directory.name:
        raise _corrupt(directory, f"its manifest says that it is {manifest.version!r}")
    if set(manifest.files) != {_ARRAYS}:
        raise _corrupt(directory, f"its manifest lists the files {sorted(manifest.files)} instead of {_ARRAYS!r}")
    return manifest


def load(path: Path | str) -> Artefact:
    """The artefact at ``path`` (``models/v0001``), every byte of it verified; arrays are fresh and writable.

    Errors: ``NotFound`` where there is no such version; ``CorruptArtefact`` that says what doesn't match.
    """
    directory = Path(path)
    manifest = read_manifest(directory)
    entry = manifest.files[_ARRAYS]
    body = _read(directory, _ARRAYS, entry.bytes)
    if len(body) != entry.bytes:
        raise _corrupt(directory, f"{_ARRAYS} has {len(body)} bytes instead of {entry.bytes}")
    if hashlib.sha256(body).hexdigest() != entry.sha256:
        raise _corrupt(directory, f"{_ARRAYS} doesn't match its checksum")
    try:
        arrays = cast(Arrays, safetensors.numpy.load(body))
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
        raise _corrupt(directory, f"{_ARRAYS} is not a safetensors file of numbers: {error}") from None
    found = {name: ArrayEntry(array.dtype.name, list(array.shape)) for name, array in arrays.items()}
    if set(found) != set(manifest.arrays):
        raise _corrupt(directory, f"it holds the arrays {sorted(found)} instead of {sorted(manifest.arrays)}")
    for name, due in manifest.arrays.items():
        if found[name] != due:
            what = f"array {name!r} is {found[name].shape} of {found[name].dtype}"
            raise _corrupt(directory, f"{what} instead of {due.shape} of {due.dtype}")
    return Artefact(manifest, arrays)


# ------------------------------------------------------------------------------------- details


def _corrupt(directory: Path, what: str) -> CorruptArtefact:
    return CorruptArtefact(
        f"The model {directory.name} in {directory.parent} is corrupt: {what}. Activate another version or train again."
    )


def _dense(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    # safetensors writes the memory as it lies; 0-dimensional arrays must stay so, which ascontiguousarray undoes
    return np.require(array, requirements="C")


def _next_version(models: Path) -> str:
    names = {path.name for path in models.iterdir()}
    with contextlib.suppress(CorruptArtefact):
        pointer = _pointer(models)  # a version that was removed keeps its number
        names |= {*pointer.history, pointer.active or ""}
    numbers = [int(match[1]) for name in names if (match := _VERSION.fullmatch(name))]
    return f"v{max(numbers, default=0) + 1:04d}"


def _pointer(models: Path) -> _Active:
    path = models / "ACTIVE"
    try:
        pointer = msgspec.json.decode(path.read_bytes(), type=_Active)
    except FileNotFoundError:
        return _Active()
    except OSError as error:
        raise Unavailable(
            f"{path} can't be read: {error.strerror}. Check that {models} is a directory of yours."
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptArtefact(f"{path} can't be read: {error}. Activate a version by its name to mend it.") from None
    for version in (*pointer.history, *([pointer.active] if pointer.active is not None else [])):
        if not _VERSION.fullmatch(version):
            raise CorruptArtefact(
                f"{path} names {version[:80]!r}, which is no version. Activate a version by its name to mend it."
            )
    return pointer


def _point(models: Path, pointer: _Active) -> None:
    temporary = models / f".active-{uuid.uuid4().hex}"
    try:
        _write(temporary, msgspec.json.encode(pointer))
        temporary.replace(models / "ACTIVE")
        sync_directory(models)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise Unavailable(f"{models / 'ACTIVE'} could not be written: {error}.") from error


def _sweep(models: Path) -> None:
    limit = time.time() - _STALE_SECONDS
    for path in models.iterdir():
        old = path.name.startswith(".old-")
        crashed = path.name.startswith((".new-", ".active-")) and path.lstat().st_mtime < limit
        if (old or crashed) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif old or crashed:
            path.unlink()


def _read(directory: Path, name: str, limit: int) -> bytes:
    """At most ``limit`` + 1 bytes of a plain file of the artefact; a link is never followed."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(directory / name, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _corrupt(directory, f"{name} is not a plain file")
            return file.read(min(limit, status.st_size) + 1)
    except FileNotFoundError:
        raise _corrupt(directory, f"{name} is missing") from None
    except OSError as error:
        raise _corrupt(directory, f"{name} can't be read: {error}") from error


def _write(path: Path, body: bytes) -> None:
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
