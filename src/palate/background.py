"""Encoding of new texts in a thread of its own, off every request's path."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from palate.catalogue import Catalogue
from palate.errors import PalateError

_BATCH = 64
_PAUSE = 1.0
_log = logging.getLogger("palate")


class BackgroundEncoder:
    """Encodes what waits in a catalogue as soon as it is told to ``wake``.

    lock: guards the catalogue, held only while texts are taken and vectors placed. catalogue: the one to serve now
    (it may change). placed: called under the lock after vectors were placed.
    """

    def __init__(self, lock: threading.RLock, catalogue: Callable[[], Catalogue], placed: Callable[[], None]) -> None:
        self._lock = lock
        self._catalogue = catalogue
        self._placed = placed
        self._work = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="palate-encoder", daemon=True)
        self._thread.start()
        self._work.set()

    def wake(self) -> None:
        """There may be something to encode."""
        self._work.set()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing waits; False when ``timeout`` seconds were not enough."""
        end = time.monotonic() + timeout
        while self._work.is_set() and time.monotonic() < end:
            time.sleep(0.005)
        return not self._work.is_set()

    def close(self) -> None:
        """Stop after the batch in hand; what still waits is encoded when the directory is next opened."""
        self._closed = True
        self._work.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._work.wait()
            if self._closed:
                return
            with self._lock:
                catalogue = self._catalogue()
                texts = catalogue.take_pending(_BATCH)
                if not texts:
                    self._work.clear()
                    if self._closed:  # said before the line above, or else the event is set again after it
                        return
                    continue
            try:
                encoded = catalogue.encode(texts)
                with self._lock:
                    catalogue.place(texts, *encoded)
                    self._placed()
            # The disk refuses, or an encoder fails on some text: ranking goes on without these vectors, and says so;
            # without this thread no other text would ever have one.
            except Exception as error:
                _log.error(
                    "%d texts could not be encoded; they are tried again. %s",
                    len(texts),
                    error,
                    exc_info=None if isinstance(error, PalateError) else error,
                )
                catalogue.give_back(texts)
                time.sleep(_PAUSE)
