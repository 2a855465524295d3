"""While a service holds a directory, the commands that ask go to it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.conftest import Palate
from tests.language.protocol import ChatServer

KEY = "palate_test-key-of-this-test"


@contextmanager
def serving(shop: Path, **environment: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """``palate serve`` in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "palate", "serve", "--dir", str(shop), "--port", "0", "--json"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        yield json.loads(line)["url"], process
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, ""), err
        assert "Traceback" not in err


@pytest.mark.parametrize("workers", ["1", "2"])
def test_commands_talk_to_the_service(palate: Palate, shop: Path, workers: str) -> None:
    with serving(shop, PALATE_SERVE__WORKERS=workers) as (url, process):
        assert json.loads((shop / "service.json").read_text())["pid"] == process.pid
        assert json.loads((shop / "service.json").read_text())["url"] == url
        people = palate("recommend", "u1", "--dir", shop)
        assert people.code == 0, people.err
        assert f"(answered by the service at {url})" in people.err
        assert "Grinder" in people.out or "Tea" in people.out or "Machine" in people.out
        ranking = palate("rank", "i3", "i5", "--user", "u1", "--dir", shop, "--json").json
        assert {item["id"] for item in ranking["items"]} == {"i3", "i5"}
        found = palate("explain", ranking["ranking"], "i3", "--dir", shop, "--json").json
        assert found["item"] == "i3"
        assert palate("models", "list", "--dir", shop, "--json").json == []
        health = palate("doctor", "--dir", shop, "--json").json
        assert [c["status"] for c in health["checks"] if c["name"] == "lock"] == ["ok"]


def test_errors_of_the_service_are_sentences(palate: Palate, shop: Path) -> None:
    with serving(shop):
        done = palate("recommend", "u1", "-k", "0", "--dir", shop, "--json")
        assert (done.code, done.json["error"]["message"]) == (2, "k is 0; it must lie between 1 and 1000.")
        missing = palate("models", "activate", "v9999", "--dir", shop, "--json")
        assert (missing.code, missing.json["error"]["code"]) == (2, "not_found")


def test_what_needs_the_directory_says_who_holds_it(palate: Palate, shop: Path, folder: Path) -> None:
    with serving(shop) as (url, process):
        for command in (["import", "--data", folder], ["rebuild"], ["export"]):
            done = palate(*command, "--dir", shop)
            assert done.code == 2
            end = f"; or send the events to {url}/v1/events." if command[0] == "import" else "."
            assert done.err.endswith(
                f"{shop} is in use by process {process.pid}, the service at {url}, and this command needs it for "
                f"itself: stop the service (kill {process.pid}), run the command, and start the service again{end}\n"
            )


def test_a_port_that_is_taken(palate: Palate, shop: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = palate("serve", "--dir", shop, "--port", port)
    assert (done.code, done.err) == (
        2,
        f"palate: Palate can't listen on 127.0.0.1:{port} (Address already in use): choose another port "
        "(--port 0 takes any that is free), or stop what listens there.\n",
    )
    done = palate("serve", "--dir", "new.palate", "--host", "no.such.host.invalid", "--port", 1, "--json")
    assert done.code == 2
    assert not Path("new.palate").exists()


def test_a_key_is_needed_where_keys_are_set(palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = json.dumps([hashlib.sha256(KEY.encode()).hexdigest()])
    with serving(shop, PALATE_SERVE__KEYS=keys):
        refused = palate("recommend", "u1", "--dir", shop)
        assert refused.code == 2
        assert refused.err.endswith("The command line reads the key from PALATE_API_KEY.\n")
        monkeypatch.setenv("PALATE_API_KEY", KEY)
        assert palate("recommend", "u1", "--dir", shop, "--json").code == 0
        garbled = palate("recommend", "\udcff", "--dir", shop)
        assert (garbled.code, "is not valid UTF-8" in garbled.err) == (2, True)
        monkeypatch.setenv("PALATE_API_KEY", "a\nb")
        mistaken = palate("recommend", "u1", "--dir", shop)
        assert (mistaken.code, "PALATE_API_KEY is no key" in mistaken.err) == (2, True)


def test_the_address_goes_with_the_service(palate: Palate, shop: Path) -> None:
    with serving(shop):
        pass
    assert not (shop / "service.json").exists()
    assert palate("recommend", "u1", "--dir", shop, "--json").code == 0


def test_a_service_that_was_killed_is_not_asked(palate: Palate, shop: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (shop / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "pid": gone.pid}))
    assert palate("recommend", "u1", "--dir", shop, "--json").code == 0


def test_an_address_that_a_crash_left_is_not_asked_though_its_process_id_lives(palate: Palate, shop: Path) -> None:
    for url in ("http://127.0.0.1:9", "http://127.0.0.1:port", "ftp://x"):
        (shop / "service.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
        assert palate("recommend", "u1", "--dir", shop, "--json").code == 0


def test_an_address_that_is_none(palate: Palate, shop: Path) -> None:
    (shop / "service.json").write_text(json.dumps({"url": "http://127.0.0.1:port", "pid": os.getpid()}))
    with (shop / "LOCK").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = palate("recommend", "u1", "--dir", shop)
    assert (done.code, done.err) == (
        2,
        "palate: 'http://127.0.0.1:port' is not an address of the form http://host:port.\n",
    )


def test_a_service_that_cannot_leave_its_address_serves_all_the_same(shop: Path) -> None:
    (shop / "service.json").mkdir()
    with serving(shop) as (url, _):
        assert url.startswith("http://127.0.0.1:")


def test_a_new_key_is_shown_once_with_its_hash(palate: Palate, shop: Path) -> None:
    made = palate("serve", "--new-key", "--dir", shop, "--json").json
    assert hashlib.sha256(made["key"].encode()).hexdigest() == made["sha256"]
    people = palate("serve", "--new-key", "--dir", shop).out
    assert "[serve]\n  keys = [" in people


def test_the_demo_opens_the_dashboard_on_its_person(shop: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from palate.cli.console import Out; from palate.cli.serve import run; "
        "run(Path(sys.argv[1]), None, 0, Out(False), 'u&1 é')"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, str(shop)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    address = next(part for part in line.split() if part.startswith("http"))
    assert parse_qs(urlsplit(address).query) == {"user": ["u&1 é"]}
    assert urlsplit(address).path == "/"


def test_texts_about_people_and_reasons_in_words_go_through_the_service(
    palate: Palate, shop: Path, chat_server: ChatServer
) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    chat_server.behave(say=lambda _: json.dumps({"sentences": ["They often choose machines and coffee."]}))
    lines = ["[language.generator]", 'kind = "openai"', 'model = "m"', f'base_url = "{chat_server.url}"']
    (shop / "palate.toml").write_text("\n".join(lines))
    with serving(shop):
        told = palate("language", "summarise", "--people", "--limit", "3", "--dir", shop, "--json").json
        assert (told["cost"]["answered"], sum(told["said"].values())) == (3, 3)
        ranking = palate("recommend", "u1", "--policy", "greedy", "--dir", shop, "--json").json
        chat_server.behave(mode="500")
        words = palate(
            "explain", ranking["ranking"], ranking["items"][0]["id"], "--words", "zh", "--dir", shop, "--json"
        ).json["words"]
        assert (words["language"], words["ai_generated"], words["degraded"]) == ("zh", False, ["generator_error"])
        kept = [row for row in palate("export", "--user", "u0", "--dir", shop).out.splitlines() if "in_words" in row]
        assert kept
