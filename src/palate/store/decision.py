"""What a decision is: one ranking as evidence, and how it is written down."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Literal

import msgspec
import numpy as np

from palate.config import DecisionSettings
from palate.errors import CorruptArtefact, Gone, NotFound
from palate.types import F32, Candidate, FieldValue, Stage

_log = logging.getLogger("palate.store")


FORMAT = 2
"""Of records. 1 had neither ``Asked.items`` nor ``Decision.rules`` and ``penalties``; it is read as it was."""


class Asked(msgspec.Struct, omit_defaults=True):
    """What the request said. kind: ``rank`` or ``recommend``. candidates: how many the filters left.

    items: the candidates of ``rank`` as they were given, with their own fields; empty in format 1.
    """

    kind: str
    user: str | None = None
    session: str | None = None
    k: int | None = None
    query: str | None = None
    context: dict[str, FieldValue] = {}
    seen: str = "auto"
    candidates: int = 0
    filter: dict[str, Any] | None = None
    exclude: list[str] = []
    items: list[str | Candidate] = []


class Rules(msgspec.Struct, omit_defaults=True):
    """What was in force beside request and model. All chance of a ranking comes from its id (``answer.seeded``).

    explore, diversity, temperature, alpha: of the policy; floor: whether the explored place went to an item that was
    owed impressions. scene, seen: the settings; dropped: whether items that the person had before were left out, which
    these, the request and the log decide.
    """

    explore: bool = False
    diversity: float = 0.0
    temperature: float = 1.0
    scene: str | None = None
    seen: str = "auto"
    dropped: bool = False
    alpha: float = 0.0
    floor: bool = False


class Reordered(msgspec.Struct, omit_defaults=True):
    """What a language model had to do with the order, where one might have been asked.

    arm: ``asked``, or ``held`` where chance said no; chance: the probability of that arm, which is no part of the
    propensities: these hold given the arm. events, margin: of the person and of the scores, which the gate went by.
    moves: places that each of the shown items went up (down: negative), empty where nothing moved. degraded: why the
    former order stood. prompt, model: who was asked and how. tokens_in, tokens_out: what it took, by its own count.
    """

    arm: Literal["asked", "held"]
    chance: float
    events: int
    margin: float
    moves: list[int] = []
    degraded: str = ""
    prompt: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0


class Bandit(msgspec.Struct, omit_defaults=True):
    """What a bandit saw, and may learn from once the answer is there (``palate.bandits``).

    key: the map that made the contexts, which names the model; shown, unshown: ``pack`` of (k, d) and (n, d) contexts,
    in the order of the decision's; unshown: of the sample that keeps its unshown candidates. samples: from how many
    draws of the posterior the propensities come, 0 where they don't; updates: answers that it had learnt.
    """

    key: str
    shown: bytes
    unshown: bytes = b""
    samples: int = 0
    updates: int = 0


def pack(features: F32) -> bytes:
    """(n, f) float32 as little-endian bytes, row by row."""
    return np.ascontiguousarray(features, dtype="<f4").tobytes()


def unpack(data: bytes, rows: int) -> F32:
    """Back from ``pack``; (0, 0) for no rows."""
    values = np.frombuffer(data, dtype="<f4").astype(np.float32)
    return values.reshape(rows, -1) if rows else values.reshape(0, 0)


class Shown(msgspec.Struct):
    """The items of the answer, all of the same length k, in the order shown.

    scores: None where an item could not be scored. positions count from 1. propensities in (0, 1].
    features: ``pack`` of a (k, f) matrix.
    """

    ids: list[str]
    scores: list[float | None]
    positions: list[int]
    propensities: list[float]
    explored: list[bool]
    features: bytes

    def matrix(self) -> F32:
        """The features, (k, f) float32; (0, 0) when nothing was shown."""
        return unpack(self.features, len(self.ids))


class Unshown(msgspec.Struct):
    """Candidates that were scored and left out; features: ``pack`` of an (n, f) matrix."""

    ids: list[str]
    features: bytes

    def matrix(self) -> F32:
        """The features, (n, f) float32; (0, 0) when there is none."""
        return unpack(self.features, len(self.ids))


class Decision(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One ranking as evidence.

    ranking: its id, set by ``DecisionLog.append``. timestamp: event time, Unix ms. as_of: log position of the state.
    subject: user, else session. arm: of an experiment. features: names the feature list (the manifest's version or
    hash). filters: how many candidates each filter removed. unshown: kept for a sample of decisions.
    clicked: label hints of a replay. base: the part of every score that no feature contributes. format: of the record,
    set by ``encode``. rules: None in format 1, and in replayed decisions, which no policy drew. penalties: MMR's, of
    the shown items that have a score, as ``Slate.penalty``; empty without diversity. reordered:
    None where no language model could have had to do with it. online: of the score of each shown item what was learnt
    online (``score.shift``), part of the score; empty where nothing was. teams: which arm of an interleaved
    experiment, 0 or 1, brought each of the shown items that has a score. bandit: None where nothing is learnt from it.
    """

    ranking: str = ""
    timestamp: int
    as_of: int
    subject: str | None
    model: str
    features: str
    shown: Shown
    unshown: Unshown | None = None
    arm: str = ""
    source: Literal["live", "replay"] = "live"
    policy: str = "greedy"
    request: Asked | None = None
    stages: list[Stage] = []
    filters: dict[str, int] = {}
    clicked: list[str] = []
    base: float = 0.0
    format: int = 1
    rules: Rules | None = None
    penalties: list[float] = []
    reordered: Reordered | None = None
    online: list[float] = []
    teams: list[int] = []
    bandit: Bandit | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Decision)


