"""Running the service: bind, open the engine, serve, drain, snapshot, exit 0.

On SIGTERM readiness goes off at once; every answer then closes its connection, new ones are still taken for a
moment (so that nobody who read the old readiness is cut off), and what is in flight is finished within
``serve.drain_seconds``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import uvicorn

from palate import config
from palate.engine import Engine
from palate.errors import ConfigError
from palate.serve.app import PalateApp, create_app
from palate.serve.protocol import HotProtocol
from palate.serve.rehearsal import warm
from palate.serve.security import check_bind

_LAME_DUCK_SECONDS = 0.5
_LAST_SECONDS = 1.0
"""At most, until those who wait in the listener are let in."""
_BACKLOG = 2048
_UNACKED = struct.Struct("I")
"""Of Linux' ``tcp_info``: for a listener, the length of its queue."""

Announce = Callable[[str], None]
"""Called with the service's URL once it accepts connections."""

_YOUNG = 20_000
"""Objects between two looks of the collector: a request leaves no cycles, and a look costs what lives."""


def serve(
    path: str | Path,
    host: str | None = None,
    port: int | None = None,
    *,
    settings: config.Settings | None = None,
    announce: Announce | None = None,
    workers: int | None = None,
    **overrides: Any,
) -> None:
    """Open the engine at ``path`` and serve it until SIGTERM or SIGINT; then drain, snapshot and return.

    ``host``, ``port`` and ``workers`` default to the settings' (port 0: any free one). ``settings`` are
    used as they are; else read from ``palate.toml``, the environment and ``overrides``.
    Errors: ``ConfigError`` (off loopback without keys, the port is taken), ``Locked``, and those of ``Engine``.
    """
    directory = None if str(path) == ":memory:" else Path(path)
    known = _located(settings if settings is not None else config.load(directory, overrides), host, port, workers)
    if known.serve.workers > 1:
        from palate.serve.workers.supervisor import supervise

        supervise(directory, known, announce)
        return
    # Everything that can refuse to start does so before the state is read, which may take seconds.
    with (
        contextlib.closing(bind(known.serve)) as listener,
        Engine(path, known) as engine,
    ):
        warm(engine)
        run(engine, known, listener, announce)


def serve_engine(
    engine: Engine, host: str | None = None, port: int | None = None, *, announce: Announce | None = None
) -> None:
    """Serve an engine that is open already, in this process alone; leaves it open. Otherwise as ``serve``."""
    known = _located(engine.settings, host, port)
    with contextlib.closing(bind(known.serve)) as listener:
        warm(engine)
        run(engine, known, listener, announce)


def bind(settings: config.ServeSettings, shared: bool = False) -> socket.socket:
    """A bound socket, not listening yet. shared: other processes of this user may bind to the same address.

    Errors: ``ConfigError`` (off loopback without keys; the address is taken).
    """
    check_bind(settings.host, settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host.strip("[]"), settings.port))
    except (OSError, OverflowError) as error:
        listener.close()
        where, number = f"{settings.host}:{settings.port}", getattr(error, "errno", None)
        why = getattr(error, "strerror", None) or error
        mend = "--host takes an address of this machine"
        if number == errno.EADDRINUSE:
            mend = "choose another port (--port 0 takes any that is free), or stop what listens there"
        elif number in (errno.EACCES, errno.EPERM) or isinstance(error, OverflowError):
            mend = "choose another --port, from 1024 to 65535"
        raise ConfigError(f"Palate can't listen on {where} ({why}): {mend}.", "port") from None
    return listener


def run(engine: Engine, settings: config.Settings, listener: socket.socket, announce: Announce | None = None) -> None:
    """Serve ``engine`` on a bound socket until a signal, then drain. The engine stays open."""
    run_server(Server(create_app(engine, settings), settings, announce), listener)


def run_server(server: uvicorn.Server, listener: socket.socket) -> None:
    """Run ``server`` on a bound socket until it stops."""
    # What is alive now stays alive: keep the collector from walking millions of state objects during requests.
    gc.collect()
    gc.freeze()
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, *before[1:])
    try:
        server.run(sockets=[listener])
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _located(
    settings: config.Settings, host: str | None, port: int | None, workers: int | None = None
) -> config.Settings:
    """The settings with host, port and workers of the arguments, where given. Errors: ``ConfigError``."""
    given = {"host": host, "port": port, "workers": workers}
    try:
        serve = msgspec.structs.replace(settings.serve, **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise ConfigError(f"{error}.") from None
    return msgspec.structs.replace(settings, serve=serve)


class Server(uvicorn.Server):
    """uvicorn, with readiness that goes off before the connections do and an exit status of 0 after a signal."""

    def __init__(self, app: PalateApp, settings: config.Settings, announce: Announce | None) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # pyright: ignore[reportArgumentType]
                loop="uvloop",
                http=HotProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=max(1, round(settings.serve.drain_seconds)),
            )
        )
        self._app = app
        self._announce = announce
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self._announce is not None and sockets:
            self._announce(url_of(sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener when nobody waits in it, then drain: who was let in is answered."""
        until = time.monotonic() + _LAST_SECONDS
        while not self.force_exit and any(map(_waiting, sockets or ())) and time.monotonic() < until:
            await asyncio.sleep(0.001)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain. Second: leave now."""
        if self._app.draining or self._loop is None:
            self.force_exit = self.should_exit = True
            return
        self._app.draining = True
        wait = _LAME_DUCK_SECONDS if sig == signal.SIGTERM and self.server_state.connections else 0.0
        self._loop.call_soon_threadsafe(self._loop.call_later, wait, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def _waiting(listener: socket.socket) -> int:
    """How many connections a listener holds that were made and not yet taken; 0 where the system doesn't say.

    Closing it resets them, and with them the requests that their clients have sent by then.
    """
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return int(_UNACKED.unpack_from(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)[0])
    except OSError:
        return 0


def url_of(listener: socket.socket) -> str:
    """Where a client on this machine finds a bound socket."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"
