"""A server of the OpenAI protocol that is slow, wrong, full or down: what is asked, and what comes of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import pytest

from palate.errors import ConfigError, InvalidInput
from palate.language import Generator, make_generator
from palate.language.guard import Guard
from palate.language.prompt import load_prompt, schema_of
from palate.settings import GeneratorSettings
from palate.testing.generator import SLACK, Verdict, question
from tests.language.protocol import ChatServer

pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")

Make = Callable[..., Guard]
KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def running() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.close()


@pytest.fixture
def server(running: ChatServer) -> ChatServer:
    running.behave()
    return running


@pytest.fixture
def make(server: ChatServer) -> Iterator[Callable[..., Generator]]:
    made: list[Generator] = []

    def make(**settings: Any) -> Generator:
        made.append(server.generator(**settings))
        made[-1].warm()
        return made[-1]

    yield make
    for one in made:
        one.close()


# -------------------------------------------------------------------------------- what is asked


class Tag(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=20)]


class Tags(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    tags: Annotated[list[Tag], msgspec.Meta(min_length=1, max_length=3)]


class Loose(msgspec.Struct):
    right: bool


class Optional(msgspec.Struct, forbid_unknown_fields=True):
    right: bool = True


def test_a_question_is_held_to_its_schema_and_bounds(server: ChatServer, make: Make) -> None:
    filled = load_prompt("plainer").fill(Tags, words="Toy Story", catalogue=["Toys", "come alive."])
    reply = make(max_tokens=50).generate(filled)
    assert reply.value == Tags("word", [Tag("word")])
    assert (reply.tokens_in, reply.tokens_out) == (40, 10)
    _, body = server.seen[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("small", 50, 0)
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"] == schema_of(Tags)
    assert schema["schema"]["required"] == ["title", "tags"]
    assert schema["schema"]["properties"]["title"] == {"type": "string"}
    inner = schema["schema"]["properties"]["tags"]
    assert (inner["minItems"], inner["maxItems"]) == (1, 3)
    assert inner["items"] == {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 20}},
        "required": ["name"],
        "additionalProperties": False,
    }
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert '<data name="words">"Toy Story"</data>' in body["messages"][1]["content"]


@pytest.mark.parametrize("loose", [Loose, Optional])
def test_types_that_would_be_read_less_strictly_are_refused(loose: type[Any], make: Make) -> None:
    with pytest.raises(InvalidInput, match="read strictly"):
        make().generate(replace(question(), answer=loose))


def test_servers_with_newer_names_are_asked_in_their_way(server: ChatServer, make: Make) -> None:
    server.behave("newer")
    generator = make(failures=1)
    assert generator.generate(question()).value == Verdict(True)
    assert generator.generate(question("Again?")).value == Verdict(True)
    assert ["max_completion_tokens" in body for _, body in server.seen] == [False, True, True]
    assert "temperature" not in server.seen[-1][1]


# ---------------------------------------------------------------------------- what comes of it


@pytest.mark.parametrize(
    ("mode", "say", "reason"),
    [
        ("429", None, "generator_error"),
        ("500", None, "generator_error"),
        ("401", None, "generator_error"),
        ("400", None, "generator_error"),
        ("307", None, "generator_error"),
        ("nonsense", None, "generator_garbage"),
        ("nothing", None, "generator_garbage"),
        ("no_choice", None, "generator_garbage"),
        ("other", None, "generator_garbage"),
        ("flood", None, "generator_garbage"),
        ("answer", "", "generator_garbage"),
        ("answer", "Yes, it is.", "generator_garbage"),
        ("answer", '{"right": true, "id": "item-7"}', "generator_garbage"),
        ("answer", '{"right": "true"}', "generator_garbage"),
        ("answer", '{"right": tr', "generator_garbage"),
        ("answer", "{}", "generator_garbage"),
        ("answer", "[" * 20_000, "generator_garbage"),
        ("answer", '{"right": true}', None),
        ("answer", 'Here you are:\n```json\n{"right": false}\n```', None),
        ("no_usage", '{"right": true}', None),
    ],
)
def test_an_answer_is_read_strictly_or_has_a_reason(
    server: ChatServer, make: Make, mode: str, say: str | None, reason: str | None
) -> None:
    server.behave(mode, (lambda body: say) if say is not None else server.say)
    reply = make().generate(question())
    assert reply.degraded == reason, reply
    assert len(server.seen) == 1
    assert reply.detail or reason is None
    assert "Is a cat" not in reply.detail


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_the_answer_is_there_when_its_time_is_over_whatever_the_server_does(
    server: ChatServer, make: Make, mode: str
) -> None:
    server.behave(mode)
    generator = make()
    started = time.monotonic()
    reply = generator.generate(question(), 0.2)
    assert reply.degraded == "generator_timeout"
    assert 0.15 < time.monotonic() - started < 0.2 + SLACK
    server.behave()
    assert generator.generate(question()).value is not None  # its place is free again


def test_a_server_that_is_not_there(make: Make) -> None:
    generator = make(base_url="http://127.0.0.1:9/v1")
    reply = generator.generate(question())
    assert reply.degraded == "generator_error"
    assert "http://127.0.0.1:9/v1" in reply.detail


# ------------------------------------------------------------------------------ what stands between


def test_no_more_questions_at_a_time_than_allowed(server: ChatServer, make: Make) -> None:
    server.behave(delay=0.1)
    generator = make(concurrency=2)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: generator.generate(question(f"Is {n} even?")), range(8)))
    assert [reply.value for reply in replies] == [Verdict(True)] * 8
    assert server.most == 2


def test_who_finds_no_place_is_told_so_and_does_not_count_against_the_server(server: ChatServer, make: Make) -> None:
    server.behave(delay=1.5)
    generator = make(concurrency=1, failures=1)
    with ThreadPoolExecutor(12) as pool:
        long = pool.submit(generator.generate, question("the one that has the place"))
        while not server.hand:
            time.sleep(0.005)
        found = list(pool.map(lambda n: generator.generate(question(f"Is {n} odd?"), 0.1).degraded, range(11)))
        assert found == ["generator_busy"] * 11
        assert long.result().value is not None
    assert generator.ready


def test_a_server_that_fails_is_left_alone_and_then_asked_once(server: ChatServer, make: Make) -> None:
    server.behave("500")
    generator = make(failures=3, rest_seconds=0.4)
    found = [generator.generate(question(f"{n}?")).degraded for n in range(5)]
    assert found == ["generator_error"] * 3 + ["generator_resting"] * 2
    assert len(server.seen) == 3
    assert not generator.ready
    time.sleep(0.5)
    assert generator.ready
    assert generator.generate(question("still broken?")).degraded == "generator_error"
    assert generator.generate(question("resting?")).degraded == "generator_resting"
    assert len(server.seen) == 4
    time.sleep(0.5)
    server.behave()
    assert generator.generate(question("mended?")).value is not None
    assert [generator.generate(question(f"again {n}?")).degraded for n in range(5)] == [None] * 5


def test_a_server_that_hangs_is_left_alone_too(server: ChatServer, make: Make) -> None:
    server.behave("hang")
    generator = make(failures=2, rest_seconds=60.0)
    found = [generator.generate(question(f"{n}?"), 0.1).degraded for n in range(3)]
    assert found == ["generator_timeout", "generator_timeout", "generator_resting"]


def test_tokens_of_the_day_are_spent_once(server: ChatServer, make: Make) -> None:
    generator = make(tokens_a_day=90)
    found = [generator.generate(question(f"{n}?")).degraded for n in range(4)]
    assert found == [None, None, "generator_spent", "generator_spent"]
    assert len(server.seen) == 2
    assert not generator.ready
    assert generator.generate(question("0?")).kept  # what is known costs nothing


def test_what_a_server_does_not_count_is_estimated(server: ChatServer, make: Make) -> None:
    server.behave("no_usage")
    reply = make(price_in=1.0, price_out=2.0).generate(question())
    assert reply.tokens_in > 20
    assert reply.tokens_out > 0


def test_counts_and_cost(server: ChatServer, make: Make) -> None:
    generator = make(price_in=100.0, price_out=1000.0)
    for _ in range(2):
        generator.generate(question())
    server.behave("500")
    generator.generate(question("else?"))
    assert generator.stats() == {
        "asked": 3, "answered": 2, "kept": 1, "tokens_in": 40, "tokens_out": 10, "generator_error": 1,
        "cost": pytest.approx(0.014),
    }  # fmt: skip


def test_answers_are_kept_by_everything_that_makes_them(server: ChatServer, make: Make) -> None:
    generator, other = make(), make(model="large")
    first = question()
    assert not generator.generate(first).kept
    assert generator.generate(first).kept
    for changed in (question("Is it?"), replace(first, version="contract.2")):
        assert not generator.generate(changed).kept
    assert not other.generate(first).kept
    server.behave("answer", lambda body: "garbage")
    assert generator.generate(question("garbled?")).degraded == "generator_garbage"
    server.behave()
    assert not generator.generate(question("garbled?")).kept
    about_a_person = question("whom?", keep=False)
    assert [generator.generate(about_a_person).kept for _ in range(2)] == [False, False]
    assert not make(kept=0).generate(first).kept


def test_kept_answers_outlive_a_process_where_there_is_a_file(server: ChatServer, tmp_path: Any) -> None:
    settings = GeneratorSettings(kind="openai", model="small", base_url=server.url, seconds=20.0)
    for kept in (False, True):
        generator = make_generator(settings, tmp_path / "answers.db")
        assert generator.generate(question()).kept is kept
        generator.close()
    assert len(server.seen) == 1


# ------------------------------------------------------------------------------------------ secrets


def test_the_key_is_sent_and_said_nowhere(
    server: ChatServer, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY + "\n")
    caplog.set_level(logging.DEBUG)
    for mode in ("answer", "401", "nonsense", "hang"):
        server.behave(mode, lambda body: f'{{"right": "{KEY}"}}')
        generator = make(key="MY_KEY")
        reply = generator.generate(question(mode), 0.5)
        assert reply.value is None
        said = [generator.name, repr(generator), repr(vars(generator)), repr(generator.stats())]
        said += [] if mode == "answer" else [repr(reply)]
        assert [text for text in said if KEY in text] == []
        assert server.seen[0][0]["authorization"] == f"Bearer {KEY}"
    logged = [record.getMessage() + str(record.exc_info) for record in caplog.records]
    assert [text for text in logged if KEY in text] == []


@pytest.mark.parametrize("key", ["sk-\nInjected: header", "sk-…"])
def test_a_key_that_no_header_can_carry(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        make_generator(GeneratorSettings(kind="openai", model="m", base_url="http://127.0.0.1:9", key="MY_KEY"))
    assert key not in str(caught.value)


def test_another_place_is_never_told_what_was_asked(server: ChatServer, make: Make) -> None:
    server.behave("307")
    make().generate(question())
    assert len(server.seen) == 1


def test_closing_leaves_no_request_behind(server: ChatServer, make: Make) -> None:
    server.behave("hang")
    generator = make()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(generator.generate, question(), 20.0)
        while not server.hand:
            time.sleep(0.005)
        started = time.monotonic()
        generator.close()
        assert asking.result().degraded == "generator_off"
        assert time.monotonic() - started < SLACK
