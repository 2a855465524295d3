"""Palate with parts off: which variants there are, that each makes a difference of its own, content-kNN, other data."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import data, variants
from benchmarks.quality.content import ContentKnn
from benchmarks.quality.own import make
from benchmarks.quality.runs import code_of
from palate import datasets
from palate.evaluate.protocol import draw, drive, query_at
from palate.evaluate.stream import Histories, from_source
from palate.features.declared import NAMES
from palate.features.off import GROUPS, off
from palate.language import make_encoder
from tests.evaluate.worlds import paired_world, stream


def quiet(stage, done, total):
    pass


def test_there_is_a_variant_for_every_group_and_family_of_features():
    found = {variant.name: variant for variant in variants.variants()}
    assert len(found) == len(variants.variants())
    assert {f"{group}-off" for group in GROUPS if group != "query"} <= set(found)
    assert {"ease-off", "language-off", "untrained"} <= set(found)
    for name, variant in found.items():
        settings = variant.made(7)
        assert settings.train.seed == 7
        if name.endswith("-off"):
            assert off(settings.features.off)
    assert off(found["ease-off"].made(1).features.off).names == {name for name in NAMES if name.startswith("ease")}
    assert variants.named("palate").made(1).features.off == ()
    assert not variants.named("untrained").trained


def test_a_variant_that_this_palate_does_not_know_is_none(monkeypatch):
    monkeypatch.setitem(variants.FAMILIES, "nobody", ("nothing", ("nobody",)))
    assert "nobody-off" not in {variant.name for variant in variants.variants()}
    assert not variants._known(variants.Variant("x", "x", {"train": {"sorcery": True}}))
    assert not variants._known(variants.Variant("x", "x", {"features": {"off": ["sorcery"]}}))


def test_without_what_orders_the_pairs_palate_knows_nothing_of_them():
    world = stream(*paired_world(n=900, pairs=12))
    plan = draw(world, ("keep",), 60, 1)
    gains = {}
    for name in ("item_to_item-off", "tags-off"):
        system = make("palate", name, 1)
        system._settings = variants.Variant(
            name, "", variants.named(name).settings | {"language": {"encoder": "none"}}
        ).made(1)
        system._trained = False
        try:
            ranks = drive(system, world, plan, Histories(world), 10, quiet).rank["keep"]
            assert system.notes()["trained"] == "not: it ranks by the prior"
        finally:
            system.close()
        gains[name] = float(np.mean(1 / np.log2(1 + ranks[plan.main["keep"]])))
    assert gains["tags-off"] > gains["item_to_item-off"] + 0.05


def test_content_knn_names_what_reads_alike():
    texts = {"a": "red shoes", "b": "green garden hose", "c": "red shoes", "d": ""}
    items = [{"event": "item", "item": name, "fields": {"title": title}} for name, title in texts.items() if title]
    rows = [
        {"event": "interaction", "user": "u", "item": "d" if at % 2 else "a", "type": "click", "timestamp": 1000 + at}
        for at in range(40)
    ]
    world = from_source([*items, *rows], variants.named("palate").made(1))
    knn = ContentKnn(make_encoder("hashing"))
    knn.begin(world, Histories(world), 36)
    position = int(draw(world, ("keep",), 4, 1).positions[0])
    apart = [at for at, one in enumerate(knn.variants) if not one["itself"]]
    codes = {name: code for code, name in enumerate(world.item_ids)}
    for row in knn.score(query_at(world, position, "keep"), apart):
        assert row[codes["c"]] > row[codes["b"]]
        assert row[codes["a"]] == row[codes["d"]] == -np.inf
    with_itself = [at for at, one in enumerate(knn.variants) if one["itself"]]
    for row in knn.score(query_at(world, position, "keep"), with_itself):
        assert row[codes["a"]] == pytest.approx(row[codes["c"]])
        assert row[codes["d"]] == 0


def test_data_without_times_is_rewritten(tmp_path):
    source = tmp_path / "amazon-minionerec"
    source.mkdir()
    (source / "Industrial_and_Scientific.eval.csv").write_text(
        "user_id,split,history_item_id,item_id\nu,test,1 2,3\nv,valid,2,1\nv,valid,2 1,3\n"
    )
    (source / "Industrial_and_Scientific.items.csv").write_text(
        "item_id,title,description,brand,categories\n"
        + "".join(f'{at},"thing {at}, new",long,b,c\n' for at in (1, 2, 3))
    )
    read = datasets.load(data.found("amazon-minionerec", tmp_path, tmp_path / "work"))
    users = [read.events.users[user] for user in read.events.user]
    events = list(zip(users, [read.events.items[item] for item in read.events.item], strict=True))
    assert events == [("v", "2"), ("v", "1"), ("v", "3"), ("u", "1"), ("u", "2"), ("u", "3")]
    assert read.items[0].fields["title"] == "thing 1, new"
    source = tmp_path / "lastfm-hetrec"
    source.mkdir()
    (source / "user_artists.dat").write_text(
        "".join(f"{user}\t{user + at}\t9\n" for user in range(9) for at in range(9))
    )
    (source / "artists.dat").write_text('id\tname\turl\tpictureURL\n1\tA "B" C\tx\ty\n')
    read = datasets.load(data.found("lastfm-hetrec", tmp_path, tmp_path / "work"))
    users = [read.events.users[user] for user in read.events.user]
    assert len(users) == 81
    assert users != sorted(users)
    assert read.items[0].fields["title"] == 'A "B" C'


def test_what_was_measured_holds_until_the_code_that_it_ran_changes():
    assert code_of("ease") == code_of("popular")
    assert len({code_of(name) for name in ("ease", "content_knn", "palate")}) == 3
