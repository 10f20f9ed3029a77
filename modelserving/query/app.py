"""The HTTP application: one route for each question."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from modelserving.errors import BrokerError
from modelserving.query.answers import Answers
from modelserving.query.encoding import encode
from modelserving.query.guard import Guard
from modelserving.query.openapi import document
from modelserving.query.parameters import check, data_type_of, limit_of, names_of
from modelserving.query.problems import JSON, Refused, problem
from modelserving.query.rate import Rate
from modelserving.query.service import Service
from modelserving.query.stream import EventStream

PAGE = Path(__file__).parent / "page"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def application(service: Service, token: str | None, rate: Rate | None = None) -> Guard:
    """The ASGI application.

    Args:
        token: what clients must show; None if anybody on this machine may ask.
        rate: how often a client may ask.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.running():
            yield

    answers = Answers(service, lambda: time.time_ns() // 1_000_000)
    routes = [
        *_api(service, answers),
        *_about_itself(service, answers, encode(document(needs_token=token is not None))),
        Route("/", lambda _: FileResponse(PAGE / "index.html")),
        Mount("/static", StaticFiles(directory=PAGE, check_dir=False)),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)
    return Guard(app, token, rate or Rate())


def _api(service: Service, answers: Answers) -> list[BaseRoute]:
    """The questions about the job. They are answered once the view is whole: half of it would be wrong."""

    def route(path: str, answer: Callable[[Request], bytes | Awaitable[bytes]], *known: str) -> Route:
        async def endpoint(request: Request) -> Response:
            check(request, known)
            _need_whole_view(service)
            answered = answer(request)
            return Response(answered if isinstance(answered, bytes) else await answered, media_type=JSON)

        return Route(path, endpoint)

    async def results(request: Request) -> bytes:
        try:
            return await answers.results(limit_of(request))
        except BrokerError as error:
            raise Refused(503, f"results cannot be read: {error}", "ask again once the broker is up", 5) from error

    def snapshot() -> bytes:
        _need_whole_view(service)
        return service.snapshot()

    return [
        route("/api/stats", lambda request: answers.stats(data_type_of(request)), "data_type"),
        route("/api/stats/{data_type:path}/{model:path}", lambda request: answers.stats_of(*names_of(request, 2))),
        route(
            "/api/history/{data_type:path}",
            lambda request: answers.history(*names_of(request, 1), limit=limit_of(request)),
            "limit",
        ),
        route("/api/policies", lambda _: answers.policies()),
        route("/api/policies/{data_type:path}", lambda request: answers.policies_of(*names_of(request, 1))),
        route("/api/models", lambda _: answers.models()),
        route("/api/models/{data_type:path}", lambda request: answers.models_of(*names_of(request, 1))),
        route(
            "/api/events",
            lambda request: answers.events(limit_of(request), data_type_of(request)),
            "limit",
            "data_type",
        ),
        route(
            "/api/rejected",
            lambda request: answers.rejected(limit_of(request), data_type_of(request)),
            "limit",
            "data_type",
        ),
        route("/api/results", results, "limit"),
        Route("/api/stream", EventStream(service.hub, snapshot), methods=["GET"]),
    ]


def _about_itself(service: Service, answers: Answers, described: bytes) -> list[BaseRoute]:
    """The questions about the service."""

    async def metrics(request: Request) -> Response:
        check(request, ())
        return Response(await answers.metrics(), headers={"Content-Type": _PROMETHEUS})

    async def healthz(request: Request) -> Response:
        check(request, ())
        if service.progress.ended:
            raise Refused(503, service.not_ready() or "", "start the service anew, and report what its log says")
        return Response(encode({"status": "alive"}), media_type=JSON)

    async def readyz(request: Request) -> Response:
        check(request, ())
        reason = service.not_ready()
        if reason is not None:
            raise Refused(503, reason, "ask again; if it stays so, see that the broker is up", 1)
        return Response(encode({"status": "ready"}), media_type=JSON)

    async def openapi(request: Request) -> Response:
        check(request, ())
        return Response(described, media_type=JSON)

    return [
        Route("/metrics", metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/openapi.json", openapi),
    ]


def _need_whole_view(service: Service) -> None:
    progress = service.progress
    if not progress.caught_up:
        raise Refused(503, service.not_ready() or "", "ask again in a second; /readyz tells when it is read", 1)


async def _refused(_: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)  # noqa: S101 - what it is registered for
    return problem(refused.status, refused.error, refused.remedy, refused.retry_after_s)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    remedies = {404: "/openapi.json tells what there is", 405: "the service only reads: use GET"}
    return problem(error.status_code, error.detail, remedies.get(error.status_code, ""), headers=error.headers)


async def _bug(_: Request, __: Exception) -> Response:
    return problem(500, "the service has a bug", "report what its log says")
