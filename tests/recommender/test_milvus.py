"""ANN=milvus answers what a search in memory does, from milvus-lite as a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import grpc
import pandas as pd
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids, undegraded
from tests.support.errors import failure_of
from tests.support.milvus import connected, settings_for, wait_until_loaded
from tests.support.releases import publish_random
from tools.processes import START_TIMEOUT_S, wait_for
from tools.servers import (
    free_port,
    health_status,
    milvus_lite,
    milvus_loader,
    model_server,
    recommender,
    wait_until_serving,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.long]

TARGET_RECALL = 0.95
USERS, HEAVY_USER, NUM_MOVIES, NUM_WATCHED = range(1, 61), 1, 1_000, 898


@dataclass(frozen=True)
class World:
    """Two recommenders over the same release: one searches in memory, the other in Milvus.

    movies: the release's table.  rest: what Milvus needs to be killed and started again.
    """

    memory: RecommenderServiceStub
    by_milvus: RecommenderServiceStub
    address: str
    movies: pd.DataFrame
    folder: Path
    port: int
    server: ExitStack


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    artifacts = tmp_path_factory.mktemp("milvus")
    version = publish_random(artifacts, NUM_MOVIES, heavy=NUM_WATCHED)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with ExitStack() as stack, ExitStack() as server:
        server.enter_context(milvus_lite(artifacts / "lite", port))
        stack.enter_context(milvus_loader(artifacts, uri, artifacts / "loader.log"))
        _, models = stack.enter_context(model_server(artifacts, artifacts / "models.log"))
        addresses = []
        for name, settings in (("memory", {}), ("by_milvus", settings_for(uri))):
            log = artifacts / f"{name}.log"
            addresses.append(stack.enter_context(recommender(artifacts, models, log, **settings))[1])
        wait_until_loaded(connected(uri), version)
        for address in addresses:
            wait_until_serving(address)
        stubs = [RecommenderServiceStub(stack.enter_context(grpc.insecure_channel(address))) for address in addresses]
        movies = pd.read_csv(artifacts / "releases" / str(version) / "movies.csv", keep_default_na=False)
        yield World(stubs[0], stubs[1], addresses[1], movies, artifacts / "lite", port, server)


def exact(stub: RecommenderServiceStub, request: api.RecommendRequest) -> list[int]:
    """The ids of the nearest movies, because the first of several pages is ranked exactly."""
    paged = api.RecommendRequest()
    paged.CopyFrom(request)
    paged.page_token = ""
    return movie_ids(personal(stub, paged))


def personal(stub: RecommenderServiceStub, request: api.RecommendRequest) -> api.RecommendResponse:
    return undegraded(partial(stub.Recommend, request, timeout=60))


def recall(world: World, request: api.RecommendRequest) -> float:
    """The share of the nearest movies that Milvus' answer holds; it must be as long."""
    expected, got = exact(world.memory, request), personal(world.by_milvus, request)
    assert len(got.movies) == len(expected)
    return len(set(expected) & set(movie_ids(got))) / max(len(expected), 1)


def test_users_get_the_nearest_movies(world: World) -> None:
    """The first ten of each user are those of an exact search within the recall target, without watched movies."""
    assert mean(recall(world, api.RecommendRequest(user_id=user)) for user in USERS) >= TARGET_RECALL


@pytest.mark.parametrize(
    "request_",
    [
        api.RecommendRequest(user_id=3, filter=api.MovieFilter(genres=["Horror", "war"]), limit=50),
        api.RecommendRequest(user_id=4, filter=api.MovieFilter(exclude_genres=["Drama"], min_year=1970), limit=500),
        api.RecommendRequest(user_id=5, filter=api.MovieFilter(max_year=1960), include_watched=True),
        api.RecommendRequest(user_id=HEAVY_USER, limit=500),
        api.RecommendRequest(user_id=HEAVY_USER, filter=api.MovieFilter(genres=["Musical"], min_year=1990), limit=100),
        api.RecommendRequest(liked_movie_ids=[1], user_id=6, limit=500, include_watched=True),
    ],
    ids=str,
)
def test_filters_and_watched_movies_are_respected(world: World, request_: api.RecommendRequest) -> None:
    """Lists are as long as those of an exact search, and hold the same movies within the recall target."""
    assert recall(world, request_) >= TARGET_RECALL


def test_ten_thousand_movies_may_be_excluded(world: World) -> None:
    """All but twenty movies are named with thousands of unknown ones; the list holds exactly what is left."""
    left = set(world.movies["movie_id"][::50])
    excluded = [movie_id for movie_id in world.movies["movie_id"] if movie_id not in left]
    excluded += range(1_000_000, 1_010_000 - len(excluded))
    request = api.RecommendRequest(user_id=7, exclude_movie_ids=excluded, include_watched=True, limit=20)
    assert len(excluded) == 10_000
    assert set(movie_ids(personal(world.by_milvus, request))) == left


def test_a_batch_answers_as_single_calls_do(world: World) -> None:
    """Searches for many vectors at once find what searches for one do, with and without filters, in order."""
    requests = [api.RecommendRequest(user_id=user) for user in range(1, 30)]
    requests += [
        api.RecommendRequest(user_id=3, filter=api.MovieFilter(min_year=2000)),
        api.RecommendRequest(user_id=-1),
    ]
    batch = api.BatchRecommendRequest(requests=requests)
    results = undegraded(lambda: world.by_milvus.BatchRecommend(batch, timeout=60)).results
    assert results[-1].HasField("error")
    shares = []
    for request, result in zip(requests[:-1], results[:-1], strict=True):
        expected = exact(world.memory, request)
        assert len(result.response.movies) == len(expected)
        shares.append(len(set(expected) & set(movie_ids(result.response))) / len(expected))
    assert mean(shares) >= TARGET_RECALL


