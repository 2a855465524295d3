"""Keys, sessions, Host, Origin and content types: each check by itself."""

from __future__ import annotations

import pytest

from palate.config import ServeSettings
from palate.errors import ConfigError, Forbidden, Unauthorized, UnsupportedMediaType
from palate.serve import security
from palate.serve.security import Guard, Sessions, check_bind, check_media_type, hash_key, is_loopback, new_key

KEY, HASH = new_key()
HOST = {b"host": b"localhost:8787"}


def test_a_key_has_256_random_bits_and_only_its_hash_is_kept() -> None:
    key, digest = new_key()
    assert key != KEY
    assert len(key.removeprefix("palate_")) == 43
    assert digest == hash_key(key)
    assert key not in digest


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False),
     ("::", False), ("10.0.0.1", False), ("example.com", False), ("", False)],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_without_keys_only_loopback_may_be_bound() -> None:
    check_bind("127.0.0.1", ServeSettings())
    with pytest.raises(ConfigError, match="run `palate serve --new-key`"):
        check_bind("0.0.0.0", ServeSettings())
    check_bind("0.0.0.0", ServeSettings(keys=(HASH,)))


def test_a_key_in_clear_is_refused_as_a_setting() -> None:
    with pytest.raises(ConfigError, match=r"serve.keys\[0\] is not the SHA-256 of a key") as caught:
        check_bind("127.0.0.1", ServeSettings(keys=(KEY,)))
    assert KEY not in caught.value.message


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        (b"localhost", True), (b"LOCALHOST:8787", True), (b"127.0.0.1:1", True), (b"[::1]", True), (b"[::1]:80", True),
        (b"shop.example", True), (b"shop.example:443", True), (b"evil.example", False), (b"", False), (b":80", False),
        (b"localhost:", False), (b"localhost:80:90", False), (b"localhost.", False), (b"localhost@evil", False),
        (b"0.0.0.0", False), (b"localhost:\xb2", False),
    ],
)  # fmt: skip
def test_host(host: bytes, allowed: bool) -> None:
    guard = Guard(ServeSettings(host="0.0.0.0", hosts=("Shop.example",)))
    if allowed:
        guard.check_host({b"host": host})
    else:
        with pytest.raises(Forbidden, match="is not one of this service's"):
            guard.check_host({b"host": host})


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(b"http://localhost:8787", True), (b"https://localhost:8787", True), (b"https://admin.example", True),
     (b"http://localhost:9999", False), (b"http://localhost", False), (b"null", False), (b"", False),
     (b"https://admin.example.evil", False), (b"file://localhost:8787", False)],
)  # fmt: skip
def test_origin(origin: bytes, allowed: bool) -> None:
    guard = Guard(ServeSettings(origins=("https://admin.example/",)))
    for method in ("GET", "POST"):
        if allowed:
            guard.check_origin(method, {**HOST, b"origin": origin})
        else:
            with pytest.raises(Forbidden):
                guard.check_origin(method, {**HOST, b"origin": origin})


def test_a_cross_site_post_without_origin_is_refused() -> None:
    guard = Guard(ServeSettings())
    guard.check_origin("POST", HOST)
    guard.check_origin("GET", {**HOST, b"sec-fetch-site": b"cross-site"})
    with pytest.raises(Forbidden):
        guard.check_origin("POST", {**HOST, b"sec-fetch-site": b"cross-site"})


@pytest.mark.parametrize(
    ("headers", "ok"),
    [
        ({}, False),
        ({b"authorization": b"Bearer " + KEY.encode()}, True),
        ({b"authorization": b"bearer  " + KEY.encode() + b" "}, True),
        ({b"x-api-key": KEY.encode()}, True),
        ({b"authorization": b"Basic " + KEY.encode()}, False),
        ({b"authorization": b"Bearer"}, False),
        ({b"authorization": b"Bearer " + HASH.encode()}, False),
        ({b"x-api-key": b""}, False),
        ({b"x-api-key": b"\xff\xfe"}, False),
        ({b"x-api-key": KEY.encode()[:-1]}, False),
        ({b"cookie": b"palate_session=" + KEY.encode()}, False),
        ({b"authorization": b"Bearer wrong", b"x-api-key": KEY.encode()}, False),
    ],
)
def test_key(headers: dict[bytes, bytes], ok: bool) -> None:
    guard = Guard(ServeSettings(keys=("0" * 64, HASH)))
    if ok:
        guard.check_key("POST", headers)
    else:
        with pytest.raises(Unauthorized) as caught:
            guard.check_key("POST", headers)
        assert KEY not in caught.value.message


def test_a_cookie_may_change_things_only_from_the_own_page() -> None:
    guard = Guard(ServeSettings(keys=(HASH,)))
    cookie = {**HOST, b"cookie": b"a=b; palate_session=" + guard.sessions.create().encode()}
    guard.check_key("GET", cookie)
    guard.check_key("POST", {**cookie, b"origin": b"http://localhost:8787"})
    guard.check_key("POST", {**cookie, b"sec-fetch-site": b"same-origin"})
    for extra in ({}, {b"origin": b"http://evil.example"}, {b"sec-fetch-site": b"none"}):
        with pytest.raises(Forbidden):
            guard.check_key("POST", {**cookie, **extra})


def test_sessions_expire_end_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(security.time, "monotonic", lambda: clock[0])
    sessions = Sessions(seconds=10)
    token = sessions.create()
    assert sessions.valid(token)
    assert not sessions.valid(token + "x")
    clock[0] = 110.0
    assert not sessions.valid(token)
    first = sessions.create()
    for _ in range(1024):
        last = sessions.create()
    assert not sessions.valid(first)
    assert sessions.valid(last)
    sessions.end(last)
    assert not sessions.valid(last)


@pytest.mark.parametrize(
    ("path", "header", "ndjson"),
    [("/v1/rank", b"application/json", False), ("/v1/rank", b"application/json; charset=UTF-8", False),
     ("/v1/events", b"application/x-ndjson", True), ("/login", b"application/x-www-form-urlencoded", False)],
)  # fmt: skip
def test_media_types(path: str, header: bytes, ndjson: bool) -> None:
    assert check_media_type(path, {b"content-type": header}, True) is ndjson


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/rank", {b"content-type": b"text/plain"}),
        ("/v1/rank", {b"content-type": b"application/x-ndjson"}),
        ("/v1/events", {b"content-type": b"application/x-www-form-urlencoded"}),
        ("/v1/rank", {b"content-type": b"application/json; charset=latin-1"}),
        ("/v1/rank", {b"content-type": b"application/json", b"content-encoding": b"gzip"}),
        ("/v1/rank", {}),
    ],
)
def test_other_media_types_are_refused(path: str, headers: dict[bytes, bytes]) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_media_type(path, headers, True)


def test_a_request_without_a_body_needs_no_media_type() -> None:
    assert check_media_type("/v1/train", {}, has_body=False) is False
    with pytest.raises(UnsupportedMediaType):
        check_media_type("/v1/train", {b"content-type": b"application/x-www-form-urlencoded"}, has_body=False)
