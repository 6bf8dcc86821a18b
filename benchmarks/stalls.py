"""How long a health check waits while the recommender answers one heavy request that is allowed."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health_pb2

from benchmarks.figures import Figure, Goal, figure
from benchmarks.loads import Target
from benchmarks.releases import heaviest_user
from benchmarks.support import SERVICE
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.checks import MAX_EXCLUDED, MAX_GENRES, MAX_LIKED, MAX_LIMIT
from recommender_service.release import Release
from recommender_service.servicer import MAX_BATCH, MAX_BATCH_MOVIES, MAX_QUERY
from recommender_service.title_index import MAX_WORDS, words_of

SECTION = "Worst wait of a health check while one heavy request is answered"
GOAL_MS = 20
REPETITIONS = 9
IDLE_S = 0.1  # health checks alone, for comparison

Request = tuple[str, bytes]


def heavy_requests(release: Release) -> dict[str, Request]:
    """The heaviest requests that are allowed, by what makes them heavy: (RPC, serialized request)."""
    heaviest, watched = heaviest_user(release)
    known = release.movie_ids[:MAX_EXCLUDED].tolist()
    unknown = list(range(10**9, 10**9 + MAX_EXCLUDED))
    liked = release.movie_ids[: min(MAX_LIKED, release.num_trained_movies)].tolist()
    genres = (list(release.genres) * MAX_GENRES)[:MAX_GENRES]
    every_genre = api.MovieFilter(genres=genres, exclude_genres=genres, min_year=1)
    one = api.RecommendRequest(user_id=heaviest)
    in_batch = MAX_BATCH_MOVIES // MAX_BATCH
    # One small id, again and again: others would take two or three bytes each, and the message would be too long.
    excluding = api.RecommendRequest(user_id=heaviest, exclude_movie_ids=[min(known)] * MAX_EXCLUDED)
    words = sorted({word for movie in release.movies for word in words_of(movie.title) if 7 < len(word) < 12})
    some_words = " ".join(random.Random(0).sample(words, min(MAX_WORDS, len(words))))
    return {
        f"batch of {MAX_BATCH} with reasons for a user with {watched:,} watched movies": _batch(
            api.RecommendRequest(user_id=heaviest, limit=in_batch, explain=True), MAX_BATCH
        ),
        f"batch of {MAX_BATCH}, each with {MAX_EXCLUDED:,} excluded movies": _batch(excluding, MAX_BATCH),
        f"batch of {MAX_BATCH}, each with {2 * MAX_GENRES} genres": _batch(
            api.RecommendRequest(user_id=heaviest, filter=every_genre), MAX_BATCH
        ),
        f"batch of {MAX_BATCH}, limit {in_batch}": _batch(
            api.RecommendRequest(user_id=heaviest, limit=in_batch), MAX_BATCH
        ),
        f"limit {MAX_LIMIT} with reasons": _recommend(one, limit=MAX_LIMIT, explain=True),
        f"{MAX_LIKED:,} liked movies with reasons, limit {MAX_LIMIT}": _recommend(
            one, limit=MAX_LIMIT, explain=True, liked_movie_ids=liked
        ),
        f"{len(known):,} excluded movies": _recommend(one, exclude_movie_ids=known),
        f"{MAX_EXCLUDED:,} excluded movies that are unknown": _recommend(one, exclude_movie_ids=unknown),
        f"{2 * MAX_GENRES} genres": _recommend(one, filter=every_genre),
        f"similar movies but {len(known):,}, limit {MAX_LIMIT}": (
            "SimilarMovies",
            api.SimilarMoviesRequest(movie_id=known[0], limit=MAX_LIMIT, exclude_movie_ids=known).SerializeToString(),
        ),
        f"a title of {MAX_WORDS} long words": _search(some_words[:MAX_QUERY], MAX_LIMIT),
        "the commonest words of titles": _search("the of and in love man night day life my girl last dead", MAX_LIMIT),
    }


def stalls(target: Target, requests: dict[str, Request]) -> Iterator[Figure]:
    """Yield for each request the longest health check in milliseconds, over REPETITIONS; the first line is without."""
    waits = uvloop.run(_stalls(target.address, requests))
    for name, pairs in waits.items():
        goal = Goal(GOAL_MS) if name in requests else None
        seconds = [[wait * 1e3 for wait, _ in pairs], [call * 1e3 for _, call in pairs]]
        yield figure(SECTION, name, seconds[0], "ms", goal, longest_ms=[max(seconds[0])], call_ms=seconds[1])


async def _stalls(address: str, requests: dict[str, Request]) -> dict[str, list[tuple[float, float]]]:
    """By name of the request: for each repetition (seconds of the longest check, seconds of the call)."""
    waits: dict[str, list[tuple[float, float]]] = {}
    async with grpc.aio.insecure_channel(address) as channel, grpc.aio.insecure_channel(address) as other:
        check: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check", request_serializer=health_pb2.HealthCheckRequest.SerializeToString
        )
        for repetition in range(REPETITIONS + 1):
            idle = await _longest_check(check, asyncio.create_task(asyncio.sleep(IDLE_S)))
            measured = {"nothing else": (idle, IDLE_S)}
            for name, (rpc, request) in requests.items():
                start = time.perf_counter()
                call = asyncio.ensure_future(_call(other.unary_unary(SERVICE + rpc), request))
                longest = await _longest_check(check, call)
                measured[name] = longest, time.perf_counter() - start
            if repetition:  # the first fills the cache
                for name, pair in measured.items():
                    waits.setdefault(name, []).append(pair)
    return waits


async def _call(call: Any, request: bytes) -> None:
    await call(request, timeout=60)


async def _longest_check(check: Any, until: asyncio.Task[None]) -> float:
    """Seconds of the longest of the health checks that are made, one after the other, until the task ends."""
    longest = 0.0
    while not until.done():
        start = time.perf_counter()
        await check(health_pb2.HealthCheckRequest(), timeout=60)
        longest = max(longest, time.perf_counter() - start)
    await until
    return longest


def _recommend(one: api.RecommendRequest, **fields: Any) -> Request:
    request = api.RecommendRequest(user_id=one.user_id, **fields)
    return "Recommend", request.SerializeToString()


def _batch(request: api.RecommendRequest, count: int) -> Request:
    return "BatchRecommend", api.BatchRecommendRequest(requests=[request] * count).SerializeToString()


def _search(query: str, limit: int) -> Request:
    return "SearchMovies", api.SearchMoviesRequest(query=query, limit=limit).SerializeToString()
