"""Services that tests start, and a small shop to fill them with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.service import DAY, NOW, PROGRAM, Service, Start


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Starts services; those still running at the end of the module are killed."""
    running: list[subprocess.Popen[str]] = []

    def begin(path: Path, host: str = "127.0.0.1", program: str = PROGRAM, **settings: str) -> Service:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PALATE_")}
        environ |= {"PALATE_LANGUAGE__ENCODER": "hashing", **settings}
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), host], stdout=subprocess.PIPE, text=True, env=environ
        )
        running.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http"), f"the service ended with {process.wait(10)} instead of saying where it is"
        return Service(process, url, path)

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def world() -> list[dict[str, Any]]:
    """A small shop: 40 items in 4 kinds, 30 users who each keep to one kind."""
    kinds = ("tea", "wine", "bread", "cheese")
    events: list[dict[str, Any]] = [
        {
            "event": "item",
            "id": f"i{n}",
            "timestamp": NOW - 40 * DAY,
            "item": f"{kinds[n % 4]}-{n}",
            "fields": {"title": f"{kinds[n % 4]} number {n}", "category": kinds[n % 4], "price": 1.5 * n},
        }
        for n in range(40)
    ]
    for user in range(30):
        for step in range(20):
            number = (user + 4 * (step * 7 + user)) % 40
            events.append(
                {
                    "event": "interaction",
                    "id": f"e{user}-{step}",
                    "timestamp": NOW - 30 * DAY + step * DAY + user * 1000,
                    "user": f"u{user}",
                    "item": f"{kinds[number % 4]}-{number}",
                    "type": "click",
                }
            )
    return events
