"""Compares answers to random requests with a brute-force search of the release's own matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.recommender.v1.recommender_pb2 import MovieFilter, RecommendRequest, ScoredMovie, SimilarMoviesRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from protos.tfserving.v1 import predict_pb2 as pb
from tests.support.releases import RANDOM_GENRES, TEMPERATURE, publish_random
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

MEAN_RECALL = 0.95  # lower than the calibrated recall, because requests drawn at random are not the calibrated ones
HEAVY_USER, NUM_MOVIES, NUM_WATCHED = 1, 3000, 2698
DIM = 64  # more than find candidates


@dataclass(frozen=True)
class World:
    """A served release, and its contents as read from its files.

    embeddings, similar_movies: float32, rows of movies.  user_ids, indptr, rows: what each user watched, as CSR.
    """

    stub: RecommenderServiceStub
    model_server: grpc.Channel
    version: int
    movie_ids: np.ndarray
    years: np.ndarray
    genres: list[set[str]]
    embeddings: np.ndarray
    similar_movies: np.ndarray
    user_ids: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray

    def watched(self, user_id: int) -> np.ndarray:
        """Ids of the movies that a known user watched."""
        row = int(np.searchsorted(self.user_ids, user_id))
        rows: np.ndarray = self.rows[self.indptr[row] : self.indptr[row + 1]]
        return np.take(self.movie_ids, rows)

    def user_embedding(self, user_id: int) -> np.ndarray:
        """The user's embedding, as the model server gives it."""
        spec = pb.ModelSpec(name="user_embedding", version=pb.Int64Value(value=self.version))
        shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=1)])
        tensor = pb.TensorProto(dtype=pb.DATA_TYPE_INT64, tensor_shape=shape, int64_val=[user_id])
        predict = self.model_server.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=pb.PredictRequest.SerializeToString,
            response_deserializer=pb.PredictResponse.FromString,
        )
        answer = predict(pb.PredictRequest(model_spec=spec, inputs={"user_id": tensor})).outputs["user_embedding"]
        embedding: np.ndarray = np.frombuffer(answer.float_val, "<f4")
        return embedding

    def folded_in(self, movie_ids: np.ndarray) -> np.ndarray:
        """The embedding of somebody who likes these movies, made by the formula of the model's fold-in.

        It takes five steps of projected gradient ascent on the likelihood of the movies, from their mean. The fewer
        movies there are, the flatter is the softmax.
        """
        liked = self.embeddings[np.isin(self.movie_ids, movie_ids)]
        temperature = TEMPERATURE * (len(liked) / 50) ** 0.15 * (1 + (4 / len(liked)) ** 2)
        mean = liked.mean(axis=0)
        user: np.ndarray = mean / np.linalg.norm(mean)
        for _ in range(5):
            logits = self.embeddings @ user / temperature
            softmax = np.exp(logits - logits.max())
            user = user + mean - softmax @ self.embeddings / softmax.sum()
            user = user / np.linalg.norm(user)
        return user

    def qualifying(self, movie_filter: MovieFilter) -> np.ndarray:
        """The movies that pass the filter, bool[num_movies]."""
        any_of, none_of = set(movie_filter.genres), set(movie_filter.exclude_genres)
        by_genre = [(not any_of or bool(any_of & its)) and not none_of & its for its in self.genres]
        ranged = bool(movie_filter.min_year or movie_filter.max_year)
        by_year = (self.years >= movie_filter.min_year) & (self.years <= (movie_filter.max_year or 9999))
        return np.array(by_genre) & (by_year & (self.years > 0) if ranged else True)

    def best(self, cosines: np.ndarray, excluded: np.ndarray, limit: int) -> list[int]:
        """Ids of the movies with the largest cosines, best first, without the excluded ones."""
        order = self.movie_ids[np.argsort(-cosines, kind="stable")]
        return [int(movie) for movie in order[~np.isin(order, excluded)][:limit]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    artifacts = tmp_path_factory.mktemp("random")
    version = publish_random(artifacts, NUM_MOVIES, DIM, NUM_WATCHED)
    release = artifacts / "releases" / str(version)
    with (
        model_server(artifacts, artifacts / "model_server.log") as (_, model_server_address),
        recommender(artifacts, model_server_address, artifacts / "recommender.log") as (_, address),
        grpc.insecure_channel(address) as channel,
        grpc.insecure_channel(model_server_address) as model_server_channel,
    ):
        wait_until_serving(address)
        movies = pd.read_csv(release / "movies.csv", keep_default_na=False)
        yield World(
            RecommenderServiceStub(channel),
            model_server_channel,
            version,
            movies["movie_id"].to_numpy(),
            movies["year"].to_numpy(),
            [set(genres.split("|")) - {""} for genres in movies["genres"]],
            *(
                np.load(release / f"{name}.npy")
                for name in ("embeddings", "similar_movies", "user_ids", "watched_indptr", "watched_rows")
            ),
        )


def _ids(movies: Sequence[ScoredMovie]) -> list[int]:
    return [scored.movie.movie_id for scored in movies]


MOVIES = st.integers(0, NUM_MOVIES - 1)
GENRES = st.lists(st.sampled_from(RANDOM_GENRES), max_size=3)
YEARS = st.sampled_from([0, 0, 1950, 1970, 1999])
FILTERS = st.builds(
    lambda g, x, low, span: (g, x, low, low + span if low else span and 1980), GENRES, GENRES, YEARS, st.integers(0, 40)
)


def _filter(filtered: tuple[list[str], list[str], int, int]) -> MovieFilter:
    genres, exclude_genres, min_year, max_year = filtered
    return MovieFilter(genres=genres, exclude_genres=exclude_genres, min_year=min_year, max_year=max_year)


def test_any_recommendation_agrees_with_exact_search(world: World) -> None:
    """For any user, likes, filter and limit, Recommend finds nearly all of the exact answer."""
    recalls = []

    @settings(max_examples=150, derandomize=True)  # the mean over other examples would be a matter of luck
    @given(
        user_id=st.sampled_from([0, 1, *range(3, 61), 999]),
        limit=st.sampled_from([1, 5, 10, 40, 300]),
        liked=st.lists(MOVIES, max_size=8),
        excluded=st.lists(MOVIES, max_size=30),
        filtered=FILTERS,
        include_watched=st.booleans(),
    )
    def run(
        user_id: int,
        limit: int,
        liked: list[int],
        excluded: list[int],
        filtered: tuple[list[str], list[str], int, int],
        include_watched: bool,
    ) -> None:
        liked_ids, excluded_ids = world.movie_ids[liked], world.movie_ids[excluded]
        known = user_id in world.user_ids
        if not known and not liked:
            return  # such a user gets popular movies, which test_recommend.py covers
        request = RecommendRequest(
            user_id=user_id,
            limit=limit,
            liked_movie_ids=liked_ids.tolist(),
            exclude_movie_ids=excluded_ids.tolist(),
            include_watched=include_watched,
            filter=_filter(filtered),
        )
        response = world.stub.Recommend(request)
        watched = world.watched(user_id) if known else np.empty(0, np.int64)  # every user likes all movies they watched
        user = world.folded_in(np.union1d(liked_ids, watched)) if liked else world.user_embedding(user_id)
        gone = np.concatenate([excluded_ids, liked_ids, watched if not include_watched else []])
        recalls.append(_recall(world, response.movies, world.embeddings @ user, gone, request.filter, limit))

    run()
    assert np.mean(recalls) >= MEAN_RECALL


def test_any_similar_movies_agree_with_exact_search(world: World) -> None:
    """For any movie, filter and limit, SimilarMovies finds nearly all of the exact answer."""
    recalls = []

    @settings(max_examples=80, derandomize=True)
    @given(row=MOVIES, limit=st.sampled_from([1, 10, 100]), excluded=st.lists(MOVIES, max_size=30), filtered=FILTERS)
    def run(row: int, limit: int, excluded: list[int], filtered: tuple[list[str], list[str], int, int]) -> None:
        movie_id, excluded_ids = int(world.movie_ids[row]), world.movie_ids[excluded]
        request = SimilarMoviesRequest(
            movie_id=movie_id, limit=limit, exclude_movie_ids=excluded_ids.tolist(), filter=_filter(filtered)
        )
        movies = world.stub.SimilarMovies(request).movies
        gone = np.append(excluded_ids, movie_id)
        recalls.append(
            _recall(world, movies, world.similar_movies @ world.similar_movies[row], gone, request.filter, limit)
        )

    run()
    assert np.mean(recalls) >= MEAN_RECALL


def _recall(
    world: World,
    movies: Sequence[ScoredMovie],
    cosines: np.ndarray,
    gone: np.ndarray,
    movie_filter: MovieFilter,
    limit: int,
) -> float:
    """Check length, members, order and scores of an answer, and return the share of the exact answer it holds.

    gone: ids of movies that must not be in it.
    """
    gone = np.union1d(gone, world.movie_ids[~world.qualifying(movie_filter)])
    left = world.best(cosines, gone, NUM_MOVIES)
    answer, scores = _ids(movies), [movie.score for movie in movies]
    assert len(answer) == len(set(answer)) == min(limit, len(left))
    assert set(answer) <= set(left)
    assert scores == sorted(scores, reverse=True)
    by_id = dict(zip(world.movie_ids.tolist(), cosines.tolist(), strict=True))
    assert scores == pytest.approx([by_id[movie] for movie in answer], abs=2e-5)
    expected = [by_id[movie] for movie in left[: len(answer)]]
    if len(left) < 200:  # so few movies are all scored, so the answer is exact
        assert scores == pytest.approx(expected, abs=2e-5)
    return float(np.mean(np.array(scores) >= expected[-1] - 2e-5)) if answer else 1.0


@pytest.mark.parametrize(("limit", "expected"), [(10, 10), (302, 302), (500, NUM_MOVIES - NUM_WATCHED)])
def test_a_user_who_watched_nearly_all_gets_full_lists(world: World, limit: int, expected: int) -> None:
    """The list of somebody who watched nearly everything is as long as asked for, and exact."""
    watched = world.watched(HEAVY_USER)
    assert len(watched) == NUM_WATCHED
    answer = _ids(world.stub.Recommend(RecommendRequest(user_id=HEAVY_USER, limit=limit)).movies)
    assert len(answer) == len(set(answer)) == expected
    assert not set(answer) & set(watched.tolist())
    cosines = world.embeddings @ world.user_embedding(HEAVY_USER)
    assert answer == world.best(
        cosines, watched, limit
    )  # so few movies are left that all are scored, so the answer is exact
