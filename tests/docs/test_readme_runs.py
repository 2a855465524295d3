"""The README's code, run as it is written: the library, the command line, and curl against the real service."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import palate
from tests.docs.pages import ENGLISH, blocks

PORT = "8787"
SECONDS = 300


def code(name: str) -> str:
    """Every block that runs under this name, in order."""
    return "\n".join(block.code for block in blocks(ENGLISH) if block.name == name)


@pytest.fixture(scope="module")
def port() -> str:
    """A free port: the one of the README may be in use here."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def run(port: str) -> Any:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PALATE_")}
    environ |= {"PALATE_SERVE__PORT": port, "COLUMNS": "160", "LANG": "C.UTF-8"}
    environ |= {k: v for k, v in os.environ.items() if k == "PALATE_CACHE_DIR"}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"

    def begin(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(arguments, cwd=folder, env=environ, stdout=pipe, stderr=pipe, text=True)

    return begin


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, run: Any) -> tuple[Path, str]:
    """A folder in which the library's blocks have run, and what they printed."""
    path = tmp_path_factory.mktemp("readme")
    (path / "example.py").write_text(code("library"), encoding="utf-8")
    out, err = (process := run([sys.executable, "-W", "error", "example.py"], path)).communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return path, out


def test_the_library(folder: tuple[Path, str]) -> None:
    path, out = folder
    assert (path / "shop.palate" / "events.db").is_file()
    lines = out.splitlines()
    assert len(lines) == 2
    assert {line.split()[0] for line in lines} <= {"a", "b", "c"}
    assert all(re.match(r"\w -?\d+\.\d+ \['", line) for line in lines)


def shell(run: Any, text: str, path: Path) -> str:
    out, err = (process := run(["sh", "-e", "-c", text], path)).communicate(timeout=SECONDS)
    assert process.returncode == 0, out + err
    return out


def test_the_command_line(folder: tuple[Path, str], run: Any) -> None:
    """Before the service starts: export and import want the directory for themselves."""
    out = shell(run, code("command line"), folder[0])
    assert "u1" in out
    lines = (folder[0] / "events.ndjson").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 + 30 * 2 + 1 - 2, "items, clicks, a correction, and not what the forgotten one did"
    assert not any('"u29"' in line for line in lines)
    with palate.open(folder[0] / "copy.palate", until=10**9) as copy:
        assert copy.counts().events == len(lines)


@pytest.fixture(scope="module")
def service(folder: tuple[Path, str], run: Any, port: str) -> Iterator[str]:
    """The README's service, until the end of the module."""
    arguments = code("service").split()
    process = run(arguments, folder[0])
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + SECONDS
        while not _answers(f"{url}/readyz"):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_curl(folder: tuple[Path, str], service: str, run: Any, port: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("There is no curl here.")
    out = shell(run, code("curl").replace(f":{PORT}", f":{port}"), folder[0])
    decoder = json.JSONDecoder()
    posted, end = decoder.raw_decode(out)
    ranking, _ = decoder.raw_decode(out[end:].lstrip())
    assert (posted["accepted"], posted["rejected"]) == (1, [])
    assert ranking["as_of"] >= posted["seq"]
    assert ranking["model"] == "v0001"
    assert len(ranking["items"]) == 3
    assert all(item["contributions"] and item["reasons"] for item in ranking["items"])
    bought = next((item for item in ranking["items"] if item["id"] == "b"), None)
    assert bought is not None
    first = ranking["items"][0]["id"]
    with urllib.request.urlopen(f"{service}/v1/explain/{ranking['ranking']}/{first}", timeout=30) as reply:
        why = json.load(reply)
    assert why["base"] + sum(c["contribution"] for c in why["contributions"]) == pytest.approx(why["score"])
