"""Where fetched models lie: ``models/NAME/`` under PALATE_CACHE_DIR, or else under the user's cache directory."""

from __future__ import annotations

import os
from pathlib import Path

from palate.errors import ConfigError


def models_directory() -> Path:
    """The folder of fetched models; it need not exist."""
    named = os.environ.get("PALATE_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (Path(named) if named else home / "palate") / "models"


def find_model(name: str, suffix: str, where: str) -> Path:
    """The one file of the fetched model ``name`` that ends in ``suffix``. Errors: ``ConfigError`` naming ``where``."""
    folder = models_directory() / name
    # A name is a folder's, not a path: settings mustn't reach out of the folder of models by it.
    found = sorted(folder.glob(f"*{suffix}")) if name and "/" not in name and name not in (".", "..") else []
    if not found:
        raise ConfigError(
            f"There is no model {name!r} in {models_directory()}: palate language fetch {name}, or name a file.", where
        )
    return found[0]
