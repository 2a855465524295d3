"""Forests by Palate's kernels against one-thread ``Booster.predict``: how long 100 rows take, and that scores agree.

The forest in service stands on real feature rows with a made-up target. Three more of as many trees say what depends on
that: on random numbers, where no two rows and no two trees have much in common; of 64 leaves with missing values; and
with columns of up to 2,000 categories.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from palate.bench import world
from palate.score.convert import from_lightgbm
from palate.types import F32, F64

ROWS = 100
ROUNDS = 7
MISSING = 0.15
CATEGORIES = (3, 8, 20, 50, 100, 300, 1_000, 2_000)
"""How many categories each of the last columns has."""

Score = Callable[[F32], Any]
Say = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Case:
    """A booster, and the blocks of rows that it is timed on."""

    booster: Any
    blocks: list[F32]


def trees(directory: Path, items: int, users: int, say: Say) -> dict[str, float]:
    """CPU µs of 100 rows by Palate and by LightGBM, and how many times faster: of the forest in service, and of the
    other three. max_abs_diff: of all scores. Cost: fitting three forests, half a minute for 300 trees."""
    import palate

    with palate.open(directory) as engine:
        scorer = engine.shelf.active().scorer
        x = world.sample(engine, items, users, 20)
    data = safetensors.numpy.load_file(str(directory / world.TARGETS))
    count, leaves = data["size"].tolist()
    found: dict[str, float] = {}
    made: list[tuple[str, Callable[[], Case]]] = [
        ("", lambda: Case(world.forest(directory), _blocks(x))),
        ("random_", lambda: random(count, leaves)),
        ("missing_", lambda: missing(data["x"], data["target"], x, count)),
        ("categories_", lambda: categories(data["x"], data["target"], x, count, leaves)),
    ]
    worst = 0.0
    for done, (name, make) in enumerate(made):
        say("trees", done, len(made))
        case = make()
        mine = from_lightgbm(case.booster).score if name else scorer.score
        theirs = one_thread(case.booster)
        worst = max(worst, *(float(np.abs(mine(block) - theirs(block)).max()) for block in case.blocks))
        fast, slow = cpu_us([mine, theirs], case.blocks)
        found |= {f"{name}palate_us": round(fast, 1), f"{name}lightgbm_us": round(slow, 1)}
        found[f"{name}times"] = round(slow / fast, 2)
    say("trees", len(made), len(made))
    return found | {"max_abs_diff": worst}


def random(count: int, leaves: int) -> Case:
    """Independent normal numbers, 40 columns, a target that depends on twelve of them."""
    rng = np.random.default_rng(world.SEED)
    x = rng.normal(size=(22_000, 40)).astype(np.float32)
    target: F64 = np.sin(2 * x[:, :10]).sum(axis=1) + x[:, 10] * x[:, 11] + 0.3 * rng.normal(size=len(x))
    return Case(fit(x[:20_000], target[:20_000], count, leaves), _blocks(x[20_000:]))


def missing(x: F32, target: F64, rows: F32, count: int) -> Case:
    """Trees of 64 leaves; of all values, those of the rows too, some are missing."""
    rng = np.random.default_rng(world.SEED)
    holed, rows = (np.where(rng.random(part.shape) < MISSING, np.float32(np.nan), part) for part in (x, rows))
    return Case(fit(holed, target, count, 64), _blocks(rows))


def categories(x: F32, target: F64, rows: F32, count: int, leaves: int) -> Case:
    """The last columns are categories, small ones more often; each moves the target."""
    rng = np.random.default_rng(world.SEED)
    plain = x.shape[1] - len(CATEGORIES)
    sizes = np.array(CATEGORIES)
    effects = [rng.normal(size=size) for size in CATEGORIES]

    def drawn(part: F32) -> F32:
        codes = (rng.random((len(part), len(sizes))) ** 2 * sizes).astype(np.float32)
        return np.concatenate([part[:, :plain], codes], axis=1)

    learnt, asked = drawn(x), drawn(rows)
    moved = target + sum(effect[learnt[:, plain + n].astype(int)] for n, effect in enumerate(effects))
    return Case(fit(learnt, moved, count, leaves, range(plain, x.shape[1])), _blocks(asked))


def fit(x: F32, target: F64, count: int, leaves: int, listed: Sequence[int] = ()) -> Any:
    """A booster of ``count`` trees; ``listed``: the columns that are categories. The same data give the same trees."""
    import lightgbm

    parameters = {
        "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 5, "verbosity": -1, "seed": world.SEED,
        "deterministic": True, "force_col_wise": True, "num_threads": 1,
    }  # fmt: skip
    train: Any = lightgbm.Dataset(x, label=target, categorical_feature=list(listed), params=parameters)
    return lightgbm.train(parameters, train, count)


def one_thread(booster: Any) -> Score:
    """LightGBM's scores of rows."""
    return lambda block: np.asarray(booster.predict(block, num_threads=1))


def cpu_us(ways: Sequence[Score], blocks: Sequence[F32]) -> list[float]:
    """CPU µs a block that each way takes, the least of several rounds: other programs only ever add to it."""
    best = [np.inf] * len(ways)
    for _ in range(ROUNDS):
        for n, score in enumerate(ways):
            begun = time.process_time()
            for block in blocks:
                score(block)
            best[n] = min(best[n], (time.process_time() - begun) / len(blocks) * 1e6)
    return best


def _blocks(x: F32) -> list[F32]:
    return [np.ascontiguousarray(x[at : at + ROWS]) for at in range(0, len(x), ROWS)]
