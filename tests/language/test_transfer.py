"""A map from meaning to behaviour: learnt in one world, of use in another of the same words and no history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import palate
from palate.config import load
from palate.errors import Conflict, CorruptArtefact, InvalidInput, NotFound
from palate.evaluate.cold import cold_start
from palate.features import column
from palate.language import transfer
from palate.testing.world import START
from palate.train.transfer import fit_map
from palate.types import Interaction, Item, RankRequest
from tests.engines import HASHING, SMALL, did, filled

# What goes together has no word in common: who wants a tent wants a stove.
SETS = {
    "camp": ("tent canvas", "stove gas"),
    "baby": ("pram wheels", "bottle milk"),
    "sea": ("sail rope", "anchor chain"),
    "ink": ("pen nib", "paper sheet"),
}


def catalogue(prefix: str, each: int) -> dict[str, tuple[str, int]]:
    """Items by id: their set, and which half of it."""
    return {f"{prefix}-{name}-{half}-{n}": (name, half) for name in SETS for half in (0, 1) for n in range(each)}


def items(kinds: dict[str, tuple[str, int]]) -> list[Item]:
    return [
        Item(id=f"item-{name}", timestamp=START - 1, item=name, fields={"title": f"{SETS[kind][half]} {n % 7}"})
        for n, (name, (kind, half)) in enumerate(kinds.items())
    ]


def old_shop() -> list[Item | Interaction]:
    kinds = catalogue("old", 30)
    rng = np.random.default_rng(1)
    walk: list[Interaction] = []
    for person in range(300):
        mine = [name for name, (kind, _) in kinds.items() if kind == list(SETS)[person % 4]]
        walk += [did(person * 12 + n, f"p{person}", name) for n, name in enumerate(rng.permutation(mine)[:12].tolist())]
    return [*items(kinds), *walk]


@pytest.fixture(scope="module")
def learnt() -> transfer.Map:
    with filled(old_shop()) as engine:
        return fit_map(engine.state, engine.catalogue)


def test_it_finds_what_texts_alone_do_not(learnt: transfer.Map) -> None:
    assert learnt.report["items"] == 240
    assert learnt.report["spearman"] > learnt.report["spearman_text"] + 0.15


def test_a_new_shop_ranks_what_goes_together_elsewhere(learnt: transfer.Map, tmp_path: Path) -> None:
    kinds = catalogue("new", 3)
    folder = tmp_path / "shop.palate"
    with palate.open(folder, language=HASHING, policy={"explore": False}) as engine:
        engine.ingest([*items(kinds), did(1, "u", "new-camp-0-0")])
        assert engine.wait_encoded(60)
        before = order(engine)
    transfer.save(folder / "vectors" / transfer.FILE, learnt)
    with palate.open(folder, language=HASHING, policy={"explore": False}) as engine:
        assert engine.wait_encoded(60)
        after = order(engine)
        asked = RankRequest(user="u", items=["new-camp-1-1", "new-sea-1-1"])
        x = engine.line.run(asked, engine.clock(), engine._model).x[:, column("carried")]
        assert x[0] > x[1] + 1
    best = {kinds[name][0] for name in after[:3]}
    assert best == {"camp"}, "the stove goes with the tent"
    assert {kinds[name][0] for name in before[:3]} != {"camp"}


def order(engine: palate.Engine) -> list[str]:
    """The halves that share no word with what the person had."""
    names = [name for name, (_, half) in catalogue("new", 3).items() if half == 1]
    return [one.id for one in engine.rank("u", names).items]


def test_a_file_is_whole_or_refused(learnt: transfer.Map, tmp_path: Path) -> None:
    path = tmp_path / "map.safetensors"
    transfer.save(path, learnt)
    again = transfer.load(path, learnt.encoder)
    np.testing.assert_array_equal(again.weights, learnt.weights)
    assert again.report == learnt.report
    with pytest.raises(Conflict, match="another-encoder"):
        transfer.load(path, "another-encoder")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptArtefact):
        transfer.load(path, learnt.encoder)
    with pytest.raises(NotFound):
        transfer.load(tmp_path / "absent", learnt.encoder)
    broken = learnt._replace(mean=learnt.mean[:-1])
    transfer.save(path, broken)
    with pytest.raises(CorruptArtefact):
        transfer.load(path, learnt.encoder)


def test_too_little_or_nothing_to_learn_is_said() -> None:
    with filled(old_shop()[:300]) as engine, pytest.raises(InvalidInput, match="200"):
        fit_map(engine.state, engine.catalogue)


def test_a_directory_with_a_broken_map_opens_without_it(tmp_path: Path) -> None:
    folder = tmp_path / "shop.palate"
    with palate.open(folder, language=HASHING) as engine:
        engine.ingest(items(catalogue("new", 1)))
    (folder / "vectors" / transfer.FILE).write_bytes(b"no map")
    with palate.open(folder, language=HASHING) as engine:
        assert engine.catalogue.cache.transfer is None
        assert engine.recommend("u", 3).items


def test_the_cold_start_report_says_what_a_map_is_worth(learnt: transfer.Map) -> None:
    """People take tents first and stoves afterwards, in a shop in which nobody did anything before."""
    kinds = catalogue("new", 5)
    walk: list[Interaction] = []
    for person in range(160):
        for half, many in ((0, 3), (1, 5)):
            mine = [name for name, kind in kinds.items() if kind == (list(SETS)[person % 4], half)][:many]
            walk += [did(person * 20 + half * 10 + n, f"p{person}", name) for n, name in enumerate(mine)]
    settings = load(overrides={"language": HASHING, "policy": {"explore": False}, "train": SMALL})
    found = {row.name: row for row in cold_start([*items(kinds), *walk], settings=settings, carried=learnt).rows}
    row = found["transfer"]
    assert row.people > 5
    assert row.gain.low is not None
    assert row.gain.low > 0.02
    told: list[str] = []
    with pytest.raises(Conflict, match="another-encoder"):
        cold_start(
            [*items(kinds), *walk], settings=settings, carried=learnt._replace(encoder="another-encoder"),
            progress=lambda stage, done, total: told.append(stage),
        )  # fmt: skip
    assert told == [], "it is said before anything is done"
