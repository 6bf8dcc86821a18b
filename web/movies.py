"""Movies by id or key. The API names a movie only beside its neighbours, so each costs a call once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from movie_recommender_client import AsyncRecommender, RecommenderError
from movie_recommender_client.v1 import recommender_pb2 as api

from web.choices import Id

MAX_REMEMBERED = 5_000  # half a kilobyte or so each


class Movies:
    """The movies of the active release that were asked for before."""

    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender
        self._release = 0
        self._movies: dict[Id, api.Movie] = {}

    async def of(self, ids: Sequence[Id], release: int) -> list[api.Movie]:
        """The movies of these ids and keys, in their order.  Raises RecommenderError.  release: the active one."""
        if release != self._release or len(self._movies) > MAX_REMEMBERED:
            self._release, self._movies = release, {}
        return list(await asyncio.gather(*(self._movie(movie) for movie in ids)))

    async def _movie(self, movie: Id) -> api.Movie:
        """The movie of this id, without a year and genres if an address is older than the release and names another."""
        known = self._movies.get(movie)
        if known is not None:
            return known
        try:
            answer = await self._recommender.similar_movies(movie, limit=1)
        except RecommenderError as error:
            if error.reason != "UNKNOWN_MOVIE":
                raise
            title = f"{movie}, which this release does not have"
            return (
                api.Movie(key=movie, title=title) if isinstance(movie, str) else api.Movie(movie_id=movie, title=title)
            )
        if answer.release == self._release:
            self._movies[movie] = answer.movie
        return answer.movie
