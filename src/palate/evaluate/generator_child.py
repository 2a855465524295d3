"""``python -m palate.evaluate.generator_child``: asks a generator as it is told on standard input, and what it took."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import msgspec
import numpy as np

from palate.errors import PalateError
from palate.evaluate.generator_probe import TEXTS, UTTERANCES, Counting, order_view, talk
from palate.evaluate.generators import AskedOf, ToldOf
from palate.evaluate.measure_child import memory_kb
from palate.language import make_generator
from palate.language.offline import sentence_of
from palate.language.prompt import Reply
from palate.language.rerank import Described

_LISTS = 200
_SENTENCES = 4


def rates(replies: list[Reply[Any]]) -> tuple[float | None, float | None]:
    """Tokens a second, in and out: least squares of time over both; None where they aren't counted."""
    rows = [one for one in replies if one.value is not None and one.tokens_in and one.tokens_out]
    if len(rows) < 4:
        return None, None
    counts = np.array([[one.tokens_in, one.tokens_out] for one in rows], np.float64)
    costs: list[float] = np.linalg.lstsq(counts, np.array([one.seconds for one in rows]), rcond=None)[0].tolist()
    read, write = (round(1.0 / cost, 1) if cost > 1e-7 else None for cost in costs)
    return read, write


def main() -> int:
    """0, or 1 and a sentence on standard error."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=AskedOf)
    before = memory_kb()
    lists = asked.questions[:_LISTS]
    told = ToldOf(total=len(UTTERANCES) + _SENTENCES + len(lists))
    try:
        settings = msgspec.structs.replace(asked.settings, failures=20, rest_seconds=0.01, kept=0)
        asking = Counting(make_generator(settings), max(1.0, asked.seconds / 2))
        started = time.perf_counter()
        asking.warm()
        told.load_seconds = round(time.perf_counter() - started, 3)
        end = time.perf_counter() + asked.seconds
        for found in talk(asking):
            told.chat_asked, told.chat_right = found.asked, found.right
            told.chat_ms = _median(found.ms)
            _say(told)
        took: list[float] = []
        for text in (asked.texts or list(TEXTS))[:_SENTENCES]:
            reply = asking.generate(sentence_of(text).prompts[0])
            took.append(reply.seconds * 1000)
            _say(told)
        told.text_ms = _median(took)
        lines = [Described(name, tags) for name, tags in asked.lines]
        orders: list[float] = []
        for seed, question in enumerate(lists):
            if time.perf_counter() >= end and orders:
                break
            view, right = order_view(question, lines, seed)
            reply = asking.generate(view.prompt)
            orders.append(reply.seconds * 1000)
            if reply.value is None:
                told.auc.append(None)
                told.hit.append(None)
            else:
                place = view.order(reply.value).index(right)
                told.auc.append(1.0 - place / (len(question.asked) - 1))
                told.hit.append(float(place == 0))
            _say(told)
        told.order_ms = _median(orders)
        told.asked = len(asking.replies)
        told.valid = sum(one.value is not None for one in asking.replies)
        told.read_rate, told.write_rate = rates(asking.replies)
        told.memory_mb = round((memory_kb() - before) / 1024, 1)
        told.name = asking.name
        asking.close()
    except PalateError as error:
        sys.stderr.write(error.message.replace("\n", " ") + "\n")
        return 1
    _say(told)
    return 0


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None


def _say(told: ToldOf) -> None:
    told.done = min(told.total, told.done + 1)
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
