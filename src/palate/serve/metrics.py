"""Counters and latency histograms of the service, in Prometheus' text format and as percentiles.

Written by the event loop only. Cost of an observation: about 0.6 µs.
"""

from __future__ import annotations

import os
import resource
import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from palate.types import IngestResult, Ranking

if TYPE_CHECKING:
    from palate.engine import Engine

BOUNDS = (
    0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05,
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the latency buckets, seconds."""

_RECENT = 2048


class Latency(msgspec.Struct):
    """Latencies of a route's last 2,048 requests, milliseconds. ``count`` is the number since the start."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class Histogram:
    """Latency of one route: cumulative buckets since the start, and a ring of recent values."""

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.count = 0
        self.sum = 0.0
        self._recent = array("d", bytes(8 * _RECENT))

    def observe(self, seconds: float) -> None:
        """Count one request."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self._recent[self.count % _RECENT] = seconds
        self.count += 1
        self.sum += seconds

    def latency(self) -> Latency:
        """Percentiles of the recent requests (nearest rank); None before the first."""
        return percentiles(self.count, self._recent[: min(self.count, _RECENT)])


def percentiles(count: int, latencies: Iterable[float]) -> Latency:
    """Percentiles (nearest rank) of ``latencies``, seconds in any order; ``count`` is told as it is."""
    recent = sorted(latencies)

    def at(share: float) -> float | None:
        return round(recent[min(int(share * len(recent)), len(recent) - 1)] * 1000, 4) if recent else None

    return Latency(count, at(0.5), at(0.95), at(0.99))


class Metrics:
    """Everything the service counts."""

    def __init__(self) -> None:
        self.started = time.time()
        self.latency: Mapping[str, Histogram] = {"events": Histogram(), "rank": Histogram(), "recommend": Histogram()}
        self.requests: Counter[tuple[str, int]] = Counter()
        self.events: Counter[str] = Counter()
        self.degraded = 0
        self._queue = 0

    @property
    def queue(self) -> int:
        """Events that wait for the disk."""
        return self._queue

    def waits(self, events: int) -> None:
        """So many more events wait for the disk; fewer where it is negative."""
        self._queue += events

    def request(self, route: str, status: int) -> None:
        """Count an answer; ``route`` is a template, never a raw path."""
        self.requests[route, status] += 1

    def ingested(self, result: IngestResult) -> None:
        """Count what became of the events of one request."""
        self.events["accepted"] += result.accepted
        self.events["duplicate"] += result.duplicates
        self.events["rejected"] += len(result.rejected)
        self.events["withheld"] += result.withheld

    def ranked(self, ranking: Ranking) -> None:
        """Count an answer that was degraded."""
        if ranking.degraded:
            self.degraded += 1

    def render(self, engine: Engine) -> str:
        """The page of ``/metrics``."""
        return "".join(self._lines(engine))

    def _lines(self, engine: Engine) -> Iterator[str]:
        counts = engine.counts()
        yield from _family(
            "palate_requests_total",
            "counter",
            "Answers by route and status.",
            (
                (f'route="{_escape(route)}",status="{status}"', value)
                for (route, status), value in sorted(self.requests.items())
            ),
        )
        yield from self._histograms()
        yield from _family(
            "palate_events_total",
            "counter",
            "Events sent over HTTP, by outcome.",
            ((f'outcome="{name}"', self.events[name]) for name in ("accepted", "duplicate", "rejected", "withheld")),
        )
        single = (
            ("palate_log_position", "gauge", "Sequence number of the last event of the log.", counts.seq),
            ("palate_log_events", "gauge", "Events in the log.", counts.events),
            ("palate_users", "gauge", "Known users.", counts.users),
            ("palate_items", "gauge", "Items of the catalogue.", counts.items),
            ("palate_interactions_total", "counter", "Interactions in the state.", counts.interactions),
            ("palate_impressions_total", "counter", "Impressions in the state.", counts.impressions),
            ("palate_rankings_total", "counter", "Rankings answered.", counts.rankings),
            ("palate_clamped_total", "counter", "Events whose timestamp lay in the future.", counts.clamped),
            ("palate_dead_letters", "gauge", "Events of the log that can't be folded.", counts.dead_letters),
            ("palate_non_finite_total", "counter", "Scores that were not finite.", counts.non_finite),
            ("palate_degraded_total", "counter", "Rankings answered with a stage missing.", self.degraded),
            (
                "palate_decisions_dropped_total",
                "counter",
                "Decisions that were not logged: the disk refused for long.",
                engine.parts.decisions.dropped,
            ),
            ("palate_queue_events", "gauge", "Events that wait for the disk.", self.queue),
            ("palate_pending_texts", "gauge", "Texts that wait for their vector.", counts.pending_texts),
            ("palate_ready", "gauge", "1 when the service takes traffic.", int(engine.ready)),
            ("palate_training", "gauge", "1 while a model trains.", int(engine.training == "running")),
            ("process_start_time_seconds", "gauge", "Start, Unix seconds.", round(self.started, 3)),
            ("process_cpu_seconds_total", "counter", "User and system time.", round(self.cpu(), 3)),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", self.resident()),
        )
        for name, kind, text, value in single:
            yield from _family(name, kind, text, [("", value)])
        yield from _online(engine)
        yield from _family(
            "palate_model_info", "gauge", "The model that answers.", [(f'version="{_escape(engine.model)}"', 1)]
        )

    def cpu(self) -> float:
        """User and system seconds of this process."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def resident(self) -> int:
        """Resident memory, bytes; 0 where the system has no /proc."""
        try:
            return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0

    def _histograms(self) -> Iterator[str]:
        name = "palate_request_seconds"
        yield f"# HELP {name} Time from the decoded head to the encoded answer.\n# TYPE {name} histogram\n"
        for route, histogram in self.latency.items():
            below = 0
            for bound, number in zip((*BOUNDS, "+Inf"), histogram.buckets, strict=True):
                below += number
                yield f'{name}_bucket{{route="{route}",le="{bound}"}} {below}\n'
            yield f'{name}_sum{{route="{route}"}} {histogram.sum:.6f}\n'
            yield f'{name}_count{{route="{route}"}} {histogram.count}\n'


def _online(engine: Engine) -> Iterator[str]:
    """What is learnt while the model serves (``palate.online``)."""
    found = engine.online.status
    for name, kind, text, value in (
        ("palate_online_applied", "gauge", "1 while a correction of scores is applied.", found.state == "correcting"),
        ("palate_online_labels_total", "counter", "Labels that the correction learnt from.", found.labels),
        ("palate_online_gain", "gauge", "Log loss that the correction saves a lesson, predicted before.", found.gain),
        ("palate_online_waiting", "gauge", "Rankings that wait for answers.", found.waiting),
        ("palate_online_switched_total", "counter", "Times that the correction came or went.", found.switched),
        ("palate_online_log_position", "gauge", "Up to where of the log it has learnt.", found.as_of),
        ("palate_drifts_total", "counter", "Changes for the worse that were found in the loss.", found.drifts),
        ("palate_trainings_begun_total", "counter", "Trainings begun by the clock or for a change.", found.trained),
        ("palate_models_refused_total", "counter", "Models worse than the one before, not activated.", found.refused),
        ("palate_models_taken_back_total", "counter", "Models that earned less than the one before.", found.taken_back),
        ("palate_trial_open", "gauge", "1 while a new model is watched.",
         found.trial is not None and found.trial.verdict == "open"),
    ):  # fmt: skip
        yield from _family(name, kind, text, [("", float(value) if isinstance(value, float) else int(value))])
    losses = (('part="model"', found.loss), ('part="corrected"', found.loss_corrected))
    yield from _family("palate_online_loss", "gauge", "Log loss a label, predicted before it was learnt.", losses)


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
