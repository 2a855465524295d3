"""What a bandit has learnt, on the disk: ``bandits/learnt.json`` beside the log.

It is an artefact with a log position. It is written whole beside itself, synced, and then takes the place of the former
one, so that a crash leaves the one or the other; the answers since its position are learnt again from the log. One that
can't be read, or that knows more than the log holds, is left aside, and everything is learnt again from what log and
decisions still hold.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from palate.bandits.learner import Learnt
from palate.disk import make_directory, sync_directory
from palate.errors import Unavailable

FOLDER = "bandits"
_NAME = "learnt.json"
_PUBLISHED = "beliefs.json"
_decoder = msgspec.json.Decoder(Learnt)


def path_of(directory: Path) -> Path:
    """The file in an engine's directory."""
    return directory / FOLDER / _NAME


def published(directory: Path) -> Path:
    """Where the process that learns shows others what it believes, a few times a minute; worth nothing after it."""
    return directory / FOLDER / _PUBLISHED


def write(path: Path, learnt: Learnt, durable: bool = True) -> None:
    """Write to ``path_of`` or ``published``. Errors: ``Unavailable``; then the former one stands."""
    beside = path.with_suffix(".new")
    try:
        make_directory(path.parent)
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(learnt))
            file.flush()
            if durable:
                os.fsync(file.fileno())
        beside.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        raise Unavailable(f"What the bandits learnt can't be written to {path} ({error.strerror}).") from None


def read(path: Path) -> tuple[Learnt | None, str]:
    """What was written, None where there is none or it can't be used, and then why, '' where there is none."""
    try:
        found = _decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"{path} can't be read ({error.strerror})"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"{path} is damaged ({error})"
    if found.format != 1:
        return None, f"{path} was written by another version of Palate"
    return found, ""
