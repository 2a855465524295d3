"""Files of who follows whom, and lists in files of users."""

from __future__ import annotations

from pathlib import Path

import pytest

from palate.datasets import load
from palate.datasets.folder import MAX_FOLLOWS

EVENTS = "user,item,timestamp\n" + "".join(f"u{n % 4},i{n},{1_700_000_000 + n}\n" for n in range(12))


@pytest.mark.parametrize("header", ["userID\tfriendID", "user\tfollowed", "User_Id\tfollowee_id"])
def test_a_file_of_friends_becomes_a_field(tmp_path: Path, header: str) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "friends.dat").write_text(f"{header}\nu1\tu2\nu1\tu3\nu1\tu2\n\tu3\nu2\tu1\n")
    (tmp_path / "users.csv").write_text("user,age,likes\nu1,30,genre:Drama|space\nu3,20,\n")
    data = load(tmp_path)
    assert {user.user: user.fields for user in data.users} == {
        "u1": {"age": 30, "likes": ["genre:Drama", "space"], "follows": ["u2", "u3"]},
        "u2": {"follows": ["u1"]},
        "u3": {"age": 20},
    }
    assert data.report.rejected == 1


def test_the_last_of_many_are_kept_and_a_mapping_can_name_the_columns(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    rows = "".join(f"u1;p{n}\n" for n in range(MAX_FOLLOWS + 7))
    (tmp_path / "network.csv").write_text("who;whom\n" + rows)
    mapping = {"files": {"network.csv": {"kind": "follows", "user": "who", "follows": "whom"}}}
    (user,) = load(tmp_path, mapping).users
    follows = user.fields["follows"]
    assert isinstance(follows, list)
    assert (len(follows), follows[0], follows[-1]) == (MAX_FOLLOWS, "p7", f"p{MAX_FOLLOWS + 6}")


def test_an_event_file_with_friends_in_it_stays_one(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "user,item,friend,timestamp\n" + "".join(f"u{n},i{n},x,{n}\n" for n in range(30))
    )
    assert len(load(tmp_path).events.user) == 30
