"""A real service in a process of its own, on a real socket, over a real directory."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROGRAM = """
import sys
from palate.serve import serve
serve(sys.argv[1], host=sys.argv[2], port=0, announce=lambda url: print(url, flush=True))
"""
KEY = "palate_a-key-that-only-the-tests-know"
NOW = 1_760_000_000_000
DAY = 86_400_000


@dataclass
class Service:
    """A running service. ``request`` sends one request on a fresh connection."""

    process: subprocess.Popen[str]
    url: str
    path: Path

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=30, **options)

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **options)

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """Send a signal and give the exit status."""
        self.process.send_signal(sign)
        return self.process.wait(30)


Start = Callable[..., Service]


def ndjson(events: list[dict[str, Any]]) -> bytes:
    """One event a line."""
    return b"\n".join(json.dumps(event).encode() for event in events)
