"""What a caller sees of an answer."""

from __future__ import annotations

from protos.recommender.v1.recommender_pb2 import RecommendResponse, SimilarMoviesResponse


def movie_ids(response: RecommendResponse | SimilarMoviesResponse) -> list[int]:
    """The ids of the movies in an answer, in its order."""
    return [scored.movie.movie_id for scored in response.movies]
