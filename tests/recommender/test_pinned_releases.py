"""Calls that name a release stay on it while it is held, whatever becomes active meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.event_releases import withdraw
from tests.support.releases import DISLIKED, EVEN_USER, ODD_USER, publish_checkerboard
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow


class Service:
    """A recommender whose releases change.  active: the version of the one that is active."""

    def __init__(self, artifacts: Path, stub: RecommenderServiceStub, active: int) -> None:
        self.artifacts, self.stub, self.active = artifacts, stub, active

    def publish(self, rotate_degrees: float, stretch: float) -> int:
        """Publish a release in which EVEN_USER has watched movie 4 too, and wait until it is active."""
        watched = [(EVEN_USER, 4, DISLIKED)]
        return self.wait_for(publish_checkerboard(self.artifacts, rotate_degrees, stretch, also_rated=watched))

    def wait_for(self, version: int) -> int:
        """Wait until that release is active, and return its version."""
        wait_for(lambda: self.status().release == version, f"release {version} is active")
        self.active = version
        return version

    def status(self) -> api.GetServingStatusResponse:
        return self.stub.GetServingStatus(api.GetServingStatusRequest())


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    artifacts = tmp_path_factory.mktemp("pinned")
    first = publish_checkerboard(artifacts)
    with (
        model_server(artifacts, artifacts / "models.log") as (_, models),
        recommender(artifacts, models, artifacts / "log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield Service(artifacts, RecommenderServiceStub(channel), first)


def test_calls_stay_on_the_release_that_they_name(service: Service) -> None:
    """Every RPC answers from the release before as it did, but leaves out what the user has watched since."""
    first, stub = service.active, service.stub
    odd, even = (api.RecommendRequest(user_id=user, limit=3, release=first) for user in (ODD_USER, EVEN_USER))
    newcomer = api.RecommendRequest(liked_movie_ids=[1, 3], release=first)
    similar = api.SimilarMoviesRequest(movie_id=2, release=first)
    before = [stub.Recommend(odd), stub.Recommend(newcomer), stub.SimilarMovies(similar)]
    assert movie_ids(stub.Recommend(even)) == [4, 6, 10]

    second = service.publish(rotate_degrees=120, stretch=1.2)
    assert stub.Recommend(api.RecommendRequest(user_id=ODD_USER, limit=3)).release == second
    assert [stub.Recommend(odd), stub.Recommend(newcomer), stub.SimilarMovies(similar)] == before
    assert movie_ids(stub.Recommend(even)) == [6, 10, 12]
    assert stub.SearchMovies(api.SearchMoviesRequest(query="amelie", release=first)).release == first
    assert stub.ListGenres(api.ListGenresRequest(release=first)).release == first
    assert stub.ListUserMovies(api.ListUserMoviesRequest(user_id=EVEN_USER, release=first)).num_watched == 3
    batch = api.BatchRecommendRequest(requests=[odd, api.RecommendRequest(user_id=1, release=second)], release=first)
    results = stub.BatchRecommend(batch).results
    assert results[0].response == before[0]
    assert f"release: expected {first}" in results[1].error.message
    assert service.status().previous_release == first


def test_pages_stay_on_the_release_that_they_began_on(service: Service) -> None:
    """A list that was begun goes on after another release became active, until a third takes its release's place."""
    first, stub = service.active, service.stub
    request = api.RecommendRequest(user_id=ODD_USER, limit=500)
    whole = stub.Recommend(request)
    request.limit, request.page_token = 4, ""
    page = stub.Recommend(request)
    found = movie_ids(page)
    service.publish(rotate_degrees=40, stretch=1.3)
    while page.next_page_token:
        request.page_token = page.next_page_token
        page = stub.Recommend(request)
        assert page.release == first
        found += movie_ids(page)
    assert found == movie_ids(whole)
    service.publish(rotate_degrees=80, stretch=1.1)
    failure = failure_of(lambda: stub.Recommend(request))
    assert (failure.code, failure.reason) == ("UNAVAILABLE", "RELEASE_GONE")


def test_a_release_that_is_gone_is_named_with_the_active_one(service: Service) -> None:
    """A third release takes the first one's place; after a rollback, the one that was withdrawn is still held."""
    first, stub = service.active, service.stub
    second = service.publish(rotate_degrees=200, stretch=1.0)
    third = service.publish(rotate_degrees=280, stretch=1.0)
    failure = failure_of(lambda: stub.Recommend(api.RecommendRequest(user_id=ODD_USER, release=first)))
    assert (failure.code, failure.reason, failure.retry_s) == ("UNAVAILABLE", "RELEASE_GONE", 0.5)
    assert failure.metadata == {"release": str(first), "active_release": str(third)}
    assert stub.Recommend(api.RecommendRequest(user_id=ODD_USER, release=second)).release == second

    withdraw(service.artifacts, third)
    service.wait_for(second)
    assert stub.Recommend(api.RecommendRequest(user_id=ODD_USER, release=third)).release == third


def test_no_release_is_like_the_active_one(service: Service) -> None:
    """Release 0 is the active one, a negative number is refused, and an unknown one is gone, for every RPC."""
    requests: dict[Any, Any] = {
        service.stub.Recommend: api.RecommendRequest(user_id=ODD_USER),
        service.stub.BatchRecommend: api.BatchRecommendRequest(),
        service.stub.SimilarMovies: api.SimilarMoviesRequest(movie_id=2),
        service.stub.SearchMovies: api.SearchMoviesRequest(query="amelie"),
        service.stub.ListGenres: api.ListGenresRequest(),
        service.stub.ListUserMovies: api.ListUserMoviesRequest(user_id=ODD_USER),
    }
    for method, request in requests.items():
        answer = partial(method, request)
        for version, problem in ((-1, "INVALID_ARGUMENT"), (7, "UNAVAILABLE")):
            request.release = version
            assert failure_of(answer).code == problem
        request.release = service.active
        pinned = answer()
        request.release = 0
        assert pinned == answer()
