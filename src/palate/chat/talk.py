"""A conversation: one turn from words to events to the next ranking, which obeys because the state does.

Nothing of it is kept beside the log: wishes and what an undo brings back are fields of the user, likes and hides are
interactions, written like everybody's. Other turns of the same person wait meanwhile. Of the last answer the process
remembers which items it showed, so that "shorter" can mean than these.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, Protocol

import msgspec

from palate.chat.answer import Act, ChatAnswer, ChatRequest, Question, Said
from palate.chat.knowledge import EARLY, Host, Knowledge
from palate.chat.merge import Memory, Merged, merge
from palate.chat.parse import Helper, Parse, language_of, parse
from palate.chat.rephrase import Rephraser, harmless, plain
from palate.chat.reply import Voice
from palate.chat.schema import role_of
from palate.chat.words import normal, tokens
from palate.checks import check_id, check_text
from palate.config import Settings
from palate.errors import Conflict, InvalidInput
from palate.filters import compile_filter
from palate.language import Generator
from palate.language.asked import AskedLog
from palate.state.keys import subject_of
from palate.types import IngestResult, Interaction, Ranking, RecommendRequest, User
from palate.wishes import FIELD, MEMORY, Wish, read, write

CHARS = 2_000
_LOCKS = 64
_LISTED = 3
_COUNTED = 20_000
_FIRST = {
    "1": 0, "first": 0, "one": 0, "一": 0, "第一个": 0,
    "yes": 0, "yeah": 0, "yep": 0, "sure": 0, "是": 0, "是的": 0, "对": 0,
    "2": 1, "second": 1, "two": 1, "二": 1, "第二个": 1, "3": 2, "third": 2, "three": 2, "三": 2, "第三个": 2,
    "4": 3, "fourth": 3, "第四个": 3, "5": 4, "fifth": 4, "第五个": 4,
}  # fmt: skip
_FACTS = {
    "how long is": "duration", "多长": "duration", "what year is": "year", "which year is": "year", "when was": "year",
    "when did": "year", "哪年": "year", "哪一年": "year", "who directed": "director", "谁导演": "director",
    "who made": "director", "how much is": "price", "多少钱": "price", "how old is": "year", "what genre is": "genre",
    "什么类型": "genre", "what language is": "language", "什么语言": "language", "几分": "rating",
}  # fmt: skip
_DECODE = msgspec.json.Decoder(Memory).decode


class Speaker(Host, Protocol):
    """What of an engine a conversation needs."""

    settings: Settings

    def ingest(self, events: object) -> IngestResult: ...
    def answer(self, request: RecommendRequest) -> Ranking: ...


class Talk:
    """The conversations over one engine. generator: what is asked about words that say nothing to the parser; asked:
    where it is kept what that cost."""

    def __init__(
        self, host: Speaker, lock: AbstractContextManager[object], generator: Generator, asked: AskedLog
    ) -> None:
        self.host, self.lock, self.asked = host, lock, asked
        self.knowledge = Knowledge(host, lock)
        self.rephraser = Rephraser(generator)
        self._turns = [Lock() for _ in range(_LOCKS)]

    def warm(self) -> None:
        """Make ready what the first turn would wait for: beside the caller the catalogue, here the generator."""
        self.knowledge.warm_soon(EARLY)
        self.rephraser.generator.warm()

    def turn(self, request: ChatRequest) -> ChatAnswer:
        """Answer one turn. Errors: ``InvalidInput``; those of ``ingest`` where the log refuses."""
        for name, value in self.steps(request):
            if name == "done":
                return value
        raise AssertionError("a turn ends with done")

    def turn_of(self, subject: str) -> Lock:
        """Held by whoever changes the wishes of a person."""
        return self._turns[zlib.crc32(subject.encode()) % _LOCKS]

    def check(self, request: ChatRequest) -> str:
        """The subject of a request. Errors: ``InvalidInput`` naming what is wrong; ``Conflict`` who opted out."""
        limits = self.host.settings.limits
        if request.user is not None:
            check_id(request.user, "user", limits)
        if request.session is not None:
            check_id(request.session, "session", limits)
        subject = subject_of(request.user, request.session)
        if subject is None:
            raise InvalidInput("Neither user nor session is given: a conversation needs one of them.", "user")
        check_text(request.text, "text", limits)
        if not request.text.strip() or len(request.text) > CHARS:
            raise InvalidInput(f"text must hold 1 to {CHARS} characters.", "text")
        if not 1 <= request.k <= limits.k:
            raise InvalidInput(f"k is {request.k}; it must lie between 1 and {limits.k}.", "k")
        if self.host.state.users.get(subject) in self.host.state.opted_out:
            raise Conflict(
                "This person doesn't want to be profiled, and a conversation keeps what they wish: rank without a name."
            )
        return subject

    def steps(self, request: ChatRequest) -> Iterator[tuple[str, Any]]:
        """``understood`` (ChatAnswer without a ranking, its events stored), ``ranking``, and ``done``, the whole."""
        started = time.perf_counter()
        subject = self.check(request)
        knowledge = self.knowledge
        self.knowledge.warm_soon()
        degraded: list[str] = []
        with self.turn_of(subject):
            held, memory = self._before(subject)
            parsed = self._parsed(request.text, held, memory, knowledge.of(subject), degraded)
            merged, position = self._stored(request, parsed, held, memory)
        voice = Voice(request.language or parsed.language, knowledge.title)
        answer = _understood(request, parsed, merged, voice, position, degraded)
        yield "understood", answer
        acts = parsed.says and (parsed.wishes or parsed.drops or parsed.events or {"undo", "reset"} & set(parsed.acts))
        if acts or (parsed.says and not parsed.choices):
            ranking = self._ranked(request, merged.wishes)
            shown = [item.id for item in ranking.items]
            self.knowledge.remember(subject, shown)
            answer.ranking, answer.as_of = ranking, ranking.as_of
            answer.titles = {item: knowledge.title(item) for item in shown}
            answer.degraded += [what for what in ranking.degraded if what not in answer.degraded]
            yield "ranking", ranking
        answer.reply = self._reply(answer, parsed, merged, voice, knowledge)
        answer.ms = round((time.perf_counter() - started) * 1000, 3)
        yield "done", answer

    # ------------------------------------------------------------------------------- in

    def _before(self, subject: str) -> tuple[list[Wish], Memory]:
        with self.lock:
            fields = dict(self.host.state.user_fields.get(self.host.state.users.get(subject), {}))
        raw = fields.get(MEMORY)
        try:
            memory = _DECODE(raw) if isinstance(raw, str) else Memory()
        except msgspec.MsgspecError:
            memory = Memory()
        return read(fields.get(FIELD))[0], memory

    def _parsed(self, text: str, held: Sequence[Wish], memory: Memory, helper: Helper, degraded: list[str]) -> Parse:
        knowledge = self.knowledge
        chosen = _chosen(text, memory)
        if chosen is not None:
            return Parse(language_of(normal(text)), wishes=[chosen])
        schema = knowledge.schema()
        found = parse(text, schema, knowledge.fields, helper)
        if found.unknown and knowledge.pending:
            degraded.append("values_pending")
        if self.rephraser.configured and not (found.says or found.acts or found.facts):
            said = self.rephraser(text, schema)
            if said.degraded:
                degraded.append(said.degraded)
            for sentence in said.sentences:
                part = parse(sentence, schema, knowledge.fields, helper)
                if plain(part):
                    found.wishes += harmless(part.wishes, held, text)
                    found.missing += [role for role in part.missing if role not in found.missing]
            if found.says:
                found.unknown, found.helped = [], True
            self.asked.add("chat", said.prompt, self.rephraser.generator.name, said.reply, found.helped)
        return found

    def _stored(self, request: ChatRequest, parsed: Parse, held: list[Wish], memory: Memory) -> tuple[Merged, int]:
        """Merge, and write what changed; the state has it when this returns."""
        memory = msgspec.structs.replace(memory, turn=memory.turn + 1)
        merged = merge(held, parsed, memory)
        fields: dict[str, Any] = {}
        changed = bool(parsed.wishes) or merged.wishes != held
        if changed:
            fields[FIELD] = write(merged.wishes)
            undone = "undo" in parsed.acts and not parsed.wishes
            memory = msgspec.structs.replace(memory, before=None if undone else held)
        if changed or parsed.choices or memory.choices:
            memory = msgspec.structs.replace(
                memory, question=parsed.question, labels=[one.label for one in parsed.choices],
                choices=[one.wish for one in parsed.choices],
            )  # fmt: skip
            fields[MEMORY] = msgspec.json.encode(memory).decode()
        events: list[object] = []
        if fields:
            session = None if request.user else request.session
            events.append(User(user=request.user or "", session=session, fields=fields))
        for kind, item in parsed.events:
            events.append(Interaction(user=request.user, session=request.session, item=item, type=kind))
        position = self.host.ingest(events).seq if events else self.host.state.seq
        return merged, position

    # ------------------------------------------------------------------------------ out

    def _ranked(self, request: ChatRequest, wishes: list[Wish]) -> Ranking:
        named = [wish.like or wish.unlike for wish in wishes if wish.like or wish.unlike]
        return self.host.answer(
            RecommendRequest(
                user=request.user, session=request.session, k=request.k, context=request.context,
                exclude=list(dict.fromkeys(named)), policy="greedy",
            )
        )  # fmt: skip

    def _reply(self, answer: ChatAnswer, parsed: Parse, merged: Merged, voice: Voice, knowledge: Knowledge) -> str:
        say: list[str] = [voice.say("helped")] if answer.ai_generated else []
        known = [voice.wish(wish) for wish in (*merged.added, *merged.kept)]
        if "reset" in parsed.acts:
            say.append(voice.say("reset"))
        if answer.understood:
            say.append(voice.say("understood", voice.several([one.text for one in answer.understood])))
        for kind, item in parsed.events:
            say.append(voice.say("understood", voice.say({"like": "liked"}.get(kind, kind), knowledge.title(item))))
        if "undo" in parsed.acts and (back := [one.text for one in answer.wishes if one.text not in known]):
            say.append(voice.say("back", voice.several(back)))
        if answer.removed and "reset" not in parsed.acts:
            say.append(voice.say("removed", voice.several(answer.removed)))
        if merged.idle:
            say.append(voice.say("idle"))
        if answer.missing:
            say.append(voice.say("missing", voice.joined([voice.role(role) for role in answer.missing])))
        if answer.absent:
            say.append(voice.say("absent", voice.joined([f"“{word}”" for word in answer.absent])))
        if answer.question is not None:
            say.append(answer.question.text)
        if answer.unknown and (parsed.says or parsed.acts):
            say.append(voice.say("unknown", voice.joined([f"“{text}”" for text in answer.unknown])))
        for item, asked in parsed.facts:
            say.append(_fact(item, asked, voice, knowledge))
        for act in dict.fromkeys(parsed.acts):
            if act == "show":
                held = [one.text for one in answer.wishes]
                say.append(voice.say("show", voice.several(held)) if held else voice.say("nothing"))
            elif act not in ("undo", "reset") and not parsed.says:
                say.append(voice.say(act))
        if answer.ranking is not None:
            say += self._listed(answer, answer.ranking, voice)
        return ("" if voice.at else " ").join(say) or voice.say("unclear")

    def _listed(self, answer: ChatAnswer, ranking: Ranking, voice: Voice) -> list[str]:
        if ranking.items:
            rows = [
                f"{item.position}. {answer.titles[item.id]} ({voice.reason(item.reasons[0]).rstrip('.')})"
                for item in ranking.items[:_LISTED]
            ]
            return [
                voice.say("list", "").rstrip()
                + (" " if not voice.at else "")
                + voice.several(rows)
                + ("。" if voice.at else ".")
            ]
        say = [voice.say("empty")]
        if loosest := self._loosest([one.wish for one in answer.wishes]):
            wish, count = loosest
            all_counted = self.host.state.n_items <= _COUNTED
            say.append(voice.say("without" if all_counted else "without_some", voice.wish(wish), count))
        return say

    def _loosest(self, wishes: list[Wish]) -> tuple[Wish, int] | None:
        """The hard wish without which most items are left, of the first ``_COUNTED``, and how many."""
        hard = [(wish, compile_filter(wish.filter)) for wish in wishes if wish.filter is not None]
        rows = [fields for _, fields in self.knowledge.items(_COUNTED)]
        left = [
            (sum(all(test(fields) for other, test in hard if other is not wish) for fields in rows), place)
            for place, (wish, _) in enumerate(hard)
        ]
        count, place = max(left, key=lambda one: (one[0], -one[1]), default=(0, 0))
        return (hard[place][0], count) if count else None


def _understood(
    request: ChatRequest, parsed: Parse, merged: Merged, voice: Voice, position: int, degraded: list[str]
) -> ChatAnswer:
    question = None
    if parsed.choices:
        labels = [choice.label for choice in parsed.choices]
        text = voice.say(f"choose_{parsed.question}", voice.joined(labels))
        question = Question(text, labels)
    return ChatAnswer(
        reply="", language="zh" if voice.at else "en", act=_act(parsed, question is not None),
        understood=[Said(voice.wish(wish), wish) for wish in merged.added],
        removed=[voice.wish(wish) for wish in merged.removed], missing=parsed.missing, absent=parsed.absent,
        unknown=parsed.unknown, question=question, wishes=[Said(voice.wish(wish), wish) for wish in merged.wishes],
        ranking=None, titles={}, degraded=degraded, as_of=position, ai_generated=parsed.helped,
    )  # fmt: skip


def _act(parsed: Parse, asks: bool) -> Act:
    if "reset" in parsed.acts:
        return "reset"
    if "undo" in parsed.acts or (parsed.drops and not parsed.wishes):
        return "undo"
    if parsed.says and not (asks and not parsed.wishes):
        return "wish"
    if asks:
        return "question"
    return (
        "answer" if parsed.facts or {"show", "help"} & set(parsed.acts) else "smalltalk" if parsed.acts else "unclear"
    )


def _chosen(text: str, memory: Memory) -> Wish | None:
    """The choice of an open question that these words name."""
    if not memory.choices:
        return None
    said = normal(text).strip(" .!。！")
    words = " ".join(word for word in tokens(said) if word not in ("the", "one", "please") or len(tokens(said)) == 1)
    place = _FIRST.get(said, _FIRST.get(words, _FIRST.get(said.removesuffix("的"))))
    if place is None:
        places = [
            n
            for n, label in enumerate(memory.labels)
            if said and (said == normal(label) or f"({said})" in normal(label))
        ]
        place = places[0] if len(places) == 1 else None
    return memory.choices[place] if place is not None and place < len(memory.choices) else None


def _fact(item: str, asked: str, voice: Voice, knowledge: Knowledge) -> str:
    """A field of an item, read from the catalogue."""
    role = _FACTS.get(asked, "")
    for name, value in sorted(knowledge.fields(item).items()):
        if role and role_of(name) == role:
            text = voice.joined(value) if isinstance(value, list) else str(value)
            return voice.say("fact", knowledge.title(item), voice.field(name), text)
    return voice.say("no_fact", knowledge.title(item))
