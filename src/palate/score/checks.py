"""What every scorer checks of its inputs and of the arrays that it is loaded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from palate.errors import CorruptArtefact
from palate.types import F32

S = TypeVar("S", bound=np.generic)


def check_rows(x: npt.NDArray[Any], features: int) -> F32:
    """``x`` as C-contiguous float32 (n, features). Errors: ``ValueError`` for another shape."""
    if x.ndim != 2 or x.shape[1] != features:
        raise ValueError(f"The scorer takes feature rows of shape (n, {features}); it was given {x.shape}.")
    return dense(x, np.float32)


def dense(values: npt.NDArray[Any], dtype: type[S]) -> npt.NDArray[S]:
    """``values`` C-contiguous, writable and of ``dtype``, copied only where they aren't.

    Compiled kernels are specialised by these properties: a read-only array would cost a compilation of its own.
    """
    return np.require(values, dtype=dtype, requirements=("C", "W"))


def feature_names(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """Feature names of a scorer's metadata. Errors: ``CorruptArtefact``."""
    names = meta.get("features")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):  # pyright: ignore[reportUnknownVariableType]
        raise CorruptArtefact("The artefact's metadata has no list of feature names; use another version.")
    unique = tuple(cast(Sequence[str], names))
    if len(set(unique)) != len(unique):
        raise CorruptArtefact("The artefact's metadata names one feature twice; use another version.")
    return unique


def array(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, dtype: type[S], size: int | None = None, finite: bool = True
) -> npt.NDArray[S]:
    """The one-dimensional array ``name``, exactly of ``dtype`` and ``size``. Errors: ``CorruptArtefact``."""
    if name not in arrays:
        raise CorruptArtefact(f"The artefact's scorer lacks the array {name!r}; use another version.")
    found = arrays[name]
    if found.dtype != np.dtype(dtype) or found.ndim != 1 or (size is not None and found.shape[0] != size):
        wanted = f"({'n' if size is None else size},) of {np.dtype(dtype).name}"
        raise CorruptArtefact(
            f"The artefact's array {name!r} is {found.shape} of {found.dtype.name} where {wanted} is due; "
            "use another version."
        )
    if finite and np.issubdtype(found.dtype, np.floating) and not np.isfinite(found).all():
        raise CorruptArtefact(f"The artefact's array {name!r} holds a non-finite number; use another version.")
    return dense(found, dtype)
