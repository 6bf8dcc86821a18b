"""Answers against brute force over the release's own matrices, for light users, the heaviest one, and long lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest, ScoredMovie, SimilarMoviesRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.processes import model_server, recommender, wait_until_serving
from tests.support.releases import publish_random

HEAVY_USER, NUM_MOVIES, NUM_WATCHED = 1, 3000, 2698


@dataclass(frozen=True)
class World:
    """A served release and everything it was made of."""

    stub: RecommenderServiceStub
    movie_ids: np.ndarray
    embeddings: np.ndarray
    user_ids: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray

    def watched(self, user_id: int) -> np.ndarray:
        """Movie ids."""
        row = int(np.searchsorted(self.user_ids, user_id))
        rows: np.ndarray = self.rows[self.indptr[row] : self.indptr[row + 1]]
        return np.take(self.movie_ids, rows)

    def best(self, cosines: np.ndarray, excluded: np.ndarray, limit: int) -> list[int]:
        """Movie ids by brute force."""
        order = self.movie_ids[np.argsort(-cosines, kind="stable")]
        return [int(movie) for movie in order[~np.isin(order, excluded)][:limit]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    artifacts = tmp_path_factory.mktemp("random")
    release = artifacts / "releases" / str(publish_random(artifacts, NUM_MOVIES, heavy=NUM_WATCHED))
    with (
        model_server(artifacts, artifacts / "model_server.log") as (_, model_server_address),
        recommender(artifacts, model_server_address, artifacts / "recommender.log") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        yield World(
            RecommenderServiceStub(channel),
            _movie_ids(release),
            *(
                np.load(release / f"{name}.npy")
                for name in ("embeddings", "user_ids", "watched_indptr", "watched_rows")
            ),
        )


def _movie_ids(release: Path) -> np.ndarray:
    lines = (release / "movies.csv").read_text().splitlines()[1:]
    return np.array([int(line.split(",")[0]) for line in lines])


def _ids(movies: Sequence[ScoredMovie]) -> list[int]:
    return [scored.movie.movie_id for scored in movies]


@pytest.mark.parametrize("limit", [1, 10, 50, 200, 500])
def test_recommend_agrees_with_brute_force(world: World, limit: int) -> None:
    overlaps = []
    for user_id in world.user_ids[2:42]:
        watched = world.watched(user_id)
        everything = world.stub.Recommend(RecommendRequest(user_id=user_id, limit=500, include_watched=True)).movies
        user = _solve_user(world, everything)
        answer = _ids(world.stub.Recommend(RecommendRequest(user_id=user_id, limit=limit)).movies)
        assert len(answer) == len(set(answer)) == limit
        assert not set(answer) & set(watched.tolist())
        overlaps.append(np.isin(world.best(world.embeddings @ user, watched, limit), answer).mean())
    assert np.mean(overlaps) >= 0.97


def _solve_user(world: World, everything: Sequence[ScoredMovie]) -> np.ndarray:
    """The user's embedding, from 500 cosines with known movies."""
    rows = np.searchsorted(np.sort(world.movie_ids), _ids(everything))
    rows = np.argsort(world.movie_ids)[rows]
    solution: np.ndarray = np.linalg.lstsq(world.embeddings[rows], [m.score for m in everything], rcond=None)[0]
    return solution


@pytest.mark.parametrize(("limit", "expected"), [(10, 10), (302, 302), (500, NUM_MOVIES - NUM_WATCHED)])
def test_k_means_k_for_somebody_who_watched_nearly_everything(world: World, limit: int, expected: int) -> None:
    watched = world.watched(HEAVY_USER)
    assert len(watched) == NUM_WATCHED
    answer = _ids(world.stub.Recommend(RecommendRequest(user_id=HEAVY_USER, limit=limit)).movies)
    assert len(answer) == len(set(answer)) == expected
    assert not set(answer) & set(watched.tolist())
    everything = world.stub.Recommend(RecommendRequest(user_id=HEAVY_USER, limit=500, include_watched=True)).movies
    user = _solve_user(world, everything)
    assert answer == world.best(world.embeddings @ user, watched, limit)  # so few are left that the answer is exact


@pytest.mark.parametrize("limit", [10, 100, 500])
def test_similar_movies_agrees_with_brute_force(world: World, limit: int) -> None:
    rng = np.random.default_rng(3)
    overlaps = []
    for row in rng.choice(NUM_MOVIES, 40, replace=False):
        movie_id = int(world.movie_ids[row])
        excluded = [int(movie) for movie in rng.choice(world.movie_ids, 20)]
        request = SimilarMoviesRequest(movie_id=movie_id, limit=limit, exclude_movie_ids=excluded)
        answer = _ids(world.stub.SimilarMovies(request).movies)
        assert len(answer) == len(set(answer)) == limit
        assert not set(answer) & {movie_id, *excluded}
        expected = world.best(world.embeddings @ world.embeddings[row], np.array([movie_id, *excluded]), limit)
        overlaps.append(np.isin(expected, answer).mean())
    assert np.mean(overlaps) >= 0.97


def test_scores_are_the_cosines_of_the_embeddings(world: World) -> None:
    row = 17
    response = world.stub.SimilarMovies(SimilarMoviesRequest(movie_id=int(world.movie_ids[row]), limit=50))
    cosines = dict(zip(world.movie_ids.tolist(), (world.embeddings @ world.embeddings[row]).tolist(), strict=True))
    got = [scored.score for scored in response.movies]
    assert got == pytest.approx([cosines[scored.movie.movie_id] for scored in response.movies], abs=1e-5)
    assert got == sorted(got, reverse=True)
