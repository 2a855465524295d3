"""``python -m palate.evaluate.measure_child``: encodes as it is told on standard input, and says what that took."""

from __future__ import annotations

import os
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import safetensors.numpy

from palate.errors import PalateError
from palate.evaluate.measure import FEWEST, Asked, Told, vectors_of
from palate.language import encoder_of
from palate.types import F32

_BATCH = 64
_ALONE = 15
_SAMPLE = 128


def main() -> int:
    """0, or 1 and a sentence on standard error."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    before = memory_kb()
    started = time.perf_counter()
    try:
        encoder = encoder_of(asked.settings, Path(asked.folder))
        encoder.encode(["a first text"])
        loaded = time.perf_counter() - started
        texts = asked.texts or asked.titles or ["a film about a love story in space", "一部关于太空的爱情电影"] * 40
        sample = texts[:: max(1, len(texts) // _SAMPLE)][:_SAMPLE]
        alone: list[float] = []
        for text in sample[:_ALONE]:
            started = time.perf_counter()
            encoder.encode([text])
            alone.append(time.perf_counter() - started)
        one = statistics.median(alone)
        # A slow encoder isn't made to encode the whole sample: some seconds tell its rate.
        some = sample[: max(8, min(len(sample), int(6.0 / max(one, 1e-4))))]
        started = time.perf_counter()
        encoder.encode(some)
        rate = len(some) / (time.perf_counter() - started)
        titles = encoder.encode(asked.titles)
        rows: list[F32] = []
        started, done = time.perf_counter(), 0
        while done < len(asked.texts):
            if time.perf_counter() - started > asked.seconds and done >= FEWEST * 20:
                break
            rows.append(encoder.encode(asked.texts[done : done + _BATCH]))
            done += len(rows[-1])
            _say(Told(done, len(asked.texts)))
        memory = memory_kb() - before
    except PalateError as error:
        sys.stderr.write(error.message.replace("\n", " ") + "\n")
        return 1
    arrays = {"texts": vectors_of(rows, encoder.dim), "titles": titles}
    Path(asked.out).write_bytes(safetensors.numpy.save(arrays))
    _say(Told(done, 0, encoder.name, encoder.dim, loaded, one * 1000, rate, memory / 1024))
    with suppress(AttributeError):
        encoder.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return 0


def _say(told: Told) -> None:
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()


def memory_kb() -> float:
    """The most memory that this process and its children have held, in kB."""
    mine, total = f"\nPPid:\t{os.getpid()}\n", 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            text = "\n" + status.read_text()
            if f"\nPid:\t{os.getpid()}\n" in text or mine in text:
                total += float(text.partition("\nVmHWM:")[2].split()[0])
    return total


if __name__ == "__main__":
    sys.exit(main())
