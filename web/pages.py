"""The pages for everybody: users, newcomers, movies, search."""

from __future__ import annotations

import asyncio
from typing import Any

from movie_recommender_client import AsyncRecommender
from movie_recommender_client.v1 import recommender_pb2 as api
from starlette.requests import Request
from starlette.responses import Response

from web.choices import LONG_LIST, MAX_ID, Filters, chosen_id, chosen_likes, chosen_user, id_of, whole_number
from web.genres import Genres
from web.movies import Movies
from web.recording import DONE
from web.rendering import Renderer
from web.users import NUM_ASKED, sample_users

NUM_KNOWN = 30
NUM_FOUND = 50
NUM_SUGGESTED = 30
MAX_QUERY = 200  # characters; the API takes no more


class Pages:
    """Each method answers one address. Errors of calls are left to the application."""

    def __init__(self, recommender: AsyncRecommender, renderer: Renderer) -> None:
        self._recommender = recommender
        self._renderer = renderer
        self._genres, self._movies = Genres(recommender), Movies(recommender)

    async def home(self, request: Request) -> Response:
        """Some users to pick from."""
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        first = whole_number(request.query_params, "first", 1, MAX_ID - NUM_ASKED)
        users, tones = await asyncio.gather(sample_users(self._recommender, first), self._genres.tones(status.release))
        known = [user for user in users if user.known]
        return self._renderer.page(
            "home.html", status=status, users=known, first=first, last=first + NUM_ASKED - 1, tones=tones
        )

    async def user(self, request: Request) -> Response:
        """What a user gets and why, and what they liked."""
        query = request.query_params
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        who, filters = chosen_user(query, status.users_have_keys), Filters.of(query)
        answer, known, tones = await asyncio.gather(
            self._recommender.recommend(who[1], limit=filters.limit, filter=filters.message(), explain=True),
            self._recommender.list_user_movies(who[1], limit=NUM_KNOWN),
            self._genres.tones(status.release),
        )
        return self._renderer.page(
            "user.html",
            status=status,
            who=who,
            filters=filters,
            answer=answer,
            known=known,
            tones=tones,
            done=await self._done(query.get("done", ""), query.get("movie", ""), status),
        )

    async def history(self, request: Request) -> Response:
        """All that a user has liked, watched and hidden, page by page."""
        query = request.query_params
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        who = chosen_user(query, status.users_have_keys)
        known, tones = await asyncio.gather(
            self._recommender.list_user_movies(who[1], limit=LONG_LIST, page_token=query.get("page", "")),
            self._genres.tones(status.release),
        )
        return self._renderer.page("history.html", status=status, who=who, known=known, tones=tones)

    async def newcomer(self, request: Request) -> Response:
        """What somebody gets who likes the movies that the address names."""
        query = request.query_params
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        likes, filters = chosen_likes(query.getlist("like"), status.movies_have_keys), Filters.of(query)
        text = query.get("q", "").strip()[:MAX_QUERY]
        asked = self._recommender.recommend(
            None if likes else MAX_ID,  # nobody's number, for what is popular
            liked=likes,
            limit=filters.limit if likes else NUM_SUGGESTED,
            filter=filters.message(),
            explain=bool(likes),
        )
        answer, liked, found, tones = await asyncio.gather(
            asked, self._movies.of(likes, status.release), self._found(text), self._genres.tones(status.release)
        )
        return self._renderer.page(
            "newcomer.html",
            status=status,
            likes=likes,
            liked=liked,
            filters=filters,
            answer=answer,
            query=text,
            found=[movie for movie in found if id_of(movie) not in likes],
            tones=tones,
        )

    async def movie(self, request: Request) -> Response:
        """A movie and its neighbours."""
        query = request.query_params
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        movie, filters = chosen_id(query, "movie", status.movies_have_keys), Filters.of(query)
        answer, tones = await asyncio.gather(
            self._recommender.similar_movies(movie, limit=filters.limit, filter=filters.message()),
            self._genres.tones(status.release),
        )
        return self._renderer.page("movie.html", status=status, filters=filters, answer=answer, tones=tones)

    async def search(self, request: Request) -> Response:
        """Movies by title."""
        status = await self._recommender.serving_status()
        if not status.release:
            return self._no_release(status)
        text = request.query_params.get("q", "").strip()[:MAX_QUERY]
        found, tones = await asyncio.gather(self._found(text), self._genres.tones(status.release))
        return self._renderer.page("search.html", status=status, query=text, found=found, tones=tones)

    async def _found(self, text: str) -> list[api.Movie]:
        if not any(character.isalnum() for character in text):
            return []
        return list((await self._recommender.search_movies(text, limit=NUM_FOUND)).movies)

    async def _done(self, done: str, movie: str, status: api.GetServingStatusResponse) -> dict[str, Any] | None:
        """What was recorded just before; None if nothing was."""
        if done not in DONE or not movie:
            return None
        asked = chosen_id({"movie": movie}, "movie", status.movies_have_keys)
        (found,) = await self._movies.of([asked], status.release)
        return {"what": DONE[done], "movie": found, "can_be_undone": done != "removed"}

    def _no_release(self, status: api.GetServingStatusResponse) -> Response:
        text = f"No release is active yet. The recommender waits for {status.waiting_for}."
        return self._renderer.message("Nothing to recommend yet", text, 503)
