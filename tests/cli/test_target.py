"""What a service streams is read as it comes, and what breaks off is not taken for the whole."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from palate.cli import target
from palate.cli.target import Remote
from palate.errors import PalateError, Unavailable


class Streaming:
    """A service that sends ``parts`` in chunks; before the second it waits to be told to ``go`` on. whole: whether it
    sends the end of the last chunk too."""

    def __init__(self, parts: list[bytes], whole: bool = True, status: int = 200) -> None:
        self.go = threading.Event()
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("accept")))
                self.send_response(status)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for number, part in enumerate(parts):
                    if number == 1:
                        outer.go.wait(20)
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                if whole:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.remote = Remote(f"http://127.0.0.1:{self.server.server_address[1]}", None)

    def __enter__(self) -> Streaming:
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_CHUNK", 8)


def lines(found: Iterator[object]) -> list[bytes]:
    return [msgspec.json.encode(row) for row in found]


def test_an_export_is_read_line_by_line() -> None:
    with Streaming([b'{"table":1}\n', b'{"tab', b'le":2}\n{"table":3}\n']) as service:
        found = service.remote.export_user("a/b c")
        assert msgspec.json.encode(next(found)) == b'{"table":1}', "there before the rest is sent"
        service.go.set()
        assert lines(found) == [b'{"table":2}', b'{"table":3}']
    assert service.asked == [("/v1/users/a%2Fb%20c/export", "application/x-ndjson")]


def test_a_session_has_routes_of_its_own() -> None:
    with Streaming([b'{"table":1}\n']) as service:
        service.go.set()
        assert lines(service.remote.export_user(None, "a/b c")) == [b'{"table":1}']
    assert service.asked == [("/v1/sessions/a%2Fb%20c/export", "application/x-ndjson")]


@pytest.mark.parametrize(
    ("parts", "whole"), [([b'{"table":1}\n', b'{"table":2}\n'], False), ([b'{"table":1}\n', b'{"tab'], True)]
)
def test_what_breaks_off_is_not_the_whole(parts: list[bytes], whole: bool) -> None:
    with Streaming(parts, whole) as service:
        service.go.set()
        with pytest.raises(Unavailable):
            lines(service.remote.export_user("u"))


def test_a_refusal_is_raised_before_the_first_line() -> None:
    body = b'{"error":{"code":"invalid_input","message":"No.","where":"user"}}'
    with Streaming([body], status=422) as service, pytest.raises(PalateError, match=r"No\.") as error:
        next(service.remote.export_user("u"))
    assert (error.value.status, error.value.where) == (422, "user")
