"""What goes on in threads of its own, off every request's path: encoding, training, snapshots."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from palate.catalogue import Catalogue
from palate.errors import Conflict, PalateError

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

    def _prepare(self) -> None:
        try:
            self._catalogue().vectors.prepare()
        except Exception:  # all texts are compared without it; without this thread none would get a vector any more
            _log.exception("The fast search for near texts can't be made now: all texts are compared.")

    def _run(self) -> None:
        size = _BATCH
        while True:
            self._work.wait()
            if self._closed:
                return
            self._prepare()
            with self._lock:
                catalogue = self._catalogue()
                texts = catalogue.take_pending(size)
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
                size = min(2 * size, _BATCH)
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
                size = max(1, size // 2)  # in the end the text that it fails on waits alone
                time.sleep(_PAUSE)


class BackgroundTraining:
    """One training at a time. ``state`` is ``idle``, ``running`` or ``failed: …``. work: trains and swaps in."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.state = "idle"

    def start(self) -> None:
        """Begin, unless one is running."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self.state = "running"
            self._thread = threading.Thread(target=self._run, name="palate-train", daemon=True)
            self._thread.start()

    def check_idle(self) -> None:
        """Errors: ``Conflict`` while one is running."""
        if self.state == "running":
            raise Conflict("A training is running in the background: wait until it has finished, then train again.")

    def join(self) -> None:
        """Wait for the one that runs, if any."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        try:
            self._work()
            self.state = "idle"
        except Exception as error:  # reported through ``state``; serving goes on with the old model
            self.state = f"failed: {error}"


class BackgroundSnapshot:
    """Calls ``save`` in a thread of its own, at most one at a time, every ``seconds`` in which ``events`` arrived.

    A process that is killed so replays minutes of its log at the next start, not all since its last clean stop.
    """

    def __init__(self, save: Callable[[], object], seconds: float = 300.0, events: int = 10_000) -> None:
        self._save = save
        self._seconds = seconds
        self._events = events
        self._seq: int | None = None
        self._at = time.monotonic()
        self._thread: threading.Thread | None = None

    def tick(self, seq: int) -> None:
        """The log is at ``seq`` now. Costs nothing unless a snapshot is due."""
        if self._seq is None:
            self._seq = seq
        due = seq - self._seq >= self._events and time.monotonic() - self._at >= self._seconds
        if due and (self._thread is None or not self._thread.is_alive()):
            self._seq, self._at = seq, time.monotonic()
            self._thread = threading.Thread(target=self._run, name="palate-snapshot", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the snapshot in hand."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self._save()
        except (PalateError, OSError) as error:  # the log is whole; the next one is tried when it is due
            _log.error("The state could not be written beside the log: %s", error)
