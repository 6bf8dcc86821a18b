"""The page for the person in charge: what is active, what was refused and why, what answers are like right now."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from movie_recommender_client import AsyncRecommender, RecommenderError
from movie_recommender_client.v1 import recommender_pb2 as api
from starlette.requests import Request
from starlette.responses import Response

from web.curve import curve_of
from web.releases import STATES, metric, places
from web.rendering import Renderer
from web.users import sample_users

NUM_LISTED = 20
SOURCES = {
    api.SOURCE_PERSONALIZED: "personal",
    api.SOURCE_FOLDED_IN: "from liked movies",
    api.SOURCE_POPULAR: "popular movies",
}


class StatusPage:
    """The page, and the part of it that follows what happens."""

    def __init__(self, recommender: AsyncRecommender, renderer: Renderer) -> None:
        self._recommender = recommender
        self._renderer = renderer

    async def page(self, _: Request) -> Response:
        """Return the whole page."""
        return self._renderer.page("status.html", **await self._values())

    async def live(self, _: Request) -> Response:
        """Return the part that the script of the page exchanges every few seconds."""
        return self._renderer.page("status_live.html", **await self._values())

    async def _values(self) -> dict[str, Any]:
        status, releases = await asyncio.gather(
            self._recommender.serving_status(), self._recommender.list_releases(NUM_LISTED)
        )
        active = [one for one in releases.releases if status.release and one.status.release == status.release]
        return {
            "status": status,
            "states": STATES,
            "releases": releases,
            "metric": metric,
            "places": places,
            "active_release": active[0] if active else None,
            "curves": [curve_of(search) for one in active for search in one.searches],
            "probe": await self._probe() if status.release else None,
        }

    async def _probe(self) -> dict[str, Any]:
        """Ask for some users, as a client would: where their answers come from, and why some are degraded."""
        try:
            answers = [user.answer for user in await sample_users(self._recommender, 1)]
        except RecommenderError as error:
            return {"error": str(error), "sources": [], "degraded": []}
        sources = Counter(SOURCES.get(answer.source, "unknown") for answer in answers)
        degraded = Counter(answer.degraded_reason for answer in answers if answer.degraded_reason)
        return {"error": "", "sources": sources.most_common(), "degraded": degraded.most_common()}
