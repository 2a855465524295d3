"""Whom a command talks to: the engine of a directory, or the service that holds it.

One process writes to a directory. While a service does, it keeps ``service.json`` with its address there, and the
commands that ask or switch go to it over HTTP, with the key in ``PALATE_API_KEY``. Others say who holds the directory.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import typer

from palate import requests
from palate.chat.answer import ChatAnswer, ChatRequest
from palate.erasure import Forgotten
from palate.errors import ConfigError, InvalidInput, Locked, NotFound, PalateError, Unavailable
from palate.experiment import Experiment
from palate.experiment.report import ExperimentReport
from palate.explaining.importance import ModelExplanation
from palate.explaining.item import ItemExplanation
from palate.online.kept import OnlineStatus
from palate.opening import check_log
from palate.types import ModelInfo, Ranking, RankRequest, RecommendRequest

if TYPE_CHECKING:
    from palate.engine import Engine

T = TypeVar("T")

DirOption = Annotated[
    Path, typer.Option("--dir", "-d", metavar="DIRECTORY", help="The engine's directory.", show_default=True)
]
DEFAULT_DIR = Path("shop.palate")
_TIMEOUT, _CHUNK = 120.0, 256 * 1024


class Target(Protocol):
    """What ``rank``, ``recommend``, ``explain`` and ``models`` need; an engine or a service gives it."""

    @property
    def url(self) -> str | None: ...

    def answer(self, request: RecommendRequest) -> Ranking: ...
    def chat(self, request: ChatRequest) -> ChatAnswer: ...
    def explain(
        self, ranking: str, item: str, changes: bool = False, lime: bool = False, words: str = ""
    ) -> ItemExplanation: ...
    def importance(self, version: str) -> ModelExplanation: ...
    def models(self) -> list[ModelInfo]: ...
    def online(self) -> OnlineStatus: ...
    def activate(self, version: str) -> ModelInfo: ...
    def rollback(self) -> ModelInfo: ...
    def title(self, item: str) -> str: ...
    def experiments(self) -> list[Experiment]: ...
    def start_experiment(self, experiment: Experiment) -> Experiment: ...
    def stop_experiment(self, name: str) -> Experiment: ...
    def experiment(self, name: str) -> ExperimentReport: ...
    def export_user(self, user: str | None, session: str | None = None) -> Iterator[object]: ...
    def forget(self, user: str | None, session: str | None = None) -> Forgotten: ...


class Local:
    """The engine of a directory that this process has opened."""

    url: str | None = None

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def answer(self, request: RecommendRequest) -> Ranking:
        requests.check_request(request, self.engine.settings.limits)
        return self.engine.answer(request)

    def chat(self, request: ChatRequest) -> ChatAnswer:
        self.engine.talk.rephraser.generator.warm()  # the first question would wait for it beyond its time
        return self.engine.talk.turn(request)

    def explain(
        self, ranking: str, item: str, changes: bool = False, lime: bool = False, words: str = ""
    ) -> ItemExplanation:
        if words:
            self.engine.parts.generator.warm()
        return self.engine.explain(ranking, item, words, changes, lime)

    def importance(self, version: str) -> ModelExplanation:
        return self.engine.importance(version)

    def models(self) -> list[ModelInfo]:
        return self.engine.models()

    def online(self) -> OnlineStatus:
        if self.engine.settings.online.correct != "off" or self.engine.settings.online.drift:
            self.engine.online.catch_up()
        return self.engine.online.status

    def activate(self, version: str) -> ModelInfo:
        return self.engine.activate(version)

    def rollback(self) -> ModelInfo:
        return self.engine.rollback()

    def experiments(self) -> list[Experiment]:
        return self.engine.arms.experiments.list()

    def start_experiment(self, experiment: Experiment) -> Experiment:
        return self.engine.arms.start(experiment, self.engine.clock())

    def stop_experiment(self, name: str) -> Experiment:
        return self.engine.arms.stop(name, self.engine.clock())

    def experiment(self, name: str) -> ExperimentReport:
        return self.engine.arms.report(name, self.engine.clock())

    def export_user(self, user: str | None, session: str | None = None) -> Iterator[object]:
        return self.engine.export(user or "") if session is None else self.engine.export(session=session)

    def forget(self, user: str | None, session: str | None = None) -> Forgotten:
        done = self.engine.forget(user, session)
        while not self.engine.erasure.wait(1.0):
            if self.engine.erasure.state.startswith("failed"):
                raise Unavailable(
                    f"{done.user[:80]!r} is unknown from now on, but could not be erased yet "
                    f"({self.engine.erasure.state}): it is tried again whenever the directory is opened."
                )
        return Forgotten(done.user, done.as_of, "erased")

    def title(self, item: str) -> str:
        with suppress(NotFound):
            return self.engine.title(item)
        return ""


class Remote:
    """A service, by its address. Errors: what the service answers, as the same exceptions; ``Unavailable``."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url: str | None = url
        self._key = key
        parts = urlsplit(url)
        port = None
        with suppress(ValueError):
            port = parts.port or 80
        if parts.scheme != "http" or parts.hostname is None or port is None:
            raise InvalidInput(f"{url!r} is not an address of the form http://host:port.", "url")
        self._host, self._port = parts.hostname, port

    def call(self, method: str, path: str, answer: type[T], body: object = None) -> T:
        """One request. ``body`` None sends none."""
        with self._asked(method, path, body) as response:
            text = response.read()
        try:
            return msgspec.json.decode(text, type=answer)
        except msgspec.DecodeError as error:
            raise Unavailable(f"{self.url}{path} did not answer as Palate does: {error}.") from None

    @contextmanager
    def _asked(
        self, method: str, path: str, body: object = None, accept: str = "application/json"
    ) -> Generator[http.client.HTTPResponse]:
        """The answer of one request, which succeeded, to be read."""
        headers = {"Accept": accept}
        if self._key:
            if not (self._key.isascii() and self._key.isprintable()):
                raise InvalidInput("PALATE_API_KEY is no key of Palate's: keys are letters, digits, - and _.")
            headers["Authorization"] = f"Bearer {self._key}"
        data = None
        if body is not None:
            try:
                data = msgspec.json.encode(body)
            except UnicodeEncodeError:
                raise InvalidInput("An argument is not valid UTF-8: write it in the terminal's own encoding.") from None
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            if response.status >= 300:
                raise self._error(response.status, response.read())
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"The service at {self.url} does not answer: {error}. Is it still running?") from None
        finally:
            connection.close()

    def _error(self, status: int, text: bytes) -> PalateError:
        try:
            detail = json.loads(text)["error"]
            code, message, where = str(detail["code"]), str(detail["message"]), detail.get("where")
        except (ValueError, KeyError, TypeError, AttributeError):
            return Unavailable(f"{self.url} answered with status {status} and no explanation; is it Palate?")
        if status == 401:
            message += " The command line reads the key from PALATE_API_KEY."
        error = PalateError(message, where)
        error.status, error.code = status, code
        return error

    def answer(self, request: RecommendRequest) -> Ranking:
        path = "/v1/rank" if isinstance(request, RankRequest) else "/v1/recommend"
        return self.call("POST", path, Ranking, request)

    def chat(self, request: ChatRequest) -> ChatAnswer:
        return self.call("POST", "/v1/chat", ChatAnswer, request)

    def explain(
        self, ranking: str, item: str, changes: bool = False, lime: bool = False, words: str = ""
    ) -> ItemExplanation:
        wanted = [f"{name}=true" for name, asked in (("counterfactuals", changes), ("lime", lime)) if asked]
        wanted += [f"words={quote(words, safe='')}"] if words else []
        path = f"/v1/explain/{_segment(ranking)}/{_segment(item)}" + ("?" + "&".join(wanted) if wanted else "")
        return self.call("GET", path, ItemExplanation)

    def importance(self, version: str) -> ModelExplanation:
        version = version or self.call("GET", "/v1/status", _Serving).model
        return self.call("GET", f"/v1/models/{_segment(version)}/importance", ModelExplanation)

    def models(self) -> list[ModelInfo]:
        return self.call("GET", "/v1/models", _ModelList).models

    def online(self) -> OnlineStatus:
        return self.call("GET", "/v1/models", _ModelList).online

    def train(self) -> None:
        """Let the service train in the background."""
        self.call("POST", "/v1/train", _Anything)

    def activate(self, version: str) -> ModelInfo:
        return self.call("POST", f"/v1/models/{_segment(version)}/activate", ModelInfo)

    def rollback(self) -> ModelInfo:
        return self.call("POST", "/v1/models/rollback", ModelInfo)

    def experiments(self) -> list[Experiment]:
        return self.call("GET", "/v1/experiments", _ExperimentList).experiments

    def start_experiment(self, experiment: Experiment) -> Experiment:
        return self.call("POST", "/v1/experiments", Experiment, experiment)

    def stop_experiment(self, name: str) -> Experiment:
        return self.call("POST", f"/v1/experiments/{_segment(name)}/stop", Experiment)

    def experiment(self, name: str) -> ExperimentReport:
        return self.call("GET", f"/v1/experiments/{_segment(name)}", ExperimentReport)

    def export_user(self, user: str | None, session: str | None = None) -> Iterator[object]:
        """Line by line as it comes, never all of it in memory."""
        with self._asked("GET", f"/v1/{_whose(user, session)}/export", accept="application/x-ndjson") as response:
            rest = b""
            while part := response.read1(_CHUNK):
                *lines, rest = (rest + part).split(b"\n")
                yield from map(msgspec.Raw, lines)
        if rest:
            raise Unavailable(f"{self.url} ended in the middle of a line; the export is not whole: try again.")

    def forget(self, user: str | None, session: str | None = None) -> Forgotten:
        return self.call("DELETE", f"/v1/{_whose(user, session)}", Forgotten)

    def title(self, item: str) -> str:
        try:
            return self.call("GET", f"/v1/items/{_segment(item)}", _Title).title
        except PalateError as error:
            if error.status == 404:
                return ""
            raise


