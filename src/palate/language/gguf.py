"""A GGUF file run in this process by llama.cpp (package ``xllamacpp``): CPU only, nothing leaves the machine.

Decoding is greedy and bound to the schema by a grammar. A question that is given up stops with the next token; while
the model reads the question (about 150 tokens a second of one core for the smallest) it can't be stopped.
"""

from __future__ import annotations

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


class LocalModel:
    """A ``Backend``. The file is loaded once, with the first question or before; its name and size are its identity.

    Errors: ``MissingExtra``; ``ConfigError`` where there is no such file.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        if find_spec("xllamacpp") is None:
            raise MissingExtra("xllamacpp", "generate", "A GGUF model")
        file = Path(settings.model).expanduser()
        if file.suffix != ".gguf":
            file = find_model(settings.model, ".gguf", "language.generator.model")
        if not file.is_file():
            raise ConfigError(f"There is no file {file}: name a GGUF file.", "language.generator.model")
        self._file = file
        self._settings = settings
        self._name = f"gguf:{file.name}:{file.stat().st_size}"
        self._lock = threading.Lock()
        self._server: Any = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    def load(self) -> None:
        """See ``Backend.load``. Takes half a second and 200 MB for the smallest."""
        self._loaded()

    def complete(self, question: Question) -> Completion:
        """See ``Backend.complete``."""
        server = self._loaded()
        said: list[str] = []
        counts = {"prompt_tokens": 0, "completion_tokens": 0}
        failures: list[str] = []

        def chunk(part: Any) -> bool:
            """True to stop. Whatever is raised here would be raised in the model's own thread."""
            if isinstance(part, dict):
                _gather(cast("dict[str, Any]", part), said, counts, failures)
            return question.given_up() or time.monotonic() > question.until or bool(failures)

        body = {
            "messages": messages(question),
            "response_format": response_format(question),
            "max_tokens": question.max_tokens,
            "temperature": 0,
            "seed": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        server.handle_chat_completions(body, chunk)
        if failures:
            raise Trouble(failures[0])
        if time.monotonic() > question.until:
            raise Trouble("No answer in time.", "generator_timeout")
        return Completion("".join(said), counts["prompt_tokens"], counts["completion_tokens"])

    def close(self) -> None:
        """See ``Backend.close``. What is in hand ends with its next token, as nobody waits for it."""
        with self._lock:
            self._closed = True
            self._server = None

    def _loaded(self) -> Any:
        with self._lock:
            if self._closed:
                raise Trouble("The generator was closed.", "generator_off")
            if self._server is None:
                settings = self._settings
                library = import_module("xllamacpp")
                wanted = library.CommonParams()
                wanted.model.path = str(self._file)
                wanted.n_parallel = settings.concurrency
                wanted.n_ctx = settings.context * settings.concurrency
                wanted.warmup = False
                wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = settings.threads
                self._server = library.Server(wanted)
            return self._server


def _gather(part: dict[str, Any], said: list[str], counts: dict[str, int], failures: list[str]) -> None:
    error = part.get("error", part if "message" in part and "choices" not in part else None)
    if error is not None:
        failures.append(str(error.get("message", error) if isinstance(error, dict) else error))  # pyright: ignore[reportUnknownArgumentType]
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
