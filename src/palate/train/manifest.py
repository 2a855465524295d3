"""The manifest of a ranking artefact: what it is, and the checksums of everything in it, itself included."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from palate.errors import InvalidInput

FORMAT = 1
_LIBRARIES = ("palate", "numpy", "lightgbm", "safetensors")

Arrays = dict[str, np.ndarray[Any, Any]]


class AnyManifest(msgspec.Struct, frozen=True):
    """What manifests of all formats have; the rest may be other fields."""

    format: int = FORMAT


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the artefact: its SHA-256 in hexadecimal, and its size."""

    sha256: str
    bytes: int


class ArrayEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array of the artefact: NumPy's name of its type, and its shape."""

    dtype: str
    shape: list[int]


class Manifest(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What an artefact is. ``save`` fills in ``version``, ``files``, ``arrays``, ``libraries`` and ``checksum``.

    created: Unix milliseconds. features: names of the scorer's columns. encoder: the encoder that the features were
    computed with. log_position, events: the last event that training saw, and how many. metrics: of the validation
    window, finite. settings: those of training. extra: anything else, JSON-compatible.
    """

    kind: str
    features: list[str]
    encoder: str = ""
    log_position: int = 0
    events: int = 0
    metrics: dict[str, float] = {}
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    created: int = 0
    format: int = FORMAT
    version: str = ""
    files: dict[str, FileEntry] = {}
    arrays: dict[str, ArrayEntry] = {}
    libraries: dict[str, str] = {}
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class Artefact:
    manifest: Manifest
    arrays: Arrays


def libraries() -> dict[str, str]:
    """Versions of the libraries that shape an artefact."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def as_read(manifest: Manifest) -> Manifest:
    """The manifest as it reads back: tuples as lists, non-finite numbers of ``settings`` and ``extra`` as null.

    Errors: ``InvalidInput`` for a non-finite metric, or for what JSON can't hold.
    """
    for name, value in manifest.metrics.items():
        if not math.isfinite(value):
            raise InvalidInput(f"The metric {name!r} is {value}; leave out what could not be measured.", "metrics")
    try:
        return msgspec.json.decode(encode(manifest), type=Manifest)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"The manifest can't be written as JSON: {error}.") from None


def encode(manifest: Manifest) -> bytes:
    """The bytes on disk: one form for each manifest, so that any changed byte shows."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def sealed(manifest: Manifest, version: str) -> Manifest:
    """The manifest as ``version``, with the checksum of everything else in it."""
    blank = msgspec.structs.replace(manifest, version=version, checksum="")
    return msgspec.structs.replace(blank, checksum=hashlib.sha256(encode(blank)).hexdigest())
