"""How a follower comes by the vectors of new texts: the leader encodes them, into the file that both read."""

from __future__ import annotations

import logging
import time

from palate.background import BackgroundEncoder
from palate.errors import PalateError
from palate.language.followed import FollowedVectors

_log = logging.getLogger("palate.serve")

_BATCH = 64
_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)


class Placer(BackgroundEncoder):
    """Places the vectors of new texts as soon as the leader has encoded them; encodes nothing."""

    def _run(self) -> None:
        idle = 0
        while not self._closed:  # also where the event was cleared just after it was set for closing
            self._work.wait()
            if self._closed:
                return
            self._prepare()
            if self._place():
                idle = 0
            else:
                time.sleep(_PAUSES[min(idle, len(_PAUSES) - 1)])
                idle += 1

    def _place(self) -> bool:
        """False where there is something to wait for."""
        with self._lock:
            catalogue = self._catalogue()
            if not catalogue.pending:
                self._work.clear()
                return not self._closed  # said before the line above, or else the event is set again after it
        try:
            cache = catalogue.cache
            if isinstance(cache, FollowedVectors):
                cache.refresh()
            with self._lock:
                placed = catalogue.place_kept(_BATCH)
                if placed:
                    self._placed()
        except Exception as error:  # whatever it is: without this thread no new text would have a vector here
            known = isinstance(error, PalateError)
            _log.error(
                "The vectors of new texts can't be read; it is tried again. %s",
                error,
                exc_info=None if known else error,
            )
            return False
        return placed > 0
