"""Movies that nobody liked, from a file of ratings to the answers: recommended where their content tells enough."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from protos.recommender.v1.recommender_pb2 import (
    SIMILARITY_SOURCE_GENRES_AND_YEAR,
    SOURCE_FOLDED_IN,
    MovieFilter,
    RecommendRequest,
    RecommendResponse,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from protos.release.v1 import manifest_pb2
from tests.support.answers import first_answer, movie_ids, undegraded
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

COLOURS = ("Amber", "Blue", "Crimson", "Denim", "Ebony", "Fawn")
NUM_USERS, NUM_MOVIES = 120, 240
NEW, DISLIKED, BLANK = (
    1000,
    1002,
    1001,
)  # movies that nobody liked: a blue one, another that somebody disliked, no genre
BLUE_FAN, OTHER_FAN = 1, 2


def _write_data(folder: Path, genres_tell: bool = True) -> None:
    """A board of six colours: users like the movies of theirs.  genres_tell: whether genres are the colours."""
    draw = random.Random(1)
    folder.mkdir()
    rows = ["userId,movieId,rating,timestamp"]
    for user in range(NUM_USERS):
        own = [movie for movie in range(NUM_MOVIES) if movie % 6 == user % 6]
        others = [movie for movie in range(NUM_MOVIES) if movie % 6 != user % 6]
        rated = [(movie, 5) for movie in draw.sample(own, 15)] + [(movie, 1) for movie in draw.sample(others, 3)]
        draw.shuffle(rated)
        rows += [f"{user},{movie},{stars},{at}" for at, (movie, stars) in enumerate(rated)]
    rows += [f"{OTHER_FAN},{DISLIKED},1,99"]
    movies = ["movieId,title,genres"]
    for movie in range(NUM_MOVIES):
        movies.append(f"{movie},Movie {movie} (2000),{COLOURS[movie % 6] if genres_tell else draw.choice(COLOURS)}")
    movies += [f"{NEW},Nobody Came (2000),Blue", f"{DISLIKED},Nobody Stayed (2000),Blue", f"{BLANK},Blank,"]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n")
    (folder / "movies.csv").write_text("\n".join(movies) + "\n")


def _train(data: Path, artifacts: Path, *flags: str) -> tuple[manifest_pb2.Manifest, str]:
    """Train by the command line and return (the release's manifest, what was printed)."""
    small = ["--embedding-dim=16", "--epochs=15", "--batch-size=32"]
    command = [sys.executable, "-m", "trainer", f"--data={data}", f"--artifacts={artifacts}", *small, *flags]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    (folder,) = (artifacts / "releases").iterdir()
    return json_format.Parse((folder / "manifest.json").read_text(), manifest_pb2.Manifest()), run.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, manifest_pb2.Manifest, str]:
    """(artifacts, manifest, output) of a release for which genres tell who likes what."""
    folder = tmp_path_factory.mktemp("colours")
    _write_data(folder / "data")
    return folder, *_train(folder / "data", folder)


@pytest.fixture(scope="module")
def address(trained: tuple[Path, manifest_pb2.Manifest, str]) -> Iterator[str]:
    """The address of a recommender that serves this release."""
    folder = trained[0]
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


def recommend(stub: RecommenderServiceStub, request: RecommendRequest) -> RecommendResponse:
    return undegraded(lambda: stub.Recommend(request))


def test_training_measures_whole_held_out_movies(trained: tuple[Path, manifest_pb2.Manifest, str]) -> None:
    """The manifest and the output state the recall among movies held out whole, and that it suffices."""
    _, manifest, output = trained
    measured = manifest.cold_start
    assert measured.helps
    assert measured.recall >= 3 * measured.genre_recall
    assert measured.num_movies == NUM_MOVIES // 5
    assert (manifest.num_trained_movies, manifest.num_content_movies) == (NUM_MOVIES, 2)  # not the blank one
    assert f"recall@{measured.k} {measured.recall:.4f} by genres" in output


