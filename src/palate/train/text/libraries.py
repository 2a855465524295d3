"""The libraries that only training needs, imported when training starts."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from palate.errors import MissingExtra


def need(module: str, package: str, what: str, extra: str = "train") -> None:
    """Errors: ``MissingExtra`` naming the package, the extra and what wants it."""
    if find_spec(module) is None:
        raise MissingExtra(package, extra, what)


def load_torch(what: str, threads: int = 1) -> Any:
    """PyTorch on ``threads`` threads. Errors: ``MissingExtra``."""
    need("torch", "torch", what)
    torch = import_module("torch")
    torch.set_num_threads(threads)
    return torch


def load_transformers(what: str) -> Any:
    """The library transformers, which reads only what lies on this machine, and says nothing but errors."""
    need("transformers", "transformers", what)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
    transformers = import_module("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
