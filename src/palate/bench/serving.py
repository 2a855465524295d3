"""``python -m palate.bench.serving KIND DIRECTORY``: what a benchmark runs in a process of its own.

``empty``: the least that a raw ASGI route can do with the same request, decode it and answer ten ranked items.
``obvious``: what is usually built, see ``obvious``. ``open``: no server; opens the engine, and says how long it took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

import palate
from palate.types import RankedItem, RankRequest, Reason

_decode = msgspec.json.Decoder(RankRequest).decode
_encode = msgspec.json.Encoder().encode


async def empty(scope: Any, receive: Any, send: Any) -> None:
    """Decode the request, answer its first ten items. Nothing is ranked."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    request = _decode(body)
    names = [item if isinstance(item, str) else item.id for item in request.items[:10]]
    reason = [Reason("popular", "Popular with everybody.")]
    answer = _encode([RankedItem(name, 0.5, n + 1, 1.0, False, reason) for n, name in enumerate(names)])
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


class _Announcing(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()


def run(app: Any) -> None:
    """Serve ``app`` as Palate serves itself."""
    _Announcing(
        uvicorn.Config(app, port=0, loop="uvloop", http="httptools", ws="none", access_log=False, log_config=None)
    ).run()


def main(kind: str, directory: Path) -> None:
    """Serve until a signal."""
    if kind == "empty":
        run(empty)
        return
    if kind == "open":
        begun = time.perf_counter()
        with palate.open(directory):
            sys.stdout.write(f"{time.perf_counter() - begun}\n")
        return
    from palate.bench.obvious import make_app

    run(make_app(directory))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
