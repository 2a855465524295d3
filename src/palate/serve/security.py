"""Who may ask, from where, and with what: keys, sessions, Host, Origin and content type.

Keys carry 256 random bits and are stored as SHA-256 (a slow hash protects guessable secrets; these are not).
Without keys the service answers on loopback only, where Host and Origin checks keep web pages out (DNS rebinding,
cross-site requests). Cost: about 3 µs a request.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Mapping

import msgspec

from palate.config import ServeSettings
from palate.errors import ConfigError, Forbidden, PalateError, Unauthorized, UnsupportedMediaType

COOKIE = "palate_session"
SESSION_SECONDS = 12 * 3600
OPEN = frozenset({"/livez", "/readyz"})
"""Answered to everybody, whatever the Host: an orchestrator probes them by address."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_KEY_PREFIX = "palate_"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_WILDCARDS = {"0.0.0.0", "::", "[::]"}  # noqa: S104 - names that no client may use as a Host
_SESSIONS = 1024
_HOSTS = 256
_JSON = b"application/json"
_NDJSON = b"application/x-ndjson"
_FORM = b"application/x-www-form-urlencoded"

Headers = Mapping[bytes, bytes]


class ErrorDetail(msgspec.Struct):
    """``code`` is a machine-readable word, ``where`` the path of the offending value when there is one."""

    code: str
    message: str
    where: str | None = None


class ErrorBody(msgspec.Struct):
    """What every refusal looks like."""

    error: ErrorDetail


def error_body(error: PalateError) -> ErrorBody:
    """The wire's form of an error."""
    return ErrorBody(ErrorDetail(error.code, error.message, error.where))


def new_key() -> tuple[str, str]:
    """A fresh API key (256 random bits) and its hash. Show the key once; keep the hash in ``serve.keys``."""
    key = _KEY_PREFIX + secrets.token_urlsafe(32)
    return key, hash_key(key)


def hash_key(key: str) -> str:
    """SHA-256 of a key, hex: what ``serve.keys`` holds."""
    return hashlib.sha256(key.encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether an address or name to bind to is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, settings: ServeSettings) -> None:
    """Refuse to listen off loopback without keys, and refuse keys that aren't hashes. Errors: ``ConfigError``."""
    for number, key in enumerate(settings.keys):
        if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
            raise ConfigError(
                f"serve.keys[{number}] is not the SHA-256 of a key (64 hex digits): "
                "run `palate serve --new-key`, keep the key, and put its hash into serve.keys."
            )
    if not settings.keys and not is_loopback(host):
        raise ConfigError(
            f"Palate has no API key, so it may only listen on this machine, not on {host}: "
            "run `palate serve --new-key`, put the hash it prints into serve.keys of palate.toml, then start again; "
            "or use --host 127.0.0.1."
        )


class Sessions:
    """Dashboard sessions in memory: the hash of a random token and when it expires. A restart ends them all."""

    def __init__(self, seconds: float = SESSION_SECONDS) -> None:
        self.seconds = seconds
        self._expiry: dict[str, float] = {}

    def create(self) -> str:
        """A new token (256 random bits), valid for ``seconds``; the oldest of 1,024 sessions makes room."""
        now = time.monotonic()
        self._expiry = {token: end for token, end in self._expiry.items() if end > now}
        while len(self._expiry) >= _SESSIONS:
            del self._expiry[next(iter(self._expiry))]
        token = self.new_token()
        self._expiry[hash_key(token)] = now + self.seconds
        return token

    @staticmethod
    def new_token() -> str:
        """256 random bits."""
        return secrets.token_urlsafe(32)

    def valid(self, token: str) -> bool:
        """Whether ``token`` belongs to a session that has not expired."""
        end = self._expiry.get(hash_key(token))
        return end is not None and end > time.monotonic()

    def end(self, token: str) -> None:
        """Forget a session."""
        self._expiry.pop(hash_key(token), None)


