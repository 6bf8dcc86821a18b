"""The application: which page answers which address, what goes along with each answer, and what errors look like."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from movie_recommender_client import AsyncRecommender, RecommenderError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.choices import BadChoice
from web.pages import Pages
from web.recording import Recording
from web.releases import ReleasePage
from web.rendering import Renderer
from web.status import StatusPage

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Statuses of calls as statuses of HTTP. What is missing here is a fault of the recommender or on the way: 502.
HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "UNAVAILABLE": 503,
    "RESOURCE_EXHAUSTED": 503,
    "CANCELLED": 503,
    "DEADLINE_EXCEEDED": 504,
}
HEADINGS = {
    400: "That cannot be asked",
    403: "That is not allowed",
    404: "Not found",
    405: "That cannot be asked",
    409: "That is turned off",
    413: "That is too large",
    502: "The recommender gives no answer",
    503: "The recommender does not answer now",
    504: "The recommender takes too long",
}


def application(recommender: AsyncRecommender, address: str, hosts: Sequence[str]) -> Starlette:
    """Return the pages over a recommender.  address: where it is, for messages.  hosts: names that browsers may use."""
    renderer = Renderer()
    pages, status = Pages(recommender, renderer), StatusPage(recommender, renderer)
    recording, release = Recording(recommender), ReleasePage(recommender, renderer)

    async def refused_choice(_: Request, error: Exception) -> Response:
        return renderer.message(HEADINGS[400], str(error), 400)

    async def failed_call(_: Request, error: Exception) -> Response:
        assert isinstance(error, RecommenderError)
        status = HTTP_STATUS.get(error.code.name, 502)
        where = f" The page asks it at {address}." if status >= 500 else ""
        return renderer.message(HEADINGS[status], f"{str(error).rstrip('.')}.{where}", status)

    async def no_page(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return renderer.message(HEADINGS.get(error.status_code, "Error"), f"{error.detail}.", error.status_code)

    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/user", pages.user),
            Route("/history", pages.history),
            Route("/newcomer", pages.newcomer),
            Route("/movie", pages.movie),
            Route("/search", pages.search),
            Route("/status", status.page),
            Route("/status/live", status.live),
            Route("/release", release.page),
            Route("/events", recording.record, methods=["POST"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(_Headers), Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={BadChoice: refused_choice, RecommenderError: failed_call, HTTPException: no_page},
    )


class _Headers:
    """Adds to each answer what the browser must not do, and how long the answer took here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"  # addresses name users
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cache-Control"] = "no-cache" if scope["path"].startswith("/static/") else "no-store"
                headers["Server-Timing"] = f"total;dur={1e3 * (time.perf_counter() - started):.1f}"
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
