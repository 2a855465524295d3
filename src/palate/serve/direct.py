"""The hot routes without ASGI: a head and a body in, an answer out.

The same checks and handlers as ``app.PalateApp`` runs, in the same order, for requests whose head holds nothing unusual
(``protocol`` decides that): no Origin, no preflight, a body of known and moderate length.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from palate.errors import MalformedBody, PalateError
from palate.serve.answer import RawHeaders, error_headers
from palate.serve.hot import Hot, Reply
from palate.serve.security import Guard, Headers, check_media_type, error_body

if TYPE_CHECKING:
    from palate.serve.metrics import Metrics

_log = logging.getLogger("palate.serve")
_encode = msgspec.json.Encoder().encode


class Sent(NamedTuple):
    """An answer: its status, its body and what its head says beside the usual."""

    status: int
    body: bytes
    extra: RawHeaders


_NOTHING: RawHeaders = []


class Direct:
    """Answers requests of the hot routes. ``draining`` is the application's: connections close after their answer."""

    def __init__(self, guard: Guard, hot: Hot, metrics: Metrics) -> None:
        self.guard = guard
        self.metrics = metrics
        self.at_once = {"/v1/rank": hot.rank_now, "/v1/recommend": hot.recommend_now} if hot.at_once else {}
        waiting = {} if hot.at_once else {"/v1/rank": hot.rank, "/v1/recommend": hot.recommend}
        self.in_time = {"/v1/events": hot.events, **waiting}
        self.paths = {path.encode(): path for path in (*self.at_once, *self.in_time)}
        self.draining = False

    def answer(self, path: str, headers: Headers, body: bytes) -> Sent:
        """The answer of a route that never waits (``at_once``)."""
        try:
            self._check(path, headers)
            return self._counted(path, self.at_once[path](body))
        except Exception as error:  # whatever it is, it is answered, and logged where nobody foresaw it
            return self._failed(path, error)

    async def answer_in_time(self, path: str, headers: Headers, body: bytes) -> Sent:
        """The answer of a route that waits for the disk or for a language model (``in_time``)."""
        try:
            ndjson = self._check(path, headers)
            return self._counted(path, await self.in_time[path](body, ndjson))
        except Exception as error:  # as in ``answer``
            return self._failed(path, error)

    def late(self, path: str, seconds: float) -> Sent:
        """The answer to a request whose body didn't come."""
        return self._failed(path, MalformedBody(f"The body did not arrive within {seconds:.0f} seconds."))

    def _check(self, path: str, headers: Headers) -> bool:
        guard = self.guard
        guard.check_host(headers)
        guard.check_origin("POST", headers)
        guard.check_key("POST", headers)
        return check_media_type(path, headers, has_body=True)

    def _counted(self, path: str, reply: Reply) -> Sent:
        self.metrics.request(path, reply[0])
        return Sent(reply[0], reply[1], _NOTHING)

    def _failed(self, path: str, error: Exception) -> Sent:
        if isinstance(error, RecursionError):
            error = MalformedBody("The body is nested too deeply to be read.")
        if not isinstance(error, PalateError):
            _log.error("Unforeseen error in POST %s", path, exc_info=error)
            error = PalateError("Something went wrong here; the service's log has the details.")
        self.metrics.request(path, error.status)
        return Sent(error.status, _encode(error_body(error)), error_headers(error))
