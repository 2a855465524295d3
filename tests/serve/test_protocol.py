"""The shorter way of the hot routes answers what the long one answers, in order, whatever comes over the connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.service import PROGRAM, Service, Start, ndjson

RANK = {"user": "u1", "items": ["tea-0", "wine-1", "nobody-knows-it"], "k": 3}
VARIES = ("ranking", "stages", "degraded", "as_of", "seq", "accepted", "duplicates", "assigned")
"""What differs from one answer to the next."""
SLOW = "import palate.serve.body, palate.serve.protocol\npalate.serve.protocol.BODY_SECONDS = 0.5\n" + PROGRAM


@pytest.fixture(scope="module")
def shop(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    service = start(tmp_path_factory.mktemp("shop") / "shop.palate")
    answer = service.request(
        "POST", "/v1/events", content=ndjson(world), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 200
    return service


class Line:
    """A raw connection."""

    def __init__(self, service: Service) -> None:
        host, port = service.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.file = self.socket.makefile("rb")

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self.file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            assert name not in headers
            headers[name] = value
        return status, headers, self.file.read(int(headers["content-length"]))

    def over(self) -> bool:
        return self.file.read(1) == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def line(shop: Service) -> Iterator[Line]:
    found = Line(shop)
    yield found
    found.close()


def head(path: str, length: int | None, *more: str, method: str = "POST", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *more]
    if method == "POST" and not any(name.lower().startswith("content-type") for name in more):
        lines.append("Content-Type: application/json")
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


def short(path: str, body: bytes, *more: str) -> bytes:
    """A request that takes the shorter way."""
    return head(path, len(body), *more) + body


def long(path: str, body: bytes, *more: str) -> bytes:
    """The same request, chunked: it takes the long one."""
    return head(path, None, *more) + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def event(name: str) -> bytes:
    return json.dumps([{"event": "interaction", "id": name, "user": "u1", "item": "tea-0"}]).encode()


CASES: list[tuple[str, bytes, list[str]]] = [
    ("/v1/rank", json.dumps(RANK).encode(), []),
    ("/v1/rank", b'{"items": []}', []),
    ("/v1/rank", b"{", []),
    ("/v1/rank", b"[" * 100_000, []),
    ("/v1/rank", b'{"items": ["a", "a"]}', []),
    ("/v1/rank", b'{"items": ["a"], "unknown": 1}', []),
    ("/v1/rank", b"", []),
    ("/v1/rank", b"{}", ["Content-Type: text/plain"]),
    ("/v1/rank", b"{}", ["Content-Encoding: gzip"]),
    ("/v1/rank", b"{}", ["Sec-Fetch-Site: cross-site"]),
    ("/v1/rank", b"{}", ["Origin: http://evil.example"]),
    ("/v1/recommend", b'{"user": "u1", "k": 3}', []),
    ("/v1/recommend", b'{"k": 0}', []),
    ("/v1/events", b"[]", []),
    ("/v1/events", b"\xff", []),
    ("/v1/events", b'{"event": "nothing"}', []),
    ("/v1/events", event("once"), []),
    ("/v1/events", event("a line")[1:-1], ["Content-Type: application/x-ndjson"]),
    ("/v1/events?a=b", event("never"), []),
]


@pytest.mark.parametrize(("path", "body", "more"), CASES)
def test_both_ways_give_the_same_answer(line: Line, path: str, body: bytes, more: list[str]) -> None:
    found: list[tuple[int, dict[str, str], Any]] = []
    for request in (short(path, body, *more), long(path, body, *more)):
        line.send(request)
        status, headers, text = line.answer()
        answer = json.loads(text)
        for one in VARIES:
            answer.pop(one, None)
        if "items" in answer:
            answer["items"] = len(answer["items"])
        headers = {name: value for name, value in headers.items() if name not in ("date", "content-length")}
        found.append((status, headers, answer))
    assert found[0] == found[1]


def test_answers_come_in_the_order_of_the_requests_on_a_pipelined_connection(line: Line) -> None:
    rank = json.dumps(RANK).encode()
    line.send(
        short("/v1/rank", rank) + short("/v1/events", event("p1")) + short("/v1/rank", rank)
        + head("/v1/status", 0, method="GET") + short("/v1/events", event("p2")) + long("/v1/rank", rank)
        + short("/v1/rank", b"{") + short("/v1/events", event("p2")) + head("/livez", 0, method="GET")
    )  # fmt: skip
    answers = [line.answer() for _ in range(9)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 200, 200, 400, 200, 200]
    bodies: list[dict[str, Any]] = [json.loads(body) if body.startswith(b"{") else {} for _, _, body in answers]
    assert ["ranking" if "ranking" in body else sorted(body)[0] for body in bodies[:3]] == [
        "ranking",
        "accepted",
        "ranking",
    ]
    assert bodies[2]["as_of"] >= bodies[1]["seq"] > bodies[0]["as_of"]
    assert "counts" in bodies[3]
    assert bodies[5]["as_of"] >= bodies[4]["seq"] > bodies[1]["seq"]
    assert (bodies[7]["accepted"], bodies[7]["duplicates"]) == (0, 1)


def test_a_request_in_many_pieces_is_one_request(line: Line) -> None:
    request = short("/v1/rank", json.dumps(RANK).encode())
    for size in (1, 7, 100):
        line.send(*(request[at : at + size] for at in range(0, len(request), size)))
        status, _, body = line.answer()
        assert (status, len(json.loads(body)["items"])) == (200, 3)


@pytest.mark.parametrize("path", ["/v1/rank", "/v1/events"])
def test_a_connection_closes_after_the_answer_where_the_client_says_so(shop: Service, path: str) -> None:
    body = json.dumps(RANK).encode() if path == "/v1/rank" else event("closing")
    for request in (
        head(path, len(body), "Connection: close") + body,
        head(path, len(body), version="1.0") + body,
    ):
        line = Line(shop)
        line.send(request)
        status, headers, _ = line.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert line.over()
        line.close()


def test_a_client_that_leaves_loses_nothing_it_sent_whole(shop: Service) -> None:
    before = shop.request("GET", "/v1/status").json()["counts"]["seq"]
    for n in range(20):
        line = Line(shop)
        line.send(short("/v1/events", event(f"left-{n}")))
        line.close()
    line = Line(shop)
    line.send(short("/v1/events", event("stayed")))
    assert line.answer()[0] == 200
    line.send(head("/v1/events", 1000) + b"[")  # a body that never comes
    line.close()
    assert shop.post("/v1/events", [{"event": "interaction", "user": "u", "item": "tea-0"}]).status_code == 200
    assert shop.request("GET", "/v1/status").json()["counts"]["seq"] - before >= 2
    assert "palate_queue_events 0\n" in shop.request("GET", "/metrics").text


def test_a_body_that_does_not_arrive_is_given_up(start: Start, tmp_path: Path) -> None:
    service = start(tmp_path / "slow.palate", program=SLOW)
    for path in ("/v1/rank", "/v1/events"):
        line = Line(service)
        line.send(head(path, 100) + b"{")
        status, headers, body = line.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert "did not arrive" in json.loads(body)["error"]["message"]
        assert line.over()
        line.close()
    assert service.request("GET", "/livez").status_code == 200
