"""Text ids from a file of ratings to the answers: users and movies that are known by keys."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    GetServingStatusRequest,
    RecommendRequest,
    SearchMoviesRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer, undegraded
from tests.support.errors import failure_of
from tests.support.grpcurl import grpcurl, needs_grpcurl
from tests.support.pages import get
from tools.servers import model_server, page, recommender, wait_until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MOVIES = [f"B{number:05d}" for number in range(40)]  # even ones are liked by even users
FAN = "user-00@example"


def _write_data(folder: Path) -> None:
    """Sixty users who like the movies of their own parity, known by text like those of a shop."""
    draw = random.Random(1)
    folder.mkdir()
    rows: list[str] = []
    for user in range(60):
        for movie in draw.sample(range(len(MOVIES)), 14):
            rows.append(f"user-{user:02d}@example,{MOVIES[movie]},{5 if movie % 2 == user % 2 else 1},{len(rows)}")
    (folder / "ratings.csv").write_text("reviewerID,asin,overall,unixReviewTime\n" + "\n".join(rows) + "\n")
    items = [f'{key},"Thing {number} (1999)",{"Odd" if number % 2 else "Even"}' for number, key in enumerate(MOVIES)]
    (folder / "items.csv").write_text("asin,title,categories\n" + "\n".join(items) + "\n")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a recommender for a release that was trained on text ids, by the command line."""
    folder = tmp_path_factory.mktemp("keys")
    _write_data(folder / "shop")
    command = [sys.executable, "-m", "trainer", f"--data={folder / 'shop'}", f"--artifacts={folder}", "--epochs=15"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    with (
        model_server(folder, folder / "model_server.log") as (_, models),
        recommender(folder, models, folder / "recommender.log") as (_, address),
    ):
        wait_until_serving(address)
        yield address


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[RecommenderServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield RecommenderServiceStub(channel)


def _is_even(key: str) -> bool:
    return int(key[1:]) % 2 == 0


def test_a_user_is_known_by_key(stub: RecommenderServiceStub) -> None:
    """A known key gets personal recommendations that name movies by key; an unknown key gets popular movies."""
    answer = undegraded(lambda: stub.Recommend(RecommendRequest(user_key=FAN, limit=5)))
    assert answer.source == SOURCE_PERSONALIZED
    assert sum(_is_even(scored.movie.key) for scored in answer.movies) >= 4
    assert all(scored.movie.title == f"Thing {int(scored.movie.key[1:])} (1999)" for scored in answer.movies)
    assert stub.Recommend(RecommendRequest(user_key="nobody")).source == SOURCE_POPULAR


def test_likes_and_exclusions_are_named_by_key(stub: RecommenderServiceStub) -> None:
    """Liked movies make up a taste and are not recommended back, excluded ones are left out, unknown ones named."""
    request = RecommendRequest(
        liked_movie_keys=["B00001", "B00003", "B99999"], exclude_movie_keys=["B00005", "gone"], limit=40
    )
    answer = undegraded(lambda: stub.Recommend(request))
    keys = [scored.movie.key for scored in answer.movies]
    assert answer.source == SOURCE_FOLDED_IN
    assert sum(not _is_even(key) for key in keys[:5]) >= 4
    assert not {"B00001", "B00003", "B00005"} & set(keys)
    assert list(answer.ignored_movie_keys) == ["B99999", "gone"]


def test_similar_movies_and_search_take_keys(stub: RecommenderServiceStub) -> None:
    """A key names the movie to compare with; searching for it finds that movie first."""
    answer = stub.SimilarMovies(SimilarMoviesRequest(movie_key="B00004", exclude_movie_keys=["B00006"], limit=4))
    assert answer.movie.key == "B00004"
    assert sum(_is_even(scored.movie.key) for scored in answer.movies) >= 3
    assert "B00006" not in [scored.movie.key for scored in answer.movies]
    assert stub.SearchMovies(SearchMoviesRequest(query="B00007")).movies[0].key == "B00007"


def test_an_id_and_a_key_name_the_same(stub: RecommenderServiceStub) -> None:
    """The number that stands for a key may be used in its place, and setting both is INVALID_ARGUMENT."""
    assert stub.GetServingStatus(GetServingStatusRequest()).users_have_keys
    movie = stub.SearchMovies(SearchMoviesRequest(query="B00004")).movies[0]
    by_key = stub.SimilarMovies(SimilarMoviesRequest(movie_key="B00004"))
    assert stub.SimilarMovies(SimilarMoviesRequest(movie_id=movie.movie_id)) == by_key
    both = failure_of(lambda: stub.SimilarMovies(SimilarMoviesRequest(movie_key="B00004", movie_id=movie.movie_id)))
    assert both.violations == {"movie_key": "expected movie_id or movie_key, got both"}
    both = failure_of(lambda: stub.Recommend(RecommendRequest(user_key=FAN, user_id=0)))
    assert both.violations == {"user_key": "expected user_id or user_key, got both"}
    unknown = failure_of(lambda: stub.SimilarMovies(SimilarMoviesRequest(movie_key="B99999")))
    assert (unknown.code, unknown.reason) == ("NOT_FOUND", "UNKNOWN_MOVIE")


def test_the_command_line_takes_keys(address: str) -> None:
    """The client sends a user by key, takes a movie's key for that movie, and lists movies by key."""
    command = [sys.executable, "-m", "recommender_service.client", "--address", address]

    def client(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments, "-n", "2"], capture_output=True, text=True, timeout=100)

    first_answer(
        lambda: client("recommend", FAN),
        lambda run: run.stdout.startswith(f"user {FAN}: personal recommendations"),
        "a personal answer",
    )
    run = client("similar", "B00004")
    assert run.stdout.startswith("like Thing 4 (1999)")
    assert "B000" in run.stdout.splitlines()[2]


@needs_grpcurl
def test_grpcurl_sends_keys(address: str) -> None:
    """Keys go through grpcurl as JSON strings."""
    service = "recommender.v1.RecommenderService"
    request = f'{{"user_key": "{FAN}", "limit": 1}}'
    run = first_answer(
        lambda: grpcurl("-plaintext", "-d", request, address, f"{service}/Recommend"),
        lambda run: "SOURCE_PERSONALIZED" in run.stdout,
        "a personal answer",
    )
    assert '"key": "B' in run.stdout, run.stderr


def test_the_page_knows_users_and_movies_by_key(address: str, tmp_path: Path) -> None:
    """Users are asked for by key, or picked by the number of their key; links name movies by key."""
    with page(address, tmp_path / "page.log") as (_, site):
        picked = get(site, "/").html
        assert 'href="/user?number=1"' in picked
        assert "User number 1" in get(site, "/user", {"number": 1}).text
        fan = get(site, "/user", {"user": FAN})
        assert f"User {FAN}" in fan.text
        assert len(fan.listed) == 20
        assert "/movie?movie=B0000" in fan.html
        assert get(site, "/newcomer", [("like", MOVIES[0]), ("like", MOVIES[2])]).text.count("Remove") == 2
        assert get(site, "/movie", {"movie": MOVIES[4]}).listed
