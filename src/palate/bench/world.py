"""The benchmark's catalogue, people, events and model: made from a seed, of any size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from palate.engine import Engine
from palate.features import NAMES
from palate.score.convert import from_lightgbm
from palate.towers.als import AlsTower
from palate.train import artefact
from palate.train.manifest import Manifest
from palate.train.towers.pack import Fitted, bind_towers, pack_towers
from palate.types import F32, F64, I64, Candidate, Event, Interaction, Item, RankRequest

START = 1_700_000_000_000
DAY = 86_400_000
KINDS = 50
WORDS = 3_000
MOST = 60
"""Of the clicks of one person, by default; 5 at least."""
SETTINGS = '[language]\nencoder = "hashing"\n'
"""Without weights: what is measured is the service, not how fast texts are encoded."""
TARGETS = "targets.safetensors"
"""What the forest was fitted on; an artefact of LightGBM is never loaded, it is fitted again (seconds)."""
SEED = 2
FACTORS = 64

Say = Callable[[str, int, int], None]


def events(items: int, users: int, seed: int = 0, first: int = 0, most: int = MOST) -> Iterator[Event]:
    """A catalogue, then the clicks of people; from person ``first`` on alone where that is above 0."""
    kind = _kinds(items)
    if not first:
        words = np.random.default_rng([seed, 1]).integers(0, WORDS // KINDS, (items, 3)) * KINDS + kind[:, None]
        for n, mine in enumerate(words.tolist()):
            fields: dict[str, Any] = {"title": " ".join(f"w{word}" for word in mine), "category": f"kind {kind[n]}"}
            yield Item(id=f"i{n}", timestamp=START, item=f"item-{n}", fields=fields)
    for user in range(first, users):
        _, rows, times = person(items, user, seed, most)
        for step, (row, time) in enumerate(zip(rows.tolist(), times.tolist(), strict=True)):
            yield Interaction(id=f"e{user}-{step}", timestamp=time, user=f"user-{user}", item=f"item-{row}")


def person(items: int, user: int, seed: int = 0, most: int = MOST) -> tuple[I64, I64, I64]:
    """The kinds that one person likes, what they clicked, oldest first, and when (ms): 5 to ``most`` - 1 items, popular
    ones more often. The same whatever the number of people."""
    rng = np.random.default_rng([seed, 2, user])
    kinds = rng.integers(0, KINDS, 3)
    count = int(rng.integers(5, most))
    times = START + np.sort(rng.integers(0, 29 * DAY, count))
    return kinds, _within(items, kinds, rng.random(count)), times


def _kinds(items: int) -> I64:
    """(items,) the kind of each item; of the first of them the same whatever the number."""
    return np.random.default_rng(7).integers(0, KINDS, items)


@functools.lru_cache(4)
def _pools(items: int) -> tuple[I64, I64, I64]:
    """The items sorted by kind, and where each kind begins and how many there are of it."""
    kind = _kinds(items)
    sizes = np.bincount(kind, minlength=KINDS)
    return np.argsort(kind, kind="stable"), np.cumsum(sizes) - sizes, sizes


def _within(items: int, kinds: I64, chance: F64) -> I64:
    """An item for each ``chance`` in [0, 1), of ``kinds`` by turns, the first of a kind more often."""
    order, begin, sizes = _pools(items)
    turn = np.resize(kinds, len(chance))
    return order[begin[turn] + (sizes[turn] * chance**2).astype(np.int64)]


def requests(items: int, users: int, count: int, candidates: int, seed: int = 1, most: int = MOST) -> list[RankRequest]:
    """Rankings for random people, ten to be shown. Of the candidates a twentieth are items that the person had, nearly
    half are of the kinds that they like, drawn as their clicks are, and half any: as a shop's page or a retriever
    gives them, so that every family of features has something to say."""
    rng = np.random.default_rng(seed)
    found: list[RankRequest] = []
    for user in rng.integers(0, users, count).tolist():
        kinds, had, _ = person(items, user, most=most)
        own, alike = candidates // 20, candidates // 2 - candidates // 20
        near = [*had[-own:].tolist(), *_within(items, kinds, rng.random(alike)).tolist()]
        other = rng.integers(0, items, 2 * candidates).tolist()
        chosen = list(dict.fromkeys(near + other))[: min(candidates, items)]
        names: list[str | Candidate] = [f"item-{n}" for n in rng.permutation(chosen).tolist()]
        found.append(RankRequest(user=f"user-{user}", items=names, k=10))
    return found


def build(directory: Path, items: int, users: int, trees: int, leaves: int, say: Say, most: int = MOST) -> int:
    """Fill ``directory`` and put a forest of the given size into service. Returns how many events it holds."""
    import palate

    directory.mkdir(parents=True, exist_ok=True)
    (directory / "palate.toml").write_text(SETTINGS, encoding="utf-8")
    with palate.open(directory) as engine:
        name = f"{short(items)} × {short(users)}"
        seq = _pour(engine, events(items, users, most=most), items + (4 + most) // 2 * users, name, say)
        say(f"forest {name}", 0, 1)
        install(engine, directory, items, users, trees, leaves, most)
        say(f"forest {name}", 1, 1)
        engine.snapshot()
    return seq


def grow(directory: Path, items: int, first: int, users: int, say: Say, most: int = MOST) -> int:
    """Add the people from ``first`` on to a world that was built with as many. Returns how many events it holds."""
    import palate

    with palate.open(directory) as engine:
        more = (4 + most) // 2 * (users - first)
        name = f"{short(items)} × {short(users)}"
        seq = _pour(engine, events(items, users, first=first, most=most), more, name, say)
        engine.snapshot()
    return seq


def _pour(engine: Engine, some: Iterator[Event], expected: int, name: str, say: Say) -> int:
    result = engine.ingest(some, progress=lambda done: say(f"world {name}", min(done, expected - 1), expected))
    say(f"world {name}", expected, expected)
    total = engine.state.n_items
    while not engine.wait_encoded(0.5):
        say(f"vectors {name}", total - engine.catalogue.pending, total)
    return result.seq


def short(count: int) -> str:
    """10000 as ``10k``, 1000000 as ``1m``."""
    return f"{count // 1_000_000}m" if count >= 1_000_000 else f"{count // 1000}k" if count >= 1000 else str(count)


def towers(engine: Engine, items: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Factors of all items as an artefact holds them: random ones in no direction more than in others, among which
    searching takes longest. What is measured is what they cost."""
    rng = np.random.default_rng([SEED, 1])
    text_map: F32 = 0.1 * rng.standard_normal((engine.catalogue.cache.encoder.dim, FACTORS), np.float32)
    vectors: F32 = 0.1 * rng.standard_normal((items, FACTORS), np.float32)
    made = Fitted("factors", AlsTower(text_map, 2.0), vectors)
    return pack_towers([made], [f"item-{n}" for n in range(items)], np.ones(items, np.bool_))


