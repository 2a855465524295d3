"""What stands between callers and a model: deadline, places, breaker, budget, kept answers, and a strict reading.

Questions wait in a short queue for one of ``concurrency`` threads, which begin with the first question; the caller
waits for the answer or for its own deadline, whichever comes first, and never for the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec

from palate.errors import PalateError
from palate.language.answers import Answers
from palate.language.breaker import Breaker, Budget
from palate.language.prompt import Prompt, Reply, schema_of
from palate.settings import GeneratorSettings

T = TypeVar("T")
_WAITING = 8
"""Questions that may wait for each place."""
_CHARS_A_TOKEN = 4
_GRACE = 1.0
"""Seconds after which a question that was given up and still occupies its place counts as hanging."""
_log = logging.getLogger("palate")


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote, and what it counted (0 where it doesn't)."""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class Trouble(PalateError):
    """A model that can't answer; ``degraded`` is the reason that the reply gives."""

    def __init__(self, message: str, degraded: str = "generator_error") -> None:
        super().__init__(message)
        self.degraded = degraded


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as a back end needs it. until: ``time.monotonic`` of the deadline. given_up: whether nobody waits."""

    system: str
    task: str
    schema: dict[str, Any]
    max_tokens: int
    until: float
    given_up: Callable[[], bool]


class Backend(Protocol):
    """A model without manners: it may hang, fail and talk nonsense; ``Guard`` makes a ``Generator`` of it."""

    @property
    def name(self) -> str:
        """See ``Generator.name``."""
        ...

    def load(self) -> None:
        """Make ready, once. Errors: any; each question meets them again."""
        ...

    def complete(self, question: Question) -> Completion:
        """Called from ``concurrency`` threads. Should end soon after ``until`` or ``given_up``. Errors: ``Trouble``."""
        ...

    def close(self) -> None:
        """Stop. Idempotent."""
        ...


@dataclass(slots=True)
class _Job:
    prompt: Prompt[Any]
    key: bytes
    until: float
    future: Future[Reply[Any]] = field(default_factory=Future[Reply[Any]])
    admitted: bool = False
    begun: bool = False
    over: bool = False
    given_up: float = 0.0


class Guard:
    """A ``Generator`` of a ``Backend``. Threads are daemons: a model that hangs doesn't keep a process from ending."""

    def __init__(self, backend: Backend, settings: GeneratorSettings, kept: Path | None = None) -> None:
        self._backend = backend
        self._settings = settings
        self._answers = Answers(kept, settings.kept)
        self._breaker = Breaker(settings.failures, settings.rest_seconds)
        self._budget = Budget(settings.tokens_a_day)
        self._counts: Counter[str] = Counter()
        self._jobs: deque[_Job] = deque()
        self._hand: list[_Job] = []
        self._begun = self._closed = False
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)

    @property
    def name(self) -> str:
        return self._backend.name

    @property
    def ready(self) -> bool:
        return not (self._closed or self._breaker.open or self._budget.spent)

    def generate(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.generate``."""
        start = time.monotonic()
        allowed = self._settings.seconds if seconds is None else seconds
        job = self._begin(prompt, start + allowed)
        try:
            reply = job.future.result(max(0.0, job.until - time.monotonic()))
        except WaitTimeout:
            reply = self._late(job)
        return cast("Reply[T]", self._counted(reply, start))

    async def ask(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.ask``."""
        start = time.monotonic()
        allowed = self._settings.seconds if seconds is None else seconds
        job = self._begin(prompt, start + allowed)
        waiting = asyncio.wrap_future(job.future)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=max(0.0, job.until - time.monotonic()))
        except asyncio.CancelledError:
            self._late(job, spared=True)
            raise
        reply = waiting.result() if done else self._late(job)
        return cast("Reply[T]", self._counted(reply, start))

    def warm(self) -> None:
        """See ``Generator.warm``."""
        if self._closed:
            return
        try:
            self._backend.load()
        except Exception as error:  # whatever it is, questions meet it again, and say so in their replies
            _log.warning("The generator %s can't be made ready: %s", self.name, error)

    def stats(self) -> dict[str, float]:
        """See ``Generator.stats``."""
        with self._lock:
            found: dict[str, float] = dict(self._counts)
        price_in, price_out = self._settings.price_in, self._settings.price_out
        found["cost"] = (found.get("tokens_in", 0) * price_in + found.get("tokens_out", 0) * price_out) / 1e6
        return found

    def close(self) -> None:
        """See ``Generator.close``."""
        with self._change:
            if self._closed:
                return
            self._closed = True
            waiting = [*self._jobs, *self._hand]
            self._jobs.clear()
            self._change.notify_all()
        for job in waiting:
            self._settle(job, _CLOSED)
        self._backend.close()
        self._answers.close()

    # ------------------------------------------------------------------------- callers

    def _begin(self, prompt: Prompt[Any], until: float) -> _Job:
        """Queue the question, or answer it on the spot. Waits for nothing but short locks."""
        job = _Job(prompt, self._key(prompt), until)
        kept = self._answers.recent(job.key) if prompt.keep and not self._closed else None
        if kept is not None and (value := _read(kept, prompt.answer)) is not None:
            job.future.set_result(Reply(value, kept=True))
            return job
        with self._change:
            refused = self._refusal(prompt)
            if refused is None:
                self._jobs.append(job)
                if not self._begun:
                    self._begun = True
                    for number in range(self._settings.concurrency):
                        name = f"palate-generator-{number}"
                        threading.Thread(target=self._work, name=name, daemon=True).start()
                self._change.notify()
                return job
        job.future.set_result(refused)
        return job

    def _refusal(self, prompt: Prompt[Any]) -> Reply[Any] | None:
        """Why a question isn't even queued."""
        if self._closed:
            return _CLOSED
        if len(prompt.system) + len(prompt.task) > self._settings.max_chars:
            return _LONG
        if not self._answers.on_disk and self._breaker.open:  # on disk there may be an answer to it
            return _RESTING
        places = self._settings.concurrency
        hanging = sum(job.given_up > 0.0 and time.monotonic() - job.given_up > _GRACE for job in self._hand)
        return _BUSY if len(self._jobs) >= places * _WAITING or hanging >= places else None

    def _late(self, job: _Job, spared: bool = False) -> Reply[Any]:
        """Nobody waits for ``job`` any more. spared: because the caller went, not because the model is slow."""
        reply: Reply[Any]
        if job.begun:
            reply = Reply(None, "generator_timeout", "No answer in time.")
        else:
            reply = Reply(None, "generator_busy", "No place came free in time.")
        with self._change:
            if job.over:
                return job.future.result()
            job.over = True
            job.given_up = time.monotonic()
            if not job.begun and job in self._jobs:
                self._jobs.remove(job)
        if job.admitted:
            self._breaker.spared() if spared else self._breaker.failed()
            self._budget.spend((len(job.prompt.system) + len(job.prompt.task)) // _CHARS_A_TOKEN)
        return reply

    def _settle(self, job: _Job, reply: Reply[Any]) -> bool:
        """Give the answer to whoever waits; False when nobody does."""
        with self._change:
            if job.over:
                return False
            job.over = True
        with contextlib.suppress(InvalidStateError):  # cancelled with the task that waited for it
            job.future.set_result(reply)
        return True

    def _counted(self, reply: Reply[Any], start: float) -> Reply[Any]:
        with self._lock:
            self._counts["asked"] += 1
            self._counts[reply.degraded or "answered"] += 1
            self._counts["kept"] += reply.kept
            self._counts["tokens_in"] += reply.tokens_in
            self._counts["tokens_out"] += reply.tokens_out
        seconds = time.monotonic() - start
        return Reply(
            reply.value, reply.degraded, reply.detail, reply.kept, seconds, reply.tokens_in, reply.tokens_out
        )  # fmt: skip

    def _key(self, prompt: Prompt[Any]) -> bytes:
        parts = [self.name, prompt.version, prompt.system, prompt.task, prompt.max_tokens, schema_of(prompt.answer)]
        return blake2b(msgspec.json.encode(parts), digest_size=16).digest()

    # ------------------------------------------------------------------------- threads

    def _work(self) -> None:
        while True:
            with self._change:
                while not self._jobs and not self._closed:
                    self._change.wait()
                if self._closed:
                    return
                job = self._jobs.popleft()
                if job.over:
                    continue
                job.begun = True
                self._hand.append(job)
            reply = self._answer(job)
            waited = self._settle(job, reply)
            if waited and job.admitted:
                self._breaker.succeeded() if reply.degraded is None else self._breaker.failed()
            with self._change:
                self._hand.remove(job)

    def _answer(self, job: _Job) -> Reply[Any]:
        prompt = job.prompt
        kept = self._answers.get(job.key) if prompt.keep and self._answers.on_disk else None
        if kept is not None and (value := _read(kept, prompt.answer)) is not None:
            return Reply(value, kept=True)
        if self._budget.spent:
            return Reply(None, "generator_spent", "The tokens of the day are used up.")
        with self._change:  # admitted and not yet over, or neither: whoever ends it must know whether it was put
            if job.over:
                return _RESTING
            job.admitted = self._breaker.admit()
        if not job.admitted:
            return _RESTING
        question = Question(
            prompt.system,
            prompt.task,
            schema_of(prompt.answer),
            min(prompt.max_tokens, self._settings.max_tokens),
            job.until,
            lambda: job.over or self._closed,
        )
        try:
            done = self._backend.complete(question)
        except Trouble as error:
            return Reply(None, error.degraded, error.message)
        except Exception as error:  # a model may fail in any way; its caller must have an answer
            _log.debug("The generator failed", exc_info=error)
            return Reply(None, "generator_error", f"{type(error).__name__}: {error}")
        tokens_in = done.tokens_in or (len(prompt.system) + len(prompt.task)) // _CHARS_A_TOKEN
        tokens_out = done.tokens_out or len(done.text) // _CHARS_A_TOKEN
        if not job.over:  # else the caller's end has been charged for
            self._budget.spend(tokens_in + tokens_out)
        value = _read(done.text, prompt.answer)
        if value is None:
            said = f"Not JSON of the schema: {done.text[:200]!r}"
            return Reply(None, "generator_garbage", said, False, 0.0, tokens_in, tokens_out)
        if prompt.keep:
            self._answers.put(job.key, done.text)
        return Reply(value, tokens_in=tokens_in, tokens_out=tokens_out)


_BUSY: Reply[Any] = Reply(None, "generator_busy", "All places are taken.")
_LONG: Reply[Any] = Reply(None, "generator_long", "The question has more characters than max_chars allows.")
_CLOSED: Reply[Any] = Reply(None, "generator_off", "The generator was closed.")
_RESTING: Reply[Any] = Reply(None, "generator_resting", "It failed too often and is left alone for a while.")


def _read(text: str, answer: type[T]) -> T | None:
    """``text`` as ``answer``; of a text around one JSON object, the object. None where it isn't one."""
    for part in dict.fromkeys((text, text[text.find("{") : text.rfind("}") + 1])):
        with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeError, ValueError):
            return msgspec.json.decode(part, type=answer)
    return None
