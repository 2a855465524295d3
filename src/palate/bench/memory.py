"""What is held in memory for a person and for an item, counted object by object and array by array."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from palate.bench.common import Figures, Say
from palate.config import Settings
from palate.state import State
from palate.types import Interaction

_OPAQUE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_EVENTS = 100
_MORE = 500


def memory(directory: Path, people: int, say: Say) -> Figures:
    """Bytes a person and an item of the world in ``directory``, as it is after a start; of a person with a hundred
    events, among ``people`` of them; and how long one more event takes to fold.

    item_bytes: ids, fields and their stamps, counters, tags, texts. item_sparse_bytes: pairs, the lexical index and the
    codes of words.
    Cost: seconds; every object is looked at.
    """
    import palate

    with palate.open(directory) as engine:
        state, catalogue = engine.state, engine.catalogue
        catalogue.words()
        catalogue.vectors.prepare(wait=True)
        say("memory", 1, 4)
        vectors = size_of([catalogue.vectors])
        sparse = size_of([state.pairs, catalogue.lexical, catalogue.wording])
        apart = [
            catalogue.vectors,
            catalogue.lexical,
            catalogue.wording,
            state,
            state.settings,
            catalogue.cache,
            catalogue.settings,
        ]
        say("memory", 2, 4)
        item = size_of([*_of(state, "item"), catalogue], apart)
        user = size_of([*_of(state, "user"), state.seen, state.history, state.wide])
        items, users = max(1, state.n_items), max(1, state.n_users)
        lengths = state.history.size[:users]
        say("memory", 3, 4)
        found: Figures = {
            "user_bytes": round(user / users),
            "user_events": round(float(np.mean(lengths)), 1),
            "item_bytes": round(item / items),
            "item_vector_bytes": round(vectors / items),
            "item_sparse_bytes": round(sparse / items),
        }
    found |= busy_people(people)
    say("memory", 4, 4)
    return found


def _of(state: State, kind: str) -> list[Any]:
    """What the state keeps by user or by item: whatever is named after them."""
    return [value for name, value in vars(state).items() if name.startswith(kind)]


def busy_people(people: int, events: int = _EVENTS) -> Figures:
    """A state of people with ``events`` events each: bytes a person, arrays as a snapshot restores them, without room
    to grow; and microseconds that one more event takes."""
    state = State(Settings())
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 50 * people, (people, events)).tolist()
    for user, items in enumerate(rows):
        some = (Interaction(id=f"e{n}", user=f"user-{user}", item=f"item-{item}") for n, item in enumerate(items))
        state.apply((1_700_000_000_000 + 60_000 * n, 1_700_000_000_000, event) for n, event in enumerate(some))
    arenas = [array for one in (state.seen, state.history, state.wide) for array in one.arrays("", people).values()]
    columns = [column[:people] for column in state.user_columns.values()]
    held = sum(array.nbytes for array in arenas + columns) + size_of([state.users, state.user_fields])
    return {f"user_{events}_events_bytes": round(held / people), "fold_us": round(_fold_us(state, people), 1)}


def _fold_us(state: State, people: int) -> float:
    """CPU microseconds of one event by itself into the state, the best of five runs."""
    best = np.inf
    for run in range(5):
        some = [
            (
                1_700_010_000_000 + n,
                1_700_010_000_000,
                Interaction(id=f"x{n}", user=f"user-{n % people}", item="item-1"),
            )
            for n in range(run * _MORE, (run + 1) * _MORE)
        ]
        begun = time.process_time()
        for one in some:
            state.apply([one])
        best = min(best, (time.process_time() - begun) / _MORE)
    return best * 1e6


def size_of(roots: Iterable[Any], apart: Iterable[Any] = ()) -> int:
    """Bytes of everything that is reached from ``roots``, each object once, without the objects of ``apart``.

    Types, functions and modules count nothing; a view counts as the array that it is a view of.
    """
    seen = {id(one) for one in apart}
    waiting = list(roots)
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _OPAQUE):
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray):
            array = cast("npt.NDArray[Any]", one)
            if isinstance(array.base, np.ndarray):
                waiting.append(array.base)
            else:
                total += array.nbytes
            continue
        total += sys.getsizeof(one)
        waiting += _inside(one)
    return total


def _inside(one: Any) -> list[Any]:
    if isinstance(one, str | bytes | bytearray | int | float | bool | None):
        return []
    if isinstance(one, Mapping):
        pairs = cast("Mapping[Any, Any]", one)
        return [*pairs.keys(), *pairs.values()]
    if isinstance(one, list | tuple | set | frozenset):
        return list(cast("list[Any]", one))
    found: list[Any] = list(cast("dict[str, Any]", vars(one)).values()) if hasattr(one, "__dict__") else []
    slots = [name for kind in type(one).__mro__ for name in getattr(kind, "__slots__", ())]
    return found + [getattr(one, name) for name in slots if hasattr(one, name)]
