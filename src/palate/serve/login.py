"""Signing in to the dashboard: a key is traded for a session cookie that scripts can't read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from palate.errors import Conflict, MalformedBody, Unauthorized
from palate.requests import parse_request
from palate.serve.security import Guard, session_cookie, session_token


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """A key, to be traded for the dashboard's session cookie."""

    key: str


class Session(msgspec.Struct):
    """A session of the dashboard; the cookie carries its token."""

    expires_seconds: float


def routes(guard: Guard) -> Sequence[HTTPRouteHandler]:
    """``POST /login`` (key → cookie) and ``POST /logout``; the page itself is the dashboard's."""

    @post("/login", status_code=200)
    async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Trade an API key for the dashboard's session cookie."""
        form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        key = _form_key(await request.body()) if form else _json_key(await request.body())
        if not guard.keys:
            raise Conflict("No API key is configured here, so there is nothing to sign in to.")
        if not guard.known(key):
            raise Unauthorized("This API key is not known here; check it, or make one with `palate serve --new-key`.")
        sessions = guard.sessions
        cookie = session_cookie(sessions.create(), sessions.seconds, request.scope["scheme"] == "https")
        if form:
            answer = _to_dashboard()
        else:
            answer = Response(msgspec.json.encode(Session(sessions.seconds)), media_type="application/json")
        answer.headers["set-cookie"] = cookie
        return answer

    @post("/logout", status_code=200)
    async def logout(request: Request[Any, Any, Any]) -> Response[bytes]:
        """End the dashboard's session."""
        token = session_token({b"cookie": request.headers.get("cookie", "").encode("latin-1")})
        if token is not None:
            guard.sessions.end(token)
        cookie = session_cookie("", 0, request.scope["scheme"] == "https")
        body = msgspec.json.encode(Session(0.0))
        return Response(body, media_type="application/json", headers={"set-cookie": cookie})

    return [login, logout]


def _json_key(body: bytes) -> str:
    return parse_request(body, Login).key


def _form_key(body: bytes) -> str:
    try:
        return parse_qs(body.decode(), max_num_fields=8)["key"][0].strip()
    except (UnicodeDecodeError, ValueError, KeyError):
        raise MalformedBody("The form has no field `key`.", "key") from None


def _to_dashboard() -> Response[bytes]:
    return Response(b"", status_code=303, headers={"location": "/"}, media_type="text/plain")
