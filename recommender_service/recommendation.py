"""One recommendation: what is asked for, checked against a release, and the answer once the embedding is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import MAX_LIKED, check_count, check_id, excluded_rows, limit_of, qualifying_rows
from recommender_service.errors import InvalidArgument, ServiceError
from recommender_service.metrics import ANSWERS
from recommender_service.ranking import most_popular, nearest, reasons
from recommender_service.release import Release


@dataclass(frozen=True)
class Wanted:
    """A request in terms of a release.

    excluded: bool[num_movies].  qualifying: bool[num_movies], None if all do.
    liked: int rows of trained movies, ascending: what is known of the user's taste.
    user_id: whose embedding to look up; None if there is nothing to know their taste from.
    likes: the key of a fold-in instead: int64 movie ids, ascending, as bytes; empty for none.
    """

    limit: int
    excluded: np.ndarray
    qualifying: np.ndarray | None
    ignored: list[int]
    liked: np.ndarray
    user_id: int | None
    likes: bytes
    explain: bool


def understand(release: Release, request: api.RecommendRequest) -> Wanted:
    """Raises InvalidArgument."""
    if not request.liked_movie_ids:
        check_id("user_id", request.user_id)
    elif request.user_id < 0:
        raise InvalidArgument("user_id", f"expected a positive id, or 0 for nobody known; got {request.user_id}")
    limit = limit_of(request.limit)
    check_count("liked_movie_ids", request.liked_movie_ids, MAX_LIKED)
    qualifying = qualifying_rows(release, request.filter) if request.HasField("filter") else None
    excluded, unknown = excluded_rows(release, request.exclude_movie_ids)
    watched, liked = release.watched(request.user_id)
    if not request.include_watched:
        excluded[watched] = True
    if not request.liked_movie_ids:
        user_id = request.user_id if len(liked) else None
        return Wanted(limit, excluded, qualifying, unknown, liked, user_id, b"", request.explain)
    known, ignored = _split(release, request.liked_movie_ids)
    excluded[known] = True
    if not known:  # as if none had been given
        user_id, likes = (request.user_id if len(liked) else None), b""
    else:
        liked = np.union1d(liked, known)
        user_id, likes = None, np.sort(release.movie_ids[liked]).tobytes()
    ignored = list(dict.fromkeys([*ignored, *unknown]))
    return Wanted(limit, excluded, qualifying, ignored, liked, user_id, likes, request.explain)


def answer(
    release: Release, wanted: Wanted, embedding: np.ndarray | ServiceError | None, degraded_answers: bool
) -> api.RecommendResponse:
    """embedding: float32[embedding_dim], why there is none, or None if none was asked for.

    Raises that error, unless degraded answers are allowed and it allows for one.
    """
    source, degraded_reason = api.SOURCE_POPULAR, ""
    if isinstance(embedding, ServiceError):
        if not (degraded_answers and embedding.allows_degraded_answer):
            raise embedding
        degraded_reason = str(embedding)
        embedding = release.mean_embedding(wanted.liked)
        source = api.SOURCE_FOLDED_IN
    elif embedding is not None:
        source = api.SOURCE_FOLDED_IN if wanted.likes else api.SOURCE_PERSONALIZED
    if embedding is None:
        rows, scores = most_popular(release, wanted.limit, wanted.excluded, wanted.qualifying)
    else:
        rows, scores = nearest(release.embeddings, embedding, wanted.limit, wanted.excluded, wanted.qualifying)
    movies = scored_movies(release, rows, scores)
    if wanted.explain and len(wanted.liked) and movies:
        _explain(release, movies, rows, wanted.liked)
    ANSWERS.labels(api.Source.Name(source), str(bool(degraded_reason)).lower()).inc()
    return api.RecommendResponse(
        movies=movies,
        source=source,
        release=release.version,
        ignored_movie_ids=wanted.ignored,
        degraded_reason=degraded_reason,
    )


def scored_movies(release: Release, rows: np.ndarray, scores: np.ndarray) -> list[api.ScoredMovie]:
    """Messages in the order of the rows."""
    movies = release.movies
    return [
        api.ScoredMovie(movie=movies[row], score=score)
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
    ]


def _split(release: Release, movie_ids: Iterable[int]) -> tuple[list[int], list[int]]:
    """(rows of the movies that have an embedding, the other ids), in order."""
    rows, others = [], []
    for movie_id in movie_ids:
        row = release.movie_rows.get(movie_id)
        if row is None or row >= release.num_trained_movies:
            others.append(movie_id)
        else:
            rows.append(row)
    return rows, others


def _explain(release: Release, movies: list[api.ScoredMovie], rows: np.ndarray, liked: np.ndarray) -> None:
    for movie, its_reasons in zip(movies, reasons(release, rows, liked), strict=True):
        for row, cosine in its_reasons:
            movie.reasons.add(because=release.movies[row], similarity=cosine)
