"""What the runs on one data set come to: the numbers that pages and plots are made of, kept as JSON beside the runs."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.quality import tables
from benchmarks.quality.found import Found
from benchmarks.quality.freshness import AMOUNTS, KINDS
from palate.evaluate.bootstrap import by_user, paired
from palate.evaluate.metrics import by_rank
from palate.evaluate.protocol import Plan
from palate.evaluate.stream import EventStream
from palate.types import F64, I64

Figures = dict[str, Any]


def described(stream: EventStream, plan: Plan, **more: object) -> Figures:
    """How large the data set is, what was asked of it, and on which machine."""
    return {
        "data": stream.name,
        "events": len(stream),
        "users": len(stream.user_ids),
        "items": len(stream.item_ids),
        "test_window": len(stream) - plan.test,
        "counts": plan.counts,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        **more,
    }


def compared(systems: Sequence[Sequence[Found]], plan: Plan, users: I64, k: int) -> Figures:
    """``live`` and ``frozen``: by seen, the lines of ``tables``; ``chosen``: by seen, what each chose on validation."""
    return {
        "live": {mode: _plain(tables.lines(systems, plan, users, mode, False, k)) for mode in plan.main},
        "frozen": {mode: _plain(tables.lines(systems, plan, users, mode, True, k)) for mode in plan.main},
        "chosen": {mode: tables.chosen(systems, mode) for mode in plan.main},
    }


def ablated(whole: Found, parts: Sequence[Found], plan: Plan, users: I64, k: int) -> Figures:
    """By seen, a row for each variant: its NDCG, and its difference to the whole, paired by event."""
    found: dict[str, list[Figures]] = {mode: [] for mode in plan.main}
    for mode, main in plan.main.items():
        if whole.failed:
            continue
        ours = by_rank(whole.ranks[mode][main], k)["ndcg"]
        for part in parts:
            row: Figures = {"name": part.name, "label": part.label, "failed": part.failed}
            if not part.failed:
                theirs = by_rank(part.ranks[mode][main], k)["ndcg"]
                row |= {
                    "ndcg": _mean(theirs, users[main]),
                    "difference": _plain(paired(theirs, ours, users[main])),
                    "share": _share(theirs, ours),
                    "seconds": round(part.start_seconds, 1),
                }
            found[mode].append(row)
    return {"ablations": found}


def aged(found: Found, plan: Plan, users: I64, k: int) -> Figures:
    """By kind and seen, a row for each amount withheld: NDCG, and its difference to nothing withheld."""
    if found.failed:
        return {"freshness": {"failed": found.failed}}
    made: Figures = {"seconds": found.test_seconds}
    for kind in KINDS:
        made[kind] = {}
        for mode, main in plan.main.items():
            first = by_rank(found.ranks[f"{kind} 0 {mode}"][main], k)["ndcg"]
            made[kind][mode] = [
                {
                    "amount": amount,
                    "ndcg": _mean(late, users[main]),
                    "difference": _plain(paired(late, first, users[main])),
                    "share": _share(late, first),
                }
                for amount in AMOUNTS
                for late in [by_rank(found.ranks[f"{kind} {amount} {mode}"][main], k)["ndcg"]]
            ]
    return {"freshness": made | {"events": {mode: int(np.count_nonzero(main)) for mode, main in plan.main.items()}}}


def _mean(values: F64, users: I64) -> Any:
    return _plain(by_user(values[:, None], users)[0])


def _share(part: F64, whole: F64) -> float | None:
    return float(part.mean() / whole.mean()) if len(whole) and whole.mean() > 0 else None


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value)


def keep(work: Path, fresh: Figures) -> None:
    """Put ``fresh`` among the figures of its data set; what isn't measured now stays."""
    file = _file(work, fresh["data"])
    file.parent.mkdir(parents=True, exist_ok=True)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    told = json.dumps(found | fresh, ensure_ascii=False, indent=1) + "\n"
    new = file.with_suffix(".new")
    new.write_text(told, encoding="utf-8")
    new.replace(file)


def read(work: Path, names: Sequence[str]) -> list[Figures]:
    """The figures of these data sets, where there are any, in that order."""
    files = [_file(work, name) for name in names]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def _file(work: Path, name: str) -> Path:
    return work / "figures" / f"{name}.json"


def users_of(stream: EventStream, plan: Plan) -> I64:
    """(e,) whose event each of the plan is."""
    return stream.users[plan.positions].astype(np.int64)
