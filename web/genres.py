"""The genres that a filter can offer, and a colour for each."""

from __future__ import annotations

from movie_recommender_client import AsyncRecommender

from web.choices import MAX_ID

MOST_MOVIES = 500  # of an answer
MOST_GENRES = 100  # a longer list would be no help


class Genres:
    """The genres of the active release's most popular movies. The API has no list of all genres."""

    def __init__(self, recommender: AsyncRecommender) -> None:
        self._recommender = recommender
        self._release = 0
        self._tones: dict[str, int] = {}

    async def tones(self, release: int) -> dict[str, int]:
        """Genres in alphabetical order, and for each its number, which is its colour.  Raises RecommenderError."""
        if release != self._release:
            # A number that no user has: the answer is what is popular.
            answer = await self._recommender.recommend(MAX_ID, limit=MOST_MOVIES)
            found = {genre for scored in answer.movies for genre in scored.movie.genres}
            self._tones = {genre: number for number, genre in enumerate(sorted(found)[:MOST_GENRES])}
            self._release = release
        return self._tones