def encode(decision: Decision) -> bytes:
    """MessagePack. Errors: ``TypeError``, ``ValueError`` or ``OverflowError`` for values not of the declared types."""
    decision.format = FORMAT
    return _encoder.encode(decision)


def try_encode(decision: Decision) -> bytes | None:
    """``encode``, or None, which the log file reports: a ranking is answered, logged or not."""
    try:
        return encode(decision)
    except (TypeError, ValueError, OverflowError):
        _log.exception("Decision %s can't be encoded and is dropped.", decision.ranking)
        return None


def decode(body: bytes, where: str) -> Decision:
    """Back from ``encode``, of this format or an older one. Errors: ``CorruptArtefact`` naming ``where``."""
    try:
        decision = _decoder.decode(body)
        if decision.format > FORMAT:
            raise msgspec.DecodeError(f"format {decision.format}")
        return decision
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptArtefact(
            f"A decision in {where} is whole but unreadable ({error}): it was written by another version of Palate; "
            "install that one, or move the file away."
        ) from None


class _Person(msgspec.Struct):
    user: str | None = None
    session: str | None = None


class _Whose(msgspec.Struct):
    subject: str | None = None
    request: _Person | None = None


_whose = msgspec.msgpack.Decoder(_Whose).decode


def concerns_any(body: bytes, subjects: Collection[str]) -> bool:
    """Whether an encoded decision is about one of ``subjects``, of which each is a user or a NUL and a session."""
    try:
        found = _whose(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    asked = found.request or _Person()
    session = None if asked.session is None else "\0" + asked.session
    return any(name is not None and name in subjects for name in (found.subject, asked.user, session))


def not_found(ranking: str) -> NotFound:
    """The error for an id without a decision."""
    return NotFound(
        f"There is no decision {ranking[:80]!r}: take the id from an answer's 'ranking' field. Decisions of the last "
        "moments before a crash, and all while decisions.enabled is false, are not kept."
    )


def gone(ranking: str, settings: DecisionSettings) -> Gone:
    """The error for a decision that a cap has deleted."""
    return Gone(
        f"Decision {ranking} has expired: decisions are kept for {settings.max_days:g} days and "
        f"{settings.max_bytes} bytes (decisions.max_days, decisions.max_bytes)."
    )
