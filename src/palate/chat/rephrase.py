"""A generator, where there is one: it may only say an utterance again in plainer words, which the parser then reads.

So it is never trusted with ids, fields or values: what it says is grounded like anybody's words, or not understood.
Only a sentence that the parser understands to its last word counts: small models recite what they were told that the
catalogue has, and a parser that skips words would make wishes of it. Nor may it take anything back: a wish of its that
would end or change a hard one is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from palate.chat.merge import Memory, merge
from palate.chat.parse import Parse
from palate.chat.schema import Schema
from palate.language import Generator
from palate.language.prompt import Reply, load_prompt
from palate.wishes import Wish

MOST = 8
"""Sentences of a rephrasing that are read."""
CHARS = 120
_FIELDS = 4
_VALUES = 12


class Plainer(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked of a generator."""

    sentences: Annotated[list[Annotated[str, msgspec.Meta(max_length=CHARS)]], msgspec.Meta(max_length=MOST)]


class Rephrased(NamedTuple):
    """The sentences, none where it found nothing to say; or the ``Reply.degraded`` for which there are none. reply,
    prompt: what came, and of which question."""

    sentences: list[str]
    degraded: str
    reply: Reply[Plainer]
    prompt: str


class Rephraser:
    """Asks ``generator``, for as long as ``language.generator.seconds``."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator

    @property
    def configured(self) -> bool:
        """Whether there is one to ask; one that rests or is spent says so in its reply."""
        return self.generator.name != "none"

    def __call__(self, text: str, schema: Schema) -> Rephrased:
        """Answered a few milliseconds after the time is over at the latest. Never raises for what a generator does."""
        question = load_prompt("plainer").fill(Plainer, words=text, catalogue=offers(schema))
        reply = self.generator.generate(question)
        if reply.value is None:
            return Rephrased([], reply.degraded or "generator_error", reply, question.version)
        return Rephrased([one for one in reply.value.sentences if one.strip()], "", reply, question.version)


def offers(schema: Schema) -> list[str]:
    """What a catalogue can be asked for, a field each: its commonest values, or that it is a number."""
    counted = sorted(schema.categories.items(), key=lambda one: -sum(one[1].values()))
    texts = [
        f"{name}: {', '.join(value for value, _ in counts.most_common(_VALUES))}" for name, counts in counted[:_FIELDS]
    ]
    return texts + [f"{name}: a number" for name in sorted(schema.numeric)[:_FIELDS]]


def plain(part: Parse) -> bool:
    """Whether a sentence is one wish or more and nothing else."""
    rest = (part.unknown, part.absent, part.acts, part.drops, part.events, part.facts, part.choices)
    return bool(part.wishes or part.missing) and not any(rest)


def harmless(wishes: Sequence[Wish], held: Sequence[Wish], said: str) -> list[Wish]:
    """Those of ``wishes`` that leave every hard wish of ``held`` as it is, as coming from the words ``said``."""
    memory = Memory(turn=max((wish.turn for wish in held), default=0) + 1)
    found: list[Wish] = []
    for wish in wishes:
        ended = merge(held, Parse("en", wishes=[wish]), memory).removed
        if all(old.filter is None for old in ended):
            found.append(msgspec.structs.replace(wish, said=said[:CHARS]))
    return found
