"""What goes wrong is one sentence on stderr, exit code 2, and with --json an error object on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Palate

NO_ENGINE = "There is no engine at no.palate. Make one with: palate import --data movies --dir no.palate"
NO_DATA = "'nothing-here' is neither a data set (movies, grocery) nor an existing file or folder."
TOO_FEW = (
    "There are 0 interactions; training needs at least 50. "
    "Until then the blend that works from event one ranks: just ingest more events."
)

RECOMMEND = ["recommend", "u1", "--dir", "SHOP"]
NO_WORKER = "Invalid value for '--workers': Input should be greater than or equal to 1."
MANY_WORKERS = "Invalid value for '--workers': Input should be less than or equal to 64."
BAD_PORT = "Invalid value for '--port': Input should be less than or equal to 65535."
FOREIGN = "SHOP exists and was not made by palate demo, which would replace it; choose another --dir."

OWN_SERVICE = "--config and --keep are of the service of its own: leave --url out."

SENTENCES: list[tuple[list[str], str]] = [
    (["nope"], "No such command 'nope'."),
    (["recommend", "u1", "--dir", "no.palate"], NO_ENGINE),
    (["recommend", "--dir", "SHOP"], "Name a user, or an anonymous visitor with --session."),
    (["recommend", "u1", "--dir", "FILE"], "FILE is a file; an engine lives in a directory."),
    ([*RECOMMEND, "-k", "0"], "k is 0; it must lie between 1 and 1000."),
    (
        [*RECOMMEND, "-k", "x"],
        "Invalid value for '-k': Input should be a valid integer, unable to parse string as an integer.",
    ),
    ([*RECOMMEND, "--seen", "no"], "--seen 'no' is unknown: use auto, drop or keep."),
    (
        [*RECOMMEND, "--policy", "no"],
        "policy 'no' is unknown; use greedy, plackett_luce, epsilon_greedy, linucb, thompson.",
    ),
    ([*RECOMMEND, "--context", "x"], "--context 'x' is not of the form name=value."),
    ([*RECOMMEND, "--filter", "[1]"], "--filter is not a JSON object: '[1]' is a list."),
    (
        [*RECOMMEND, "--lang", "fr"],
        "Invalid value for '--lang': 'fr' is unknown: use en or zh.",
    ),
    (["rank", "--user", "u1", "--dir", "SHOP"], "Missing argument 'ITEM…'."),
    (
        ["rank", "i1", "i1", "--dir", "SHOP"],
        "items[1] 'i1' is there twice: each candidate may be sent once.",
    ),
    (["import", "--data", "nothing-here", "--dir", "SHOP"], NO_DATA),
    (["simulate", "--people", "0"], "people of the world is 0; it must lie between 1 and 1,000,000."),
    (["simulate", "--items", "20"], "items of the world is 20; every ranking needs 40."),
    (["simulate", "--set", "eta"], "--set eta is not of the form NAME=NUMBER."),
    (["simulate", "--set", "places=2.5"], "--set places is 2.5; it wants a whole number."),
    (["simulate", "--config", "no.toml"], "--config no.toml can't be read: name a palate.toml."),
    (["simulate", "--keep", "SHOP"], "--keep SHOP exists: name a new directory."),
    (["simulate", "--url", "x", "--keep", "new"], OWN_SERVICE),
    (["simulate", "--url", "https://x"], "'https://x' is not an address of the form http://host:port."),
    (["import", "--dir", "SHOP"], "Missing option '--data'."),
    (["evaluate", "--data", "FOLDER", "--seen", "all"], "--seen 'all' is unknown: use drop, keep or both."),
    (["evaluate", "--data", "FOLDER", "--test", "-3"], "--test '-3' is neither 'all' nor a number of events above 0."),
    (["evaluate", "--data", "FOLDER", "--dir", "no.palate"], NO_ENGINE),
    (["evaluate", "--data", "FOLDER", "--map", "a.safetensors"], "--map is for --cold-start: name both, or neither."),
    (
        ["evaluate", "--data", "FOLDER", "--cold-start", "--map", "a.safetensors"],
        "There is no map a.safetensors: `palate models carry DIRECTORY --out MAP` makes one.",
    ),
    (["evaluate", "--data", "FOLDER", "--out", "FILE"], "--out FILE is a file: name a folder for the reports."),
    (["serve", "--dir", "FILE"], "FILE is a file; an engine lives in a directory."),
    (
        ["serve", "--dir", "SHOP", "--port", "70000"],
        BAD_PORT,
    ),
    (["serve", "--dir", "SHOP", "--workers", "0"], NO_WORKER),
    (["serve", "--dir", "SHOP", "--workers", "65"], MANY_WORKERS),
    (
        ["serve", "--dir", ":memory:", "--workers", "2"],
        "Several workers share a directory, and ':memory:' is none: use one worker.",
    ),
    (
        ["demo", "--dir", "SHOP"],
        "SHOP exists and was not made by palate demo, which would replace it; choose another --dir.",
    ),
    (["export", "--dir", "SHOP", "--out", "."], "--out . is a folder: name the file to write, such as events.ndjson."),
    (
        ["export", "--dir", "SHOP", "--out", "no/such/folder/x"],
        "--out no/such/folder/x: there is no folder no/such/folder.",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), SENTENCES, ids=[" ".join(a) for a, _ in SENTENCES])
def test_one_sentence(palate: Palate, shop: Path, folder: Path, arguments: list[str], sentence: str) -> None:
    file = shop.parent / "file"
    file.touch()
    for name, path in (("SHOP", shop), ("FOLDER", folder), ("FILE", file)):
        arguments = [str(path) if argument == name else argument for argument in arguments]
        sentence = sentence.replace(name, str(path))
    done = palate(*arguments)
    assert (done.code, done.err.splitlines()[-1], done.out) == (2, f"palate: {sentence}", "")
    assert not Path("no.palate").exists()
    as_json = palate(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.json["error"]["message"] == sentence


def test_unknown_things_are_named(palate: Palate, shop: Path) -> None:
    for arguments in (["models", "activate", "v9999"], ["explain", "nothing", "i1"]):
        done = palate(*arguments, "--dir", shop, "--json")
        assert done.code == 2
        assert done.json["error"]["code"] == "not_found"
        assert arguments[-1] in done.err or arguments[1] in done.err
    assert palate("models", "rollback", "--dir", shop, "--json").json["error"]["code"] == "conflict"


def test_an_empty_engine_has_nothing_to_train_on(palate: Palate, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "items").mkdir()
    (tmp_path / "items" / "events.ndjson").write_text(
        '{"event":"item","item":"a","timestamp":1,"fields":{"title":"A"}}\n'
    )
    assert palate("import", "--data", tmp_path / "items", "--dir", "e.palate").code == 0
    done = palate("train", "--dir", "e.palate")
    assert (done.code, done.err.splitlines()[-1]) == (2, f"palate: {TOO_FEW}")


def test_a_bad_setting_names_file_and_key(palate: Palate, shop: Path) -> None:
    (shop / "palate.toml").write_text("[policy]\ndiversty = 1\n")
    done = palate("recommend", "u1", "--dir", shop)
    assert done.code == 2
    assert "palate.toml" in done.err
    assert "diversty" in done.err
    assert done.err.count("\n") == 1


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from palate.cli import main; main()", *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_is_130_and_leaves_no_traceback(shop: Path) -> None:
    process = start("export", "--dir", shop)
    assert process.stdout is not None
    json.loads(process.stdout.readline())
    # The log is larger than a pipe holds, so the command now waits for a reader.
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "\nStopped.\n"


def test_a_closed_pipe_ends_it_without_a_word(shop: Path) -> None:
    process = start("export", "--dir", shop)
    assert process.stdout is not None
    assert process.stderr is not None
    json.loads(process.stdout.readline())
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 1
    assert err == ""
