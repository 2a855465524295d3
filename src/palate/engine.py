"""The engine: ingest, rank, recommend, explain, swap. READ THIS FIRST.

A request goes down one fixed line: ``answer`` reads the served model once, ``line.Line.run`` takes the request from
query to scores, a policy draws the slate, the answer is built, the decision is logged. Events go the other way:
``submit`` → group commit to the log → ``_fold`` into the state, and only then are they acknowledged.

One lock guards state, catalogue and model. Everything slow (disk, text encoding, training) happens outside of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from palate import opening, requests, rights, wire
from palate.answer import build_answer, draw, rehearse
from palate.arms import Arms
from palate.background import BackgroundEncoder, BackgroundSnapshot, BackgroundTraining
from palate.bandits.chooser import Bandits
from palate.catalogue import Catalogue
from palate.chat.answer import ChatAnswer, chat_request
from palate.chat.talk import Talk
from palate.config import Settings, Tier
from palate.documents import Documents
from palate.erasure import Erasure, Forgotten
from palate.errors import Conflict, Unavailable
from palate.explain import Explainer
from palate.intake import Settle, listen, offer, pour, records_of, resolve, stamped_records
from palate.line import Line, Model, warm_up
from palate.models import ModelShelf
from palate.online.service import Online
from palate.reader import Reader
from palate.redact import redact
from palate.reencoding import Reencoding
from palate.reranking import Question, make_reranking
from palate.score.shift import Shift
from palate.state import State, snapshot
from palate.store import AppendResult, Record
from palate.store.decision import Decision
from palate.train.tiers import planned
from palate.types import (
    F64,
    Event,
    IngestResult,
    ModelInfo,
    Ranking,
    RankRequest,
    RecommendRequest,
    Rejected,
    TrainReport,
    UserProfile,
)

Progress = Callable[[str, int, int], None]
_FOLD = 1_000


class Engine(Reader):
    """One directory of events, models and state. Use ``palate.open``; thread-safe; close it in the end."""

    def __init__(self, path: Path | str | opening.Parts, settings: Settings, until: int | None = None) -> None:
        self.settings = settings
        self._lock = threading.RLock()
        self._swapping = threading.RLock()  # taken before ``_lock``
        self._writing = threading.Lock()
        self.parts = parts = opening.open_parts(path, settings, until)
        self.path: Path | None = parts.path
        self.state: State = parts.state
        self.catalogue = parts.catalogue
        self.line = Line(self.state, self.catalogue, settings)
        self.shelf = ModelShelf(parts.path, self.catalogue)
        try:
            self._model: Model = self.shelf.usable()
            warm_up(self._model)
            self.arms = Arms(parts, self.shelf, settings)
            self.online = Online(self, parts, settings, self.learns)
            how = parts.decisions.get, self.arms.learns(), until is None, parts.encoding is not None
            self.bandits = Bandits(settings, parts.path, *how).resume(parts.store, parts.state.seq)
        except BaseException:
            parts.close()
            raise
        self.shelf.wanted = self.arms.models
        self.rankings = self.non_finite = self._missed = 0
        self.talk = Talk(self, self._lock, parts.generator, parts.asked)
        self.documents = Documents(self, self._lock)
        self.reranking = make_reranking(settings, parts.generator)
        self._at_snapshot = self.state.seq if parts.saved is None else parts.saved
        self._closed = False
        self._training = BackgroundTraining(lambda: self.online.trained(self.shelf.train_apart(parts, settings)))
        queue = settings.serve.queue_events, settings.serve.queue_bytes
        self._committer = None if until is not None else parts.committing(parts.store, self._fold, *queue)
        self._saver = BackgroundSnapshot(self.snapshot)
        encoding = parts.encoding or BackgroundEncoder
        self._encoder = encoding(self._lock, lambda: self.catalogue, lambda: self.line.computer.forget())
        self.reencoding = Reencoding(self, self._lock, self._swapping, self._serve_from)
        locks = self._lock, self._swapping, self._writing
        self.erasure = Erasure(self, *locks, self._serve_from, lambda: max(self.state.seq, self._missed))
        if parts.erases:
            self.erasure.resume()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------- events
    def ingest(self, events: object, progress: Callable[[int], None] | None = None) -> IngestResult:
        """Take events (structs, dicts, an iterable of them, or a frame); durable when it returns. progress(done).
        Good events are kept, bad ones are returned with their index and a sentence.
        Errors: ``InvalidInput`` when there are events and none is good; ``Unavailable`` when the disk refuses.
        """
        return pour(self.submit, events, self.state.seq, progress)

    def submit(self, events: Sequence[object]) -> Future[IngestResult]:
        """Check, queue for the group commit, and return at once; the future resolves when durable and folded.
        Errors: ``Overloaded`` when the queue is full; ``Unavailable`` when closing; of the future ``Unavailable``.
        """
        good, bad = wire.read_events(events, self.settings.limits)
        answer: Future[IngestResult] = Future()
        answer.set_running_or_notify_cancel()
        self.offer(good, bad, lambda outcome: resolve(answer, outcome))
        return answer

    def offer(self, good: Sequence[tuple[int, Event]], bad: list[Rejected], settle: Settle) -> None:
        """``submit`` for events that ``wire.decode_events`` has checked; ``settle`` takes the outcome in any thread."""
        self._check_writable()
        assert self._committer is not None
        slack, masked = int(self.settings.state.future_seconds * 1000), self.settings.privacy.redact
        good, withheld = rights.admitted(good, self.state)
        made = records_of(good, slack, self.clock(), masked)
        offer(self._committer, made, bad, self.state.seq, settle, withheld)

    def _fold(self, records: list[Record], _: list[AppendResult]) -> None:
        """Committed records into state and catalogue, in log order; the committer acknowledges afterwards."""
        for start in range(0, len(records), _FOLD):
            if not self._apply(records[start : start + _FOLD]):
                self._serve_from(opening.restore_state(self.path, self.parts.store, self.settings, records[-1].seq))
                break
        self.bandits.learn(records)
        if self._missed and not records:  # repeated events are acknowledged as well: they must be in the state by then
            self._serve_from(opening.restore_state(self.path, self.parts.store, self.settings, self.parts.store.seq))
        if self.catalogue.pending:
            self._encoder.wake()
        if self.path is not None:
            self._saver.tick(self.state.seq)
        after = self.settings.train.auto_events
        if after and self.state.totals[1] - self.shelf.trained_on >= after and self.training != "running":
            self.shelf.trained_on = int(self.state.totals[1])
            self.train_in_background()

    def _apply(self, records: list[Record]) -> bool:
        """False where one can't be folded: the state is half-changed then, and made anew by the caller."""
        listen(records, self.settings)
        with self._lock:
            behind, self._missed = self._missed or self.state.seq != records[0].seq - 1, records[-1].seq
            try:
                if not behind and self.catalogue.update(self.state.apply(stamped_records(records), records[-1].seq)):
                    self.line.computer.forget()
            except Exception:  # which event it was is found, and logged, where the log is folded again
                return False
            self._missed = self._missed if behind else 0
        return not behind

    def _check_writable(self) -> None:
        if self._committer is None:
            raise Conflict("This engine was opened with until=…, for reading; open the directory without it to write.")

    def wait_encoded(self, timeout: float = 600.0) -> bool:
        """Wait until no text is pending; False when ``timeout`` seconds were not enough."""
        return self._encoder.wait(timeout)

    # --------------------------------------------------------------------------- ranking
    def rank(self, user: str | None = None, items: Sequence[Any] = (), **options: Any) -> Ranking:
        """Order the caller's candidates for a person. Options: session, k, query, context, filter, exclude, seen,
        policy, explain, as on the wire. Errors: ``InvalidInput`` naming what is wrong."""
        return self.answer(requests.read_request(RankRequest, user=user, items=list(items), **options))

    def recommend(self, user: str | None = None, k: int | None = None, **options: Any) -> Ranking:
        """Retrieve from the whole catalogue, then rank; ``k`` defaults to 10. Options as for ``rank``."""
        return self.answer(requests.read_request(RecommendRequest, user=user, k=k, **options))

    def chat(self, user: str | None = None, text: str = "", **options: Any) -> ChatAnswer:
        """One turn of a conversation. Options: session, k, language, context. Errors: ``InvalidInput``."""
        return self.talk.turn(chat_request(user=user, text=text, **options))

    def answer(self, request: RecommendRequest, now: int | None = None) -> Ranking:
        """Answer a request: retrieve where no candidates are given, filter, score, draw a slate, log the decision.
        now: event time in milliseconds, the engine's own clock by default. Cost: about a millisecond."""
        answer, decision, question = self._begin(request, now)
        if question is not None:
            question.settle(answer, decision)
        return self._logged(answer, decision)

    async def answer_in_time(self, request: RecommendRequest) -> Ranking:
        """``answer`` for an event loop, which a language model that is asked about the order doesn't hold up."""
        answer, decision, question = self._begin(request, None)
        if question is not None:
            await question.settle_in_time(answer, decision)
        return self._logged(answer, decision)

    def _begin(self, request: RecommendRequest, now: int | None) -> tuple[Ranking, Decision, Question | None]:
        requests.check_request(request, self.settings.limits)
        if self.state.opted_out:
            request = rights.named(request, self.state)
        ranking = self.parts.decisions.reserve()
        self.line.prepare(request)
        with self._lock:
            moment = self.clock() if now is None else now
            model, policy, arm, missing, rival = self.arms.serve(request, self._model)
            self.line.sourcing.newcomers = self.bandits.lane(request, self.line, moment)
            scored = self.line.run(request, moment, model)
            scored.degraded += ["state_behind"] * (self._missed > 0) + ([missing] if missing else [])
            asks = self.reranking if rival is None else None
            question = asks and asks.question(ranking, request, scored, self.catalogue, model, policy)
            plan = self.bandits.planner(request, policy, self.line, model, scored, moment, not question, not rival)
            least = question.top if question else 0
            drawn = draw(self.settings, policy, ranking, request, scored, self.catalogue, least, plan)
            if rival is not None:
                drawn = rival.draft(self.line, ranking, request, scored, drawn, moment, model)
            explainer = Explainer(self.line.computer, self.catalogue, scored.subject, model)
            sampled = self.parts.decisions.samples(ranking)
            answer, decision = build_answer(ranking, request, scored, drawn, explainer, moment, sampled, arm)
            self.rankings += 1
            self.non_finite += scored.non_finite
        return answer, decision, question

    def _logged(self, answer: Ranking, decision: Decision) -> Ranking:
        if self.settings.decisions.enabled:
            if self.settings.privacy.redact and decision.request is not None and decision.request.query:
                decision.request.query = redact(decision.request.query)
            self.parts.decisions.append(answer.ranking, decision)
        self.bandits.remember(answer.ranking, decision)
        return answer

    def warm(self) -> None:
        """Rank once for the most active user, with and without a query: kernels compile and weights load now, and the
        fast search for near texts is made."""
        self.catalogue.vectors.prepare(wait=True)
        self.talk.warm()
        self.bandits.warm()
        user = next((name for name, _ in self.users(limit=1)), None)
        with self._lock:
            rehearse(self.line, self.catalogue, self._model, user, self.clock())

    def scored(self, request: RecommendRequest, now: int) -> tuple[list[str], F64]:
        """Every candidate considered, ids and scores, best first, before any policy; nothing is logged."""
        with self._lock:
            found = self.line.run(request, now, self._model)
        order = np.argsort(-found.scores, kind="stable")
        order = order[np.isfinite(found.scores[order])]
        return list(map(list(found.candidates.ids).__getitem__, order.tolist())), found.scores[order]

    # ---------------------------------------------------------------------------- models
    def train(self, progress: Progress | None = None, activate: bool = True, tier: Tier | None = None) -> TrainReport:
        """Train on the whole log and the decision log; the best on the validation window ships. Minutes at most.

        tier: ``full`` or ``cheap`` (``train.tiers``), by default ``train.tier``'s. Requests go on.
        Errors: ``InvalidInput`` with too little to learn from, ``Conflict`` while another one runs.
        """
        self._check_writable()
        self._training.check_idle()
        report = self.shelf.train(self.parts, planned(self.settings, tier), progress)
        with self._lock:
            self.catalogue.encode_now()
            self.line.computer.forget()
        if activate:
            self.activate(report.version)
            report.activated = True
        return report

    def train_in_background(self) -> None:
        """Train in a process of its own and swap the result in; ``training`` says how it stands."""
        self._check_writable()
        self._training.start()

    @property
    def training(self) -> str:
        """``idle``, ``running`` or ``failed: …``, of training in the background."""
        return self._training.state

    def activate(self, version: str) -> ModelInfo:
        """Serve ``version`` from the next request on. Errors: ``NotFound``, ``CorruptArtefact`` (the old one stays)."""
        return self._swap(lambda: self.shelf.activate(version))

    def rollback(self) -> ModelInfo:
        """Serve the model that was active before. Errors: ``Conflict`` when there is none."""
        return self._swap(self.shelf.rollback)

    def _swap(self, choose: Callable[[], Model]) -> ModelInfo:
        self._check_writable()
        with self._swapping:  # reading an artefact takes a while: one swap at a time, and no request waits for it
            if self._closed:
                raise Unavailable("Palate is closing: the model stays on the shelf, to be activated when it is open.")
            model = choose()
            warm_up(model)
            with self._lock:
                self._model = model
        return next(info for info in self.shelf.list() if info.version == model.version)

    @property
    def model(self) -> str:
        """The version that serves now."""
        return self._model.version

    def corrected(self, shift: Shift | None) -> None:
        """Add ``shift`` to the scores of its model from the next request on (``online``)."""
        with self._lock:
            self.line.shift = shift

    # --------------------------------------------------------------------------- keeping
    @property
    def ready(self) -> bool:
        """Open, and not closing."""
        return not self._closed

    def correct(self, user: str, change: rights.Correction | None = None, **options: Any) -> UserProfile:
        """Mute, pin, opt out or in: ``change``, or its keys as options, such as ``mute=["genre:Horror"]``; the profile
        after it, which the next ranking obeys. Errors: ``InvalidInput``, ``Conflict``."""
        self._check_writable()
        change = change or requests.given_request(rights.Correction, options)
        rights.correct(self, user, change, self.talk.turn_of)
        return self.user(user)

    def forget(self, user: str | None = None, session: str | None = None) -> Forgotten:
        """Make a user, or an anonymous session, unknown to the next request, and erase them from log, decisions and
        state in the background (``erasure.wait``). Errors: ``InvalidInput``, ``Unavailable``."""
        self._check_writable()
        return self.erasure.forget(rights.subject(user, session, self.settings.limits))

    def snapshot(self) -> Path:
        """Write the state beside the log: the next start needs only the tail. Errors: ``Conflict`` in memory."""
        self._check_writable()
        if self.path is None:
            raise Conflict("An engine in memory has no directory to write a snapshot to.")
        with self._writing:
            with self._lock:
                if self._missed:
                    raise Conflict("Events of the log are missing from the state (its log says why): rebuild it first.")
                files, seq = snapshot.freeze(self.state, self.catalogue.cache.encoder.name), self.state.seq
            self.parts.store.sync()  # a snapshot that outlived the events it holds would say that they are lost
            written = snapshot.write(self.path / "snapshots", seq, files)
            self._at_snapshot = seq
            self.bandits.try_save()
            return written

    def rebuild(self, progress: Progress | None = None) -> dict[str, Any]:
        """Fold the whole log anew, compare with the live state, serve from the new one. Ingestion waits meanwhile."""
        with self._swapping, self._lock:
            until = max(self.state.seq, self._missed)
            fresh, told = opening.replay_beside(self.state, self.parts.store, self.settings, until, progress)
            self._serve_from(fresh)
            self.bandits.again(self.parts.store, until)
        return told

    def _serve_from(self, state: State, catalogue: Catalogue | None = None, model: Model | None = None) -> None:
        """Rank from ``state`` from the next request on; with other vectors where a catalogue of it is given."""
        catalogue = catalogue or opening.new_catalogue(state, self.catalogue.cache, self.settings)
        line = Line(state, catalogue, self.settings)
        with self._swapping, self._lock:
            self._missed = self._missed if state is self.state else 0
            self.parts.state, self.parts.catalogue = self.state, self.catalogue = state, catalogue
            self.parts.cache = catalogue.cache
            line.shift, self.line = self.line.shift, line
            self.shelf.catalogue = catalogue
            self.arms.forget()
            self._model = model or self.shelf.usable()
        self._encoder.wake()

    def close(self) -> None:
        """Finish what waits, write a snapshot, let go of the directory. Closing twice is fine."""
        if self._closed:
            return
        if self._committer is not None:
            self._committer.close()
        with self._swapping:
            self._closed = True
        self.reencoding.close()  # ends every training
        self.erasure.close()
        self.online.close()
        self.arms.watch.close()
        if self.reranking is not None:
            self.reranking.close()
        if self.path is not None:  # in memory training can't be stopped, and has no directory to leave
            self._training.join()
        self._saver.close()
        self._encoder.close()
        self.bandits.try_save()
        try:
            behind = self.path is None or self._committer is None or self._missed
            if not behind and self.state.seq > self._at_snapshot:
                self.snapshot()
        finally:
            self.parts.close()
