"""``palate demo``: the story holds together, and holds on real films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from palate.cli.demo import choose_person
from palate.datasets import download, movies
from tests.cli.conftest import Done, Palate

KEYS = {
    *("data", "users", "items", "events", "train_seconds", "user", "before", "event", "after", "moved", "model"),
    "degraded",
}


def check(done: Done) -> dict[str, Any]:
    """What must be true of every demo, on any data."""
    assert done.code == 0, done.err
    story = done.json
    assert set(story) >= KEYS
    assert story["reproduced"] is True
    assert story["degraded"] == []
    before, after = ([place["id"] for place in story[name]] for name in ("before", "after"))
    assert [place["position"] for place in story["before"]] == list(range(1, len(before) + 1))
    own = story["event"]["item"]
    assert own in before
    assert own not in {move["id"] for move in story["moved"]}
    rest = [[name for name in names if name != own] for names in (before, after)]
    for move in story["moved"]:
        for key, names in zip(("from", "to"), rest, strict=True):
            assert move[key] == (names.index(move["id"]) + 1 if move["id"] in names else None)
        assert move["because"] or move["overtaken_by"], f"{move['id']} moved for no reason"
        assert None not in (move["score_before"], move["score_after"])
        place = move["to"] or len(rest[1]) + 1
        for name in move["overtaken_by"]:
            assert rest[1].index(name) + 1 < place
            assert name not in rest[0] or rest[0].index(name) + 1 > move["from"]
        if move["from"] is not None and (move["to"] or len(rest[1]) + 1) > move["from"]:
            assert move["overtaken_by"], f"{move['id']} fell, and nothing passed it"
    return story


def test_demo_on_a_small_shop(palate: Palate, folder: Path, tmp_path: Path) -> None:
    done = palate("demo", "--data", folder, "--dir", tmp_path / "demo.palate", "--tier", "full", "--no-serve", "--json")
    story = check(done)
    assert story["tier"] == "full"
    assert (story["users"], story["items"], story["events"]) == (30, 40, 640)


def test_demo_again_tells_the_same_story(palate: Palate, folder: Path) -> None:
    first, second = (palate("demo", "--data", folder, "--no-serve", "--json").json for _ in range(2))
    assert first["user"] == second["user"]
    assert first["event"]["item"] == second["event"]["item"]
    for key in ("before", "after", "moved"):
        assert [place["id"] for place in first[key]] == [place["id"] for place in second[key]]


def test_demo_for_people_without_a_terminal_ends_with_what_to_try(palate: Palate, folder: Path) -> None:
    done = palate("demo", "--data", folder)
    assert done.code == 0
    assert "Ranking before" in done.out
    assert "exactly the ranking before" in done.out
    assert done.out.splitlines()[-1].startswith("The dashboard: palate serve --dir ")
    chinese = palate("demo", "--data", folder, "--lang", "zh", "--no-serve")
    assert "之前的排序" in chinese.out
    assert "完全相同" in chinese.out


def test_the_person_is_the_one_in_the_middle() -> None:
    class Engine:
        def __init__(self, users: list[tuple[str, int]]) -> None:
            self._users = users

        def counts(self) -> Any:
            return type("Counts", (), {"users": len(self._users)})()

        def users(self, limit: int) -> list[tuple[str, int]]:
            return self._users[:limit]

    busy: Any = Engine([("a", 900), ("b", 60), ("c", 30), ("d", 2)])
    assert choose_person(busy) == ("b", 60)
    quiet: Any = Engine([("a", 3), ("b", 2), ("c", 1)])
    assert choose_person(quiet) == ("b", 2)


@pytest.mark.slow
def test_demo_on_real_films(palate: Palate, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = ((movies.ARCHIVE, movies.ARCHIVE_SHA256), (movies.WHEEL, movies.WHEEL_SHA256))
    if not any(download.cached(name, digest) for name, digest in sources):
        pytest.skip("The movies data set is not in the cache: run `palate import --data movies` once.")
    monkeypatch.delenv("PALATE_LANGUAGE__ENCODER")
    story = check(palate("demo", "--data", "movies", "--no-serve", "--json"))
    assert (story["users"], story["items"], story["events"]) == (943, 1682, 102_625)
    assert len(story["before"]) == 20
    because = [move for move in story["moved"] if move["because"]]
    assert because, "no item moved because of the event"
    assert story["model"] != "prior"
    for move in because:
        assert {source["event"] for source in move["because"]} == {story["event"]["id"]}
