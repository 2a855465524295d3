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

from palate.errors import MissingExtra
from palate.language.guard import Completion, Question, Trouble
from palate.settings import GeneratorSettings

_MOST_BYTES = 1 << 20


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

    Errors: ``MissingExtra`` where the package isn't installed.
    """

    def __init__(self, base_url: str, key: str, concurrency: int) -> None:
        if find_spec("openai") is None:
            raise MissingExtra("openai", "generate", f"A server at {base_url}")
        self._base_url = base_url
        self._key = os.environ.get(key) or "none"  # local servers want none, and the client refuses to have none
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: Any = None
        self._closed = False

    def load(self) -> None:
        """Import and connect to nothing yet. Takes about a second the first time."""
        with self._lock:
            if self._client is None and not self._closed:
                openai = import_module("openai")
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="palate-openai", daemon=True).start()
                # No redirects: they would carry what people wrote to where nobody meant it to go.
                web = openai.DefaultAsyncHttpxClient(follow_redirects=False)
                self._client = openai.AsyncOpenAI(
                    base_url=self._base_url, api_key=self._key, max_retries=0, http_client=web
                )

    def call(self, path: tuple[str, ...], until: float, most: int = _MOST_BYTES, **body: Any) -> bytes:
        """The body of the answer to ``client.<path>.create(**body)``.

        Errors: ``Trouble`` (``generator_timeout`` after ``until``), with the server's status where it had one.
        """
        self.load()
        loop = self._loop
        if loop is None or self._closed:
            raise Trouble("The generator was closed.", "generator_off")
        left = until - time.monotonic()
        if left <= 0.0:
            raise Trouble("No time was left.", "generator_timeout")
        return asyncio.run_coroutine_threadsafe(self._call(path, left, most, body), loop).result()

    async def _call(self, path: tuple[str, ...], left: float, most: int, body: dict[str, Any]) -> bytes:
        resource = self._client
        for name in path:
            resource = getattr(resource, name)
        openai = import_module("openai")
        got = bytearray()
        try:
            async with asyncio.timeout(left):
                create = resource.with_streaming_response.create
                async with create(**body, timeout=left) as answer:
                    async for chunk in answer.iter_bytes():
                        got += chunk
                        if len(got) > most:
                            raise Trouble(f"The answer has more than {most:,} bytes.", "generator_garbage")
        except (TimeoutError, openai.APITimeoutError):
            raise Trouble(f"No answer from {self._base_url} in time.", "generator_timeout") from None
        except openai.APIStatusError as error:
            raise ServerTrouble(f"{self._base_url} answered {error.status_code}.", int(error.status_code)) from None
        except openai.OpenAIError as error:
            raise Trouble(f"{self._base_url}: {error}") from None
        return bytes(got)

    def close(self) -> None:
        """Give up what is in hand and end the loop. Idempotent."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(self._stop, loop)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.create_task(self._end(loop))

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await self._client.close()
        finally:
            loop.stop()


class ServerTrouble(Trouble):
    """The server answered with an error; ``status_code`` is HTTP's."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class OpenAIServer:
    """A ``Backend``: chat completions held to a JSON schema, temperature 0."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._model = settings.model
        self._name = f"openai:{settings.base_url}:{settings.model}"
        self._courier = Courier(settings.base_url, settings.key, settings.concurrency)

    @property
    def name(self) -> str:
        return self._name

    def load(self) -> None:
        """See ``Backend.load``."""
        self._courier.load()

    def complete(self, question: Question) -> Completion:
        """See ``Backend.complete``."""
        body = self._courier.call(
            ("chat", "completions"),
            question.until,
            model=self._model,
            messages=messages(question),
            response_format=response_format(question),
            max_tokens=question.max_tokens,
            temperature=0,
            seed=1,
        )
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            text = answer.choices[0].message.content or ""
        except (msgspec.MsgspecError, IndexError, RecursionError):
            raise Trouble(f"No chat completion: {body[:200]!r}", "generator_garbage") from None
        usage = answer.usage or _Usage()
        return Completion(text, max(0, usage.prompt_tokens), max(0, usage.completion_tokens))

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
