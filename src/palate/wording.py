"""Reasons in a model's words, where one is configured and somebody asks: checked to say what was given, and only that.

A generator gets the verified reasons of an explanation, numbered, and words each in a sentence. A sentence stands only
if, apart from the names that its own reason gives (titles, tags), it is made of words that its kind of reason may be
said with (``wording.toml``), has every name, no number that wasn't given, and as many negations as the reason. So
nothing can be invented, left out of a claim, or smuggled in by a title. Where one sentence fails, all templates stand,
and ``degraded`` says why. Never on the path of a ranking.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec

from palate.errors import InvalidInput
from palate.feedback.summary import chinese_names
from palate.language import Generator
from palate.language.asked import AskedLog
from palate.language.prompt import Reply, load_prompt
from palate.reasons import SHORT, short
from palate.types import Explanation, Reason

Language = Literal["en", "zh"]
CHARS = 240
MOST = 4
_LANGUAGES: dict[str, Language] = {"en": "en", "zh": "zh"}
_NAMES: dict[Language, str] = {"en": "English", "zh": "Chinese (simplified)"}
_SILENT = ("ranked", "unscored")
"""Reasons that say nothing that could be worded."""
_NAME = "\x01"
_WORD = re.compile(r"[a-z]+(?:['’][a-z]+)?|\d[\d.,]*|[\u3400-\u9fff]+|\x01|[^\W\d_]+")
_STRANGE = re.compile(r"[<>{}\[\]|`*_#@\\/$%^=+~]|https?:|www\.")
_PUNCTUATION = re.compile(r"[\s.,;:!?'\"’‘“”()（），。！？；：、《》「」…—–-]*")
_NEGATIONS = re.compile(
    r"\b(?:no|not|never|none|nothing|without|neither|nor|cannot|hardly|n't)\b|n't\b|[不没無无未非莫]|别", re.IGNORECASE
)
_NUMBERS = re.compile(
    r"\d[\d.,]*|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty|hundred|thousand|million|"
    r"dozen|half|double|twice|first|second|third)s?\b|[两二三四五六七八九十百千万亿半]",
    re.IGNORECASE,
)


class Sentence(msgspec.Struct, forbid_unknown_fields=True):
    """One reason, by its number, in other words."""

    reason: Annotated[int, msgspec.Meta(ge=0, le=MOST)]
    words: Annotated[str, msgspec.Meta(max_length=CHARS)]


class Sentences(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked of a generator."""

    sentences: Annotated[list[Sentence], msgspec.Meta(max_length=MOST)]


class Worded(msgspec.Struct):
    """The reasons as a text. ai_generated: a model worded it, held against what was given; else these are templates,
    and ``degraded`` says why: as ``language.prompt.Reply``, or ``words_`` and what was wrong: ``missing`` (a reason),
    ``name`` (one left out), ``number``, ``negation``, ``strange`` (a character), ``unknown`` (a word)."""

    text: str
    language: Language
    ai_generated: bool = False
    degraded: list[str] = []


class WordedExplanation(Explanation):
    """An ``Explanation``, in words where that was asked for."""

    words: Worded | None = None


class Fact(NamedTuple):
    """A reason to be worded: its code, its sentence by template, and the names in that."""

    code: str
    text: str
    names: tuple[str, ...]


def word(
    found: Explanation, generator: Generator, title: Callable[[str], str], asked: str, log: AskedLog | None = None
) -> Explanation:
    """``found`` with its reasons in words of the language that is asked for, ``en`` or ``zh``; as it is for ``''``.

    Waits for the generator: never under the engine's lock, nor in a loop. Errors: ``InvalidInput``.
    """
    words = words_of(found, generator, title, asked, log)
    if words is None:
        return found
    return WordedExplanation(**{name: getattr(found, name) for name in found.__struct_fields__}, words=words)


def words_of(
    found: Explanation, generator: Generator, title: Callable[[str], str], asked: str, log: AskedLog | None = None
) -> Worded | None:
    """What ``word`` adds; None where nothing is asked for. log: where it is kept what that cost."""
    if not asked:
        return None
    if asked not in _LANGUAGES:
        raise InvalidInput(f"words is {asked[:20]!r}; use en or zh.", "words")
    language = _LANGUAGES[asked]
    facts = [fact_of(reason, title, language) for reason in found.reasons[:MOST]]
    plain = _joined([fact.text for fact in facts], language)
    if any(fact.code not in _SILENT for fact in facts):
        return _asked(facts, plain, generator, title(found.item), language, log)
    return Worded(plain, language)


def _asked(
    facts: list[Fact], plain: str, generator: Generator, item: str, language: Language, log: AskedLog | None
) -> Worded:
    asked = [fact for fact in facts if fact.code not in _SILENT]
    prompt = load_prompt("reasons").fill(
        Sentences, language=_NAMES[language], item=item, reasons=[f"{n}: {fact.text}" for n, fact in enumerate(asked)]
    )
    reply = generator.generate(prompt)
    made = _held(asked, plain, reply, item, language)
    if log is not None and generator.name != "none":
        log.add("words", prompt.version, generator.name, reply, made.ai_generated)
    return made


