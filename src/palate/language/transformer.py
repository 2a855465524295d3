"""Any sentence-transformers or Hugging Face model, by path or by name, in a child process.

``hf:PATH`` or ``hf:NAME`` (of a model that the Hugging Face cache on this machine holds; nothing is fetched while
encoding). PyTorch is in the child alone: a process that ranks never imports it, and has its memory back when the child
ends. The child reads lists of texts from its standard input and writes rows to its standard output; it ends with its
parent. Where the model has prompts for queries and for passages, these are used. Only safetensors are read, and no code
that lies beside a model is run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from palate.errors import ConfigError, MissingExtra, Unavailable
from palate.language.readable import encode_wanted
from palate.types import F32

_BATCH = 64
_log = logging.getLogger("palate")


class TransformerEncoder:
    """See ``Encoder`` and ``AskingEncoder``. Loading takes the child some 5 s and 400 MB with a small model.

    Errors: ``MissingExtra``; ``ConfigError`` where the model isn't on this machine or has no safetensors; of
    ``encode`` ``Unavailable`` with the child's last line.
    """

    def __init__(self, model: str, threads: int = 1, max_tokens: int = 128) -> None:
        if find_spec("sentence_transformers") is None:
            raise MissingExtra("sentence-transformers", "transformers", f"The encoder 'hf:{model}'")
        self._folder = find_folder(model)
        self._dim = width_of(self._folder)
        said = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name).strip(".-")[-40:] or "model"
        self._name = f"hf-{said}-{_digest(self._folder)}-{max_tokens}"
        self._command = [sys.executable, "-m", "palate.language.transformer_child"]
        self._command += [str(self._folder), str(threads), str(max_tokens)]
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._said: IO[bytes] = io.BytesIO()

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, texts: Sequence[str]) -> F32:
        """See ``Encoder.encode``: as passages where the model tells them from queries."""
        return encode_wanted(texts, self._dim, _BATCH, lambda some: self._rows(some, False))

    def encode_queries(self, texts: Sequence[str]) -> F32:
        """See ``AskingEncoder``."""
        return encode_wanted(texts, self._dim, _BATCH, lambda some: self._rows(some, True))

    def close(self) -> None:
        """End the child. The next text starts another one."""
        with self._lock:
            self._stop()

    def _rows(self, texts: list[str], ask: bool) -> F32:
        body = msgspec.msgpack.encode([ask, texts])
        with self._lock:
            child = self._started()
            try:
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(struct.pack("<I", len(body)) + body)
                child.stdin.flush()
                head = child.stdout.read(8)
                rows, dim = struct.unpack("<II", head) if len(head) == 8 else (0, 0)
                raw = child.stdout.read(4 * rows * dim)
            except (BrokenPipeError, OSError):
                rows, dim, raw = 0, 0, b""
            if rows != len(texts) or len(raw) != 4 * rows * dim:
                raise Unavailable(f"The encoder {self._name} stopped: {self._last_words()}")
        if dim != self._dim:
            raise Unavailable(f"The model {self._folder} gives {dim} components, and its files say {self._dim}.")
        return np.frombuffer(raw, np.float32).reshape(rows, dim)

    def _started(self) -> subprocess.Popen[bytes]:
        child = self._child
        if child is not None and (self._owner != os.getpid() or child.poll() is not None):
            _close(child)  # in a fork, the child and the other ends of its pipes are the parent's
            self._said.close()
            self._child = None
        if self._child is None:
            pipe = subprocess.PIPE
            # A file: a pipe that nobody reads is full after 64 kB of warnings, and the child waits for ever.
            self._said = tempfile.TemporaryFile()  # noqa: SIM115
            self._child = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=self._said)
            self._owner = os.getpid()
        return self._child

    def _last_words(self) -> str:
        child, self._child = self._child, None
        if child is None:
            return "no reason given."
        assert child.stdin is not None
        with contextlib.suppress(OSError):
            child.stdin.close()
        child.kill()
        child.wait()
        _close(child)
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace").strip().splitlines()
        self._said.close()
        return said[-1][:300] if said else f"exit code {child.returncode}."

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.kill()
            child.wait()
            _close(child)
            self._said.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter may be half gone
            self._stop()


def _close(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def find_folder(model: str) -> Path:
    """Where the files of ``model`` lie: a folder, or the newest snapshot in the Hugging Face cache.

    Errors: ``ConfigError``; ``MissingExtra`` for a name without the library that knows the cache.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if find_spec("huggingface_hub") is None:
            subject = f"{model!r} is no folder, and looking for it in the Hugging Face cache"
            raise MissingExtra("huggingface_hub", "transformers", subject)
        name, _, revision = model.partition("@")
        try:
            hub: Any = import_module("huggingface_hub")
            folder = Path(hub.snapshot_download(name, revision=revision or None, local_files_only=True))
        except (OSError, ValueError):  # no such snapshot; a name that none can have
            raise ConfigError(
                f"There is no folder {model!r}, and the Hugging Face cache holds no model of that name: name a folder, "
                f"or run palate language fetch hf:{model}.",
                "language.encoder",
            ) from None
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder} has no weights as safetensors; Palate reads no others.", "language.encoder")
    return folder


def width_of(folder: Path) -> int:
    """Components of the vectors of the model in ``folder``, by its files. Errors: ``ConfigError``."""
    width = 0
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        width = int(config.get("hidden_size") or config.get("d_model") or config.get("dim") or 0)
        if (folder / "modules.json").is_file():
            for module in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
                own = folder / str(module.get("path", "")) / "config.json"
                if not module.get("path") or not own.is_file():
                    continue
                said: dict[str, Any] = json.loads(own.read_text(encoding="utf-8"))
                modes = sum(1 for key, on in said.items() if key.startswith("pooling_mode_") and on is True)
                width = int(
                    said.get("out_features") or int(said.get("word_embedding_dimension") or width) * max(1, modes)
                )
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{folder} is no model that can be read: {error}.", "language.encoder") from None
    if width < 1:
        raise ConfigError(f"The files in {folder} don't say how wide its vectors are.", "language.encoder")
    return width


def _digest(folder: Path) -> str:
    """Eight digits of a hash over all that decides the vectors. Reads the weights: 0.4 s a GB or so."""
    sha = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in (".safetensors", ".json", ".txt", ".model"):
            sha.update(str(path.relative_to(folder)).encode() + b"\0")
            with path.open("rb") as file:
                sha.update(hashlib.file_digest(file, "sha256").digest())
    return sha.hexdigest()[:8]


def fetch_model(model: str) -> Path:
    """Get ``NAME`` or ``NAME@REVISION`` into the Hugging Face cache: safetensors, configuration and tokeniser alone.

    Errors: ``MissingExtra``; ``Unavailable``.
    """
    if find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", "transformers", f"Fetching hf:{model}")
    name, _, revision = model.partition("@")
    hub: Any = import_module("huggingface_hub")
    wanted = ["*.safetensors", "*.json", "*.txt", "*.model"]
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=wanted))
    except Exception as error:  # of many kinds, all of which mean that it isn't here now
        raise Unavailable(f"hf:{model} can't be fetched: {str(error).splitlines()[0][:300]}") from None
