"""A server that speaks the OpenAI chat protocol, in a thread of this process, well-behaved or not."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from palate.language import Generator, make_generator
from palate.settings import GeneratorSettings

Body = dict[str, Any]


def fitting(schema: Body) -> Any:
    """The plainest value that a JSON schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: fitting(part) for name, part in schema["properties"].items()}
    if kind == "array":
        return [fitting(schema["items"])] * max(1, schema.get("minItems", 1))
    return {"boolean": True, "string": "word", "integer": schema.get("minimum", 1), "number": 0.5}[str(kind)]


def fit(body: Body) -> str:
    """JSON of the schema that was asked for."""
    return json.dumps(fitting(body["response_format"]["json_schema"]["schema"]))


class ChatServer:
    """mode: what it does with the next requests, see ``_answer``. say: what it writes where it answers.

    seen: (headers, body) of every request; most: how many were in hand at once.
    """

    def __init__(self) -> None:
        self.mode = "answer"
        self.say: Callable[[Body], str] = fit
        self.delay = 0.0
        self.seen: list[tuple[dict[str, str], Body]] = []
        self.hand = self.most = 0
        self._turn = 0
        listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(
            self._app, log_level="critical", interface="asgi3", lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def close(self) -> None:
        self.behave()
        self._server.should_exit = True
        self._thread.join(10)

    def behave(self, mode: str = "answer", say: Callable[[Body], str] = fit, delay: float = 0.0) -> None:
        """What it does from now on; ends what is in hand and forgets what it has seen."""
        self._turn += 1
        until = time.monotonic() + 10.0
        while self.hand and time.monotonic() < until:
            time.sleep(0.005)
        assert self.hand == 0, "The server has requests in hand that don't end."
        self.mode, self.say, self.delay = mode, say, delay
        self.seen, self.most = [], 0

    def generator(self, **settings: Any) -> Generator:
        """A generator that asks this server."""
        wanted = {"kind": "openai", "model": "small", "base_url": self.url, "seconds": 20.0, **settings}
        return make_generator(GeneratorSettings(**wanted))

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((headers, json.loads(raw)))
        self.hand += 1
        self.most = max(self.most, self.hand)
        try:
            await self._answer(self.seen[-1][1], scope["path"], send)
        finally:
            self.hand -= 1

    async def _wait(self, seconds: float) -> None:
        until, turn = time.monotonic() + seconds, self._turn
        while time.monotonic() < until and self._turn == turn:
            await asyncio.sleep(0.01)

    async def _answer(self, body: Body, path: str, send: Any) -> None:
        async def start(status: int, *headers: tuple[str, str]) -> None:
            named = [
                (name.encode(), value.encode()) for name, value in (("content-type", "application/json"), *headers)
            ]
            await send({"type": "http.response.start", "status": status, "headers": named})

        async def part(data: bytes, more: bool = False) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        assert path == "/v1/chat/completions"
        await self._wait(self.delay)
        mode = self.mode
        if mode == "hang":
            await self._wait(30.0)
            return
        if mode.isdecimal():
            await start(int(mode), ("retry-after", "30"), ("location", f"{self.url}/chat/completions"))
            await part(json.dumps({"error": {"message": "no " + body["messages"][1]["content"]}}).encode())
            return
        if mode == "newer" and "max_tokens" in body:
            await start(400)
            said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            await part(json.dumps({"error": {"message": said, "code": "unsupported_parameter"}}).encode())
            return
        await start(200)
        if mode == "flood":
            for _ in range(300):
                await part(b"x" * 10_000, more=True)
            await part(b"")
            return
        text = self.say(body)
        usage = {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        whole: Any = {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}
        if mode == "no_usage":
            del whole["usage"]
        data = {"nonsense": b"<html>", "nothing": b"", "no_choice": b'{"choices": []}', "other": b'{"choices": 3}'}.get(
            mode, json.dumps(whole).encode()
        )
        if mode == "drip":
            turn = self._turn
            for byte in data:
                if self._turn == turn:
                    await part(bytes([byte]), more=True)
                    await self._wait(0.05)
            data = b""
        await part(data)
