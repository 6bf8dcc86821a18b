"""Lists page by page: no movie comes twice and none is missing, and a token fits its request only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.page_tokens import Cursor
from recommender_service.pages import nearest_page
from tests.support.answers import movie_ids
from tests.support.errors import failure_of
from tests.support.events import HIDDEN, event, record
from tests.support.faulty_model_server import faulty_model_server
from tests.support.releases import EVEN_USER, UNKNOWN_USER, UNLIKED_MOVIE, UNRATED_MOVIE, publish_random
from tools.servers import recommender, wait_until_serving


def pages(method: Any, request: Any) -> Iterator[Any]:
    """Ask for one page after the other, with tokens in requests that are otherwise the same."""
    request.page_token = ""
    while True:
        page = method(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


@pytest.mark.parametrize(
    "request_",
    [
        api.RecommendRequest(user_id=EVEN_USER),
        api.RecommendRequest(user_id=EVEN_USER, filter=api.MovieFilter(genres=["Comedy"]), include_watched=True),
        api.RecommendRequest(user_id=UNKNOWN_USER, exclude_movie_ids=[2, 3]),
        api.RecommendRequest(liked_movie_ids=[1, 3], explain=True),
        api.SimilarMoviesRequest(movie_id=2),
        api.SimilarMoviesRequest(movie_id=2, exclude_movie_ids=[4], filter=api.MovieFilter(min_year=1995)),
    ],
    ids=str,
)
def test_pages_are_the_list_in_pieces(stub: RecommenderServiceStub, request_: Any) -> None:
    """The pages together are the list that one answer holds, all but the last as long as `limit`."""
    method: Any = stub.Recommend if isinstance(request_, api.RecommendRequest) else stub.SimilarMovies
    request_.limit = 500
    whole = method(request_)
    assert not whole.next_page_token
    request_.limit = 2
    answers = list(pages(method, request_))
    assert [movie_id for page in answers for movie_id in movie_ids(page)] == movie_ids(whole)
    assert all(len(page.movies) == 2 for page in answers[:-1])
    assert 1 <= len(answers[-1].movies) <= 2
    assert len(answers) > 1
    assert {page.release for page in answers} == {whole.release}


def test_a_search_is_answered_in_pages(stub: RecommenderServiceStub) -> None:
    """The pages of a search hold the titles of one answer, in its order."""
    whole = stub.SearchMovies(api.SearchMoviesRequest(query="movie", limit=500)).movies
    answers = list(pages(stub.SearchMovies, api.SearchMoviesRequest(query="movie", limit=3)))
    assert [movie for page in answers for movie in page.movies] == list(whole)
    assert [len(page.movies) for page in answers] == [3, 3, 3]


@pytest.mark.parametrize("movie_id", [UNLIKED_MOVIE, UNRATED_MOVIE])
def test_equal_scores_lose_no_movie(stub: RecommenderServiceStub, movie_id: int) -> None:
    """Where scores are equal but for rounding, the pages still hold each movie once."""
    answers = pages(stub.SimilarMovies, api.SimilarMoviesRequest(movie_id=movie_id, limit=1))
    assert sorted(movie_ids(page)[0] for page in answers) == list(range(1, 13))


def test_the_order_of_sums_does_not_matter() -> None:
    """Each movie comes once, although many are nearly equal and components change places from page to page."""
    rng = np.random.default_rng(0)
    vectors = _unit(rng.normal(size=(60, 64)))[rng.integers(0, 60, 300)] + rng.normal(scale=1e-8, size=(300, 64))
    vectors, query = vectors.astype(np.float32), _unit(rng.normal(size=64)).astype(np.float32)
    excluded, found = np.arange(0, 300, 7), list[int]()
    after, more = None, True
    while more:
        order = rng.permutation(64)
        arguments = (np.ascontiguousarray(vectors[:, order]), query[order], 9, excluded, None, after)
        rows, scores, more = asyncio.run(nearest_page(*arguments))
        found += rows
        after = Cursor(0, 0, False, rows[-1], scores[-1])
    assert sorted(found) == [row for row in range(300) if row % 7]
    assert (np.diff(vectors[found] @ query) < 1e-6).all()


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


@pytest.fixture(scope="module")
def many_movies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RecommenderServiceStub, Path]]:
    """(a recommender of 1,200 movies, of which user 1 has watched 100; its model server's fault file)."""
    artifacts = tmp_path_factory.mktemp("many")
    release = publish_random(artifacts, num_movies=1200, heavy=100)
    with (
        faulty_model_server(artifacts / "releases" / str(release), artifacts / "models.log") as (_, models, fault),
        recommender(artifacts, models, artifacts / "log", USER_CACHE_SIZE="0") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield RecommenderServiceStub(channel), fault


@pytest.mark.slow
def test_pages_go_on_beyond_500_movies(many_movies: tuple[RecommenderServiceStub, Path]) -> None:
    """Pages of 500 hold every movie once, best first, for a user and for a movie."""
    stub, _ = many_movies
    answers = list(pages(stub.Recommend, api.RecommendRequest(user_id=1, limit=500)))
    assert [len(page.movies) for page in answers] == [500, 500, 100]
    found = [scored for page in answers for scored in page.movies]
    assert len({scored.movie.movie_id for scored in found}) == 1100
    assert (np.diff([scored.score for scored in found]) <= 0).all()
    movie = found[0].movie.movie_id
    similar = list(pages(stub.SimilarMovies, api.SimilarMoviesRequest(movie_id=movie, limit=500)))
    assert len({movie_id for page in similar for movie_id in movie_ids(page)}) == 1199


@pytest.mark.slow
def test_the_model_server_is_not_needed_between_pages(many_movies: tuple[RecommenderServiceStub, Path]) -> None:
    """Pages go on as they began while the model server fails, and say so if they began while it did."""
    stub, fault = many_movies
    request = api.RecommendRequest(user_id=1, limit=500)
    whole = [movie_id for page in pages(stub.Recommend, request) for movie_id in movie_ids(page)]
    answers = pages(stub.Recommend, request)
    found = movie_ids(next(answers))
    fault.write_text("garbage")
    try:
        for page in answers:
            assert (page.source, page.degraded_reason) == (api.SOURCE_PERSONALIZED, "")
            found += movie_ids(page)
        answers = pages(stub.Recommend, request)
        first = next(answers)
        assert (first.source, bool(first.degraded_reason)) == (api.SOURCE_FOLDED_IN, True)
    finally:
        fault.unlink()
    assert found == whole
    assert all("ask for it again" in page.degraded_reason for page in answers)


def test_what_is_hidden_meanwhile_is_left_out(events_address: str) -> None:
    """A movie that is hidden between two pages is not on the next, and no other movie is lost or repeated."""
    user = 7_000_000
    with grpc.insecure_channel(events_address) as channel:
        stub = RecommenderServiceStub(channel)
        whole = movie_ids(stub.Recommend(api.RecommendRequest(user_id=user, limit=500)))
        answers = pages(stub.Recommend, api.RecommendRequest(user_id=user, limit=3))
        found = movie_ids(next(answers))
        record(stub, event(user, whole[1], HIDDEN), event(user, whole[4], HIDDEN))
        for page in answers:
            found += movie_ids(page)
    assert found == [movie for movie in whole if movie != whole[4]]


def test_a_token_fits_its_request_only(stub: RecommenderServiceStub) -> None:
    """A token goes with another limit, but with no other change, and not if it was cut or made up."""
    request = api.RecommendRequest(user_id=EVEN_USER, limit=2, page_token="")
    request.page_token = stub.Recommend(request).next_page_token
    request.limit = 500
    assert movie_ids(stub.Recommend(request)) == [10, 12, 11, 9, 7, 5, 1]
    similar = api.SimilarMoviesRequest(movie_id=2, page_token=request.page_token)
    changed = [api.RecommendRequest() for _ in range(7)]
    for wrong in changed:
        wrong.CopyFrom(request)
    changed[0].user_id = UNKNOWN_USER
    changed[1].explain = True
    changed[2].filter.min_year = 1990
    changed[3].page_token = request.page_token[:-4]
    changed[4].page_token = "żółw"
    changed[5].page_token = "A"
    changed[6].release = 20200101000000
    failures = [failure_of(partial(stub.Recommend, wrong)) for wrong in changed]
    for failure in (failure_of(lambda: stub.SimilarMovies(similar)), *failures):
        assert failure.code == "INVALID_ARGUMENT"
        assert list(failure.violations) == ["page_token"]
    batch = stub.BatchRecommend(api.BatchRecommendRequest(requests=[request]))
    assert batch.results[0].error.message == "page_token: expected none in a batch, got one"
