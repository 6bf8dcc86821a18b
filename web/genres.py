"""The genres that a filter can offer, and a colour for each."""

from __future__ import annotations

from movie_recommender_client import AsyncRecommender

MOST_GENRES = 100  # a longer list would be no help


class Genres:
    """The genres of the active release."""

    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender
        self._release = 0
        self._tones: dict[str, int] = {}

    async def tones(self, release: int) -> dict[str, int]:
        """Genres in alphabetical order, and for each its number, which is its colour.  Raises RecommenderError."""
        if release != self._release:
            answer = await self._recommender.list_genres()
            self._tones = {genre.name: number for number, genre in enumerate(answer.genres[:MOST_GENRES])}
            self._release = answer.release
        return self._tones
