"""How long a health check waits while the recommender answers one heavy request that is allowed.

Where other programs want the same core, the check waits for them too. So the most CPU that the recommender used during
one check is told beside the wait: for so long at most it held the check up itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import uvloop
from grpc_health.v1 import health_pb2

from benchmarks.figures import Figure, Goal, figure
from benchmarks.loads import Target
from benchmarks.releases import heaviest_user
from benchmarks.support import SERVICE, cpu_seconds
from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.batch_checks import MAX_BATCH, MAX_BATCH_MOVIES
from recommender_service.checks import MAX_EXCLUDED, MAX_GENRES, MAX_LIKED, MAX_LIMIT
from recommender_service.release import Release
from recommender_service.title_index import MAX_WORDS
from recommender_service.title_search import MAX_QUERY
from recommender_service.title_words import words_of

SECTION = "Worst wait of a health check while one heavy request is answered"
GOAL_MS = 20
REPETITIONS = 9
IDLE_S = 0.1  # health checks alone, for comparison

Request = tuple[str, bytes]


class Waits(NamedTuple):
    """Seconds: of the longest health check, most CPU of the server during one check, and of the call meanwhile."""

    longest: float
    cpu: float
    call: float


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
    for name, waits in uvloop.run(_stalls(target, requests)).items():
        goal = Goal(GOAL_MS) if name in requests else None
        longest, cpu, call = ([seconds * 1e3 for seconds in column] for column in zip(*waits, strict=True))
        yield figure(
            SECTION, name, longest, "ms", goal, longest_ms=[max(longest)], most_cpu_ms=[max(cpu)], call_ms=call
        )


async def _stalls(target: Target, requests: dict[str, Request]) -> dict[str, list[Waits]]:
    """By name of the request, for each repetition."""
    waits: dict[str, list[Waits]] = {}
    pid = target.server.process.pid
    async with grpc.aio.insecure_channel(target.address) as channel, grpc.aio.insecure_channel(target.address) as other:
        check: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check", request_serializer=health_pb2.HealthCheckRequest.SerializeToString
        )
        for repetition in range(REPETITIONS + 1):
            measured = {"nothing else": await _waits(check, pid, asyncio.create_task(asyncio.sleep(IDLE_S)))}
            for name, (rpc, request) in requests.items():
                call = asyncio.ensure_future(_call(other.unary_unary(SERVICE + rpc), request))
                measured[name] = await _waits(check, pid, call)
            if repetition:  # the first fills the cache
                for name, of_request in measured.items():
                    waits.setdefault(name, []).append(of_request)
    return waits


async def _call(call: Any, request: bytes) -> None:
    await call(request, timeout=60)


async def _waits(check: Any, pid: int, until: asyncio.Task[None]) -> Waits:
    """Make health checks, one after the other, until the task ends.  pid: of the server."""
    longest = most_cpu = 0.0
    begin = time.perf_counter()
    while not until.done():
        start, cpu = time.perf_counter(), cpu_seconds(pid)
        await check(health_pb2.HealthCheckRequest(), timeout=60)
        longest = max(longest, time.perf_counter() - start)
        most_cpu = max(most_cpu, cpu_seconds(pid) - cpu)
    await until
    return Waits(longest, most_cpu, time.perf_counter() - begin)


def _recommend(one: api.RecommendRequest, **fields: Any) -> Request:
    request = api.RecommendRequest(user_id=one.user_id, **fields)
    return "Recommend", request.SerializeToString()


def _batch(request: api.RecommendRequest, count: int) -> Request:
    return "BatchRecommend", api.BatchRecommendRequest(requests=[request] * count).SerializeToString()


def _search(query: str, limit: int) -> Request:
    return "SearchMovies", api.SearchMoviesRequest(query=query, limit=limit).SerializeToString()
