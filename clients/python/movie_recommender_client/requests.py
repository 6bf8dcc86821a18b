"""Requests from plain arguments. An int is an id, a str is a key."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TypedDict, Unpack

from movie_recommender_client.v1 import recommender_pb2 as api

Id = int | str


class SimilarMoviesOptions(TypedDict, total=False):
    """Which movies may be in an answer.

    limit: how many, 1 to 500; 10 if it is left out.  exclude: movies to leave out.
    filter: genres and years, as `MovieFilter(genres=["Drama"], min_year=1990)`.
    release: which must answer, as an answer before has named it; the active one if it is left out.
    page_token: "" for the first of several pages, then `next_page_token` of the page before.
    """

    limit: int
    exclude: Iterable[Id]
    filter: api.MovieFilter
    release: int
    page_token: str


class RecommendOptions(SimilarMoviesOptions, total=False):
    """What is known of the user, and which movies may be in the answer.

    liked: movies that the user likes, which add to what the release knows.
    liked_in_order: whether they are in the order of liking, the latest last, so that the last ones count most.
    include_watched: whether movies that the user has rated may be in the answer.
    explain: whether each movie comes with the liked movies that are nearest to it.
    """

    liked: Iterable[Id]
    liked_in_order: bool
    include_watched: bool
    explain: bool


class UserMoviesOptions(TypedDict, total=False):
    """Which part of a user's movies to list.

    limit: how many, 1 to 500; 10 if it is left out.
    release: which must answer, as an answer before has named it; the active one if it is left out.
    page_token: "" for the first of several pages, then `next_page_token` of the page before.
    """

    limit: int
    release: int
    page_token: str


def recommend_request(user: Id | None = None, **options: Unpack[RecommendOptions]) -> api.RecommendRequest:
    """Return the request for one user, or for somebody of whom only the liked movies are known."""
    liked_ids, liked_keys = _ids_and_keys(options.get("liked", ()))
    exclude_ids, exclude_keys = _ids_and_keys(options.get("exclude", ()))
    return api.RecommendRequest(
        user_id=user if isinstance(user, int) else None,
        user_key=user if isinstance(user, str) else None,
        limit=options.get("limit", 0),
        liked_movie_ids=liked_ids,
        liked_movie_keys=liked_keys,
        liked_in_order=options.get("liked_in_order", False),
        exclude_movie_ids=exclude_ids,
        exclude_movie_keys=exclude_keys,
        include_watched=options.get("include_watched", False),
        filter=options.get("filter"),
        explain=options.get("explain", False),
        release=options.get("release", 0),
        page_token=options.get("page_token"),
    )


def similar_movies_request(movie: Id, **options: Unpack[SimilarMoviesOptions]) -> api.SimilarMoviesRequest:
    """Return the request for the movies that are like one movie."""
    exclude_ids, exclude_keys = _ids_and_keys(options.get("exclude", ()))
    return api.SimilarMoviesRequest(
        movie_id=movie if isinstance(movie, int) else None,
        movie_key=movie if isinstance(movie, str) else None,
        limit=options.get("limit", 0),
        exclude_movie_ids=exclude_ids,
        exclude_movie_keys=exclude_keys,
        filter=options.get("filter"),
        release=options.get("release", 0),
        page_token=options.get("page_token"),
    )


def list_user_movies_request(user: Id, **options: Unpack[UserMoviesOptions]) -> api.ListUserMoviesRequest:
    """Return the request for what a user has liked, watched and hidden."""
    return api.ListUserMoviesRequest(
        user_id=user if isinstance(user, int) else None,
        user_key=user if isinstance(user, str) else None,
        limit=options.get("limit", 0),
        release=options.get("release", 0),
        page_token=options.get("page_token"),
    )


def event(
    user: Id, movie: Id, kind: api.EventKind, rating: float | None = None, event_id: str | None = None
) -> api.Event:
    """Return an event that happens now.  event_id: a new UUID if it is None."""
    return api.Event(
        event_id=event_id if event_id is not None else str(uuid.uuid4()),
        user_id=user if isinstance(user, int) else None,
        user_key=user if isinstance(user, str) else None,
        movie_id=movie if isinstance(movie, int) else None,
        movie_key=movie if isinstance(movie, str) else None,
        kind=kind,
        rating=rating,
    )


def _ids_and_keys(movies: Iterable[Id]) -> tuple[list[int], list[str]]:
    movies = list(movies)
    return [m for m in movies if isinstance(m, int)], [m for m in movies if isinstance(m, str)]
