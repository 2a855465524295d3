"""A server of embeddings: a real one on this machine, which is busy, broken, slow or wrong when it is told to be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import palate
from palate.errors import ConfigError, Unavailable
from palate.language import Encoder, embeddings, encoder_of
from palate.language.cache import VectorCache
from palate.language.embeddings import EndpointEncoder
from palate.language.hashing import HashingEncoder
from palate.settings import LanguageSettings
from palate.testing.encoder import EncoderContract


class Server(ThreadingHTTPServer):
    """plan: statuses (with Retry-After), bodies or pauses of the next answers; then all goes well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.inner = HashingEncoder(64)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked didn't wait for the answer: some tests want that."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        server.asked.append(body)
        server.keys.append(self.headers.get("Authorization"))
        todo = server.plan.pop(0) if server.plan else None
        if isinstance(todo, int):
            return self.reply(todo, {"error": {"message": "as planned"}}, {"Retry-After": "0.01"})
        if isinstance(todo, float):
            time.sleep(todo)
        if isinstance(todo, dict):
            return self.reply(200, todo, {})
        assert self.path == "/v1/embeddings"
        rows = 3.0 * server.inner.encode(body["input"])
        data = [{"object": "embedding", "index": i, "embedding": row.tolist()} for i, row in enumerate(rows)]
        usage = {"prompt_tokens": sum(map(len, body["input"])), "total_tokens": 0}
        self.reply(200, {"data": data[::-1], "model": body["model"], "usage": usage}, {})

    def reply(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status == 307:
            self.send_header("Location", "http://127.0.0.1:1/v1/embeddings")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    running.plan, running.asked, running.keys = [], [], []
    monkeypatch.setattr(embeddings, "_PAUSE", 0.005)
    return running


@pytest.fixture
def encoder(server: Server) -> EndpointEncoder:
    made = EndpointEncoder("small/model", server.address, price=2.0)
    server.asked.clear()
    return made


class TestContract(EncoderContract):
    @pytest.fixture(autouse=True)
    def _made(self, server: Server) -> None:
        self._encoder = EndpointEncoder("m", server.address)

    def encoder(self) -> Encoder:
        return self._encoder


def test_batches_tokens_and_cost(server: Server, encoder: EndpointEncoder) -> None:
    before = encoder.tokens
    rows = encoder.encode([f"text {number:03d}" for number in range(150)])
    assert [len(body["input"]) for body in server.asked] == [64, 64, 22]
    np.testing.assert_allclose(rows[7], HashingEncoder(64).encode(["text 007"])[0], atol=1e-6)
    assert encoder.tokens - before == 150 * 8
    assert encoder.cost == pytest.approx(encoder.tokens * 2.0 / 1e6)
    assert encoder.texts == 151, "150, and the one that asked for the width"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again(server: Server, encoder: EndpointEncoder, status: int) -> None:
    server.plan = [status, status]
    assert encoder.encode(["tea"]).any()
    assert (len(server.asked), encoder.retries) == (3, 2)


def test_a_broken_answer_is_asked_for_again(server: Server, encoder: EndpointEncoder) -> None:
    server.plan = [{"data": []}, {"no": "data"}, {"data": [{"index": 0, "embedding": [1e400]}]}]
    assert encoder.encode(["tea"]).any()
    assert encoder.retries == 3


def test_it_gives_up_in_the_end(server: Server, encoder: EndpointEncoder) -> None:
    server.plan = [503] * 9
    with pytest.raises(Unavailable, match="could not embed 1 texts: it answered 503"):
        encoder.encode(["tea"])
    assert len(server.asked) == 5


@pytest.mark.parametrize("status", [400, 401, 404, 307])
def test_a_refusal_is_not_asked_again(server: Server, encoder: EndpointEncoder, status: int) -> None:
    server.plan = [status]
    with pytest.raises(Unavailable, match=str(status)):
        encoder.encode(["tea"])
    assert len(server.asked) == 1


def test_another_width_is_refused(server: Server, encoder: EndpointEncoder) -> None:
    server.plan = [{"data": [{"index": 0, "embedding": [1.0, 2.0]}]}]
    with pytest.raises(Unavailable, match="another model"):
        encoder.encode(["tea"])


def test_a_query_does_not_wait(server: Server, encoder: EndpointEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_ASK_SECONDS", 0.05)
    server.plan = [0.5]
    with pytest.raises(Unavailable):
        encoder.encode_queries(["tea"])
    assert encoder.encode_queries(["tea"]).any()


def test_closing_ends_the_pauses(server: Server, encoder: EndpointEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "_PAUSE", 30.0)
    server.plan = [503] * 9
    threading.Timer(0.1, encoder.close).start()
    with pytest.raises(Unavailable, match="closing"):
        encoder.encode(["tea"])


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "k1")
    EndpointEncoder("m", server.address, "SHOP_KEY")
    EndpointEncoder("m", server.address, "NO_KEY")
    assert server.keys == ["Bearer k1", None]


def test_the_width_is_kept(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    first = EndpointEncoder("m", server.address, folder=folder)
    second = EndpointEncoder("m", server.address, folder=folder)
    assert (first.dim, second.dim, len(server.asked)) == (64, 64, 1)


@pytest.mark.parametrize("address", ["", "ftp://there/v1", "127.0.0.1:80/v1"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigError, match=r"language\.endpoint"):
        encoder_of(LanguageSettings(encoder="openai:m", endpoint=address))


def test_texts_are_paid_for_once(server: Server, encoder: EndpointEncoder, tmp_path: Path) -> None:
    for _ in range(2):
        cache = VectorCache(tmp_path, encoder)
        cache.get(["tea", "coffee", "tea"])
        cache.close()
    assert sum(len(body["input"]) for body in server.asked) == 2


def test_without_its_server_a_query_ranks_by_words(server: Server) -> None:
    settings = {"encoder": "openai:m", "endpoint": server.address}
    with palate.open(":memory:", language=settings) as engine:
        engine.ingest({"event": "item", "item": name, "fields": {"title": name}} for name in ("green tea", "coffee"))
        assert engine.wait_encoded(10)
        engine.recommend("u", 2, query="teapot")  # kernels compile
        server.plan = [503]
        answer = engine.recommend("u", 2, query="tea")
        assert "query_not_encoded" in answer.degraded
        assert answer.items[0].id == "green tea"
        assert len(server.plan) == 0
        again = engine.recommend("u", 2, query="coffee")
        assert again.degraded == []
        assert again.items[0].id == "coffee"