def test_a_new_movie_is_recommended_to_whom_its_genre_suits(stub: RecommenderServiceStub) -> None:
    """Fans of blue movies get the new blue one, marked, with liked blue movies as reasons; others do not."""
    answer = recommend(stub, RecommendRequest(user_id=BLUE_FAN, limit=30, explain=True))
    marked = [scored for scored in answer.movies if scored.movie.from_content]
    assert NEW in [scored.movie.movie_id for scored in marked]
    assert BLANK not in movie_ids(answer)
    assert all(scored.reasons[0].because.genres == ["Blue"] for scored in marked)
    assert not any(reason.because.from_content for scored in answer.movies for reason in scored.reasons)
    assert NEW not in movie_ids(recommend(stub, RecommendRequest(user_id=OTHER_FAN, limit=20)))


def test_new_movies_do_not_take_lists_over(stub: RecommenderServiceStub) -> None:
    """The ten first movies are those that somebody liked: what a genre tells is less than what likes tell."""
    for user in range(12):
        first = recommend(stub, RecommendRequest(user_id=user, limit=10)).movies
        assert sum(scored.movie.from_content for scored in first) <= 1
        assert all(scored.movie.movie_id % 6 == user % 6 for scored in first if not scored.movie.from_content)


def test_a_disliked_movie_comes_after_an_unrated_one(stub: RecommenderServiceStub) -> None:
    """A movie that somebody rated and nobody liked comes after one of the same genre that nobody rated."""
    answer = recommend(stub, RecommendRequest(user_id=BLUE_FAN, limit=500))
    order = movie_ids(answer)
    assert order.index(NEW) < order.index(DISLIKED)
    assert len(order) == NUM_MOVIES + 2 - 18  # all but the watched ones
    assert DISLIKED not in movie_ids(recommend(stub, RecommendRequest(user_id=OTHER_FAN, limit=500)))  # watched


def test_newcomers_and_filters_find_new_movies(stub: RecommenderServiceStub) -> None:
    """Folding in some likes, with a filter, finds a new movie too; to like it has no effect."""
    request = RecommendRequest(liked_movie_ids=[1, 7, 13, NEW], limit=50, filter=MovieFilter(genres=["blue"]))
    answer = recommend(stub, request)
    assert answer.source == SOURCE_FOLDED_IN
    assert NEW in movie_ids(answer)
    assert list(answer.ignored_movie_ids) == [NEW]


def test_the_client_marks_new_movies(address: str) -> None:
    """In the command-line client's table, "(new)" stands after the title of a movie that nobody liked."""
    command = [sys.executable, "-m", "recommender_service.client", "--address", address, "recommend", f"{BLUE_FAN}"]
    run = first_answer(
        lambda: subprocess.run([*command, "-n", "30"], capture_output=True, text=True, timeout=100),
        lambda run: f"user {BLUE_FAN}: personal recommendations" in run.stdout,
        "a personal answer",
    )
    assert "Nobody Came (2000) (new)" in run.stdout
    assert run.stdout.count("(new)") <= 2


def test_similar_movies_of_a_new_movie_share_its_genre(stub: RecommenderServiceStub) -> None:
    """A new movie has similar ones by genre, and is marked; it is not among those similar to others."""
    answer = stub.SimilarMovies(SimilarMoviesRequest(movie_id=NEW, limit=5))
    assert answer.movie.from_content
    assert answer.source == SIMILARITY_SOURCE_GENRES_AND_YEAR
    assert {movie % 6 for movie in movie_ids(answer)} == {1}
    assert NEW not in movie_ids(stub.SimilarMovies(SimilarMoviesRequest(movie_id=1, limit=500)))


def test_genres_that_tell_nothing_admit_no_movie(tmp_path: Path) -> None:
    """Where genres are drawn at random, held-out movies are not found by them, and no unliked movie gets in."""
    _write_data(tmp_path / "data", genres_tell=False)
    manifest, output = _train(tmp_path / "data", tmp_path / "artifacts")
    assert not manifest.cold_start.helps
    assert manifest.num_content_movies == 0
    assert "they are not recommended" in output


@pytest.mark.long
def test_liked_only_admits_no_movie(tmp_path: Path) -> None:
    """With --liked-only nothing is measured, and no unliked movie gets in."""
    _write_data(tmp_path / "data")
    manifest, _ = _train(tmp_path / "data", tmp_path / "artifacts", "--liked-only")
    assert manifest.num_content_movies == 0
    assert not manifest.HasField("cold_start")
