"""The log into the state: batch by batch, and around an event that can't be folded, event by event.

Such an event has passed the wire and meets a fault of the fold's. It is a dead letter: logged, counted, its position
kept (``State.dead``), and else as if it had never been. Whether an event is one follows from the events before it, not
from the batch that it came in, so that the state stays a function of the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from palate.errors import PalateError
from palate.state import snapshot
from palate.state.state import Stamped, State

_log = logging.getLogger("palate")

Batch = tuple[Sequence[Stamped], int]
"""Events that follow one another in the log, and the position of the last."""


def fold_log(
    state: State,
    again: Callable[[], State],
    batches: Callable[[int], Iterator[Batch]],
    told: Callable[[int], None] = lambda seq: None,
) -> State:
    """``state`` with every batch of ``batches(state.seq)`` folded in; dead letters are left out.

    again: makes ``state`` as it was given, since a fold that fails leaves it half-changed. told(seq): after each batch.
    The state that was given is used up. Errors: those of ``batches``, and ``MemoryError``, which blames no event.
    Cost: that of the folds; where one of them fails, twice that and a copy of the state for each batch.
    """
    try:
        for events, seq in batches(state.seq):
            state.apply(events, seq)
            told(seq)
        return state
    except (PalateError, MemoryError):
        raise
    except Exception as error:  # a fault of the fold's; which event met it is found below
        _log.error("Folding the log failed after position %d (%r); looking for the event.", state.seq, error)
    state = again()
    for events, seq in batches(state.seq):
        state = _by_halves(state, events, seq)
        told(seq)
    return state


def _by_halves(state: State, events: Sequence[Stamped], seq: int) -> State:
    """``state`` with ``events`` folded in, dead letters left out. O(copies of the state · log events) for each."""
    before = snapshot.freeze(state, "")
    try:
        state.apply(events, seq)
        return state
    except MemoryError:
        raise
    except Exception as error:  # narrowed down to the one event that can't be folded
        state = snapshot.thaw(before, state.settings)
        if len(events) > 1:
            half = len(events) // 2
            state = _by_halves(state, events[:half], seq - len(events) + half)
            return _by_halves(state, events[half:], seq)
        name = events[0][2].id or ""
        _log.error(
            "The event %r at position %d of the log can't be folded and is left out. This is a fault of Palate's; "
            "please report it.",
            name[:80],
            seq,
            exc_info=error,
        )
    state.dead.append(seq)
    state.events += 1
    state.seq, state.last = seq, name
    return state
