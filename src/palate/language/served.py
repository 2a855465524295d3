"""Which encoder a directory serves with: the one whose vectors all items have, whatever the settings ask for by now.

``vectors/serving.json`` holds the settings of that encoder and its name. Where the settings have changed since, that
one goes on serving; the other one's vectors are made beside it (``palate.reencoding``), and this file, written whole
or not at all, is the moment at which they take its place. It also names the model that was trained on the new vectors,
until that is active: whatever ends the process in between, the next opening finishes what was decided.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from palate.disk import sync_directory
from palate.errors import PalateError, Unavailable
from palate.language import Encoder, encoder_of
from palate.settings import LanguageSettings

FILE = "serving.json"
_EMPTY = 64
"""Bytes of a vector file without vectors."""
_log = logging.getLogger("palate")


class Served(msgspec.Struct):
    """settings: of the encoder; name: the encoder's; model: to be made active with it, '' for none."""

    settings: LanguageSettings
    name: str
    model: str = ""


class Choice(NamedTuple):
    """encoder: to serve with now; settings: its own. coming: whether the settings ask for another one."""

    encoder: Encoder
    settings: LanguageSettings
    coming: bool


def read(folder: Path) -> Served | None:
    """What serves the directory whose vectors lie in ``folder``; None where nothing was written, or can't be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Served)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("%s can't be read (%s): the encoder of the settings serves.", folder / FILE, error)
        return None


def write(folder: Path, served: Served) -> None:
    """Put it in place, durably. Errors: ``Unavailable``."""
    partial = folder / f".{FILE}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(served))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / FILE)
        sync_directory(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise Unavailable(f"{folder / FILE} can't be written: {error.strerror}.") from error


def same(one: LanguageSettings, other: LanguageSettings) -> bool:
    """Whether both ask for the same vectors."""
    return _deciding(one) == _deciding(other)


def _deciding(settings: LanguageSettings) -> tuple[object, ...]:
    server = settings.endpoint if settings.encoder.startswith("openai:") else ""
    return settings.encoder, settings.width, settings.reduce if settings.width else "", settings.max_tokens, server


def choose(folder: Path, settings: LanguageSettings) -> Choice:
    """The encoder to serve with. Errors: as ``encoder_of``, of the settings' encoder, whichever serves."""
    found = read(folder)
    if found is not None and not same(found.settings, settings) and _has_vectors(folder, found.name):
        encoder_of(settings, folder)  # one that can't be made is said now, not in the background
        told = {name: getattr(settings, name) for name in ("threads", "endpoint_key", "endpoint_price")}
        before = msgspec.structs.replace(found.settings, **told)
        try:
            encoder = encoder_of(before, folder)
            if encoder.name == found.name:
                return Choice(encoder, before, True)
            why = f"it is {encoder.name} now."
        except PalateError as error:
            why = error.message
        _log.warning("The encoder %s, whose vectors this directory has, can't serve any more: %s", found.name, why)
    encoder = encoder_of(settings, folder)
    if settings.width and settings.encoder != "none" and encoder.dim != settings.width:
        return Choice(encoder, msgspec.structs.replace(settings, width=0), True)  # there must be texts to fit it on
    return Choice(encoder, settings, False)


def _has_vectors(folder: Path, name: str) -> bool:
    file = folder / f"{name}.bin"
    return file.is_file() and file.stat().st_size > _EMPTY