def _held(asked: list[Fact], plain: str, reply: Reply[Sentences], item: str, language: Language) -> Worded:
    """The model's text where every sentence of it holds, else the templates'."""
    if reply.value is None:
        return Worded(plain, language, degraded=[reply.degraded or "generator_error"])
    said = {one.reason: one.words.strip() for one in reply.value.sentences}
    if sorted(said) != list(range(len(asked))) or len(said) != len(reply.value.sentences):
        return Worded(plain, language, degraded=["words_missing"])
    for number, fact in enumerate(asked):
        if wrong := fault(said[number], fact, item, language):
            return Worded(plain, language, degraded=[f"words_{wrong}"])
    return Worded(_joined([said[number] for number in range(len(asked))], language), language, ai_generated=True)


def fact_of(reason: Reason, title: Callable[[str], str], language: Language) -> Fact:
    """A reason as a sentence of a language, with the names in it."""
    names = tuple(title(item) for item in reason.items)
    if reason.code in ("tag", "new"):
        names = tuple(tag.split(":", 1)[-1] for tag in reason.tags)
    elif reason.code == "said" and reason.tags:
        names = tuple(chinese_names(reason.tags) if language == "zh" else reason.tags)
    if language == "en" or reason.code not in SHORT:
        return Fact(reason.code, reason.text, names)
    if reason.code == "said" and names:
        return Fact(reason.code, f"大家称赞其{'、'.join(names)}。", names)
    text = SHORT[short(reason)][1].format(items="、".join(f"《{name}》" for name in names), tags="、".join(names))
    if reason.code == "taste" and names:
        text = f"内容接近{'、'.join(f'《{name}》' for name in names)}"
    return Fact(reason.code, f"{text}。", names)


def fault(said: str, fact: Fact, item: str, language: Language) -> str:
    """What is wrong with a sentence that words ``fact`` of ``item``, '' where nothing is. See ``Worded.degraded``."""
    if not said or len(said) > CHARS or not said.isprintable():
        return "strange"
    rest, missing = _without(said, fact.names)
    if missing:
        return "name"
    rest, _ = _without(rest, (item,))
    given, _ = _without(fact.text, fact.names)
    if _STRANGE.search(rest):
        return "strange"
    allowed = [number.lower() for number in _NUMBERS.findall(given)]
    for number in _NUMBERS.findall(rest):
        if number.lower() not in allowed:
            return "number"
        allowed.remove(number.lower())
    if len(_NEGATIONS.findall(rest)) != len(_NEGATIONS.findall(given)):
        return "negation"
    return "" if _known(rest, given, fact.code, language) else "unknown"


def _without(text: str, names: Sequence[str]) -> tuple[str, list[str]]:
    """``text`` without ``names``, wherever one stands as words of its own; those that nowhere do."""
    missing: list[str] = []
    for name in sorted(names, key=len, reverse=True):
        before = "(?<![A-Za-z0-9])" if name[:1].isascii() and name[:1].isalnum() else ""
        behind = "(?![A-Za-z0-9])" if name[-1:].isascii() and name[-1:].isalnum() else ""
        text, count = (
            re.subn(before + re.escape(name) + behind, _NAME, text, flags=re.IGNORECASE) if name else (text, 0)
        )
        if not count:
            missing.append(name)
    return text, missing


def _known(rest: str, given: str, code: str, language: Language) -> bool:
    """Whether nothing is left of a sentence without its names but words that its reason may be said with."""
    vocabulary = _vocabulary(language, code) | frozenset(_words(given))
    if language == "en":
        return all(word == _NAME or word in vocabulary for word in _words(rest)) and not _PUNCTUATION.sub(
            "", _WORD.sub("", rest.lower())
        )
    left = _PUNCTUATION.sub("", rest.replace(_NAME, " "))
    vocabulary |= frozenset(re.findall(r"[\u3400-\u9fff]+", given))
    return _covered(left, vocabulary)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))


def _covered(text: str, vocabulary: frozenset[str]) -> bool:
    """Whether ``text`` can be cut into words of ``vocabulary``. O(n · longest)."""
    longest = max(map(len, vocabulary), default=0)
    reached = [True] + [False] * len(text)
    for end in range(1, len(text) + 1):
        reached[end] = any(reached[at] and text[at:end] in vocabulary for at in range(max(0, end - longest), end))
    return reached[-1]


def _joined(sentences: Sequence[str], language: Language) -> str:
    return ("" if language == "zh" else " ").join(sentences)


@cache
def _vocabulary(language: Language, code: str) -> frozenset[str]:
    words = tomllib.loads((Path(__file__).parent / "wording.toml").read_text(encoding="utf-8"))[language]
    return frozenset(words["common"].split()) | frozenset(words.get(code, "").split())
