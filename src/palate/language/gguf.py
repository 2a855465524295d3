"""A GGUF file run in this process by llama.cpp (package ``xllamacpp``): CPU only, nothing leaves the machine.

Decoding is greedy and bound to the schema by a grammar. A question that is given up stops with the next token, or while
the model still reads it, after the next ``_BATCH`` tokens (half a second of one core for the smallest).
"""

from __future__ import annotations

import atexit
import contextlib
import tempfile
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from palate.errors import ConfigError, MissingExtra
from palate.language.guard import Completion, Question, Trouble
from palate.language.openai import messages, response_format
from palate.language.shelf import find_model
from palate.settings import GeneratorSettings

_BATCH = 64
_PATIENCE = 10.0
"""Seconds that ``close`` waits for a question in hand: a thread inside llama.cpp must not outlive the interpreter."""
_MAGIC = b"GGUF"


class LocalModel:
    """A ``Backend``. The file is loaded once, with the first question or before; its name and size are its identity.

    Errors: ``MissingExtra``; ``ConfigError`` where there is no such file, or it is no GGUF.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingExtra("xllamacpp", "llm", "A GGUF model")
        where = "language.generator.model"
        file = Path(settings.model).expanduser()
        if file.suffix != ".gguf":
            file = find_model(settings.model, ".gguf", where)
        if not file.is_file():
            raise ConfigError(f"There is no file {file}: name a GGUF file.", where)
        try:
            with file.open("rb") as opened:
                begins = opened.read(len(_MAGIC))
        except OSError as error:
            raise ConfigError(f"{file} can't be read: {error.strerror}.", where) from None
        if begins != _MAGIC:
            raise ConfigError(f"{file} is no GGUF file: it doesn't begin with GGUF.", where)
        self._file = file
        self._settings = settings
        self._name = f"gguf:{file.name}:{file.stat().st_size}"
        self._loading = threading.Lock()
        self._change = threading.Condition()
        self._hand = 0
        self._server: Any = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    def load(self) -> None:
        """See ``Backend.load``. Half a second and 200 MB for the smallest; holds the interpreter meanwhile."""
        self._loaded()

    def complete(self, question: Question) -> Completion:
        """See ``Backend.complete``."""
        with self._change:
            if self._closed:
                raise Trouble("The generator was closed.", "generator_off")
            self._hand += 1
        try:
            return self._completed(self._loaded(), question)
        finally:
            with self._change:
                self._hand -= 1
                self._change.notify_all()

    def close(self) -> None:
        """See ``Backend.close``. Waits until what is in hand has stopped, which it does soon.

        The library holds the interpreter while it ends, waits meanwhile for what its own thread still computes, and
        now and then for ever where that thread hasn't begun. So it is asked for one more token before: once that is
        there, everything has begun and nothing is left to do. One that can't be ended stays until the process does.
        """
        with self._change:
            self._closed = True
            if not self._change.wait_for(lambda: not self._hand, _PATIENCE):
                return
        with self._loading:
            server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(Exception):  # what it answers doesn't matter, only that it does
                server.handle_completions({"prompt": "a", "max_tokens": 1})
            atexit.unregister(self.close)

    def _completed(self, server: Any, question: Question) -> Completion:
        said: list[str] = []
        counts = {"prompt_tokens": 0, "completion_tokens": 0}
        failures: list[str] = []

        def chunk(part: Any) -> bool:
            """True to stop. Whatever is raised here would be raised in the model's own thread."""
            if isinstance(part, dict):
                _gather(cast("dict[str, Any]", part), said, counts, failures)
            over = self._closed or question.given_up() or time.monotonic() > question.until
            return over or bool(failures)

        body = {
            "messages": messages(question),
            "response_format": response_format(question),
            "max_tokens": question.max_tokens,
            "temperature": 0,
            "seed": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # without it nothing can be stopped before the first token
        }
        server.handle_chat_completions(body, chunk)
        if self._closed:
            raise Trouble("The generator was closed.", "generator_off")
        if failures:
            raise Trouble(failures[0])
        if time.monotonic() > question.until:
            raise Trouble("No answer in time.", "generator_timeout")
        return Completion("".join(said), counts["prompt_tokens"], counts["completion_tokens"])

    def _loaded(self) -> Any:
        with self._loading:
            if self._closed:
                raise Trouble("The generator was closed.", "generator_off")
            if self._server is None:
                settings = self._settings
                library = import_module("xllamacpp")
                wanted = library.CommonParams()
                wanted.model.path = str(self._file)
                wanted.n_parallel = settings.concurrency
                wanted.n_ctx = settings.context * settings.concurrency
                wanted.n_batch = wanted.n_ubatch = _BATCH
                wanted.warmup = wanted.ui = False
                wanted.verbosity = 0
                wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = settings.threads
                # The library always listens. Here on a socket whose name is gone when it is there: for nobody.
                with tempfile.TemporaryDirectory(prefix="palate-", ignore_cleanup_errors=True) as private:
                    wanted.hostnames = [str(Path(private) / "s.sock")]
                    self._server = library.Server(wanted)
                atexit.register(self.close)
            return self._server


def _gather(part: dict[str, Any], said: list[str], counts: dict[str, int], failures: list[str]) -> None:
    error: Any = part.get("error", part if "message" in part and "choices" not in part else None)
    if error is not None:
        told = cast("dict[str, Any]", error).get("message", "") if isinstance(error, dict) else error
        failures.append(str(told) or "The model gave an error without words.")
        return
    choices = cast("list[dict[str, Any]]", part.get("choices") or [])
    for choice in choices:
        delta = cast("dict[str, Any]", choice.get("delta") or {})
        if delta.get("content"):
            said.append(str(delta["content"]))
    usage = cast("dict[str, Any]", part.get("usage") or {})
    for name, count in usage.items():
        if name in counts:
            counts[name] = int(count)
