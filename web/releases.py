"""The releases with their figures, and what differs between two of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from movie_recommender_client import AsyncRecommender
from movie_recommender_client.v1 import recommender_pb2 as api
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from web.choices import MAX_ID, whole_number
from web.curve import curve_of
from web.rendering import Renderer

NUM_LISTED = 100  # the API lists no more
RANKINGS = ("popularity", "exact", "index")
SIZES = {
    "users": "num_users",
    "movies": "num_movies",
    "movies that somebody liked": "num_trained_movies",
    "ratings": "num_ratings",
    "dimensions of an embedding": "embedding_dim",
    "bytes": "num_bytes",
}
STATES = {
    api.RELEASE_STATE_ACTIVE: "active",
    api.RELEASE_STATE_IDLE: "idle",
    api.RELEASE_STATE_WAITING: "waiting",
    api.RELEASE_STATE_REFUSED: "refused",
    api.RELEASE_STATE_CANARY: "canary",
}


@dataclass(frozen=True)
class Figure:
    """An offline figure of a release by ranking, None where it was not measured.

    error: the standard error of the figure as served.  other: of another release, as served.
    """

    name: str
    values: dict[str, float | None]
    error: float | None
    other: float | None

    @property
    def difference(self) -> float | None:
        """How much more it is than the other's."""
        served = self.values["index"]
        return served - self.other if served is not None and self.other is not None else None


def metric(release: api.ReleaseDetails, ranking: str, name: str) -> float | None:
    """An offline figure of a release; None if it was not measured."""
    for evaluation in release.evaluations:
        if evaluation.ranking == ranking and name in evaluation.metrics:
            return evaluation.metrics[name]
    return None


def places(status: api.GetServingStatusResponse, version: int) -> list[str]:
    """Where a release is in memory."""
    where = []
    if version == status.release:
        where.append("service")
    if version == status.previous_release:
        where.append("service, for calls that name it")
    if version in status.model_server.available_versions:
        where.append("model server")
    return where


class ReleasePage:
    """The page of one release."""

    def __init__(self, recommender: AsyncRecommender, renderer: Renderer) -> None:
        self._recommender = recommender
        self._renderer = renderer

    async def page(self, request: Request) -> Response:
        """A release, the active one unless the address names another, beside the active one or the next older one."""
        query = request.query_params
        version, chosen = (whole_number(query, name, 0, MAX_ID) for name in ("release", "with"))
        status, answer = await asyncio.gather(
            self._recommender.serving_status(), self._recommender.list_releases(NUM_LISTED)
        )
        version = version or status.release
        by_version = {release.status.release: release for release in answer.releases}
        for asked in (version, *([chosen] if chosen else [])):
            if asked not in by_version:
                raise HTTPException(404, f"The newest {NUM_LISTED} releases of the folder do not include {asked}")
        release, others = by_version[version], [one for one in by_version if one != version]
        older = (one for one in others if one < version and not by_version[one].problem)
        default = status.release if status.release in others else next(older, 0)
        other = by_version.get(chosen or default)
        if other is not None and other.status.release == version:
            other = None
        return self._renderer.page(
            "release.html",
            status=status,
            release=release,
            state=STATES.get(release.status.state, "unknown"),
            where=places(status, version),
            others=others,
            other=other,
            sizes=_sizes(release, other),
            figures=_figures(release, other),
            curves=[curve_of(search) for search in release.searches],
        )


def _sizes(release: api.ReleaseDetails, other: api.ReleaseDetails | None) -> list[tuple[str, int, int | None]]:
    return [(name, getattr(release, field), getattr(other, field, None)) for name, field in SIZES.items()]


def _figures(release: api.ReleaseDetails, other: api.ReleaseDetails | None) -> list[Figure]:
    errors = {
        name: error
        for one in release.evaluations
        if one.ranking == "index"
        for name, error in one.standard_errors.items()
    }
    names = sorted({name for one in release.evaluations for name in one.metrics})
    return [
        Figure(
            name,
            {ranking: metric(release, ranking, name) for ranking in RANKINGS},
            errors.get(name),
            metric(other, "index", name) if other is not None else None,
        )
        for name in names
    ]