def sample(engine: Engine, items: int, users: int, count: int, most: int = MOST) -> F32:
    """Real feature rows (count × 100, f) of random requests."""
    now = engine.clock()
    bound = bind_towers(*towers(engine, items), engine.state.items, engine.catalogue.vectors)
    model = dataclasses.replace(engine.shelf.active(), towers=bound)
    found = [engine.line.run(request, now, model).x for request in requests(items, users, count, 100, most=most)]
    return np.concatenate(found)


def install(engine: Engine, directory: Path, items: int, users: int, trees: int, leaves: int, most: int = MOST) -> None:
    """Fit ``trees`` trees of ``leaves`` leaves on real feature rows, and activate them. The target is made up: what
    is measured is how long trees of this size take, on thresholds that real values are spread over."""
    x = sample(engine, items, users, 200, most)
    rng = np.random.default_rng(SEED)
    spread: F32 = x.std(axis=0) + np.float32(1e-6)
    weights: F64 = rng.normal(size=len(NAMES))
    target: F64 = np.tanh((x / spread) @ weights / 3.0) + 0.3 * rng.normal(size=len(x))
    safetensors.numpy.save_file({"x": x, "target": target, "size": np.array([trees, leaves])}, str(directory / TARGETS))
    scorer = from_lightgbm(forest(directory), list(NAMES))
    arrays, told = towers(engine, items)
    manifest = artefact.save(
        directory / "models",
        {f"scorer.{name}": array for name, array in scorer.arrays().items()} | arrays,
        Manifest(
            kind="trees",
            features=list(NAMES),
            encoder=engine.catalogue.cache.encoder.name,
            log_position=engine.counts().seq,
            extra={"scorer": scorer.meta(), "towers": told},
        ),
    )
    engine.activate(manifest.version)


def forest(directory: Path) -> Any:
    """LightGBM's own booster of the forest in service: the same data and seed give the same trees."""
    from palate.bench.trees import fit

    data = safetensors.numpy.load_file(str(directory / TARGETS))
    trees, leaves = data["size"].tolist()
    return fit(data["x"], data["target"], trees, leaves)
