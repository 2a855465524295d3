"""What is kept of learning while serving, and what is told of it: one JSON file, written whole."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import msgspec

from palate.disk import sync_directory
from palate.online.guard import Trial

_log = logging.getLogger("palate")
FILE = "online.json"
FORMAT = 1


class OnlineStatus(msgspec.Struct, omit_defaults=True):
    """How learning while serving stands. state: ``off``; ``learning``, not applied; ``correcting``, applied. model:
    whose scores are corrected. lessons, labels: learnt from. loss, loss_corrected: mean log loss a label, predicted
    before it was learnt, of the model's score and with the correction. gain, error: the difference of a lesson
    over the last ``judged`` ones, and its standard error. switched: times that the correction came or went. weights:
    by feature, in log odds a standard deviation. waiting: rankings that wait for answers. drifts: changes for the worse
    that were found; trained: trainings begun for one, or by the clock. trial: of the model that was trained in the
    background last. taken_back: models that failed theirs. refused: that were worse than the one before on choices
    that neither learnt from, and were not activated.
    """

    state: str = "off"
    model: str = ""
    as_of: int = 0
    lessons: int = 0
    labels: int = 0
    loss: float = 0.0
    loss_corrected: float = 0.0
    gain: float = 0.0
    error: float = 0.0
    judged: int = 0
    switched: int = 0
    weights: dict[str, float] = {}
    waiting: int = 0
    drifts: int = 0
    trained: int = 0
    trial: Trial | None = None
    taken_back: int = 0
    refused: int = 0


class Kept(msgspec.Struct):
    """The file. clock: event time of the newest decision that was learnt from."""

    format: int
    seq: int
    clock: int
    ratings: list[float]
    learner: dict[str, Any]
    guard: dict[str, Any]
    status: OnlineStatus


def write(path: Path, kept: Kept) -> None:
    """Replace the file, durably. Errors: ``OSError``."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with aside.open("wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_directory(path.parent)


def read(path: Path) -> Kept | None:
    """What the file holds; None where there is none, or none that can be read, which is logged."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        _log.error("%s can't be read (%s): learning begins anew.", path, error)
        return None
    return kept if kept.format == FORMAT else None
