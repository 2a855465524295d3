"""A peer as a system of the protocol: it chooses among its trials on validation, then ranks the test window.

The successive protocol asks each system at its moment; a peer is asked for all its rankings in one run instead, each
from the history up to its moment, by the fit that stands then. The scores are the same, and their ranks are counted
where everybody's are.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.quality.exchange import PEERS, Answer, Exchange, Row
from palate.evaluate import Progress, Query, SeenMode, System
from palate.evaluate.baselines import TUNE_EVENTS
from palate.evaluate.metrics import by_rank, rank_and_top
from palate.evaluate.protocol import Plan, query_at, removed
from palate.evaluate.stream import EventStream, Histories, before
from palate.types import F32, I32

REFITS = 5
"""Across the test window, beside the one before it: as many as EASE has."""


PROTOCOL = 1
"""Is raised when peers are asked or chosen in another way, so that results from before are not read again."""


@dataclass(frozen=True)
class Spec:
    """A peer's folder. trials: the settings that are tried, in their order; readings: ways to rank by one fit; dear:
    whether the trial must be the same for ``drop`` and ``keep``, as with EASE's λ."""

    name: str
    label: str
    folder: Path
    trials: list[dict[str, Any]]
    readings: list[dict[str, Any]]
    dear: bool = False

    @classmethod
    def load(cls, folder: Path) -> Spec:
        """From ``peer.py``, ``requirements.txt`` and ``trials.json`` in ``folder``."""
        told = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
        return cls(folder.name, told["label"], folder, told["trials"], told["readings"], told["dear"])

    def digest(self) -> str:
        """Changes with anything that the peer runs."""
        files = [self.folder / name for name in ("peer.py", "requirements.txt", "trials.json")]
        parts = [file.read_bytes() for file in (*files, PEERS / "contract.py")]
        return hashlib.blake2b(b"\0".join([*parts, f"{PROTOCOL} {REFITS}".encode()]), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Chosen:
    """By seen: (trial, reading, whether seen items are put last). valid: by seen, NDCG@10 on validation of that."""

    by_seen: dict[str, tuple[int, int, bool]]
    valid: dict[str, float]
    seconds: float


class PeerSystem:
    """A ``System``. ``start`` does all the work; ``frozen`` is the same peer, that learns nothing after the split."""

    def __init__(
        self, spec: Spec, python: Path, exchange: Exchange, plan: Plan, folder: Path, seed: int, trials: int,
        chosen: Chosen | None = None,
    ) -> None:  # fmt: skip
        """trials: how many of them are tried; chosen: what was chosen before, with another seed."""
        self.name = spec.name
        self.chosen = chosen
        self.start_seconds, self.test_seconds, self.peak_mb = 0.0, 0.0, 0.0
        self._spec, self._python, self._exchange, self._plan = spec, python, exchange, plan
        self._folder, self._seed, self._trials = folder, seed, spec.trials[:trials]
        self._rows: dict[tuple[str, int, bool], tuple[Answer, int]] = {}

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """Choose, unless that is done, then have all rankings of the plan made."""
        if self.chosen is None:
            self.chosen = self._choose(stream, train, stop, progress)
        self.start_seconds += self.chosen.seconds
        end = len(stream)
        self._histories, self._stop = Histories(stream), stop
        fits = [stop + (end - stop) * part // (REFITS + 1) for part in range(REFITS + 1)]
        for trial in sorted({trial for trial, _, _ in self.chosen.by_seen.values()}):
            rows: list[Row] = []
            keys: list[tuple[str, int, bool]] = []
            for mode, (own, reading, _) in self.chosen.by_seen.items():
                if own != trial:
                    continue
                for position in self._plan.positions[self._plan.scored[mode]].tolist():
                    query = query_at(stream, position, cast(SeenMode, mode))
                    fit = int(np.searchsorted(fits, position, side="right")) - 1
                    rows += [Row(query, position, fit, reading), Row(query, stop, 0, reading)]
                    keys += [(mode, position, False), (mode, position, True)]
            answer = self._ask(f"test{trial}", trial, fits, rows, self.name, progress)
            self._rows |= {key: (answer, at) for at, key in enumerate(keys)}
            self.start_seconds += answer.fit_seconds[0]
            # Half of the rankings are those of the frozen peer.
            self.test_seconds += sum(answer.fit_seconds[1:]) + answer.score_seconds / 2

    def _choose(self, stream: EventStream, train: int, stop: int, progress: Progress) -> Chosen:
        """Judge each trial and reading on the end of the validation window, which is as long as the time between two
        fits of the test, by a fit just before it. As many events as the baselines choose by.

        With ``keep`` each is also tried as libraries do it on their own: what the person had stands last.
        """
        histories = Histories(stream)
        past = before(stream)
        cut = max(train, stop - max(1, (len(stream) - stop) // (REFITS + 1)))
        window = np.arange(cut, stop)
        able = (stream.positive & past.known)[window]
        order = np.random.default_rng(self._seed).permutation(len(window))
        window = window[order[able[order]]]
        fresh = window[~past.repeat[window]]
        picked = {
            mode: np.sort((fresh if mode == "drop" else window)[:TUNE_EVENTS]).tolist() for mode in self._plan.scored
        }
        positions = sorted({position for part in picked.values() for position in part})
        seconds = 0.0
        valid: dict[str, list[float]] = {mode: [] for mode in picked}
        variants: dict[str, list[dict[str, Any]]] = {mode: [] for mode in picked}
        for trial in range(len(self._trials)):
            asked = [
                (Row(query_at(stream, position, "keep"), position, 0, reading), position, reading)
                for reading in range(len(self._spec.readings))
                for position in positions
            ]
            stage = f"{self.name}: trial {trial + 1} of {len(self._trials)}"
            answer = self._ask("trial", trial, [cut], [row for row, _, _ in asked], stage, progress)
            seconds += sum(answer.fit_seconds) + answer.score_seconds
            places = {(position, reading): at for at, (_, position, reading) in enumerate(asked)}
            for mode, part in picked.items():
                queries = [query_at(stream, position, cast(SeenMode, mode)) for position in part]
                gone = [removed(stream, histories, query) for query in queries]
                for reading in range(len(self._spec.readings)):
                    for hides in (False, True) if mode == "keep" else (False,):
                        ranks: list[float] = []
                        for query, out in zip(queries, gone, strict=True):
                            scores = answer.scores(places[query.position, reading], query.size)
                            if hides:
                                scores = _last(scores, histories.seen(query.user, query.position))
                            ranks.append(rank_and_top(scores, out, int(stream.items[query.position]), 1)[0])
                        variants[mode].append({"trial": trial, "reading": reading, "hides": hides})
                        valid[mode].append(float(by_rank(np.array(ranks), 10)["ndcg"].mean()) if ranks else 0.0)
        best = self._best(variants, valid)
        return Chosen(
            {mode: (one["trial"], one["reading"], one["hides"]) for mode, (one, _) in best.items()},
            {mode: ndcg for mode, (_, ndcg) in best.items()},
            seconds,
        )

    def _best(
        self, variants: dict[str, list[dict[str, Any]]], valid: dict[str, list[float]]
    ) -> dict[str, tuple[dict[str, Any], float]]:
        """By seen: the variant with the highest value, and that. Where a trial is dear, one trial for all of them."""
        trials = range(len(self._trials))
        sums = [
            sum(
                max(value for one, value in zip(variants[mode], values, strict=True) if one["trial"] == trial)
                for mode, values in valid.items()
            )
            for trial in trials
        ]
        allowed = {sums.index(max(sums))} if self._spec.dear else set(trials)
        return {
            mode: max(
                ((one, ndcg) for one, ndcg in zip(variants[mode], values, strict=True) if one["trial"] in allowed),
                key=lambda pair: pair[1],
            )
            for mode, values in valid.items()
        }

    def _ask(self, name: str, trial: int, fits: list[int], rows: list[Row], stage: str, progress: Progress) -> Answer:
        def told(what: str, done: int, total: int) -> None:
            progress(f"{stage}, {what}", done, total)

        answer = self._exchange.ask(
            self._python, self._spec.folder / "peer.py", self._trials[trial], self._spec.readings, self._seed, fits,
            rows, self._folder / name, told,
        )  # fmt: skip
        self.peak_mb = max(self.peak_mb, answer.peak_mb)
        return answer

    def feed(self, stop: int) -> None:
        """Nothing: the peer was told of the history up to each ranking."""

    def score(self, query: Query) -> F32:
        return self.scores(query, False)

    def frozen(self) -> System:
        """The same peer as of the split."""
        return _FrozenPeer(self)

    def scores(self, query: Query, frozen: bool) -> F32:
        """(size,) scores as of the query's moment, or as of the split."""
        answer, row = self._rows[query.seen, query.position, frozen]
        scores = answer.scores(row, query.size)
        if self.chosen is not None and self.chosen.by_seen[query.seen][2]:
            return _last(scores, self._histories.seen(query.user, self._stop if frozen else query.position))
        return scores

    def notes(self) -> dict[str, Any]:
        if self.chosen is None:
            return {}
        return {
            mode: self._trials[trial]
            | self._spec.readings[reading]
            | ({"seen items": "last"} if hides else {})
            | {"trial": trial + 1, "valid_ndcg": round(self.chosen.valid[mode], 4)}
            for mode, (trial, reading, hides) in self.chosen.by_seen.items()
        }

    def close(self) -> None:
        """Remove the scores."""
        self._rows.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def _last(scores: F32, items: I32) -> F32:
    """The same scores with ``items`` behind all others."""
    found = np.array(scores)
    found[items[items < len(found)]] = -np.inf
    return found


class _FrozenPeer:
    """Reads the frozen rankings of a peer that has started."""

    def __init__(self, peer: PeerSystem) -> None:
        self.name = peer.name
        self._peer = peer

    def start(self, stream: EventStream, train: int, stop: int, progress: Progress) -> None:
        """Nothing: the peer has started."""

    def feed(self, stop: int) -> None:
        """Nothing: it learns no more."""

    def score(self, query: Query) -> F32:
        return self._peer.scores(query, True)

    def notes(self) -> dict[str, Any]:
        return self._peer.notes()

    def close(self) -> None:
        """Nothing: the peer closes itself."""
