"""Training as a process of its own: ``python -m palate.train.worker DIRECTORY`` reads the log, writes an artefact, and
prints its version. Settings, and the positions of dead letters, come as a line of JSON each on standard input, which
stays open: when it closes, the process that asked is gone, and this one ends. It takes the lock of training, not the
writer's; of what the serving process writes it shares only the vector cache, which several may append to."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import msgspec

from palate.config import Settings
from palate.errors import PalateError
from palate.language import encoder_of
from palate.language.cache import VectorCache
from palate.store import open_store
from palate.store.decisions import DecisionLog
from palate.train import artefact
from palate.train.former import active_model
from palate.train.run import train, training_lock


def main(directory: Path) -> int:
    """Train on ``directory``; 0 and the version on standard output, or 1 and a sentence on standard error."""
    os.nice(5)
    try:
        settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=Settings)
        dead = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[int])
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        store = open_store(directory / "events.db", read_only=True)
        cache = VectorCache(directory / "vectors", encoder_of(settings.language, directory / "vectors"))
        live = DecisionLog(directory / "decisions", settings.decisions, read_only=True)
        with training_lock(directory / "models"):
            former = active_model(directory / "models")
            trained = train(store, settings, cache, live.read(), directory / "replay", dead=dead, former=former)
            manifest = artefact.save(directory / "models", trained.arrays, trained.manifest)
            artefact.prune(directory / "models")
    except PalateError as error:
        sys.stderr.write(error.message + "\n")
        return 1
    sys.stdout.write(manifest.version + "\n")
    return 0


def _leave_with_parent() -> None:
    """End this process once nobody holds the other end of standard input."""
    while os.read(0, 4096):  # the descriptor, not ``sys.stdin``, whose lock would be held when Python shuts down
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
