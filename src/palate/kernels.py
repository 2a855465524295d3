"""The one way in which Palate compiles numeric kernels: ``@kernel``.

Machine code is cached between processes in ``$PALATE_CACHE_DIR/numba`` (default ``~/.cache/palate/numba``), a
directory of mode 0700: numba's cache files are executable content, so a link or a directory that another user owns
is never used. Where no such directory can be had, kernels are compiled in each process (seconds, at first use) and
nothing else changes. Inside it each state of the sources has a directory of its own: numba looks at the file of a
kernel alone, and not at the constants and kernels of other files that are compiled into it. Sources that none with
kernels imports don't count: who changes a page needn't compile. Nor does where they lie: checkouts and environments on
one machine share what is compiled (``Locator``).

Compiled kernels release the GIL, keep IEEE semantics (NaN and −0 behave as in NumPy) and do not check bounds:
callers validate shapes before they call.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.core.config as _numba_config
from llvmlite import ir
from numba import extending, types
from numba.core import caching as _caching
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])
_HAS = re.compile(r"^from palate\.kernels import .*\b(?:kernel|reassociating|soon)\b", re.M)
_IMPORTS = re.compile(r"^from palate(?:\.([\w.]+))? import (?:\(([^)]*)\)|(.*))|^import palate\.([\w.]+)", re.M)


def cache_directory() -> Path | None:
    """The directory of compiled kernels, made with mode 0700, or None where none is safe and writable."""
    chosen = os.environ.get("PALATE_CACHE_DIR")
    try:
        path = (Path(chosen) if chosen else Path.home() / ".cache" / "palate").absolute() / "numba"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            return None
        if stat.S_IMODE(status.st_mode) != 0o700:
            path.chmod(0o700)
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return path if os.access(path, os.W_OK | os.X_OK) else None


_KEPT = 4
"""States of the sources whose kernels are kept."""


def of_sources(parent: Path, root: Path) -> Path:
    """The directory in ``parent`` for the kernels under ``root`` as they are now; of others the newest are kept."""
    digest = hashlib.blake2b(digest_size=8)
    for text in sources(root).values():
        digest.update(text.encode())
    path = parent / digest.hexdigest()
    path.mkdir(mode=0o700, exist_ok=True)
    os.utime(path)
    others = [one for one in parent.iterdir() if one.is_dir() and one != path]
    for old in sorted(others, key=lambda one: one.stat().st_mtime)[: -(_KEPT - 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def sources(root: Path) -> dict[str, str]:
    """The texts of the modules under ``root`` that hold kernels, and of all that those import at their top, by name.

    What a kernel is compiled from is in its own module or has been imported there by name: numba freezes globals.
    """
    texts = {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file.read_text("utf-8")
        for file in sorted(root.rglob("*.py"))
    }
    found = {name for name, text in texts.items() if _HAS.search(text)}
    waiting = list(found)
    while waiting:
        for package, many, one, whole in _IMPORTS.findall(texts[waiting.pop()]):
            named = [f"{package}.{name}".strip(".") for name in re.findall(r"\w+", many or one)]
            new = {name if name in texts else package for name in named} | {whole}
            new = (new & texts.keys()) - found
            found |= new
            waiting += new
    return {name: texts[name] for name in sorted(found)}


def _cache() -> Path | None:
    try:
        parent = cache_directory()
        return None if parent is None else of_sources(parent, Path(__file__).parent)
    except OSError:  # another process may be deleting there, or the disk be full
        return None


CACHE = _cache()


_Provided: Any = getattr(_caching, "UserProvidedCacheLocator", None) or cast(Any, _caching)._UserProvidedCacheLocator


class Locator(_Provided):
    """Where numba keeps a kernel: by the place of its module in the package, wherever the package lies."""

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:
        """Below ``CACHE``. A kernel from outside of the package is kept as numba does."""
        try:
            return Path(py_file).absolute().relative_to(Path(__file__).parent.absolute()).parent.as_posix()
        except ValueError:
            return cast(str, super().get_suitable_cache_subpath(py_file))


def on_compile(tell: Callable[[], None]) -> None:
    """Call ``tell`` once, when the first kernel has to be compiled: what is read from the cache doesn't count."""
    event.register("numba:compile", _First(tell))


class _First(event.Listener):
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def on_start(self, event: Any) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()

    def on_end(self, event: Any) -> None:
        """Nothing: only the first beginning counts."""


def kernel(function: F) -> F:
    """Compile ``function`` with numba at its first call with each argument type (``nopython``, ``nogil``)."""
    return _compiled(function, False)


def reassociating(function: F) -> F:
    """A ``kernel`` whose sums may be taken in lanes, so that inner products use vector instructions; NaN stays NaN.

    The same arguments still give the same bits on the same machine.
    """
    return _compiled(function, {"reassoc", "contract"})


def _compiled(function: F, fastmath: bool | set[str]) -> F:
    options: Any = {"nogil": True, "fastmath": fastmath, "boundscheck": False, "cache": CACHE is not None}
    config: Any = _numba_config
    # numba reads where its cache is when it decorates; other users of numba in the process keep their own.
    before = config.CACHE_DIR, getattr(config, "CACHE_LOCATOR_CLASSES", "")  # an old numba has none, and keeps by path
    if CACHE is not None:
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = str(CACHE), f"{__name__}.{Locator.__name__}"
    try:
        return cast(F, cast(Any, numba).njit(**options)(function))
    finally:
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = before


def _soon(_: Any, array: Any, row: Any, lines: Any) -> Any:
    """``soon`` for numba: its type, and the instructions of LLVM."""
    if not isinstance(lines, types.IntegerLiteral):
        return None
    llvm: Any = ir
    byte, word = llvm.IntType(8), llvm.IntType(32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(held.strides, 0)
        begin = builder.gep(builder.bitcast(held.data, byte.as_pointer()), [builder.mul(arguments[1], stride)])
        kinds = [begin.type, word, word, word]
        load = builder.module.declare_intrinsic("llvm.prefetch", kinds[:1], llvm.FunctionType(llvm.VoidType(), kinds))
        how = [llvm.Constant(word, value) for value in (0, 3, 1)]  # to be read, to be kept, data
        for line in range(lines.literal_value):
            builder.call(load, [builder.gep(begin, [llvm.Constant(llvm.IntType(64), 64 * line)]), *how])
        return context.get_dummy_value()

    return cast(Any, types).void(array, types.int64, lines), generate


soon: Any = cast(Any, extending).intrinsic(prefer_literal=True)(_soon)
"""``soon(array, row, lines)``, in kernels: begin to load so many lines of 64 bytes from the start of a row of an array.

A look-up that memory isn't ready for costs as much as a hundred operations; many at once cost little more than one.
"""
