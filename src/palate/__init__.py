"""Palate: a real-time personalised ranking engine that understands language.

::

    import palate

    with palate.open("shop.palate") as engine:
        engine.ingest(events)
        engine.train()
        ranking = engine.rank(user="u1", items=["a", "b", "c"], k=2)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palate import config as _config
from palate.config import Scene, Settings
from palate.engine import Engine
from palate.errors import (
    ConfigError,
    Conflict,
    CorruptArtefact,
    Gone,
    InvalidInput,
    Locked,
    NotFound,
    Overloaded,
    PalateError,
    Unavailable,
)
from palate.types import (
    Candidate,
    Impression,
    Interaction,
    Item,
    Ranking,
    RankRequest,
    RecommendRequest,
    User,
)

__version__ = "0.1.0"


def _taken(path: Path) -> bool:
    """Whether something that is no directory has this name."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # opening it says what is wrong with it
        return False


def open(  # noqa: A001
    path: str | Path,
    scene: Scene | None = None,
    settings: Settings | None = None,
    until: int | None = None,
    **overrides: Any,
) -> Engine:
    """Open the directory ``path``, created when new; ``":memory:"`` keeps everything in memory.

    scene: ``shop``, ``video``, ``news`` or ``social``. settings: used as they are; else read from ``palate.toml``,
    the environment and ``overrides`` (``train={"trees": 100}``). until: a log position; gives an engine for reading
    whose state is the log up to and including it (what was known then).
    Errors: ``Locked``, ``ConfigError``, ``CorruptArtefact``, ``Unavailable``.
    """
    if not isinstance(path, str | Path) or not str(path) or "\0" in str(path):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"path is {path!r}; an engine lives in a directory, which a non-empty str or Path names.")
    if _taken(Path(path)):
        raise ConfigError(f"{path} is a file; an engine lives in a directory.")
    if until is not None and until < 0:
        raise ConfigError(f"until is {until}; log positions begin at 0.")
    if settings is not None and (scene is not None or overrides):
        names = ", ".join([*(["scene"] if scene is not None else []), *overrides])
        raise ConfigError(f"settings are used as they are, and {names} would be ignored: give one or the other.")
    if settings is None:
        if scene is not None:
            overrides["scene"] = scene
        settings = _config.load(None if str(path) == ":memory:" else Path(path), overrides)
    return Engine(path, settings, until)


__all__ = [
    "Candidate",
    "ConfigError",
    "Conflict",
    "CorruptArtefact",
    "Engine",
    "Gone",
    "Impression",
    "Interaction",
    "InvalidInput",
    "Item",
    "Locked",
    "NotFound",
    "Overloaded",
    "PalateError",
    "RankRequest",
    "Ranking",
    "RecommendRequest",
    "Settings",
    "Unavailable",
    "User",
    "__version__",
    "open",
]
