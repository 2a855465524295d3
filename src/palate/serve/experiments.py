"""``/v1/experiments``: declare, list, judge and stop, and who is in which arm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from palate.errors import InvalidInput
from palate.experiment import Experiment
from palate.experiment.report import assignment
from palate.requests import parse_request
from palate.serve.api import no_body, query_of, reply, segment
from palate.state.keys import subject_of
from palate.wire import check_id

if TYPE_CHECKING:
    from palate.engine import Engine


class ExperimentList(msgspec.Struct):
    """All experiments, in order of creation."""

    experiments: list[Experiment]


class Assignment(msgspec.Struct):
    """The arm of a user or session; '' for one who takes no part."""

    experiment: str
    arm: str


def routes(engine: Engine) -> Sequence[HTTPRouteHandler]:
    """The handlers, bound to an engine."""
    limits, arms = engine.settings.limits, engine.arms

    @get("/v1/experiments")
    async def experiments(request: Request[Any, Any, Any]) -> Response[bytes]:
        """All experiments, those that have ended included."""
        return reply(ExperimentList(await asyncio.to_thread(arms.experiments.list)))

    @post("/v1/experiments", status_code=201)
    async def start(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Start an experiment: from now on its arms rank for the people who take part."""
        wanted = parse_request(await request.body(), Experiment)
        return reply(await asyncio.to_thread(arms.start, wanted, engine.clock()), 201)

    @get("/v1/experiments/{name:str}")
    async def report(request: Request[Any, Any, Any]) -> Response[bytes]:
        """How an experiment stands: people, means, differences with intervals that hold at any time."""
        name = segment(request, "name", limits)
        return reply(await asyncio.to_thread(arms.report, name, engine.clock()))

    @post("/v1/experiments/{name:str}/stop", status_code=200)
    async def stop(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Rank everybody as before; what people did until then, and within their horizon, still counts."""
        no_body(await request.body())
        name = segment(request, "name", limits)
        return reply(await asyncio.to_thread(arms.stop, name, engine.clock()))

    @get("/v1/experiments/{name:str}/assignment")
    async def assigned(request: Request[Any, Any, Any]) -> Response[bytes]:
        """The arm of `user` or `session`, for what is shown beside a ranking."""
        query = query_of(request, ("user", "session"))
        user, session = query.get("user"), query.get("session")
        for where, value in (("user", user), ("session", session)):
            if value is not None:
                check_id(value, where, limits)
        subject = subject_of(user, session)
        if subject is None:
            raise InvalidInput("Neither user nor session is given: say whose arm is asked for.", "user")
        found = await asyncio.to_thread(arms.experiments.get, segment(request, "name", limits))
        return reply(Assignment(found.name, assignment(found, subject)))

    return [experiments, start, report, stop, assigned]
