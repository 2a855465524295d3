"""The ASGI application: one layer before everything, then the hot routes or Litestar.

A request passes, in this order: Host, Origin, preflight, key, body limit, content type, route. The layer matches the
raw path, so that an id with ``/`` (as ``%2F``) is one segment; it shapes every error, adds the security headers, and
turns whatever escapes into a JSON answer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.exceptions import HTTPException

from palate.config import Settings
from palate.errors import MalformedBody, PalateError, Unauthorized
from palate.serve import api, chat, dashboard, docs, experiments, login, openapi, rerank, rights, transparency, worth
from palate.serve.answer import (
    Answer,
    MethodNotAllowed,
    http_error,
    no_such_path,
    not_utf8,
    palate_error,
    too_deep,
    unforeseen_error,
)
from palate.serve.body import BodyTooLarge, ClientGone, check_length, linger, read_body, replay
from palate.serve.direct import Direct
from palate.serve.hot import Hot
from palate.serve.metrics import Metrics
from palate.serve.security import OPEN, SAFE, Guard, Headers, Sessions, check_media_type

if TYPE_CHECKING:
    from litestar.types import Receive, Send

    from palate.engine import Engine

_log = logging.getLogger("palate.serve")


class PalateApp:
    """The service as an ASGI callable. ``draining`` turns readiness off and closes connections after their answer."""

    def __init__(
        self, engine: Engine, settings: Settings, metrics: Metrics | None = None, sessions: Sessions | None = None
    ) -> None:
        self.engine = engine
        self.limit = settings.limits.body_bytes
        self.metrics = Metrics() if metrics is None else metrics
        self.guard = Guard(settings.serve, sessions)
        self.hot = Hot(engine, self.metrics)
        self.direct = Direct(self.guard, self.hot, self.metrics)
        self.litestar = Litestar(
            route_handlers=[
                *api.routes(engine, self.metrics, lambda: self.ready),
                *chat.routes(engine, self.metrics),
                *experiments.routes(engine),
                *rerank.routes(engine),
                *transparency.routes(engine),
                *worth.routes(engine),
                *rights.routes(engine),
                *login.routes(self.guard),
                *docs.routes(lambda: self.document),
                *dashboard.routes(engine, settings),
            ],
            openapi_config=None,
            logging_config=None,
            exception_handlers={
                PalateError: palate_error,
                HTTPException: http_error,
                RecursionError: too_deep,
                UnicodeDecodeError: not_utf8,
                Exception: unforeseen_error,
            },
        )
        self.document: dict[str, Any] = openapi.build(self.litestar, settings)

    @property
    def draining(self) -> bool:
        """Readiness is off, and connections close after their answer."""
        return self.direct.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self.direct.draining = value

    @property
    def ready(self) -> bool:
        """Whether traffic should be sent here."""
        return self.engine.ready and not self.draining

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.litestar(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "Palate speaks HTTP only."})

    async def _answer(self, scope: Any, receive: Receive, send: Send) -> None:
        path: str = scope["raw_path"].decode("latin-1")
        method: str = scope["method"]
        headers: Headers = dict(scope["headers"])
        answer = Answer(send, method, self.draining)
        hot = self.hot.handlers.get(path)
        route = path if hot is not None else "other"
        try:
            if path not in OPEN and await self._refused(path, method, headers, answer):
                return
            if hot is None:
                route = await self._framework(scope, path, method, headers, receive, answer)
            elif method != "POST":
                await self._options(path, method, answer)
            else:
                check_length(headers, self.limit)
                ndjson = check_media_type(path, headers, has_body=True)
                if scope["query_string"]:
                    raise MalformedBody(f"{path} takes no query parameters: put them into the body.", "query")
                status, body = await hot[1](await read_body(receive, self.limit), ndjson)
                await answer.json(status, body)
        except ClientGone:
            return
        except PalateError as error:
            if isinstance(error, Unauthorized) and answer.wants_page(path, headers):
                await answer.redirect("/login")
            else:
                await answer.error(error, lingering=isinstance(error, BodyTooLarge))
            if isinstance(error, BodyTooLarge):
                await linger(headers, receive)
                await answer.finish()
        except RecursionError:
            await answer.error(MalformedBody("The body is nested too deeply to be read."))
        except Exception:  # the last line of defence: what nobody foresaw is logged and answered in the wire's form
            _log.exception("Unforeseen error in %s %s", method, path[:200])
            await answer.error(PalateError("Something went wrong here; the service's log has the details."))
        finally:
            self.metrics.request(route, answer.status)

    async def _refused(self, path: str, method: str, headers: Headers, answer: Answer) -> bool:
        """Checks of the head. True where the request is answered already (a preflight)."""
        guard = self.guard
        guard.check_host(headers)
        if b"origin" in headers or method not in SAFE:
            guard.check_origin(method, headers)
            if guard.cross_origin(headers):
                answer.allow_origin = headers[b"origin"]
                if method == "OPTIONS" and b"access-control-request-method" in headers:
                    await answer.preflight()
                    return True
        files = path == "/favicon.ico" or path.startswith("/static/")
        if path != "/login" and not (files and method in SAFE):
            guard.check_key(method, headers)
        return False

    async def _options(self, path: str, method: str, answer: Answer) -> None:
        if method != "OPTIONS":
            raise MethodNotAllowed(method, path, "POST, OPTIONS")
        await answer.empty(204, [(b"allow", b"POST, OPTIONS")])

    async def _framework(
        self, scope: Any, path: str, method: str, headers: Headers, receive: Receive, answer: Answer
    ) -> str:
        """Everything that isn't hot. Returns the route's template."""
        if path != "/" and (path.endswith("/") or "//" in path):
            raise no_such_path(path)
        inner = {**scope, "path": path, "method": "GET" if method == "HEAD" else method}
        body = b""
        if method not in SAFE:
            check_length(headers, self.limit)
            has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
            check_media_type(path, headers, has_body)
            body = await read_body(receive, self.limit)
        await self.litestar(inner, replay(body, receive), answer.forward)  # pyright: ignore[reportArgumentType]
        return str(inner.get("path_template") or "other")


def create_app(engine: Engine, settings: Settings) -> PalateApp:
    """The ASGI application that serves ``engine``. ``settings`` are usually the engine's own."""
    return PalateApp(engine, settings)
