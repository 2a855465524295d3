"""Any server that speaks the OpenAI protocol, by its address: vLLM, llama.cpp, Ollama, or one of the services.

The client runs on an event loop in a thread of its own, because only there can a request be given up for certain: a
server that sends one byte a minute passes every timeout on reading. Answers beyond a megabyte are refused.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import msgspec

from palate.errors import ConfigError, MissingExtra
from palate.language.guard import Completion, Question, Trouble
from palate.settings import GeneratorSettings

_MOST_BYTES = 1 << 20
_NO_KEY = "none"
"""Local servers want no key, and the client refuses to have none."""


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class Courier:
    """An ``AsyncOpenAI`` client on a loop of its own. ``call`` makes one request and reads a bounded body.

    key: the environment variable that holds the key; what is in it is in no message.
    Errors: ``MissingExtra`` where the package isn't installed; ``ConfigError`` for a key that no header can carry.
    """

    def __init__(self, base_url: str, key: str) -> None:
        self.place = base_url
        if find_spec("openai") is None:
            raise MissingExtra("openai", "llm", f"A server at {self.place}")
        self._key = os.environ.get(key, "").strip() or _NO_KEY
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"The environment variable {key} holds characters that no key has: set it anew.",
                "language.generator.key",
            )
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._library: Any = None
        self._client: Any = None
        self._closed = False

    def load(self) -> None:
        """Import and connect to nothing yet. Takes about a second the first time."""
        with self._lock:
            if self._client is None and not self._closed:
                self._library = import_module("openai")
                # No redirects: they would carry what people wrote to where nobody meant it to go.
                web = self._library.DefaultAsyncHttpxClient(follow_redirects=False)
                self._client = self._library.AsyncOpenAI(
                    base_url=self.place, api_key=self._key, max_retries=0, http_client=web
                )
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="palate-openai", daemon=True).start()

    def call(self, path: tuple[str, ...], until: float, most: int = _MOST_BYTES, **body: Any) -> bytes:
        """The body of the answer to ``client.<path>.create(**body)``.

        Errors: ``Trouble`` (``generator_timeout`` after ``until``), ``ServerTrouble`` where the server says no.
        """
        self.load()
        left = until - time.monotonic()
        if left <= 0.0:
            raise Trouble("No time was left.", "generator_timeout")
        with self._lock:  # closing cancels what is on the loop: nothing may get there afterwards
            if self._loop is None:
                raise Trouble("The generator was closed.", "generator_off")
            coming = asyncio.run_coroutine_threadsafe(self._call(path, left, most, body), self._loop)
        return coming.result()

    async def _call(self, path: tuple[str, ...], left: float, most: int, body: dict[str, Any]) -> bytes:
        resource = self._client
        for name in path:
            resource = getattr(resource, name)
        got = bytearray()
        try:
            async with asyncio.timeout(left):
                create = resource.with_streaming_response.create
                async with create(**body, timeout=left) as answer:
                    async for chunk in answer.iter_bytes():
                        got += chunk
                        if len(got) > most:
                            raise Trouble(f"The answer has more than {most:,} bytes.", "generator_garbage")
        except asyncio.CancelledError:
            raise Trouble("The generator was closed.", "generator_off") from None
        except (TimeoutError, self._library.APITimeoutError):
            raise Trouble(f"No answer from {self.place} in time.", "generator_timeout") from None
        except self._library.APIStatusError as error:
            raise ServerTrouble(self.place, int(error.status_code), self._bare(error.message)) from None
        except Trouble:
            raise
        except Exception as error:  # the client's libraries have many, and any of them may quote the key
            raise Trouble(f"{self.place}: {type(error).__name__}: {self._bare(str(error))}") from None
        return bytes(got)

    def _bare(self, text: str) -> str:
        """``text`` without the key."""
        return text if self._key == _NO_KEY else text.replace(self._key, "…")

    def close(self) -> None:
        """Give up what is in hand and end the loop. Idempotent."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(lambda: loop.create_task(self._end(loop)))

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        try:
            await asyncio.gather(*others, return_exceptions=True)
            await self._client.close()
        finally:
            loop.stop()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


class ServerTrouble(Trouble):
    """The server answered with an error; ``status_code`` is HTTP's, ``said`` what it gave as reason."""

    def __init__(self, place: str, status_code: int, said: str) -> None:
        super().__init__(f"{place} answered {status_code}.")
        self.status_code = status_code
        self.said = said


class OpenAIServer:
    """A ``Backend``: chat completions held to a JSON schema, temperature 0.

    Newer models of the services know ``max_tokens`` under another name, and no temperature; the first question that is
    refused for it is asked again in their way, and so are all that follow.
    """

    def __init__(self, settings: GeneratorSettings) -> None:
        self._model = settings.model
        self._courier = Courier(settings.base_url, settings.key)
        self._name = f"openai:{self._courier.place}:{settings.model}"
        self._newer = False

    @property
    def name(self) -> str:
        return self._name

    def load(self) -> None:
        """See ``Backend.load``."""
        self._courier.load()

    def complete(self, question: Question) -> Completion:
        """See ``Backend.complete``."""
        newer = self._newer
        try:
            body = self._put(question, newer)
        except ServerTrouble as error:
            if newer or error.status_code != 400 or "max_completion_tokens" not in error.said:
                raise
            self._newer = True
            body = self._put(question, True)
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            text = answer.choices[0].message.content or ""
        except (msgspec.MsgspecError, IndexError, RecursionError, UnicodeError):
            raise Trouble(f"No chat completion: {body[:200]!r}", "generator_garbage") from None
        usage = answer.usage or _Usage()
        return Completion(text, max(0, usage.prompt_tokens), max(0, usage.completion_tokens))

    def _put(self, question: Question, newer: bool) -> bytes:
        bounds: dict[str, Any] = (
            {"max_completion_tokens": question.max_tokens}
            if newer
            else {"max_tokens": question.max_tokens, "temperature": 0, "seed": 1}
        )
        return self._courier.call(
            ("chat", "completions"),
            question.until,
            model=self._model,
            messages=messages(question),
            response_format=response_format(question),
            **bounds,
        )

    def close(self) -> None:
        """See ``Backend.close``."""
        self._courier.close()


def messages(question: Question) -> list[dict[str, str]]:
    """The question in the protocol's form."""
    return [{"role": "system", "content": question.system}, {"role": "user", "content": question.task}]


def response_format(question: Question) -> dict[str, Any]:
    """The schema in the protocol's form."""
    schema = {"name": "answer", "strict": True, "schema": question.schema}
    return {"type": "json_schema", "json_schema": schema}