class Guard:
    """Every check that needs only the head of a request."""

    def __init__(self, settings: ServeSettings, sessions: Sessions | None = None) -> None:
        self.sessions = Sessions() if sessions is None else sessions
        self.keys = settings.keys
        self._any_host = "*" in settings.hosts
        self._hosts = {host.lower() for host in (*_LOOPBACK, *settings.hosts, settings.host)} - _WILDCARDS
        self._origins = {origin.rstrip("/").lower() for origin in settings.origins}
        self._good_hosts: set[bytes] = set()

    def check_host(self, headers: Headers) -> None:
        """The Host header names this service. Errors: ``Forbidden``."""
        host = headers.get(b"host", b"")
        if host in self._good_hosts:
            return
        name = _host_name(host)
        if name is None or not (self._any_host or name in self._hosts):
            raise Forbidden(
                f"The Host {_shown(host)} is not one of this service's: add it to serve.hosts if it is yours.", "Host"
            )
        if len(self._good_hosts) < _HOSTS:
            self._good_hosts.add(host)

    def check_origin(self, method: str, headers: Headers) -> None:
        """Web pages of other sites are refused unless ``serve.origins`` names them. Errors: ``Forbidden``."""
        origin = headers.get(b"origin")
        if origin is None:
            if method not in SAFE and headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
                raise Forbidden("A page of another site may not send this request.", "Sec-Fetch-Site")
            return
        if not self.same_origin(headers) and not self.cross_origin(headers):
            raise Forbidden(f"The Origin {_shown(origin)} is neither this service nor one of serve.origins.", "Origin")

    def same_origin(self, headers: Headers) -> bool:
        """Whether the Origin header names the very host and port that was asked."""
        scheme, found, rest = headers.get(b"origin", b"").partition(b"://")
        return bool(found) and scheme in (b"http", b"https") and rest.lower() == headers.get(b"host", b"").lower()

    def cross_origin(self, headers: Headers) -> bool:
        """Whether the Origin header names a configured other site."""
        return headers.get(b"origin", b"").decode("latin-1").lower() in self._origins

    def check_key(self, method: str, headers: Headers) -> None:
        """A known key, or a session of the dashboard. Errors: ``Unauthorized``, ``Forbidden``."""
        if not self.keys:
            return
        key = _sent_key(headers)
        if key is not None:
            if self.known(key):
                return
            raise Unauthorized("This API key is not known here; check it, or make one with `palate serve --new-key`.")
        token = session_token(headers)
        if token is not None and self.sessions.valid(token):
            if method in SAFE or self.same_origin(headers) or headers.get(b"sec-fetch-site") == b"same-origin":
                return
            raise Forbidden("A request with the dashboard's cookie must come from the dashboard's own page.", "Origin")
        raise Unauthorized(
            "The session is unknown or has expired; sign in again at /login."
            if token is not None
            else "An API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
        )

    def known(self, key: str) -> bool:
        """Whether a key's hash is configured; compares in constant time, with every key."""
        digest = hash_key(key)
        matches = [hmac.compare_digest(digest, known) for known in self.keys]
        return any(matches)


def check_media_type(path: str, headers: Headers, has_body: bool) -> bool:
    """Bodies are JSON or NDJSON, in UTF-8, not compressed. Returns whether it is NDJSON.

    Errors: ``UnsupportedMediaType``.
    """
    coding = headers.get(b"content-encoding", b"identity").lower()
    if coding != b"identity":
        raise UnsupportedMediaType(
            f"Content-Encoding {_shown(coding)} is not supported: send the body as it is.", "Content-Encoding"
        )
    header = headers.get(b"content-type")
    if header == _JSON:
        return False
    if header is None:
        if has_body:
            raise UnsupportedMediaType("Content-Type is missing: send application/json.", "Content-Type")
        return False
    kind, *parameters = [part.strip().lower() for part in header.split(b";")]
    charset = next((p[8:].strip(b'" ') for p in parameters if p.startswith(b"charset=")), b"utf-8")
    if charset not in (b"utf-8", b"utf8"):
        raise UnsupportedMediaType(f"The charset {_shown(charset)} is not supported: send UTF-8.", "Content-Type")
    if kind == _JSON or (kind == _FORM and path == "/login"):
        return False
    if kind == _NDJSON and path == "/v1/events":
        return True
    allowed = "application/json or application/x-ndjson" if path == "/v1/events" else "application/json"
    raise UnsupportedMediaType(f"Content-Type {_shown(kind)} is not supported: send {allowed}.", "Content-Type")


def session_token(headers: Headers) -> str | None:
    """The dashboard's session cookie, if one was sent."""
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def session_cookie(token: str, seconds: float, secure: bool) -> str:
    """The Set-Cookie header of a session; ``seconds`` 0 removes it."""
    flags = "; Secure" if secure else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={int(seconds)}; HttpOnly; SameSite=Strict{flags}"


def _sent_key(headers: Headers) -> str | None:
    bearer = headers.get(b"authorization")
    if bearer is not None:
        scheme, _, key = bearer.decode("latin-1").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    key = headers.get(b"x-api-key")
    return None if key is None else key.decode("latin-1").strip()


def _host_name(host: bytes) -> str | None:
    """The name of a Host header without its port, lower case; None where it is malformed."""
    text = host.decode("latin-1").lower()
    name, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        if not (port.isascii() and port.isdigit()):
            return None
        text = name
    return text or None


def _shown(value: bytes) -> str:
    return repr(value[:80].decode("latin-1"))
