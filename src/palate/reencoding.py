"""Changing the encoder of a directory while it serves: all texts are encoded beside it, and then everything at once.

The encoder that served before goes on serving, items, queries and model alike. A second catalogue of the same items is
filled with the vectors of the new one, its codes for the fast search included, and follows every event; where a model
was trained on the old vectors, another one is trained on the new. Then one line is written (``language.served``), and
catalogue, line and model are put in place under the engine's lock: no answer ever mixes them. Whatever ends the process
before that line costs nothing that was encoded; after it, the next opening finishes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from palate.background import BackgroundEncoder
from palate.catalogue import Catalogue
from palate.config import Settings
from palate.errors import CorruptArtefact, NotFound, PalateError
from palate.language import Encoder, base_of, encoder_of, served, width
from palate.language.cache import VectorCache
from palate.line import Model, warm_up
from palate.models import ModelShelf
from palate.opening import Parts
from palate.state import State
from palate.train import artefact
from palate.types import F32

_CHUNK = 500
_BATCH = 256
_LOOK_SECONDS = 0.1
_WAIT_SECONDS = 2.0
_TRIES = 3
_log = logging.getLogger("palate")


class Host(Protocol):
    """What of an engine is changed. ``parts.language`` are the settings of the encoder that serves."""

    settings: Settings
    parts: Parts
    state: State
    catalogue: Catalogue
    shelf: ModelShelf

    @property
    def model(self) -> str: ...

    @property
    def training(self) -> str: ...


Serve = Callable[[State, Catalogue, Model], None]


class Reencoding:
    """Does nothing unless the settings ask for another encoder than serves.

    lock: the engine's, taken for moments; swapping: taken before it, for a change of the model. serve: puts state,
    catalogue and model in place, under both; where several workers serve, it waits for the next start
    (``parts.coming`` is ``later``).
    """

    def __init__(self, host: Host, lock: threading.RLock, swapping: threading.RLock, serve: Serve) -> None:
        self._host, self._lock, self._swapping, self._serve = host, lock, swapping, serve
        self._live = host.parts.coming != "later"
        self._closed = threading.Event()
        self._version = ""
        self._tries = 0
        self._retired: list[VectorCache] = []
        self._state = "idle"
        self._done = self._total = 0
        self._thread: threading.Thread | None = None
        if host.parts.coming and host.parts.path is not None:
            self._state = "starting"
            self._thread = threading.Thread(target=self._run, name="palate-reencoding", daemon=True)
            self._thread.start()

    @property
    def state(self) -> str:
        """``idle``; ``encoding 12,000 of 20,000``; ``training``; ``waiting for …``; ``done``; ``failed: …``."""
        return f"encoding {self._done:,} of {self._total:,}" if self._state == "encoding" else self._state

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended, well or not; False when ``timeout`` seconds were not enough."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        """Stop after the batch in hand, and every training; the next opening goes on."""
        self._closed.set()
        self._host.shelf.stop_training()
        if self._thread is not None:
            self._thread.join()
        for cache in self._retired:
            cache.close()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # reported through ``state``: the encoder that served goes on serving
            if not self._closed.is_set():
                self._state = f"failed: {error}"
                known = isinstance(error, PalateError)
                _log.error(
                    "The change of the encoder failed; the former one goes on serving, and the next start tries again. "
                    "%s", error, exc_info=None if known else error,
                )  # fmt: skip

    def _work(self) -> None:
        folder = _folder(self._host)
        found = served.read(folder)
        if not self._live and found is not None and served.same(found.settings, self._host.settings.language):
            self._state = _NEXT_START
            return
        made = self._encoder(folder)
        if made is None:
            return
        encoder, plain = made
        cache = VectorCache(folder, encoder)
        kept = False
        try:
            while not self._closed.is_set() and not kept:
                kept = self._attempt(cache, plain)
        finally:
            if not kept or not self._live:
                cache.close()

    # ------------------------------------------------------------------------ the encoder

    def _encoder(self, folder: Path) -> tuple[Encoder, Encoder] | None:
        """The new encoder over what is encoded already, and as the next opening makes it. None when closed."""
        settings = self._host.settings.language
        if not settings.width or settings.encoder == "none":
            made = encoder_of(settings, folder)
            return made, made
        base = base_of(settings, folder)
        kept: Encoder = base
        serving = self._host.catalogue.cache
        if serving.encoder.name == base.name:
            kept = _Kept(serving)
        elif (folder / f"{base.name}.bin").is_file() or settings.reduce == "pca":
            self._retired.append(VectorCache(folder, base))
            kept = _Kept(self._retired[-1])
        if settings.reduce == "cut":
            return width.NarrowEncoder(kept, settings.width), width.NarrowEncoder(base, settings.width)
        path = width.file_of(folder, base, settings.width)
        found = width.load(path, base.dim, settings.width)
        if found is None:
            rows = self._rows(kept, width.FEWEST * settings.width)
            if rows is None:
                return None
            found = width.fit(rows, settings.width)
            width.save(path, found)
        return width.NarrowEncoder(kept, settings.width, found), width.NarrowEncoder(base, settings.width, found)

    def _rows(self, kept: Encoder, fewest: int) -> F32 | None:
        """Vectors of the catalogue's texts, once there are ``fewest``."""
        while not self._closed.is_set():
            texts = self._texts()
            if len(texts) >= fewest:
                self._state, self._done, self._total = "encoding", 0, len(texts)
                rows: list[F32] = []
                for start in range(0, len(texts), _BATCH):
                    if self._closed.is_set():
                        return None
                    rows.append(kept.encode(texts[start : start + _BATCH]))
                    self._done = start + len(rows[-1])
                return np.concatenate(rows)
            self._state = f"waiting for {fewest:,} texts to fit the width on; there are {len(texts):,}"
            self._closed.wait(_WAIT_SECONDS)
        return None

    def _texts(self) -> list[str]:
        """The distinct texts of the catalogue, sorted."""
        found: set[str] = set()
        start = 0
        while True:
            with self._lock:
                catalogue = self._host.catalogue
                stop = min(catalogue.state.n_items, start + _CHUNK)
                found.update(map(catalogue.text, range(start, stop)))
            if stop == start:
                return sorted(found - {""})
            start = stop

    # ------------------------------------------------------------------------- the change

    def _attempt(self, cache: VectorCache, plain: Encoder) -> bool:
        """Fill a second catalogue and serve it. False where there is another one to follow by then."""
        before = self._host.catalogue
        fresh = Catalogue(before.state, cache, self._host.settings.language)
        fresh.vectors.use_graph(self._host.settings.retrieve.graph_above)
        with self._lock:
            before.shadow = fresh
        try:
            self._fill(before, fresh)
            filler = BackgroundEncoder(self._lock, lambda: fresh, lambda: None)
            try:
                while self._host.catalogue is before and not self._closed.is_set():
                    self._state, self._total = "encoding", fresh.state.n_items
                    self._done = self._total - fresh.pending
                    filler.wake()
                    if filler.wait(_LOOK_SECONDS) and not fresh.pending and self._change(before, fresh, plain):
                        return True
            finally:
                filler.close()
        finally:
            before.shadow = None
        return False

    def _fill(self, before: Catalogue, fresh: Catalogue) -> None:
        start = 0
        while self._host.catalogue is before and not self._closed.is_set():
            with self._lock:
                stop = min(fresh.state.n_items, start + _CHUNK)
                if stop == start:
                    return
                fresh.update(range(start, stop))
            start = stop

    def _train(self, settings: Settings) -> None:
        """A model for the new vectors. Errors: ``PalateError`` once it failed ``_TRIES`` times."""
        self._state = "training"
        if self._host.training == "running":  # one at a time
            self._closed.wait(_LOOK_SECONDS)
            return
        try:
            self._version = self._host.shelf.train_apart(self._host.parts, settings, settings.language)
        except PalateError:  # another training may have begun at the same time
            self._tries += 1
            if self._tries >= _TRIES or self._closed.is_set():
                raise
            self._closed.wait(_WAIT_SECONDS)

    def _change(self, before: Catalogue, fresh: Catalogue, plain: Encoder) -> bool:
        """Decide, and serve; False where an event came in between, or a training must be waited for."""
        name, settings, folder = plain.name, self._host.settings, _folder(self._host)
        shelf = ModelShelf(self._host.parts.path, fresh)
        if self._host.model != "prior" and not self._version and not _fits(shelf, self._host.model, name):
            self._train(settings)
            return False
        fresh.vectors.prepare(wait=True)
        with self._swapping:
            with self._lock:
                if fresh.pending or self._host.catalogue is not before or self._closed.is_set():
                    return False
            served.write(folder, served.Served(settings.language, name, self._version))
            if not self._live:
                self._state = _NEXT_START
                return True
            model = shelf.activate(self._version) if self._version else shelf.usable()
            warm_up(model)
            with self._lock:
                fresh.take_words(before)
                if isinstance(fresh.cache.encoder, width.NarrowEncoder) and isinstance(plain, width.NarrowEncoder):
                    fresh.cache.encoder.base = plain.base
                self._host.parts.language = settings.language
                self._host.shelf.trained_on = max(self._host.shelf.trained_on, shelf.trained_on)
                self._retired.append(before.cache)  # some request may still read from it
                self._serve(before.state, fresh, model)
            served.write(folder, served.Served(settings.language, name))
        self._state = "done"
        _log.info("All texts are encoded by %s, which serves now.", name)
        return True


_NEXT_START = "done: the next start serves it"


class _Kept:
    """A cache as an encoder: what it holds isn't encoded again."""

    def __init__(self, cache: VectorCache) -> None:
        self._cache = cache

    @property
    def name(self) -> str:
        return self._cache.encoder.name

    @property
    def dim(self) -> int:
        return self._cache.encoder.dim

    def encode(self, texts: Sequence[str]) -> F32:
        return self._cache.get(texts)


def _folder(host: Host) -> Path:
    assert host.parts.path is not None
    return host.parts.path / "vectors"


def _fits(shelf: ModelShelf, version: str, encoder: str) -> bool:
    """Whether the model ``version`` was trained with ``encoder``, or with none."""
    with contextlib.suppress(NotFound, CorruptArtefact):
        return artefact.read_manifest(artefact.locate(shelf.directory, version)).encoder in ("", encoder)
    return False
