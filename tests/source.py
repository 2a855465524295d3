"""Source read as a tree."""

from __future__ import annotations

import ast


def parsed(source: str, name: str = "<source>") -> ast.Module:
    """``ast.parse``, again where another thread parsed meanwhile: CPython 3.11 counts the depth of all threads together
    and says that the recursion depths don't match (a compiling kernel looks for its own lines so)."""
    for _ in range(20):
        try:
            return ast.parse(source, name)
        except SystemError:
            continue
    return ast.parse(source, name)
