"""Learning while serving, in a thread of its own: follows both logs, publishes the correction, trains and takes back.

Crash-safe by one rule: what was learnt is kept in ``online.json``, with the position of the event log up to which it
was learnt, and nothing of a person. A start reads the file and goes through the newest decisions and the events since
them, quietly up to that position: so rankings that still waited for answers wait again, nothing is learnt twice, and
what came after the position is learnt as it would have been. The same logs so give the same weights, bit for bit; what
a crash took from the decision log (``decisions.flush_seconds``) is missing, and a decision that its process wrote late
may have met other weights. Without the file it begins anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import ConfigError, Conflict, CorruptArtefact, Unavailable
from palate.features import NAMES
from palate.features.off import off
from palate.online.feed import Feed
from palate.online.guard import Guard
from palate.online.kept import FILE, FORMAT, Kept, OnlineStatus, read, write
from palate.online.learner import Learner
from palate.online.lists import Lesson, Lists, Shown
from palate.opening import Parts
from palate.score.shift import Shift
from palate.store import Record
from palate.train.history import event_of
from palate.train.replay import feature_key
from palate.types import I64, Against

_log = logging.getLogger("palate")
_PAUSE = 1.0
"""Seconds between two looks at the logs."""
_SAVE = 5.0
_PATIENCE = 5.0
"""Seconds that closing waits for a look in hand, which may wait for other workers that are leaving."""


class Host(Protocol):
    """What an engine lets it do."""

    @property
    def model(self) -> str: ...

    @property
    def training(self) -> str: ...

    def corrected(self, shift: Shift | None) -> None:
        """Rank with ``shift`` from now on."""
        ...

    def train_in_background(self) -> None: ...

    def activate(self, version: str) -> object: ...

    def rollback(self) -> object: ...


class Online:
    """Of one engine. Where nothing is configured it does nothing."""

    def __init__(self, host: Host, parts: Parts, settings: Settings, learns: bool = True) -> None:
        """learns: False in a worker that follows another one: it takes over what that one has learnt.

        Errors: ``ConfigError`` for a feature that there isn't."""
        self._host, self._settings = host, settings
        self._path: Path | None = None if parts.path is None else parts.path / FILE
        self._columns = _columns(settings.online.features)
        self._learns, self._follows = learns and parts.writable, not learns
        log = parts.decisions.log if self._learns and settings.decisions.enabled else None
        directory = None if parts.path is None else parts.path / "decisions"
        self._new_feed = None if log is None else lambda: Feed(parts.store, log, directory)
        self._turn = threading.Lock()
        self._status = OnlineStatus()
        self._begin()
        self._trained = self._refused = 0
        self._train_at = time.monotonic() + settings.online.retrain_hours * 3600
        self._saved_at = 0.0
        self._stamp: tuple[int, int] | None = None
        self._closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failing = False
        if self._wanted():
            self._start()

    def _begin(self) -> None:
        """From the file, if there is one, and the logs."""
        key = feature_key(off(self._settings.features.off).names)
        self._feed = None if self._new_feed is None else self._new_feed()
        self._lists = Lists(self._settings, self._columns, key, self._teach, self._settled)
        self._learner = Learner("", self._columns, self._settings.online)
        self._guard = Guard()
        self._until = (0, 0)
        self._restored = False

    def _wanted(self) -> bool:
        online = self._settings.online
        if not self._learns:  # nor does an engine that was opened for reading
            return (
                self._follows
                and self._path is not None
                and (online.correct != "off" or online.drift or online.retrain_hours > 0)
            )
        if self._feed is None:
            return online.retrain_hours > 0
        return online.correct != "off" or online.drift or online.retrain_hours > 0 or self._on_trial()

    def _on_trial(self) -> bool:
        kept = read(self._path) if self._path is not None else None
        trial = None if kept is None else kept.status.trial
        return self._settings.online.guard and trial is not None and trial.verdict == "open"

    def _start(self) -> None:
        with self._turn:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="palate-online", daemon=True)
                self._thread.start()

    # -------------------------------------------------------------------------- from outside

    @property
    def status(self) -> OnlineStatus:
        """How it stands."""
        return self._status

    def trained(self, version: str, against: Against | None = None) -> None:
        """A training in the background has made ``version``: serve it, and watch it where that is wanted.

        against: how it stands against the one that served. Where it is worse, the former goes on, and the log says so.
        """
        before = self._host.model
        if against is not None:
            self._judged(version, against)
            if against.refused:
                return
        self._host.activate(version)
        if self._settings.online.guard and self._feed is not None and version != before:
            with self._turn:
                if self._thread is None:  # what was logged since it was last followed is gone through again
                    self._begin()
                self._guard.begin(version, before)
            self._start()

    def _judged(self, version: str, against: Against) -> None:
        """Say how a new model stands, and count it where it isn't to serve."""
        self._refused += against.refused
        self._status = msgspec.structs.replace(self._status, refused=self._refused)
        margin = against.margin
        if margin is None:
            _log.warning(
                "The model %s isn't judged against %s: %s.", version, against.former,
                f"there are {against.decisions} choices that neither learnt from" if against.why == "few"
                else "that one doesn't fit this directory any more",
            )  # fmt: skip
            return
        said = "is not activated, %s goes on" if against.refused else "is activated in the place of %s"
        _log.log(
            logging.ERROR if against.refused else logging.WARNING,
            f"The model %s {said}: NDCG@10 %+.4f [%+.4f, %+.4f] on %d choices that neither learnt from.",
            version, against.former, margin.value, margin.low, margin.high, against.decisions,
        )  # fmt: skip

    def catch_up(self) -> None:
        """Learn everything that is logged by now, and publish it. Errors: those of reading the logs."""
        with self._turn:
            if self._feed is not None:
                self._follow()
            elif self._path is not None:
                self._take_over()

    def close(self) -> None:
        """Keep what was learnt and end the thread. Closing twice is fine."""
        self._stop.set()
        thread = self._thread
        if thread is None or self._closed:
            self._closed = True
            return
        self._closed = True
        thread.join(_PATIENCE)
        if self._restored and not thread.is_alive():
            with self._turn, contextlib.suppress(OSError):  # the logs hold what isn't kept: the next start learns it
                self._save(0.0)

    # ------------------------------------------------------------------------- in the thread

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE):
            try:
                self.catch_up()
                self._clockwork()
                self.failing = False
                if self._done():
                    return
            except (Unavailable, OSError) as error:  # of a disk, or of a worker that leaves: the next look goes on
                if not self.failing:
                    _log.error("Learning while serving waits: %s", error)
                self.failing = True
            except Exception as error:  # whatever it is, ranking goes on as it is, and what was missed is read again
                if not self.failing:
                    _log.error("Learning while serving has stopped, and begins again with what it kept: %s", error)
                self.failing = True
                with self._turn:
                    self._begin()

    def _done(self) -> bool:
        """Whether only a trial was to be followed, and it is over: the thread ends."""
        online, trial = self._settings.online, self._guard.trial
        with self._turn:
            wanted = online.correct != "off" or online.drift or online.retrain_hours > 0 or not self._learns
            if wanted or (trial is not None and trial.verdict == "open"):
                return False
            with contextlib.suppress(OSError):  # it is judged again at the next start
                self._save(0.0)
            self._thread = None
            return True

    def _clockwork(self) -> None:
        hours = self._settings.online.retrain_hours
        if hours and self._learns and time.monotonic() >= self._train_at:
            self._train_at = time.monotonic() + hours * 3600
            self._train("its time has come (online.retrain_hours)")

    def _train(self, why: str) -> None:
        if self._host.training == "running":
            return
        _log.warning("Training begins: %s.", why)
        self._trained += 1
        with contextlib.suppress(Conflict):
            self._host.train_in_background()

    def _follow(self) -> None:
        """Under ``_turn``. Everything new of both logs."""
        assert self._feed is not None
        if not self._restored:
            self._restore()
        version = self._host.model
        if version != self._learner.version:
            self._learner = Learner(version, self._columns, self._settings.online)
            self._host.corrected(None)
        self._feed.flush()
        seq, clock = self._until
        lists = self._lists
        for one in self._feed.next():
            if isinstance(one, Record):
                lists.quiet = one.seq <= seq
                if lists.wants(one.subject):
                    with contextlib.suppress(CorruptArtefact):  # the state leaves it out as well, and says so
                        lists.event(event_of(one), one.subject)
            else:
                lists.quiet = one.timestamp <= clock
                lists.decision(one)
        self._until = self._feed.seq, lists.clock
        self._publish()

    def _publish(self) -> None:
        learner, guard = self._learner, self._guard
        shift = learner.shift()
        before = self._status.state
        online = self._settings.online
        state = "off" if online.correct == "off" else "correcting" if shift is not None else "learning"
        gain, error, judged = learner.gain
        names = online.features if learner.lessons else ()
        self._status = OnlineStatus(
            state, learner.version, self._until[0], learner.lessons, learner.labels,
            round(learner.losses[0], 6), round(learner.losses[1], 6), round(gain, 6), round(error, 6), judged,
            learner.switched, dict(zip(names, np.round(learner.weights, 5).tolist(), strict=False)),
            len(self._lists), learner.drifts, self._trained, guard.trial, guard.taken_back,
            self._refused,
        )  # fmt: skip
        self._host.corrected(shift)
        if before != state and "correcting" in (before, state):
            said = (
                "applied: it predicts better" if state == "correcting" else "no longer applied: it predicts no better"
            )
            _log.warning("The correction of %s is %s (%+.5f ± %.5f a lesson).", learner.version, said, gain, error)
        self._save(_SAVE)

    # -------------------------------------------------------------------------- what is heard

    def _teach(self, lesson: Lesson) -> None:
        if lesson.shown.model == self._learner.version:
            self._learner.learn(lesson)

    def _settled(self, shown: Shown) -> None:
        if not shown.mixed and self._guard.settled(shown.model, shown.reward):
            self._take_back()
        if shown.model == self._learner.version and self._learner.settled(shown):
            _log.warning("The model %s predicts worse than it did: what was learnt counts less.", shown.model)
            if self._settings.online.retrain_on_drift:
                self._train("the model predicts worse than it did (online.retrain_on_drift)")

    def _take_back(self) -> None:
        trial = self._guard.trial
        assert trial is not None
        if self._host.model != trial.model:  # somebody has chosen another one since
            return
        _log.error(
            "The model %s is taken back, %s serves again: its rankings earn %.4f less each (at least %.4f).",
            trial.model, trial.before, -(trial.value or 0.0), -(trial.high or 0.0),
        )  # fmt: skip
        with contextlib.suppress(Conflict):
            self._host.rollback()

    # -------------------------------------------------------------------------------- keeping

    def _save(self, pause: float) -> None:
        now = time.monotonic()
        if self._path is None or now - self._saved_at < pause:
            return
        self._saved_at = now
        kept = Kept(FORMAT, *self._until, self._lists.ratings, self._learner.state(), self._guard.state(), self._status)
        write(self._path, kept)

    def _restore(self) -> None:
        self._restored = True
        kept = None if self._path is None else read(self._path)
        if kept is None:
            return
        learner = Learner(str(kept.learner.get("version", "")), self._columns, self._settings.online)
        try:
            learner.restore(kept.learner)
            trial = self._guard.trial  # begun since the start
            self._guard.restore(kept.guard)
            if trial is not None:
                self._guard.begin(trial.model, trial.before)
        except (KeyError, TypeError, ValueError, msgspec.ValidationError):  # other features were chosen, for instance
            _log.warning("What %s holds was learnt with other settings: learning begins anew.", self._path)
            return
        self._learner, self._lists.ratings = learner, kept.ratings
        self._until = kept.seq, kept.clock
        self._trained, self._refused = kept.status.trained, max(self._refused, kept.status.refused)

    def _take_over(self) -> None:
        """Of a worker that follows: the correction as the leading one has learnt it."""
        assert self._path is not None
        try:
            status = os.stat(self._path)
        except OSError:
            return
        stamp = status.st_mtime_ns, status.st_ino
        kept = read(self._path) if stamp != self._stamp else None
        self._stamp = stamp
        if kept is None:
            return
        self._status = kept.status
        try:
            learner = Learner(str(kept.learner["version"]), self._columns, self._settings.online)
            learner.restore(kept.learner)
        except (KeyError, TypeError, ValueError):
            return
        self._host.corrected(learner.shift())


def _columns(features: tuple[str, ...]) -> I64:
    for name in features:
        if name not in NAMES:
            raise ConfigError(
                f"online.features names {name!r}, which is no feature: palate models importance lists them."
            )
    return np.array([NAMES.index(name) for name in features], np.int64)
