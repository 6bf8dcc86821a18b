"""The client for blocking code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, Unpack

import grpc

from movie_recommender_client.connection import Connection
from movie_recommender_client.errors import error_of
from movie_recommender_client.requests import (
    Id,
    RecommendOptions,
    SimilarMoviesOptions,
    UserMoviesOptions,
    list_user_movies_request,
    recommend_request,
    similar_movies_request,
)
from movie_recommender_client.v1 import recommender_pb2 as api
from movie_recommender_client.v1 import recommender_pb2_grpc

Response = TypeVar("Response")


class Recommender(Connection):
    """Calls a recommender. Threads may share one.

    Each method raises RecommenderError if there is no answer, after retries within `timeout_s`. A wrong type of an
    argument raises TypeError, and a number that does not fit into its field ValueError.
    stub: for calls with other options; its methods raise grpc.RpcError.
    """

    library: ClassVar[Any] = grpc
    stub: recommender_pb2_grpc.RecommenderServiceStub

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def recommend(self, user: Id | None = None, **options: Unpack[RecommendOptions]) -> api.RecommendResponse:
        """Return movies for a user, or for somebody of whom only the `liked` movies are known."""
        return self._call(self.stub.Recommend, recommend_request(user, **options))

    def recommend_to_many(self, requests: Iterable[api.RecommendRequest]) -> api.BatchRecommendResponse:
        """Return movies for up to 100 users, whose requests `recommend_request` makes. Each result may be an error."""
        return self._call(self.stub.BatchRecommend, api.BatchRecommendRequest(requests=requests))

    def similar_movies(self, movie: Id, **options: Unpack[SimilarMoviesOptions]) -> api.SimilarMoviesResponse:
        """Return the movies that are most like a movie."""
        return self._call(self.stub.SimilarMovies, similar_movies_request(movie, **options))

    def search_movies(self, query: str, limit: int = 0, release: int = 0) -> api.SearchMoviesResponse:
        """Return the movies whose titles are nearest to the query."""
        return self._call(self.stub.SearchMovies, api.SearchMoviesRequest(query=query, limit=limit, release=release))

    def list_genres(self, release: int = 0) -> api.ListGenresResponse:
        """Return the genres of the release, which a filter may name."""
        return self._call(self.stub.ListGenres, api.ListGenresRequest(release=release))

    def list_user_movies(self, user: Id, **options: Unpack[UserMoviesOptions]) -> api.ListUserMoviesResponse:
        """Return what a user has liked, watched and hidden, as far as it is known."""
        return self._call(self.stub.ListUserMovies, list_user_movies_request(user, **options))

    def record_events(self, events: Iterable[api.Event]) -> api.RecordEventsResponse:
        """Record what users did, up to 1,000 events, which `event` makes. A repeated event is recorded once."""
        return self._call(self.stub.RecordEvents, api.RecordEventsRequest(events=events))

    def serving_status(self) -> api.GetServingStatusResponse:
        """Return what is served and why."""
        return self._call(self.stub.GetServingStatus, api.GetServingStatusRequest())

    def list_releases(self, limit: int = 0) -> api.ListReleasesResponse:
        """Return the newest releases with their figures."""
        return self._call(self.stub.ListReleases, api.ListReleasesRequest(limit=limit))

    def _call(self, method: Callable[..., Response], request: Any) -> Response:
        try:
            return method(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise error_of(failure) from None
