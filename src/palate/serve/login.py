"""Signing in to the dashboard: a key is traded for a session cookie that scripts can't read."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from palate.errors import Conflict, InvalidInput, MalformedBody, Unauthorized
from palate.serve.security import Guard, session_cookie, session_token

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Palate: sign in</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0;
  background: Canvas; color: CanvasText; color-scheme: light dark }}
form {{ display: grid; gap: .75rem; width: min(22rem, 90vw) }}
input, button {{ font: inherit; padding: .5rem .75rem }}
.wrong {{ color: #b3261e }}
</style>
</head>
<body>
<form method="post" action="/login">
<h1>Palate</h1>
<label for="key">API key · API 密钥</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
{message}
<button>Sign in · 登录</button>
</form>
</body>
</html>
"""


class Login(msgspec.Struct, forbid_unknown_fields=True):
    """A key, to be traded for the dashboard's session cookie."""

    key: str


class Session(msgspec.Struct):
    """A session of the dashboard; the cookie carries its token."""

    expires_seconds: float


_login = msgspec.json.Decoder(Login)


def routes(guard: Guard) -> Sequence[HTTPRouteHandler]:
    """``GET /login`` (the page), ``POST /login`` (key → cookie), ``POST /logout``."""

    @get("/login")
    async def login_page() -> Response[bytes]:
        """The page to sign in to the dashboard with an API key."""
        if not guard.keys:
            return _to_dashboard()
        return _page("")

    @post("/login", status_code=200)
    async def login(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Trade an API key for the dashboard's session cookie."""
        form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        key = _form_key(await request.body()) if form else _json_key(await request.body())
        if not guard.keys:
            raise Conflict("No API key is configured here, so there is nothing to sign in to.")
        if not guard.known(key):
            message = "This API key is not known here; check it, or make one with `palate serve --new-key`."
            if form:
                return _page(f'<p class="wrong" role="alert">{html.escape(message)}</p>', 401)
            raise Unauthorized(message)
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

    return [login_page, login, logout]


def _json_key(body: bytes) -> str:
    try:
        return _login.decode(body).key
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None


def _form_key(body: bytes) -> str:
    try:
        return parse_qs(body.decode(), max_num_fields=8)["key"][0].strip()
    except (UnicodeDecodeError, ValueError, KeyError):
        raise MalformedBody("The form has no field `key`.", "key") from None


def _page(message: str, status: int = 200) -> Response[bytes]:
    return Response(_PAGE.format(message=message).encode(), status_code=status, media_type="text/html")


def _to_dashboard() -> Response[bytes]:
    return Response(b"", status_code=303, headers={"location": "/"}, media_type="text/plain")
