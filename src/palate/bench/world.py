"""The benchmark's catalogue, people, events and model: made from a seed, of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from palate.engine import Engine
from palate.features import NAMES
from palate.score.convert import from_lightgbm
from palate.train import artefact
from palate.train.manifest import Manifest
from palate.types import F32, F64, I64, Event, Interaction, Item, RankRequest

START = 1_700_000_000_000
DAY = 86_400_000
KINDS = 50
WORDS = 3_000
SETTINGS = '[language]\nencoder = "hashing"\n'
"""Without weights: what is measured is the service, not how fast texts are encoded."""
TARGETS = "targets.safetensors"
"""What the forest was fitted on; an artefact of LightGBM is never loaded, it is fitted again (seconds)."""
SEED = 2

Say = Callable[[str, int, int], None]


def events(items: int, users: int, seed: int = 0) -> Iterator[Event]:
    """A catalogue, then 5 to 59 clicks a person within three kinds of it, popular items more often."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, items)
    for n in range(items):
        words = [f"w{int(w) * KINDS + int(kind[n])}" for w in rng.integers(0, WORDS // KINDS, 3)]
        fields: dict[str, Any] = {"title": " ".join(words), "category": f"kind {kind[n]}"}
        yield Item(id=f"i{n}", timestamp=START, item=f"item-{n}", fields=fields)
    of_kind: list[I64] = [np.flatnonzero(kind == k) for k in range(KINDS)]
    number = 0
    for user in range(users):
        mine = rng.choice(KINDS, 3)
        count = int(rng.integers(5, 60))
        when = np.sort(rng.integers(0, 29 * DAY, count))
        for step in range(count):
            pool = of_kind[int(mine[step % 3])]
            item = int(pool[int(len(pool) * rng.random() ** 2)]) if len(pool) else 0
            yield Interaction(
                id=f"e{number}", timestamp=START + int(when[step]), user=f"user-{user}", item=f"item-{item}"
            )
            number += 1


def requests(items: int, users: int, count: int, candidates: int, seed: int = 1) -> list[RankRequest]:
    """Rankings of ``candidates`` random items for random people, ten to be shown."""
    rng = np.random.default_rng(seed)
    return [
        RankRequest(
            user=f"user-{rng.integers(0, users)}",
            items=[f"item-{n}" for n in rng.choice(items, min(candidates, items), replace=False)],
            k=10,
        )
        for _ in range(count)
    ]


def build(directory: Path, items: int, users: int, trees: int, leaves: int, say: Say) -> int:
    """Fill ``directory`` and put a forest of the given size into service. Returns how many events it holds."""
    import palate

    directory.mkdir(parents=True, exist_ok=True)
    (directory / "palate.toml").write_text(SETTINGS, encoding="utf-8")
    total = items + 32 * users
    with palate.open(directory) as engine:
        result = engine.ingest(events(items, users), progress=lambda done: say("ingest", done, total))
        engine.wait_encoded()
        say("model", 0, 1)
        install(engine, directory, items, users, trees, leaves)
        say("model", 1, 1)
        engine.snapshot()
    return result.seq


def sample(engine: Engine, items: int, users: int, count: int) -> F32:
    """Real feature rows (count × 100, f) of random requests."""
    now = engine.clock()
    model = engine.shelf.active()
    found = [engine.line.run(request, now, model).x for request in requests(items, users, count, 100)]
    return np.concatenate(found)


def install(engine: Engine, directory: Path, items: int, users: int, trees: int, leaves: int) -> None:
    """Fit ``trees`` trees of ``leaves`` leaves on real feature rows, and activate them. The target is made up: what
    is measured is how long trees of this size take, on thresholds that real values are spread over."""
    x = sample(engine, items, users, 200)
    rng = np.random.default_rng(SEED)
    spread: F32 = x.std(axis=0) + np.float32(1e-6)
    weights: F64 = rng.normal(size=len(NAMES))
    target: F64 = np.tanh((x / spread) @ weights / 3.0) + 0.3 * rng.normal(size=len(x))
    safetensors.numpy.save_file({"x": x, "target": target, "size": np.array([trees, leaves])}, str(directory / TARGETS))
    scorer = from_lightgbm(forest(directory), list(NAMES))
    manifest = artefact.save(
        directory / "models",
        {f"scorer.{name}": array for name, array in scorer.arrays().items()},
        Manifest(
            kind="trees",
            features=list(NAMES),
            encoder=engine.catalogue.cache.encoder.name,
            log_position=engine.counts().seq,
            extra={"scorer": scorer.meta()},
        ),
    )
    engine.activate(manifest.version)


def forest(directory: Path) -> Any:
    """LightGBM's own booster of the forest in service: the same data and seed give the same trees."""
    import lightgbm

    data = safetensors.numpy.load_file(str(directory / TARGETS))
    trees, leaves = data["size"].tolist()
    parameters = {
        "num_leaves": leaves, "learning_rate": 0.05, "min_data_in_leaf": 5, "verbosity": -1, "seed": SEED,
        "deterministic": True, "force_col_wise": True, "num_threads": 1,
    }  # fmt: skip
    train: Any = lightgbm.Dataset(data["x"], label=data["target"], feature_name=list(NAMES))
    return lightgbm.train(parameters, train, trees)