class _Anything(msgspec.Struct):
    """An answer of which nothing is needed."""


class _ExperimentList(msgspec.Struct):
    experiments: list[Experiment]


class _ModelList(msgspec.Struct):
    models: list[ModelInfo]
    online: OnlineStatus


class _Title(msgspec.Struct):
    title: str


class _Serving(msgspec.Struct):
    model: str


class _ServiceFile(msgspec.Struct):
    url: str
    pid: int = 0


def _segment(name: str) -> str:
    return quote(name, safe="")


def _whose(user: str | None, session: str | None) -> str:
    return f"users/{_segment(user or '')}" if session is None else f"sessions/{_segment(session)}"


def service_of(path: Path) -> Remote | None:
    """The service that holds this directory, if one does."""
    try:
        found = msgspec.json.decode((path / "service.json").read_bytes(), type=_ServiceFile)
    except (OSError, msgspec.DecodeError):
        return None
    if not _held(path):
        return None
    return Remote(found.url, os.environ.get("PALATE_API_KEY"))


def _held(path: Path) -> bool:
    """Whether a process holds the directory. Its id wouldn't say so: after a crash another process may have it."""
    try:
        lock = os.open(path / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def quoted(path: Path) -> str:
    """``path`` as a shell takes it, for the commands in hints."""
    return shlex.quote(str(path))


def existing(path: Path) -> Path:
    """``path``, which must be an engine's directory.

    Errors: ``NotFound``; ``ConfigError`` for a file; ``CorruptArtefact`` where the log of an engine is gone.
    """
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{path} is a file; an engine lives in a directory.", "--dir")
    if not (path / "events.db").is_file():
        check_log(path)
        raise NotFound(no_engine(path), "--dir")
    return path


def no_engine(path: Path) -> str:
    """The sentence for a directory without an engine."""
    return f"There is no engine at {quoted(path)}. Make one with: palate import --data movies --dir {quoted(path)}"


@contextmanager
def engine_of(path: Path, create: bool = False, instead: str = "") -> Generator[Engine]:
    """The engine of ``path``, opened and closed. ``instead``: what to do while a service, at ``{url}``, holds it.

    Errors: those of ``existing`` unless ``create``, and ``Locked``, which says how to go on.
    """
    import palate

    try:
        engine = palate.open(path if create else existing(path))
    except Locked as error:
        service, holder = service_of(path), holder_of(path)
        if service is None:
            raise
        raise Locked(
            f"{path} is in use by process {holder}, the service at {service.url}, and this command needs it for "
            f"itself: stop the service (kill {holder}), run the command, and start the service again"
            f"{instead.format(url=service.url)}.",
            error.where,
        ) from None
    with engine:
        yield engine


def holder_of(path: Path) -> str:
    """The process id in the lock file of ``path``; ``unknown`` where there is none."""
    with suppress(OSError):
        return (path / "LOCK").read_bytes()[:32].decode("ascii", "replace").strip() or "unknown"
    return "unknown"


@contextmanager
def target(path: Path) -> Generator[Target]:
    """The service that holds ``path`` where there is one, else its engine."""
    remote = service_of(existing(path))
    if remote is not None:
        yield remote
        return
    with engine_of(path) as engine:
        yield Local(engine)
