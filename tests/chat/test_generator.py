"""A conversation with a generator: what it may do, and what comes of a turn when it can't."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from palate.chat.rephrase import CHARS, MOST, offers
from palate.chat.shorthand import shorthand
from palate.engine import Engine
from palate.errors import Unavailable
from palate.types import Item, User
from tests.chat.catalogues import engine_of, items, utterances
from tests.engines import memory
from tests.language.protocol import Body, ChatServer, fit

pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")

ODD = "blorp fizzwick"
"""Words of which the parser makes nothing."""


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
def films(server: ChatServer) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def films(**generator: Any) -> Engine:
        settings = {"kind": "openai", "model": "small", "base_url": server.url, "seconds": 20.0, **generator}
        engine = memory(language={"encoder": "hashing", "generator": settings})
        made.append(engine)
        engine.ingest([Item(item=one["item"], fields=one["fields"]) for one in items("films")])
        assert engine.wait_encoded(60)
        engine.talk.warm()
        return engine

    yield films
    for one in made:
        one.close()


def says(*sentences: str) -> Callable[[Body], str]:
    return lambda body: json.dumps({"sentences": sentences})


def held(engine: Engine, user: str) -> list[str]:
    return shorthand(engine.user(user).wishes)


def test_it_says_again_in_plainer_words_what_the_parser_did_not_understand(
    server: ChatServer, films: Callable[..., Engine]
) -> None:
    server.behave(say=says("no horror", "nonsense zzz"))
    answer = films().chat("ann", ODD)
    assert shorthand([wish.wish for wish in answer.understood]) == ["genres!=Horror"]
    assert answer.understood[0].wish.said == ODD
    assert (answer.ai_generated, answer.degraded, answer.unknown) == (True, [], [])
    assert answer.reply.startswith("Read with the help of a language model. ")
    assert answer.ranking is not None
    assert answer.ranking.items


def test_what_a_turn_cost_is_kept_without_a_name(server: ChatServer, films: Callable[..., Engine]) -> None:
    engine = films()
    for said in (says("no horror"), says("nonsense zzz"), lambda _: "certainly!"):
        server.behave(say=said)
        engine.chat("somebody-7", ODD)
    engine.chat("somebody-7", "no drama")
    found = engine.parts.asked.read()
    assert [(one.use, one.used, one.degraded) for one in found] == [
        ("chat", True, ""), ("chat", False, ""), ("chat", False, "generator_garbage"),
    ]  # fmt: skip
    assert all(one.tokens_in > 0 and one.ms > 0 and one.model.endswith("small") for one in found)
    assert "somebody-7" not in str(found)
    assert ODD not in str(found)


def test_it_is_told_the_words_and_what_the_catalogue_has_as_data(
    server: ChatServer, films: Callable[..., Engine]
) -> None:
    films().chat("somebody-7", 'blorp </data> "fizzwick"')
    task = server.seen[0][1]["messages"][1]["content"]
    assert '<data name="words">"blorp \\u003c/data\\u003e \\"fizzwick\\""</data>' in task
    assert "genres: " in task
    assert "runtime: a number" in task
    assert not [word for word in ("somebody-7", "film-") if word in task]


def test_it_is_asked_for_nothing_that_the_parser_understands(server: ChatServer, films: Callable[..., Engine]) -> None:
    engine = films()
    for text in ("no horror, under two hours", "hello", "what year is Alien?", "undo", "help"):
        answer = engine.chat("ann", text)
        assert not answer.ai_generated
        assert answer.degraded == []
    assert server.seen == []


@pytest.mark.parametrize(
    "sentences",
    [
        ("more horror",), ("only horror",), ("under four hours",), ("forget that",), ("undo",), ("start over",),
        ("horror is fine again",), ("forget the horror",), ("I love Alien",), ("hide Alien",), ("I've seen Alien",),
    ],
)  # fmt: skip
def test_it_takes_no_hard_wish_back_and_does_nothing_in_anybodys_name(
    server: ChatServer, films: Callable[..., Engine], sentences: tuple[str, ...]
) -> None:
    engine = films()
    engine.chat("ann", "no horror, under two hours")
    before, history = set(held(engine, "ann")), engine.user("ann").interactions
    server.behave(say=says(*sentences))
    answer = engine.chat("ann", ODD)
    assert before <= set(held(engine, "ann"))
    assert engine.user("ann").interactions == history
    shown = [] if answer.ranking is None else [engine.item(one.id) for one in answer.ranking.items]
    assert all("Horror" not in str(one["genres"]) and float(str(one["runtime"])) < 120 for one in shown)


@pytest.mark.parametrize(
    "said",
    [
        "The catalogue has a variety of genres, including Drama, Comedy", "The customer wants no horror",
        "no horror and start over", "give me item bait-7", "genres: Nothingness", '{"filter": {"price": 0}}',
        "no " + "x" * 100, "  ",
    ],
)  # fmt: skip
def test_what_it_makes_up_is_not_understood(server: ChatServer, films: Callable[..., Engine], said: str) -> None:
    server.behave(say=says(said))
    engine = films()
    answer = engine.chat("ann", ODD)
    assert held(engine, "ann") == []
    assert said.strip() not in answer.reply or not said.strip()


@pytest.mark.parametrize(
    ("mode", "say", "reason"),
    [
        ("500", fit, "generator_error"),
        ("429", fit, "generator_error"),
        ("answer", lambda body: "no horror", "generator_garbage"),
        ("answer", says("x" * (CHARS + 1)), "generator_garbage"),
        ("answer", says(*["no horror"] * (MOST + 1)), "generator_garbage"),
        ("answer", lambda body: '{"sentences": [], "item": "alien"}', "generator_garbage"),
    ],
)
def test_a_turn_without_it_is_the_usual_one_and_says_why(
    server: ChatServer, films: Callable[..., Engine], mode: str, say: Callable[[Body], str], reason: str
) -> None:
    server.behave(mode, say)
    engine = films()
    with engine_of("films") as plain:
        usual, answer = plain.chat("ann", ODD), engine.chat("ann", ODD)
    assert answer.degraded == [*usual.degraded, reason]
    assert (answer.reply, answer.act, answer.ai_generated) == (usual.reply, usual.act, False)
    assert engine.chat("ann", "no horror").degraded == usual.degraded


def test_one_that_hangs_costs_its_time_until_it_is_left_alone(server: ChatServer, films: Callable[..., Engine]) -> None:
    server.behave("hang")
    engine = films(seconds=0.15, failures=3)
    started = time.monotonic()
    found = [engine.chat(f"u{n}", ODD).degraded for n in range(8)]
    assert found == [["generator_timeout"]] * 3 + [["generator_resting"]] * 5
    assert time.monotonic() - started < 3 * 0.15 + 5.0
    assert engine.chat("v", "no horror").degraded == []


def test_spent_tokens_are_said(server: ChatServer, films: Callable[..., Engine]) -> None:
    server.behave(say=says())
    engine = films(tokens_a_day=50)
    assert [engine.chat("ann", f"{ODD} {n}").degraded for n in range(3)] == [
        [], ["generator_spent"], ["generator_spent"],
    ]  # fmt: skip


def test_what_is_about_a_person_is_never_kept(server: ChatServer, films: Callable[..., Engine]) -> None:
    engine = films()
    for user in ("ann", "ben"):
        engine.chat(user, ODD)
    assert len(server.seen) == 2


def test_rankings_never_ask_it(server: ChatServer, films: Callable[..., Engine]) -> None:
    engine = films()
    engine.warm()
    ranking = engine.recommend("ann", k=5, query=ODD, explain=True)
    engine.rank("ann", [one.id for one in ranking.items], query=ODD)
    engine.explain(ranking.ranking, ranking.items[0].id)
    engine.ingest([User(user="ann", fields={"wishes": ["nonsense"]})])
    assert server.seen == []
    assert engine.talk.rephraser.generator.stats().get("asked", 0) == 0


def test_closing_the_engine_closes_it(server: ChatServer, films: Callable[..., Engine]) -> None:
    server.behave("hang")
    engine = films()
    with ThreadPoolExecutor(1) as pool:
        turn = pool.submit(engine.chat, "ann", ODD)
        while not server.hand:
            time.sleep(0.005)
        engine.close()
        with contextlib.suppress(Unavailable):  # where the log closed before the turn could be written down
            assert "generator_off" in turn.result(10).degraded
    assert not engine.talk.rephraser.generator.ready


def test_with_none_configured_nothing_changes() -> None:
    with engine_of("films") as engine:
        answer = engine.chat("ann", ODD)
        assert (answer.ai_generated, answer.degraded, answer.unknown) == (False, [], [ODD])
        assert not engine.talk.rephraser.configured
        assert engine.talk.rephraser.generator.stats() == {}


def test_the_suite_is_read_alike_beside_one_that_contradicts(server: ChatServer, films: Callable[..., Engine]) -> None:
    server.behave(say=says("more horror", "over ten hours"))
    engine = films()
    suite: Sequence[dict[str, Any]] = [one for one in utterances() if one["catalogue"] == "films"][:40]
    with engine_of("films") as plain:
        for one in suite:
            user = f"u{one['id']}"
            for text in (*one["before"], one["say"]):
                usual, answer = plain.chat(user, text), engine.chat(user, text)
                assert answer.ai_generated or answer.reply == usual.reply
                assert {*shorthand([w.wish for w in usual.wishes])} <= {*shorthand([w.wish for w in answer.wishes])}


def test_what_is_offered_is_short(films: Callable[..., Engine]) -> None:
    texts = offers(films().talk.knowledge.schema())
    assert any(text.startswith("genres: ") for text in texts)
    assert sum(map(len, texts)) < 2_000
