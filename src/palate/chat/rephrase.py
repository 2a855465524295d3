"""A generator, where there is one: it may only say an utterance again in plainer words, which the parser then reads.

So it is never trusted with ids, fields or values: what it says is grounded like anybody's words, or not understood. It
has a deadline of its own here, whatever it promises; one that hangs occupies one of a few places until it returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

PLACES = 4
MOST = 8
"""Sentences of a rephrasing that are read."""
CHARS = 120

Rephrase = Callable[[str, float], "Sequence[str] | None"]
"""Plainer sentences for an utterance within so many seconds; None where it has none."""


class Rephrased(NamedTuple):
    """The sentences, or why there are none: ``generator_off``, ``_busy``, ``_timeout``, ``_error``, ``_garbage``."""

    sentences: list[str]
    degraded: str


class Rephraser:
    """Asks ``rephrase`` beside the caller. seconds: the budget of one answer."""

    def __init__(self, rephrase: Rephrase | None = None, seconds: float = 1.0) -> None:
        self.rephrase = rephrase
        self.seconds = seconds
        self._places = threading.Semaphore(PLACES)

    def __call__(self, text: str) -> Rephrased:
        """Answered at most a few milliseconds after the budget. Never raises for what the generator does."""
        if self.rephrase is None:
            return Rephrased([], "generator_off")
        if not self._places.acquire(blocking=False):
            return Rephrased([], "generator_busy")
        answer: Future[object] = Future()
        threading.Thread(target=self._ask, args=(self.rephrase, text, answer), name="rephrase", daemon=True).start()
        try:
            found = answer.result(self.seconds)
        except TimeoutError:
            return Rephrased([], "generator_timeout")
        except Exception:  # whatever a generator's library raises, the conversation goes on without it
            return Rephrased([], "generator_error")
        sentences = _read(found)
        return Rephrased(sentences, "" if sentences else "generator_garbage")

    def _ask(self, rephrase: Rephrase, text: str, answer: Future[object]) -> None:
        try:
            answer.set_result(rephrase(text, self.seconds))
        except Exception as error:  # handed to the caller, if it still waits
            answer.set_exception(error)
        finally:
            self._places.release()


def _read(found: object) -> list[str]:
    """The sentences of an answer, of the right type and length; nothing else of it counts."""
    if not isinstance(found, list | tuple):
        return []
    return [one for one in found[:MOST] if isinstance(one, str) and 0 < len(one.strip()) <= CHARS]  # pyright: ignore[reportUnknownVariableType]
