"""The catalogues that utterances are about, and an engine that holds one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from palate.engine import Engine
from palate.types import Item
from tests.engines import memory

DATA = Path(__file__).parent / "data"
_MOVIES = ("title", "genres", "year")


@cache
def items(name: str) -> list[dict[str, Any]]:
    """``films``, ``movies`` (the same with title, genres and year alone) or ``shop``."""
    if name == "movies":
        return [{"item": one["item"], "fields": {key: one["fields"][key] for key in _MOVIES}} for one in items("films")]
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def utterances() -> list[dict[str, Any]]:
    """The suite: what is said, after what, and what must come of it."""
    return [json.loads(line) for line in (DATA / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]


def engine_of(name: str, extra: list[dict[str, Any]] | None = None) -> Engine:
    """An engine in memory with a catalogue, encoded."""
    engine = memory()
    engine.ingest([Item(item=one["item"], fields=one["fields"]) for one in [*items(name), *(extra or [])]])
    assert engine.wait_encoded(60)
    return engine
