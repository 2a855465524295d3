"""The shelf of ranking models: artefacts of a directory (or of memory) as models that serve, and training onto it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from palate.catalogue import Catalogue
from palate.config import LanguageSettings, Settings
from palate.errors import Conflict, CorruptArtefact, Gone, NotFound, PalateError, Unavailable
from palate.line import Model, prior_model
from palate.opening import Parts, Progress
from palate.train import artefact
from palate.train.manifest import Artefact
from palate.train.serving import model_of
from palate.types import Against, Margin, ModelInfo, TrainReport

_LOADED = 3
_PATIENCE = 5.0
"""Seconds that a training process has to end when told to."""
_log = logging.getLogger("palate")


class ModelShelf:
    """Artefacts under ``models/``; an engine in memory keeps them in a temporary directory."""

    def __init__(self, path: Path | None, catalogue: Catalogue) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="palate-")) if path is None else path / "models"
        if path is None:
            weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.catalogue = catalogue
        self.trained_on = 0
        self.wanted: Callable[[], set[str]] = set
        """Versions that stay, however old."""
        self._loaded: OrderedDict[str, Artefact] = OrderedDict()
        self._workers: list[subprocess.Popen[str]] = []
        self._starting = threading.Lock()
        self._stopped = False

    def active(self) -> Model:
        """The active model, or the prior blend where none was trained. Errors: ``CorruptArtefact``."""
        version = artefact.active(self.directory)
        return (
            prior_model() if version is None else self._model(artefact.load(artefact.locate(self.directory, version)))
        )

    def usable(self) -> Model:
        """The active model; where it can't be used, the prior blend, and every answer then says ``model_unusable``.

        A directory must open for its model to be mended: by activating another version, or by training.
        """
        try:
            return self.active()
        except (Conflict, CorruptArtefact, NotFound) as error:
            _log.error("%s Until then the prior blend ranks, and every answer says so.", error.message)
            return dataclasses.replace(prior_model(), note="model_unusable")

    def _model(self, found: Artefact) -> Model:
        model = model_of(found, self.catalogue)
        self.trained_on = max(self.trained_on, int(found.manifest.extra.get("interactions", 0)))
        return model

    def version(self, version: str, serving: Model | None = None) -> Model:
        """The model ``version``, for an arm or for explaining what it once did. Errors: ``Gone`` when it was pruned."""
        if serving is not None and version == serving.version:
            return serving
        if version == "prior":
            return prior_model()
        found = self._loaded.get(version)
        if found is None:
            try:
                found = artefact.load(artefact.locate(self.directory, version))
            except NotFound:
                raise Gone(
                    f"The model {version} that made this ranking has been removed, so it can't be explained any more: "
                    "the newest ten models are kept."
                ) from None
            self._loaded[version] = found
            if len(self._loaded) > _LOADED:
                self._loaded.popitem(last=False)
        return self._model(found)

    def list(self) -> list[ModelInfo]:
        """Every artefact, newest first; a corrupt one is left out (``palate doctor`` names it)."""
        active = None
        try:
            active = artefact.active(self.directory)
        except CorruptArtefact as error:  # the versions must be known for one to be activated, which mends it
            _log.warning("%s", error.message)
        found: list[ModelInfo] = []
        for version in artefact.list_versions(self.directory):
            try:
                manifest = artefact.read_manifest(self.directory / version)
            except CorruptArtefact as error:
                _log.warning("%s", error.message)
                continue
            found.append(
                ModelInfo(
                    version=manifest.version,
                    created=manifest.created,
                    kind=manifest.kind,
                    active=manifest.version == active,
                    metrics=manifest.metrics,
                    log_position=manifest.log_position,
                    encoder=manifest.encoder,
                    events=manifest.events,
                    broken=_broken(self.directory / version),
                    **_judgement(manifest.extra),
                )
            )
        return sorted(found, key=lambda info: info.version, reverse=True)

    def activate(self, version: str) -> Model:
        """Make ``version`` active, loaded whole before anything changes. Errors: ``NotFound``, ``CorruptArtefact``."""
        model = self._model(artefact.load(artefact.locate(self.directory, version)))
        artefact.activate(self.directory, version)
        return model

    def rollback(self) -> Model:
        """Go back to the version before. Errors: ``Conflict`` when there is none, or it doesn't fit this directory."""
        before = artefact.active(self.directory)
        artefact.rollback(self.directory)
        try:
            return self.active()
        except PalateError:
            if before is not None:  # the pointer must name what serves, or the next start would refuse
                artefact.activate(self.directory, before)
            raise

    # --------------------------------------------------------------------------- training

    def train(self, parts: Parts, settings: Settings, progress: Progress | None) -> TrainReport:
        """Train in this process and put the artefact on the shelf, not active yet."""
        from palate.train.former import active_model
        from palate.train.run import train, training_lock

        log = parts.decisions.log
        if log is not None:
            log.flush()
        replayed = None if parts.path is None else parts.path / "replay"
        live = log.read() if log is not None else ()
        with training_lock(self.directory):
            former = active_model(self.directory)
            trained = train(parts.store, settings, parts.cache, live, replayed, progress, parts.state.dead, former)
            manifest = artefact.save(self.directory, trained.arrays, trained.manifest)
            with contextlib.suppress(CorruptArtefact):  # a broken pointer names none to keep, and activating mends it
                artefact.prune(self.directory, also=self.wanted())
        return TrainReport(
            version=manifest.version,
            kind=manifest.kind,
            activated=False,
            metrics=manifest.metrics,
            decisions=trained.decisions,
            rows=trained.rows,
            seconds=trained.seconds,
            **_judgement(manifest.extra),
        )

    def train_apart(self, parts: Parts, settings: Settings, language: LanguageSettings | None = None) -> str:
        """Train in a process of its own, so that requests keep their core; returns the new version.

        language: of the encoder to train with, by default the one that serves.

        Errors: ``PalateError`` with what the process said, ``Unavailable`` after ``stop_training``. In memory it
        trains in this process.
        """
        if parts.path is None:
            return self.train(parts, settings, None).version
        settings = msgspec.structs.replace(settings, language=language or parts.language or settings.language)
        if parts.decisions.log is not None:
            parts.decisions.log.flush()
        command = [sys.executable, "-m", "palate.train.worker", str(parts.path)]
        pipe = subprocess.PIPE
        with self._starting:  # never after ``stop_training`` has looked
            self._check_open()
            worker = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
            self._workers = [one for one in self._workers if one.poll() is None] + [worker]
        # Not left to ``communicate``, which would close it: the worker ends when this end is closed, and the kernel
        # closes it even when this process is killed.
        line, worker.stdin = worker.stdin, None
        assert line is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended already, and says why
                line.writelines(msgspec.json.encode(one).decode() + "\n" for one in (settings, parts.state.dead))
                line.flush()
            out, said = worker.communicate()
        finally:
            with contextlib.suppress(BrokenPipeError):
                line.close()
        if worker.returncode != 0:
            self._check_open()
            raise PalateError(f"Training failed: {said.strip()[-500:] or f'exit code {worker.returncode}'}")
        return out.strip().splitlines()[-1]

    def train_judged(self, parts: Parts, settings: Settings) -> tuple[str, Against | None]:
        """``train_apart``, and how the new version stands against the one that serves, where that can be said."""
        version = self.train_apart(parts, settings)
        return version, _judgement(artefact.read_manifest(self.directory / version).extra)["against"]

    def stop_training(self) -> None:
        """End the training processes, and start no more: none must not outlive the lock on its directory."""
        with self._starting:
            self._stopped = True
            workers = self._workers
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(_PATIENCE)
            if worker.poll() is None:
                worker.kill()
                worker.wait()

    def _check_open(self) -> None:
        if self._stopped:
            raise Unavailable("Palate is closing: the training was stopped. Train again once the directory is open.")


def _broken(path: Path) -> str:
    """What is wrong with the files of an artefact, '' for nothing."""
    try:
        artefact.load(path)
    except (CorruptArtefact, NotFound) as error:
        return error.message
    return ""


def _judgement(extra: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of how its winner was chosen; nothing where it is older than that."""
    try:
        margins = msgspec.convert(extra.get("margins", {}), dict[str, Margin])
    except msgspec.ValidationError:
        margins = {}
    try:
        against = msgspec.convert(extra.get("against"), Against | None)
    except msgspec.ValidationError:
        against = None
    told = {"name": str(extra.get("winner", "")), "single": str(extra.get("single", ""))}
    return {**told, "margins": margins, "against": against}