def test_reasons_are_the_same(world: World) -> None:
    """The liked movies that speak for a recommended one are those that the release's own vectors give."""
    request = api.RecommendRequest(user_id=8, explain=True, limit=100)
    by_milvus = {scored.movie.movie_id: scored for scored in personal(world.by_milvus, request).movies}
    compared = 0
    for scored in personal(world.memory, request).movies:
        other = by_milvus.get(scored.movie.movie_id)
        if other is not None:
            assert [reason.because for reason in scored.reasons] == [reason.because for reason in other.reasons]
            assert scored.score == pytest.approx(other.score, abs=1e-5)
            compared += 1
    assert compared >= TARGET_RECALL * 100


@pytest.mark.parametrize(
    "request_",
    [
        api.SimilarMoviesRequest(),
        api.SimilarMoviesRequest(limit=200, exclude_movie_ids=range(1, 5_000)),
        api.SimilarMoviesRequest(limit=80, filter=api.MovieFilter(genres=["Comedy"])),
    ],
    ids=["from the lists", "long", "filtered"],
)
def test_similar_movies_are_the_same(world: World, request_: api.SimilarMoviesRequest) -> None:
    """Similar movies are the same, also where the trainer's lists do not suffice."""
    request_.movie_id = int(world.movies["movie_id"][5])
    paged = api.SimilarMoviesRequest()
    paged.CopyFrom(request_)
    paged.page_token = ""
    expected, got = movie_ids(world.memory.SimilarMovies(paged)), movie_ids(world.by_milvus.SimilarMovies(request_))
    assert len(got) == len(expected)
    assert len(set(expected) & set(got)) >= TARGET_RECALL * len(expected)


@pytest.mark.parametrize(
    "request_",
    [
        api.RecommendRequest(user_id=9, limit=100, include_watched=True),
        api.RecommendRequest(user_id=HEAVY_USER, limit=20, filter=api.MovieFilter(min_year=1980)),
        api.SimilarMoviesRequest(limit=100),
        api.RecommendRequest(user_id=12345, limit=200),
    ],
    ids=["user", "heavy user", "similar", "popular"],
)
def test_pages_hold_each_movie_once(world: World, request_: Any) -> None:
    """Page by page a list has no movie twice, misses no more than the recall target allows, and comes to its end."""
    is_similar = isinstance(request_, api.SimilarMoviesRequest)
    if is_similar:
        request_.movie_id = int(world.movies["movie_id"][5])
    lists = []
    for stub in (world.memory, world.by_milvus):
        request_.page_token, listed = "", []
        while True:
            page = stub.SimilarMovies(request_) if is_similar else personal(stub, request_)
            listed += movie_ids(page)
            if not page.next_page_token:
                break
            request_.page_token = page.next_page_token
        lists.append(listed)
    expected, got = lists
    assert len(got) == len(set(got))
    assert set(got) <= set(expected)
    assert len(got) >= TARGET_RECALL * len(expected)


def test_other_calls_need_no_vectors_in_memory(world: World) -> None:
    """Titles are found, and a user's own movies listed, as without Milvus."""
    search, of_user = api.SearchMoviesRequest(query="Movie 12", limit=20), api.ListUserMoviesRequest(user_id=HEAVY_USER)
    assert world.by_milvus.SearchMovies(search) == world.memory.SearchMovies(search)
    assert world.by_milvus.ListUserMovies(of_user) == world.memory.ListUserMovies(of_user)


def test_without_milvus_answers_are_popular_and_say_so(world: World) -> None:
    """Milvus is killed: answers come at once and say why they are popular; it comes back, and so do personal ones."""
    similar = api.SimilarMoviesRequest(movie_id=int(world.movies["movie_id"][5]))
    listed = movie_ids(world.by_milvus.SimilarMovies(similar))
    world.server.close()
    degraded = world.by_milvus.Recommend(api.RecommendRequest(user_id=3), timeout=60)
    assert degraded.source == api.SOURCE_POPULAR
    assert f"Milvus at 127.0.0.1:{world.port}" in degraded.degraded_reason
    assert len(degraded.movies) == 10
    for _ in range(20):  # the circuit breaker refuses at once
        assert world.by_milvus.Recommend(api.RecommendRequest(user_id=3), timeout=60).degraded_reason
    explained = world.by_milvus.Recommend(api.RecommendRequest(user_id=3, explain=True), timeout=60)
    assert "no reasons" in explained.degraded_reason
    batch = world.by_milvus.BatchRecommend(api.BatchRecommendRequest(requests=[api.RecommendRequest(user_id=3)] * 3))
    assert all(result.response.degraded_reason for result in batch.results)
    assert movie_ids(world.by_milvus.SimilarMovies(similar)) == listed
    similar.limit = 300
    failure = failure_of(partial(world.by_milvus.SimilarMovies, similar))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "MILVUS_UNAVAILABLE")
    assert health_status(world.address) == "SERVING"
    with milvus_lite(world.folder, world.port):
        again = partial(world.by_milvus.Recommend, api.RecommendRequest(user_id=3), timeout=60)
        wait_for(lambda: not again().degraded_reason, "answers are personal again", START_TIMEOUT_S)
        assert personal(world.by_milvus, api.RecommendRequest(user_id=3)).source == api.SOURCE_PERSONALIZED
