"""What people like, said by a generator at night: who is due, what is asked, and what becomes of the answer.

Each answer that holds (``portrayal.fault``) is written at once, as an ordinary event of its person, so that a stop
costs nothing; of one that doesn't it is kept that it was tried. Just before writing the person is looked up again: who
has been forgotten, has opted out or wants something else since gets nothing, and the event is dated when the profile
was read, so that a deletion in between is later than it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from palate.language.offline import Line, Task
from palate.language.prompt import load_prompt
from palate.portrayal import Facts, facts_of, fault, language_of
from palate.summary import FIELD, Kept, Language, digest_of, write
from palate.types import User, UserProfile
from palate.wishes import write as written

_NAMES: dict[Language, str] = {"en": "English", "zh": "Chinese (simplified)"}
_SENTENCE = 240
_PROMPT = "person"


class Portrait(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked about a person."""

    sentences: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=_SENTENCE)]], msgspec.Meta(min_length=1, max_length=3)
    ]


class Due(NamedTuple):
    """Somebody whose text is to be written. now: event time (ms) when the profile was read."""

    profile: UserProfile
    facts: Facts
    language: Language
    now: int


def due(profile: UserProfile, model: str, least: int, now: int) -> Due | None:
    """Whether a text of ``profile`` is to be written by ``model``: it is known by ``least`` interactions or more, and
    has none by this model and prompt that still holds."""
    found = profile.summary
    if found is None or not profile.profiling or profile.interactions < least:
        return None
    if found.tried and found.model == model and found.prompt == load_prompt(_PROMPT).version:
        return None
    return Due(profile, facts_of(profile), language_of(profile), now)


def task_of(one: Due) -> Task:
    """The question about somebody; its answer is the text, '' where that doesn't hold."""
    facts = one.facts
    prompt = load_prompt(_PROMPT).fill(
        Portrait,
        language=_NAMES[one.language],
        tags=facts.tags or ["nothing in particular"],
        rising=facts.rising or ["nothing"],
        titles=facts.titles or ["none"],
        praised=facts.praised or ["nothing"],
    )
    return Task(one.profile.user, [prompt], lambda answers: _text(answers[0], one.language))


def _text(answer: Any, language: Language) -> str:
    said = [" ".join(one.split()) for one in answer.sentences]
    end = "。" if language == "zh" else "."
    return ("" if language == "zh" else " ").join(one if one[-1:] in ".!?。！？" else one + end for one in said)


class People:
    """Where answers go: a ``Book`` (``language.offline``) whose lines are events of people.

    look: somebody's profile now; send: takes an event. said: how many texts hold, and why others don't (``fault``;
    ``gone`` for those who are unknown by now, or want something else).
    """

    def __init__(
        self, people: Iterable[Due], look: Callable[[str], UserProfile], send: Callable[[User], object]
    ) -> None:
        self._people = {one.profile.user: one for one in people}
        self._look, self._send = look, send
        self.said: Counter[str] = Counter()

    def read(self) -> dict[str, Line]:
        """Nothing: who has a text isn't asked about."""
        return {}

    def add(self, lines: Sequence[Line]) -> None:
        """Write them, durably."""
        for line in lines:
            one = self._people[line.key]
            now = self._look(line.key)
            wishes = digest_of(written(one.profile.wishes))
            if not now.known or not now.profiling or digest_of(written(now.wishes)) != wishes:
                self.said["gone"] += 1
                continue
            why = fault(str(line.value), one.facts, one.language)
            self.said[why or "written"] += 1
            kept = Kept(
                "" if why else str(line.value), one.language, line.model, line.prompt, one.now,
                one.profile.interactions, wishes,
            )  # fmt: skip
            self._send(User(user=line.key, timestamp=one.now, fields={FIELD: write(kept)}))
