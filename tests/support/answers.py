"""What a caller sees of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from protos.recommender.v1.recommender_pb2 import RecommendResponse, SimilarMoviesResponse
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tools.processes import wait_for


def movie_ids(response: RecommendResponse | SimilarMoviesResponse) -> list[int]:
    """The ids of the movies in an answer, in its order."""
    return [scored.movie.movie_id for scored in response.movies]


def wait_until_left_out(
    movies: set[int],
    stubs: Sequence[RecommenderServiceStub],
    recommend: Callable[[RecommenderServiceStub], RecommendResponse],
) -> None:
    """Return once no stub's answer holds any of the movies, and print how long that took."""
    listed = ", ".join(map(str, sorted(movies)))
    took = wait_for(
        lambda: not any(movies & set(movie_ids(recommend(stub))) for stub in stubs), f"movies {listed} are left out"
    )
    print(f"movies {listed} were left out after {took:.2f} s")
