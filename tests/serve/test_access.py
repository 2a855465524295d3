"""Every route × {no key, wrong key, key, cookie} over real sockets; sign in and out; other sites; refusing to start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from palate.serve.security import hash_key
from tests.serve.service import KEY, PROGRAM, Service, Start

OPEN = {
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/login"),
    ("post", "/login"),
    ("get", "/static/{name}"),
    ("get", "/favicon.ico"),
}
WRONG = "palate_another-key"


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return start(
        tmp_path_factory.mktemp("keys") / "shop.palate",
        host="0.0.0.0",
        PALATE_SERVE__KEYS=f'["{hash_key(KEY)}"]',
        PALATE_SERVE__ORIGINS='["https://admin.example"]',
    )


@pytest.fixture(scope="module")
def routes(service: Service) -> list[tuple[str, str]]:
    """Every documented operation (another test proves that the document is complete)."""
    document = service.request("GET", "/openapi.json", headers=bearer(KEY)).json()
    return [(method, path) for path, methods in document["paths"].items() for method in methods]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ask(service: Service, method: str, path: str, headers: dict[str, str]) -> int:
    path = path.replace("{name}", "page.css").replace("{", "").replace("}", "")
    body = {"json": {}} if method == "post" else {}
    return service.request(method.upper(), path, headers=headers, **body).status_code


def cookie_of(service: Service) -> str:
    answer = service.post("/login", {"key": KEY})
    assert answer.status_code == 200, answer.text
    return answer.headers["set-cookie"].split(";")[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(WRONG),
        {"authorization": "Bearer"},
        bearer(hash_key(KEY)),
        {"x-api-key": WRONG},
        {"authorization": f"Basic {KEY}"},
        {"cookie": "palate_session=forged"},
        {"cookie": f"palate_session={KEY}"},
        {"cookie": f"palate_session={hash_key(KEY)}"},
    ],
    ids=["none", "wrong", "empty", "hash", "x-api-key", "basic", "forged cookie", "key as cookie", "hash as cookie"],
)  # fmt: skip
def test_denied_without_a_known_key(service: Service, routes: list[tuple[str, str]], headers: dict[str, str]) -> None:
    answered = {route: ask(service, *route, headers) for route in routes if route not in OPEN}
    assert len(answered) >= 20
    assert {route: status for route, status in answered.items() if status != 401} == {}


@pytest.mark.parametrize("headers", [bearer(KEY), {"x-api-key": KEY}], ids=["bearer", "x-api-key"])
def test_let_in_with_a_key(service: Service, routes: list[tuple[str, str]], headers: dict[str, str]) -> None:
    answered = {route: ask(service, *route, headers) for route in routes if route != ("post", "/v1/train")}
    assert {route: status for route, status in answered.items() if status in (401, 403) or status >= 500} == {}


def test_let_in_with_a_cookie_from_the_own_page_only(service: Service, routes: list[tuple[str, str]]) -> None:
    for method, path in routes:
        if (method, path) in OPEN or path in ("/v1/train", "/logout"):
            continue
        cookie = {"cookie": cookie_of(service)}
        assert ask(service, method, path, {**cookie, "origin": service.url}) not in (401, 403)
        assert ask(service, method, path, {**cookie, "origin": "https://evil.example"}) == 403
        assert ask(service, method, path, cookie) == (
            403 if method != "get" else ask(service, method, path, bearer(KEY))
        )


def test_open_routes_need_no_key(service: Service) -> None:
    assert {ask(service, *route, {}) for route in OPEN if route[0] == "get"} == {200}
    assert ask(service, "get", "/livez", {"host": "10.1.2.3:80"}) == 200


def test_the_cookie_is_a_random_token_that_scripts_cannot_read(service: Service) -> None:
    header = service.post("/login", {"key": KEY}).headers["set-cookie"]
    name, *flags = header.split("; ")
    assert name.startswith("palate_session=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
    token = name.partition("=")[2]
    assert len(token) >= 43
    assert token not in (KEY, hash_key(KEY))
    assert cookie_of(service) != cookie_of(service)


def test_a_form_signs_in_too(service: Service) -> None:
    answer = service.request("POST", "/login", data={"key": KEY}, headers={"origin": service.url})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "palate_session=" in answer.headers["set-cookie"]


def test_signing_in_with_a_wrong_key_gives_no_cookie(service: Service) -> None:
    answer = service.post("/login", {"key": WRONG})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert service.post("/login", {"key": KEY}, headers={"origin": "https://evil.example"}).status_code == 403


def test_signing_out_ends_the_session(service: Service) -> None:
    headers = {"cookie": cookie_of(service), "origin": service.url}
    assert service.request("GET", "/v1/models", headers=headers).status_code == 200
    out = service.request("POST", "/logout", headers=headers)
    assert out.status_code == 200
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert service.request("GET", "/v1/models", headers=headers).status_code == 401


def test_somebody_in_a_browser_is_led_to_the_sign_in_page(service: Service) -> None:
    answer = service.request("GET", "/", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    page = service.request("GET", "/login")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/models", "/", "/nothing", "/login"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "0.0.0.0:8787", "localhost:80:80"])
def test_other_hosts_are_refused_before_anything(service: Service, path: str, host: str) -> None:
    for method in ("GET", "POST"):
        answer = service.request(method, path, headers={"host": host, **bearer(KEY)})
        assert (answer.status_code, answer.json()["error"]["where"]) == (403, "Host")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "https://admin.example.evil"])
def test_other_origins_are_refused(service: Service, origin: str) -> None:
    for method, path in (("POST", "/v1/rank"), ("GET", "/v1/models"), ("OPTIONS", "/v1/rank")):
        answer = service.request(method, path, headers={"origin": origin, **bearer(KEY)})
        assert (answer.status_code, answer.json()["error"]["where"]) == (403, "Origin")
        assert "access-control-allow-origin" not in answer.headers


def test_a_configured_origin_may_ask_with_a_key(service: Service) -> None:
    origin = {"origin": "https://admin.example"}
    preflight = service.request("OPTIONS", "/v1/rank", headers={**origin, "access-control-request-method": "POST"})
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://admin.example"
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert service.request("GET", "/v1/models", headers=origin).status_code == 401
    answer = service.request("GET", "/v1/models", headers={**origin, **bearer(KEY)})
    assert answer.headers["access-control-allow-origin"] == "https://admin.example"
    cookie = {"cookie": cookie_of(service)}
    assert service.request("POST", "/v1/models/rollback", headers={**origin, **cookie}).status_code == 403


def test_head_and_options(service: Service) -> None:
    whole = service.request("GET", "/v1/models", headers=bearer(KEY))
    head = service.request("HEAD", "/v1/models", headers=bearer(KEY))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert service.request("HEAD", "/v1/rank", headers=bearer(KEY)).status_code == 405
    assert service.request("OPTIONS", "/v1/rank", headers=bearer(KEY)).headers["allow"] == "POST, OPTIONS"
    assert "GET" in service.request("OPTIONS", "/v1/models", headers=bearer(KEY)).headers["allow"]


def test_the_key_is_in_no_answer(service: Service) -> None:
    pages = ("/openapi.json", "/docs", "/metrics", "/v1/status", "/")
    for path in pages:
        text = service.request("GET", path, headers=bearer(KEY)).text
        assert KEY not in text
        assert hash_key(KEY) not in text


@pytest.mark.parametrize(
    ("host", "keys", "sentence"),
    [
        ("0.0.0.0", "[]", "Palate has no API key, so it may only listen on this machine, not on 0.0.0.0"),
        ("127.0.0.1", f'["{KEY}"]', "serve.keys[0] is not the SHA-256 of a key"),
    ],
)
def test_it_refuses_to_start(tmp_path: Path, host: str, keys: str, sentence: str) -> None:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PALATE_")} | {"PALATE_SERVE__KEYS": keys}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "shop.palate"), host]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert KEY not in done.stderr
    assert not (tmp_path / "shop.palate").exists()


def test_a_port_in_use_is_a_sentence(service: Service, tmp_path: Path) -> None:
    port = httpx.URL(service.url).port
    program = f"from palate.serve import serve; serve({str(tmp_path / 'x.palate')!r}, port={port})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"Palate can't listen on 127.0.0.1:{port}" in done.stderr
