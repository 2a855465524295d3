"""Questions that nobody waits for: kept line by line, resumed, within a budget; what becomes of the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import palate
from palate.config import Settings
from palate.errors import CorruptArtefact, NotFound
from palate.language.mute import MuteGenerator
from palate.language.offline import Book, Line, ask_all, key_of, sentence_of, sentences
from palate.language.prompt import Reply
from palate.store.decisions import DecisionLog
from palate.teaching import lists
from palate.testing.world import make_world
from palate.train.artefact import load, locate
from palate.train.prepare import taught
from tests.engines import SMALL, did, filled, item
from tests.language.protocol import Body, ChatServer
from tests.test_reranking import prefers

TEXTS = [f"thing number {n}" for n in range(10)]


class Teller(MuteGenerator):
    """Says of what it is asked how often it was asked before; costs ten tokens each time."""

    name = "teller"
    asked = 0

    def generate(self, prompt: Any, seconds: float | None = None) -> Any:
        self.asked += 1
        return Reply(prompt.answer(sentence=f"Sentence {self.asked}."), tokens_in=8, tokens_out=2)


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    server = ChatServer()
    yield server
    server.close()


def test_a_run_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    book, tasks, teller = Book(tmp_path / "a" / "book.jsonl"), [sentence_of(text) for text in TEXTS], Teller()
    first = ask_all(tasks, teller, book, tokens=40)
    assert (first.answered, first.kept, first.stopped) == (4, 0, "tokens")
    assert first.tokens_in + first.tokens_out == 40
    told: list[tuple[int, int]] = []
    second = ask_all(tasks, teller, book, progress=lambda _, done, total: told.append((done, total)))
    assert (second.answered, second.kept, second.stopped) == (6, 4, "")
    assert told[-1] == (6, 6)
    assert set(book.read()) == {key_of(text) for text in TEXTS}
    assert ask_all(tasks, teller, book).asked == 0
    assert teller.asked == 10


def test_without_a_generator_nothing_is_written_and_the_run_says_why(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl")
    told = ask_all([sentence_of(text) for text in TEXTS], MuteGenerator(), book)
    assert (told.asked, told.failed, told.stopped) == (1, 1, "generator_off")
    assert not book.path.exists()


def test_a_torn_line_is_asked_again_and_a_foreign_one_is_an_error(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl")
    book.add([Line("a", "A.", "p", "m"), Line("b", "B.", "p", "m")])
    whole = book.path.read_bytes()
    book.path.write_bytes(whole[:-9])
    assert set(book.read()) == {"a"}
    book.add([Line("c", "C.", "p", "m")])
    book.path.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(CorruptArtefact, match="line 1"):
        book.read()


def test_sentences_are_encoded_before_the_items_own_text(tmp_path: Path) -> None:
    file = tmp_path / "sentences.jsonl"
    Book(file).add([Line(key_of("Kettle. kitchen"), "Boils water for tea.", "summary.1", "m")])
    plain = {"encoder": "hashing"}
    for language, found in ((plain, False), ({**plain, "summaries": str(file)}, True)):
        items = [item("k", title="Kettle", category="kitchen"), item("s", title="Saw")]
        with filled(items, language=language) as engine:
            ranking = engine.rank("u", ["s", "k"], query="tea water", explain=True)
            matched = {one.id for one in ranking.items if any(t.feature == "query_words" for t in one.contributions)}
            assert matched == ({"k"} if found else set())
    assert sentences("") == {}
    with pytest.raises(NotFound, match="summarise"):
        filled([], language={**plain, "summaries": str(tmp_path / "none")})


def test_the_command_asks_and_the_next_run_knows(tmp_path: Path, server: ChatServer) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    from palate.cli import run

    server.behave(say=lambda _: json.dumps({"sentence": "It is a thing."}))
    path = tmp_path / "shop.palate"
    generator = {"kind": "openai", "model": "m", "base_url": server.url}
    with palate.open(path, language={"encoder": "hashing"}) as engine:
        engine.ingest([item(f"i{n}", title=f"Thing {n}") for n in range(5)])
    lines = ["[language]", 'encoder = "hashing"', "[language.generator]"]
    (path / "palate.toml").write_text(
        "\n".join([*lines, *(f"{name} = {json.dumps(v)}" for name, v in generator.items())])
    )
    assert run(["language", "summarise", "--dir", str(path), "--limit", "2", "--json"]) == 0
    assert run(["language", "summarise", "--dir", str(path), "--json"]) == 0
    found = Book(path / "language" / "summaries.jsonl").read()
    assert len(found) == 5
    assert len(server.seen) == 5
    assert {line.value for line in found.values()} == {"It is a thing."}


def test_a_teachers_lists_are_groups_to_learn_from(tmp_path: Path, server: ChatServer) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    server.behave(say=prefers("tea"))
    file, path = tmp_path / "orders.jsonl", tmp_path / "shop.palate"
    with palate.open(path, language={"encoder": "hashing"}, train=SMALL) as engine:
        engine.ingest(list(make_world(people=15, interactions=500).events))
        for person in range(15):
            engine.recommend(f"p{person}", 8)
    log = DecisionLog(path / "decisions", Settings().decisions, read_only=True)
    decisions = list(log.read())
    log.close()
    with palate.open(path, language={"encoder": "hashing"}, train={**SMALL, "teacher": str(file)}) as engine:
        with pytest.raises(NotFound, match="teach"):
            engine.train(activate=False)
        tasks, generator = lists(engine.line, engine.catalogue, decisions), server.generator()
        told = ask_all(tasks, generator, Book(file), places=2)
        generator.close()
        assert (len(tasks), told.answered) == (15, 30)
        assert told.tokens_in > 0
        report = engine.train(activate=False)
        extra = load(locate(path / "models", report.version)).manifest.extra
        assert extra["decisions"]["taught"] == 15
    said = Book(file).read()
    for decision, best in taught(decisions, str(file), decisions[0].features):
        assert decision.shown.ids[best] == said[decision.ranking].value[0]
    assert taught(decisions, str(file), "others") == [] == taught(decisions, "", decisions[0].features)


def test_orders_are_added_up_and_read_back(server: ChatServer) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")

    def reversed_(body: Body) -> str:
        schema = body["response_format"]["json_schema"]["schema"]["properties"]["order"]
        return json.dumps({"order": list(range(schema["maxItems"], 0, -1))})

    server.behave(say=reversed_)
    with filled([item("a", title="A"), item("b", title="B"), did(1, "u", "a")]) as engine:
        ranking = engine.rank("u", ["a", "b"])
        log = engine.parts.decisions.log
        assert log is not None
        (task,) = lists(engine.line, engine.catalogue, log.read(), 1)
        assert task.key == ranking.ranking
        generator = server.generator()
        value = task.read([generator.generate(one).value for one in task.prompts])
        assert value is not None
        assert sorted(value) == ["a", "b"]
        generator.close()
