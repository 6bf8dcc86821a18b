"""The client package for Python."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from movie_recommender_client import AsyncRecommender, Recommender, RecommenderError
from movie_recommender_client.connection import SERVICE
from movie_recommender_client.requests import event, recommend_request
from movie_recommender_client.v1 import recommender_pb2 as api

from tests.support.releases import EVEN_USER, TITLES, UNKNOWN_MOVIE

PACKAGE = Path(__file__).parents[2] / "clients" / "python"


def test_each_method_answers(recommender_address: str) -> None:
    """Each method of the client returns the answer of its RPC."""
    with Recommender(recommender_address, timeout_s=60) as recommender:
        personal = recommender.recommend(EVEN_USER, limit=2, explain=True)
        newcomer = recommender.recommend(liked=[2, 4], exclude=[6], limit=1, filter=api.MovieFilter(max_year=2000))
        results = recommender.recommend_to_many([recommend_request(EVEN_USER, limit=1), recommend_request()]).results
        similar = recommender.similar_movies(2, limit=1, exclude=[4])
        found = recommender.search_movies("amelie").movies
        genres = recommender.list_genres().genres
        did = recommender.list_user_movies(EVEN_USER, limit=1, page_token="")
        status, releases = recommender.serving_status(), recommender.list_releases(limit=1).releases
    assert [scored.movie.title for scored in personal.movies] == [TITLES[4], TITLES[6]]
    assert personal.movies[0].reasons[0].because.movie_id == 2
    assert [scored.movie.movie_id for scored in newcomer.movies] == [8]
    assert [result.WhichOneof("result") for result in results] == ["response", "error"]
    assert similar.movie.movie_id == 2
    assert [scored.movie.movie_id for scored in similar.movies] == [8]
    assert found[0].movie_id == 4
    assert genres[0] == api.Genre(name="Animation", num_movies=1)
    assert (did.num_liked, did.movies[0].liked, bool(did.next_page_token)) == (2, True, True)
    assert status.release == releases[0].status.release == personal.release
    assert status.uptime.ToTimedelta().total_seconds() == pytest.approx(status.uptime_s, abs=1e-6)


def test_the_asynchronous_client_answers(recommender_address: str) -> None:
    """The client for asyncio returns answers and raises the same errors."""

    async def ask() -> tuple[api.RecommendResponse, RecommenderError]:
        async with AsyncRecommender(recommender_address, timeout_s=60) as recommender:
            answer = await recommender.recommend(EVEN_USER, limit=2)
            with pytest.raises(RecommenderError) as raised:
                await recommender.similar_movies(UNKNOWN_MOVIE)
            return answer, raised.value

    answer, error = asyncio.run(ask())
    assert [scored.movie.title for scored in answer.movies] == [TITLES[4], TITLES[6]]
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_MOVIE")


def test_events_are_recorded(events_address: str) -> None:
    """An event that the client makes counts in the next answer, once, with either client."""
    watched = event(4_000_000, 2, api.EVENT_KIND_WATCHED)

    async def repeat() -> api.RecordEventsResponse:
        async with AsyncRecommender(events_address, timeout_s=60) as recommender:
            return await recommender.record_events([watched])

    with Recommender(events_address, timeout_s=60) as recommender:
        response = recommender.record_events([watched, event("ann", 2, api.EVENT_KIND_WATCHED)])
        assert 2 not in [scored.movie.movie_id for scored in recommender.recommend(4_000_000, limit=500).movies]
    assert response.recorded + response.duplicates == 1  # on a busy machine the client may have made the call twice
    assert [rejected.field for rejected in response.rejected] == ["user_key"]
    assert asyncio.run(repeat()).duplicates == 1


def test_an_error_names_the_field(recommender_address: str) -> None:
    """An error holds the code, the reason, and the field that is wrong."""
    with Recommender(recommender_address, timeout_s=60) as recommender, pytest.raises(RecommenderError) as raised:
        recommender.recommend(EVEN_USER, limit=501)
    assert raised.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.reason == "OUT_OF_BOUNDS"
    assert list(raised.value.fields) == ["limit"]


class FailsAtFirst:
    """Answers Recommend, but ends the first calls with an error."""

    def __init__(self, code: grpc.StatusCode, times: int) -> None:
        self._code = code
        self._left = times

    def recommend(self, request: api.RecommendRequest, context: Any) -> api.RecommendResponse:
        if self._left:
            self._left -= 1
            context.abort(self._code, "not yet")
        return api.RecommendResponse(release=7)


@contextmanager
def serving(servicer: FailsAtFirst) -> Iterator[str]:
    """Yield the address of a server."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(
        servicer.recommend, api.RecommendRequest.FromString, api.RecommendResponse.SerializeToString
    )
    server.add_registered_method_handlers(SERVICE, {"Recommend": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_calls_are_repeated(code: grpc.StatusCode) -> None:
    """A call that is refused twice is answered at the third attempt."""
    with serving(FailsAtFirst(code, times=2)) as address, Recommender(address, timeout_s=60) as recommender:
        assert recommender.recommend(1).release == 7


def test_other_errors_are_not_repeated() -> None:
    """A call that ends with an error which would come again is made once."""
    with (
        serving(FailsAtFirst(grpc.StatusCode.INTERNAL, times=1)) as address,
        Recommender(address, timeout_s=60) as recommender,
    ):
        with pytest.raises(RecommenderError):
            recommender.recommend(1)
        assert recommender.recommend(1).release == 7


def test_a_token_needs_encryption() -> None:
    """A token without TLS is refused before anything is sent."""
    with pytest.raises(ValueError, match="token: expected tls"):
        Recommender("127.0.0.1:1", token="secret")


SCRIPT = """
import sys
from movie_recommender_client import Recommender
with Recommender(sys.argv[1], timeout_s=60) as recommender:
    for scored in recommender.recommend(int(sys.argv[2]), limit=2).movies:
        print(scored.movie.title)
assert not {name.split(".")[0] for name in sys.modules} & {"tensorflow", "numpy", "annoy"}
"""


@pytest.mark.slow
def test_installs_without_compiler_and_answers(recommender_address: str, tmp_path: Path) -> None:
    """The package installs from wheels into an empty environment, and answers there."""
    uv = Path(sys.executable).with_name("uv")
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "environment"], check=True)
    wheels = ["--only-binary", ":all:", "--no-binary", "movie-recommender-client"]
    copy = tmp_path / "package"
    subprocess.run(["cp", "-r", PACKAGE, copy], check=True)  # building leaves files beside the sources
    subprocess.run([str(uv), "pip", "install", "--quiet", "--python", str(python), *wheels, str(copy)], check=True)
    command = [str(python), "-c", SCRIPT, recommender_address, str(EVEN_USER)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [TITLES[4], TITLES[6]]
