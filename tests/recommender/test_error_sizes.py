"""Errors and answers stay small, whatever a request holds: clients refuse long trailers and large messages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from protos.recommender.v1.recommender_pb2 import (
    BatchRecommendRequest,
    MovieFilter,
    RecommendRequest,
    SearchMoviesRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.releases import EVEN_USER, publish_random
from tools.servers import recommender, wait_until_serving

LONG = {"ascii": "x" * 50_000, "no ascii": "千" * 20_000, "not printable": "\u200b" * 20_000}
MAX_TRAILERS_BYTES = 7_000  # Node's and gRPC's own clients take 8 KiB with all that is around it
KEYWORDS = [f"keyword {i}, {'千' * 40}" for i in range(400)]

pytestmark = pytest.mark.slow


def requests_with(text: str) -> dict[str, Message]:
    """A request with the text in each field that can hold one, by the name of the field."""
    filters = {"genres": MovieFilter(genres=[text]), "exclude_genres": MovieFilter(exclude_genres=["Drama", text])}
    named: dict[str, Message] = {
        "user_key": RecommendRequest(user_key=text),
        "movie_key": SimilarMoviesRequest(movie_key=text),
        "query": SearchMoviesRequest(query=text),
        "query of signs": SearchMoviesRequest(query=text[:200].translate(dict.fromkeys(map(ord, "x千"), "!"))),
    }
    for name, movie_filter in filters.items():
        named[name] = RecommendRequest(user_id=EVEN_USER, filter=movie_filter)
        named[f"similar, {name}"] = SimilarMoviesRequest(movie_id=2, filter=movie_filter)
    return named


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_in_a_request_does_not_come_back(stub: RecommenderServiceStub, text: str) -> None:
    """An error that names a field with a long text is short, in its message and in all its trailers."""
    methods = {RecommendRequest: stub.Recommend, SimilarMoviesRequest: stub.SimilarMovies}
    for name, request in requests_with(text).items():
        method: Any = methods.get(type(request), stub.SearchMovies)
        failure = failure_of(partial(method, request, timeout=60))
        assert failure.code == "INVALID_ARGUMENT", name
        assert len(failure.message) < 1000, name
        assert failure.trailers_bytes < MAX_TRAILERS_BYTES, name


def test_a_batch_of_bad_requests_is_answered_shortly(stub: RecommenderServiceStub) -> None:
    """A hundred errors in a batch take a few thousand bytes each."""
    request = BatchRecommendRequest(requests=[RecommendRequest(user_key="k" * 10_000)] * 100)
    answer = stub.BatchRecommend(request, timeout=60)
    assert {result.error.code for result in answer.results} == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}
    assert answer.ByteSize() < 100 * 2_500


@pytest.fixture(scope="module")
def long_titles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecommenderServiceStub]:
    """A recommender whose movies have titles of 600 characters, and hundreds of long genres."""
    artifacts = tmp_path_factory.mktemp("long")
    release = publish_random(artifacts, num_movies=600, heavy=300, title="long " * 120, genres=KEYWORDS)
    with (
        faulty_model_server(artifacts / "releases" / str(release), artifacts / "models.log") as (_, models, _),
        recommender(artifacts, models, artifacts / "log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield RecommenderServiceStub(channel)


def test_an_error_names_some_of_many_genres(long_titles: RecommenderServiceStub) -> None:
    """If a release has hundreds of genres, an error about an unknown one is short and names some."""
    request = RecommendRequest(user_id=3, filter=MovieFilter(genres=["Drama"]))
    failure = failure_of(lambda: long_titles.Recommend(request, timeout=60))
    assert failure.code == "INVALID_ARGUMENT"
    assert KEYWORDS[0][:40] in failure.message
    assert failure.trailers_bytes < MAX_TRAILERS_BYTES


def test_a_batch_too_large_for_clients_is_refused(long_titles: RecommenderServiceStub) -> None:
    """A batch whose answer would take 24 MB is refused in words; half of what fits is answered."""
    single = RecommendRequest(user_id=3, limit=100, explain=True)
    failure = failure_of(lambda: long_titles.BatchRecommend(BatchRecommendRequest(requests=[single] * 100), timeout=60))
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "ANSWER_TOO_LARGE")
    assert failure.violations == {
        "requests": "expected an answer of at most 4,000,000 bytes: ask for fewer movies, or without explain"
    }
    answer = long_titles.BatchRecommend(BatchRecommendRequest(requests=[single] * 8), timeout=60)
    assert all(len(result.response.movies) == 100 for result in answer.results)


def test_the_longest_list_fits_with_reasons(long_titles: RecommenderServiceStub) -> None:
    """500 movies with titles of 600 characters and their reasons are less than clients take."""
    answer = long_titles.Recommend(RecommendRequest(user_id=3, limit=500, explain=True), timeout=60)
    assert len(answer.movies) == 500
