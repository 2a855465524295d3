"""Questions that nobody waits for: many of them, within a budget, kept line by line so that a stop costs nothing.

``Book`` is the file: one JSON object a line, appended as answers come; a line that a crash tore is asked again.
Sentences about items (``sentence_of``) may be encoded beside the items' own text (``language.summaries``); orders of a
teacher teach the blend (``train.teacher``).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec

from palate.disk import make_directory
from palate.errors import CorruptArtefact, NotFound
from palate.language import Generator
from palate.language.prompt import Prompt, Reply, load_prompt

_STOPS = ("generator_off", "generator_resting", "generator_spent")
CHARS = 200
Progress = Callable[[str, int, int], None]


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """key: what was asked about. value: a sentence, or ids in the teacher's order. prompt, model: who was asked how."""

    key: str
    value: str | list[str]
    prompt: str
    model: str


class Cost(msgspec.Struct):
    """What a run did. kept: answered by an earlier one; failed: questions without an answer; cost: by the generator's
    prices; stopped: why before the end, '' for not."""

    asked: int = 0
    answered: int = 0
    kept: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Questions that give one line. read: their answers, in order, as its value; None where they are of no use."""

    key: str
    prompts: Sequence[Prompt[Any]]
    read: Callable[[list[Any]], str | list[str] | None]


class Keeper(Protocol):
    """Where answers go: what is known already, and more of it, durably."""

    def read(self) -> Mapping[str, Line]: ...
    def add(self, lines: Sequence[Line]) -> None: ...


class Book:
    """A file of lines. Errors: ``CorruptArtefact`` where it holds anything else; ``OSError``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Line]:
        """Every line by its key, the last one where there are several; none where there is no file."""
        try:
            rows = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        found: dict[str, Line] = {}
        for number, row in enumerate(rows, 1):
            if not row.strip():
                continue
            try:
                line = _decode(row)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                if number == len(rows):  # a crash tore it: it is asked about again
                    break
                raise CorruptArtefact(
                    f"{self.path}, line {number}, is no answer of a language model ({error}): delete that line."
                ) from None
            found[line.key] = line
        return found

    def add(self, lines: Sequence[Line]) -> None:
        """Append, on disk when it returns."""
        make_directory(self.path.parent)
        with open(self.path, "ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            for line in lines:
                file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())


_decode = msgspec.json.Decoder(Line).decode


def ask_all(
    tasks: Sequence[Task],
    generator: Generator,
    book: Keeper,
    tokens: int = 0,
    seconds: float = 60.0,
    places: int = 1,
    progress: Progress | None = None,
    name: str = "asking",
) -> Cost:
    """Ask what ``book`` doesn't know yet, ``places`` tasks at a time. tokens: to be used at most, 0 for no bound; what
    is in hand when they are used up is finished. seconds: for each question. Stops where the generator rests or is
    spent.
    """
    told = Cost()
    known = book.read()
    todo = [task for task in tasks if task.key not in known]
    told.kept = len(tasks) - len(todo)
    started, before = time.monotonic(), generator.stats().get("cost", 0.0)

    def put(task: Task) -> list[Reply[Any]]:
        return [generator.generate(one, seconds) for one in task.prompts]

    with ThreadPoolExecutor(max(1, places), "offline") as threads:
        for start in range(0, len(todo), max(1, places)):
            batch = todo[start : start + max(1, places)]
            replies = list(threads.map(put, batch))
            lines: list[Line] = []
            for task, answers in zip(batch, replies, strict=True):
                _count(told, answers)
                if any(reply.value is None for reply in answers):
                    told.stopped = next((reply.degraded or "" for reply in answers if reply.degraded in _STOPS), "")
                    continue
                value = task.read([reply.value for reply in answers])
                if value is not None:
                    lines.append(Line(task.key, value, task.prompts[0].version, generator.name))
            if lines:
                book.add(lines)
            if progress is not None:
                progress(name, min(len(todo), start + len(batch)), len(todo))
            if not told.stopped and tokens and told.tokens_in + told.tokens_out >= tokens:
                told.stopped = "tokens" if start + len(batch) < len(todo) else ""
                break
            if told.stopped:
                break
    told.seconds = round(time.monotonic() - started, 3)
    told.cost = round(generator.stats().get("cost", 0.0) - before, 6)
    return told


def _count(told: Cost, answers: Sequence[Reply[Any]]) -> None:
    told.asked += len(answers)
    for reply in answers:
        told.answered += reply.value is not None
        told.failed += reply.value is None
        told.tokens_in += reply.tokens_in
        told.tokens_out += reply.tokens_out


class Run(Cost):
    """A ``Cost`` as it is kept. part: ``items``, ``people`` or ``teacher``; model: who was asked; at: Unix ms."""

    part: str = ""
    model: str = ""
    at: int = 0


RUNS = Path("language") / "runs.jsonl"
"""Below an engine's directory: a line for each run, so that the cost can be told beside the gain."""
_decode_run = msgspec.json.Decoder(Run).decode


def keep_run(directory: Path, part: str, told: Cost, model: str) -> None:
    """Add a line to ``RUNS`` where anything was asked."""
    if not told.asked:
        return
    path = directory / RUNS
    make_directory(path.parent)
    run = Run(**msgspec.structs.asdict(told), part=part, model=model, at=time.time_ns() // 1_000_000)
    with open(path, "ab") as file:
        file.write(msgspec.json.encode(run) + b"\n")


def runs(directory: Path) -> list[Run]:
    """The lines of ``RUNS``, oldest first; those that can't be read are left out: they are figures, not facts."""
    found: list[Run] = []
    with contextlib.suppress(FileNotFoundError):
        for row in (directory / RUNS).read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                found.append(_decode_run(row))
    return found


# ------------------------------------------------------------------------------ sentences


class Summary(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked about an item."""

    sentence: Annotated[str, msgspec.Meta(min_length=1, max_length=CHARS)]


def key_of(text: str) -> str:
    """What stands for a text: the same text is asked about once, however many items and runs have it."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def sentence_of(text: str) -> Task:
    """The question what ``text`` is about."""
    prompt = load_prompt("summary").fill(Summary, text=text)
    return Task(key_of(text), [prompt], lambda answers: " ".join(str(answers[0].sentence).split()) or None)


def sentences(path: str) -> dict[str, str]:
    """The sentences of ``language.summaries`` by ``key_of``; none for ''. Read once a process and change of the file.

    Errors: ``NotFound`` where the setting names no file; ``CorruptArtefact``.
    """
    if not path:
        return {}
    try:
        changed = os.stat(path).st_mtime_ns
    except OSError:
        raise NotFound(
            f"language.summaries names {path}, which isn't there: `palate language summarise` makes it.",
            "language.summaries",
        ) from None
    return _sentences(path, changed)


@lru_cache(4)
def _sentences(path: str, changed: int) -> dict[str, str]:
    return {key: line.value for key, line in Book(Path(path)).read().items() if isinstance(line.value, str)}
