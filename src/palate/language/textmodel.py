"""A text model in a folder of its own: an encoder that Palate's trainers have made, and perhaps the classes it tells.

``palate.json`` says what lies beside it: ``model.onnx`` (token ids and mask in, one vector a text out) or
``tokens.safetensors`` (a vector a token), ``tokenizer.json``, and where classes were learnt ``head.safetensors``. All
of it is data: nothing here can carry code. Files are checked by the SHA-256 that ``palate.json`` names.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import msgspec

from palate.disk import sync_directory
from palate.errors import ConfigError, CorruptArtefact, InvalidInput, Unavailable

FILE = "palate.json"
TOKENIZER = "tokenizer.json"
NETWORK = "model.onnx"
TOKENS = "tokens.safetensors"
HEAD = "head.safetensors"
WEIGHTS = {"onnx": NETWORK, "static": TOKENS}

Kind = Literal["onnx", "static"]


class TextModel(msgspec.Struct, kw_only=True):
    """kind: which back end runs it (``onnx:FOLDER``, ``static:FOLDER``). width: of a vector. max_tokens: of a text that
    it was made for. labels: of the classes, empty without a head. base: what it was made from, made: how. figures: what
    was measured when it was made. files: SHA-256 of each file that decides the vectors or the classes."""

    kind: Kind
    width: int
    max_tokens: int = 128
    labels: list[str] = []
    base: str = ""
    made: str = ""
    figures: dict[str, Any] = {}
    files: dict[str, str] = {}


def read(folder: Path, kind: Kind | None = None) -> TextModel:
    """What lies in ``folder``, its digests unchecked. Errors: ``ConfigError`` where it is no text model, or another's.
    ``CorruptArtefact`` where its file can't be read."""
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=TextModel)
    except OSError:
        raise ConfigError(
            f"{folder} is no text model of Palate's, for it has no {FILE}: make one with palate finetune or palate "
            f"compress.",
            "language.encoder",
        ) from None
    except msgspec.MsgspecError as error:
        raise CorruptArtefact(f"{folder / FILE} can't be read: {error}.") from None
    if kind is not None and found.kind != kind:
        raise ConfigError(f"{folder} holds a model for {found.kind}:, not for {kind}:.", "language.encoder")
    lacking = [name for name in (WEIGHTS[found.kind], TOKENIZER) if not (folder / name).is_file()]
    if lacking or found.width < 1:
        raise CorruptArtefact(f"{folder} lacks {', '.join(lacking) or 'the width of its vectors'}: make it anew.")
    return found


def checked_file(folder: Path, name: str, model: TextModel) -> Path:
    """The file, once its SHA-256 is the one that ``palate.json`` names. Errors: ``CorruptArtefact``."""
    path = folder / name
    try:
        found = digest(path)
    except OSError as error:
        raise CorruptArtefact(f"{path} can't be read: {error.strerror}.") from None
    if found != model.files.get(name):
        raise CorruptArtefact(f"{path} isn't the file that {FILE} beside it names: make the model anew.")
    return path


def tokenizer_of(folder: Path, model: TextModel, max_tokens: int) -> Any:
    """Its tokeniser, checked, without padding, cut at ``max_tokens``. Errors: ``CorruptArtefact``."""
    text = checked_file(folder, TOKENIZER, model).read_text(encoding="utf-8")
    tokenizer = import_module("tokenizers").Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal. About 1 s a GB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_of(folder: Path, model: TextModel, max_tokens: int) -> str:
    """Of the encoder: other weights or another tokeniser, other name."""
    said = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip(".-")[-40:] or "model"
    sha = hashlib.sha256()
    for name in (WEIGHTS[model.kind], TOKENIZER):
        sha.update(model.files.get(name, "").encode())
    return f"{model.kind}-{said}-{sha.hexdigest()[:8]}-{max_tokens}"


def check_target(folder: Path) -> None:
    """Whether ``write`` may put a model there. Errors: ``InvalidInput`` where something else is."""
    if folder.is_file() or (folder.is_dir() and not (folder / FILE).is_file() and any(folder.iterdir())):
        raise InvalidInput(f"{folder} exists and is no text model of Palate's: name another --out.", "--out")


def write(folder: Path, model: TextModel, fill: Callable[[Path], None]) -> TextModel:
    """Make ``folder``, whole or not at all: ``fill`` puts the files into an empty one; what was there before is
    replaced. Errors: those of ``check_target``; ``Unavailable`` where the disk refuses."""
    check_target(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        fill(partial)
        names = [name for name in (WEIGHTS[model.kind], TOKENIZER, HEAD) if (partial / name).is_file()]
        made = msgspec.structs.replace(model, files={name: digest(partial / name) for name in names})
        (partial / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        sync_directory(folder.parent)
    except OSError as error:
        raise Unavailable(f"{folder} can't be written: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


def size_mb(folder: Path) -> float:
    """Of the files that serving needs, in MB of 10⁶ bytes."""
    model = read(folder)
    return sum((folder / name).stat().st_size for name in model.files) / 1e6
