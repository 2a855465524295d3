"""What the OpenAPI document says of one operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Operation:
    """One operation. ``answers`` maps a status to a struct or a media type; ``errors`` have the error shape; ``name``
    is its id where the path doesn't make one."""

    summary: str
    tag: str
    answers: dict[int, Any]
    errors: tuple[int, ...] = ()
    request: Any = None
    batch: bool = False
    query: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    open: bool = False
    name: str = ""
