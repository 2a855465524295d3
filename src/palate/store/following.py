"""Following a decision log while others write it: each decision once, about in the order in which they were made."""

from __future__ import annotations

from pathlib import Path

from palate.errors import CorruptArtefact
from palate.store import segments
from palate.store.decision import Decision, decode
from palate.store.memory import MemoryDecisionLog


class DecisionTail:
    """Of a directory of segments, which any number of processes write. Not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[int, tuple[int, int]] = {}  # segment: the file's number, and how far it was read

    def begin(self, most: int) -> list[Decision]:
        """The newest ``most`` decisions or a few more; what ``next`` gives comes after them. Errors: ``OSError``,
        ``CorruptArtefact``."""
        found: list[list[Decision]] = []
        for number in reversed(segments.numbers(self._directory)):
            found.append(self._more(number, most > 0))
            most -= len(found[-1])
        return [one for part in reversed(found) for one in part]

    def next(self) -> list[Decision]:
        """What was written since. Errors: ``OSError``, ``CorruptArtefact``."""
        present = segments.numbers(self._directory)
        for number in set(self._read) - set(present):
            del self._read[number]
        return [one for number in present for one in self._more(number)]

    def _more(self, number: int, wanted: bool = True) -> list[Decision]:
        path = segments.path_of(self._directory, number)
        known = self._read.get(number)
        try:
            with path.open("rb") as file:
                status = segments.status_of(file)
                if known is not None and known[0] != status[0]:
                    # Written anew without somebody who was erased. It had been finished: what was not read of it by
                    # then is left out here, training reads it.
                    self._read[number] = status
                    return []
                if known is not None and known[1] >= status[1]:
                    return []
                if known is None and segments.created(path) is None:
                    return []
                start = segments.HEAD_BYTES if known is None else known[1]
                file.seek(start)
                data = file.read()
        except FileNotFoundError:  # expired meanwhile
            self._read.pop(number, None)
            return []
        found: list[Decision] = []
        end = start
        for offset, _, body in segments.records(data):
            if wanted:
                found.append(decode(body, str(path)))
            end = start + offset + segments.RECORD_BYTES + len(body)
        self._read[number] = status[0], end
        return found


class MemoryTail:
    """``DecisionTail`` of a log in memory."""

    def __init__(self, log: MemoryDecisionLog) -> None:
        self._log = log
        self._last = 0

    def begin(self, most: int) -> list[Decision]:
        """See ``DecisionTail.begin``."""
        return self.next()[-most:]

    def next(self) -> list[Decision]:
        """See ``DecisionTail.next``."""
        found, self._last = self._log.after(self._last)
        return found


def tail_of(log: object, directory: Path | None) -> DecisionTail | MemoryTail:
    """What follows ``log``. directory: of its segments, None in memory. Errors: ``CorruptArtefact`` for neither."""
    if isinstance(log, MemoryDecisionLog):
        return MemoryTail(log)
    if directory is None:
        raise CorruptArtefact("These decisions are neither in memory nor in a directory: they can't be followed.")
    return DecisionTail(directory)
