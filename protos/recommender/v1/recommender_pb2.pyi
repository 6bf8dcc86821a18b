import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SimilaritySource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIMILARITY_SOURCE_UNSPECIFIED: _ClassVar[SimilaritySource]
    SIMILARITY_SOURCE_EMBEDDINGS: _ClassVar[SimilaritySource]
    SIMILARITY_SOURCE_GENRES_AND_YEAR: _ClassVar[SimilaritySource]

class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_UNSPECIFIED: _ClassVar[Source]
    SOURCE_PERSONALIZED: _ClassVar[Source]
    SOURCE_FOLDED_IN: _ClassVar[Source]
    SOURCE_POPULAR: _ClassVar[Source]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_WATCHED: _ClassVar[EventKind]
    EVENT_KIND_RATED: _ClassVar[EventKind]
    EVENT_KIND_HIDDEN: _ClassVar[EventKind]
    EVENT_KIND_REMOVED: _ClassVar[EventKind]

class ReleaseState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RELEASE_STATE_UNSPECIFIED: _ClassVar[ReleaseState]
    RELEASE_STATE_ACTIVE: _ClassVar[ReleaseState]
    RELEASE_STATE_IDLE: _ClassVar[ReleaseState]
    RELEASE_STATE_WAITING: _ClassVar[ReleaseState]
    RELEASE_STATE_REFUSED: _ClassVar[ReleaseState]
    RELEASE_STATE_CANARY: _ClassVar[ReleaseState]
SIMILARITY_SOURCE_UNSPECIFIED: SimilaritySource
SIMILARITY_SOURCE_EMBEDDINGS: SimilaritySource
SIMILARITY_SOURCE_GENRES_AND_YEAR: SimilaritySource
SOURCE_UNSPECIFIED: Source
SOURCE_PERSONALIZED: Source
SOURCE_FOLDED_IN: Source
SOURCE_POPULAR: Source
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_WATCHED: EventKind
EVENT_KIND_RATED: EventKind
EVENT_KIND_HIDDEN: EventKind
EVENT_KIND_REMOVED: EventKind
RELEASE_STATE_UNSPECIFIED: ReleaseState
RELEASE_STATE_ACTIVE: ReleaseState
RELEASE_STATE_IDLE: ReleaseState
RELEASE_STATE_WAITING: ReleaseState
RELEASE_STATE_REFUSED: ReleaseState
RELEASE_STATE_CANARY: ReleaseState

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "limit", "liked_movie_ids", "exclude_movie_ids", "include_watched", "filter", "explain", "user_key", "liked_movie_keys", "exclude_movie_keys", "release", "page_token", "liked_in_order")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    LIKED_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_WATCHED_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    USER_KEY_FIELD_NUMBER: _ClassVar[int]
    LIKED_MOVIE_KEYS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_KEYS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    LIKED_IN_ORDER_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    limit: int
    liked_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    exclude_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    include_watched: bool
    filter: MovieFilter
    explain: bool
    user_key: str
    liked_movie_keys: _containers.RepeatedScalarFieldContainer[str]
    exclude_movie_keys: _containers.RepeatedScalarFieldContainer[str]
    release: int
    page_token: str
    liked_in_order: bool
    def __init__(self, user_id: _Optional[int] = ..., limit: _Optional[int] = ..., liked_movie_ids: _Optional[_Iterable[int]] = ..., exclude_movie_ids: _Optional[_Iterable[int]] = ..., include_watched: _Optional[bool] = ..., filter: _Optional[_Union[MovieFilter, _Mapping]] = ..., explain: _Optional[bool] = ..., user_key: _Optional[str] = ..., liked_movie_keys: _Optional[_Iterable[str]] = ..., exclude_movie_keys: _Optional[_Iterable[str]] = ..., release: _Optional[int] = ..., page_token: _Optional[str] = ..., liked_in_order: _Optional[bool] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("movies", "source", "release", "ignored_movie_ids", "degraded_reason", "ignored_movie_keys", "next_page_token")
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    IGNORED_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_REASON_FIELD_NUMBER: _ClassVar[int]
    IGNORED_MOVIE_KEYS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    movies: _containers.RepeatedCompositeFieldContainer[ScoredMovie]
    source: Source
    release: int
    ignored_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    degraded_reason: str
    ignored_movie_keys: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, movies: _Optional[_Iterable[_Union[ScoredMovie, _Mapping]]] = ..., source: _Optional[_Union[Source, str]] = ..., release: _Optional[int] = ..., ignored_movie_ids: _Optional[_Iterable[int]] = ..., degraded_reason: _Optional[str] = ..., ignored_movie_keys: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BatchRecommendRequest(_message.Message):
    __slots__ = ("requests", "release")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[RecommendRequest]
    release: int
    def __init__(self, requests: _Optional[_Iterable[_Union[RecommendRequest, _Mapping]]] = ..., release: _Optional[int] = ...) -> None: ...

class BatchRecommendResponse(_message.Message):
    __slots__ = ("results",)
    class Result(_message.Message):
        __slots__ = ("response", "error")
        RESPONSE_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        response: RecommendResponse
        error: _status_pb2.Status
        def __init__(self, response: _Optional[_Union[RecommendResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchRecommendResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchRecommendResponse.Result, _Mapping]]] = ...) -> None: ...

class MovieFilter(_message.Message):
    __slots__ = ("genres", "exclude_genres", "min_year", "max_year")
    GENRES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_GENRES_FIELD_NUMBER: _ClassVar[int]
    MIN_YEAR_FIELD_NUMBER: _ClassVar[int]
    MAX_YEAR_FIELD_NUMBER: _ClassVar[int]
    genres: _containers.RepeatedScalarFieldContainer[str]
    exclude_genres: _containers.RepeatedScalarFieldContainer[str]
    min_year: int
    max_year: int
    def __init__(self, genres: _Optional[_Iterable[str]] = ..., exclude_genres: _Optional[_Iterable[str]] = ..., min_year: _Optional[int] = ..., max_year: _Optional[int] = ...) -> None: ...

class SimilarMoviesRequest(_message.Message):
    __slots__ = ("movie_id", "limit", "exclude_movie_ids", "filter", "movie_key", "exclude_movie_keys", "release", "page_token")
    MOVIE_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    MOVIE_KEY_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_KEYS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    movie_id: int
    limit: int
    exclude_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    filter: MovieFilter
    movie_key: str
    exclude_movie_keys: _containers.RepeatedScalarFieldContainer[str]
    release: int
    page_token: str
    def __init__(self, movie_id: _Optional[int] = ..., limit: _Optional[int] = ..., exclude_movie_ids: _Optional[_Iterable[int]] = ..., filter: _Optional[_Union[MovieFilter, _Mapping]] = ..., movie_key: _Optional[str] = ..., exclude_movie_keys: _Optional[_Iterable[str]] = ..., release: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class SimilarMoviesResponse(_message.Message):
    __slots__ = ("movie", "movies", "release", "source", "next_page_token")
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    movie: Movie
    movies: _containers.RepeatedCompositeFieldContainer[ScoredMovie]
    release: int
    source: SimilaritySource
    next_page_token: str
    def __init__(self, movie: _Optional[_Union[Movie, _Mapping]] = ..., movies: _Optional[_Iterable[_Union[ScoredMovie, _Mapping]]] = ..., release: _Optional[int] = ..., source: _Optional[_Union[SimilaritySource, str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SearchMoviesRequest(_message.Message):
    __slots__ = ("query", "limit", "release", "page_token")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    query: str
    limit: int
    release: int
    page_token: str
    def __init__(self, query: _Optional[str] = ..., limit: _Optional[int] = ..., release: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class SearchMoviesResponse(_message.Message):
    __slots__ = ("movies", "release", "next_page_token")
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    movies: _containers.RepeatedCompositeFieldContainer[Movie]
    release: int
    next_page_token: str
    def __init__(self, movies: _Optional[_Iterable[_Union[Movie, _Mapping]]] = ..., release: _Optional[int] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListGenresRequest(_message.Message):
    __slots__ = ("release",)
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    release: int
    def __init__(self, release: _Optional[int] = ...) -> None: ...

class ListGenresResponse(_message.Message):
    __slots__ = ("genres", "release")
    GENRES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    genres: _containers.RepeatedCompositeFieldContainer[Genre]
    release: int
    def __init__(self, genres: _Optional[_Iterable[_Union[Genre, _Mapping]]] = ..., release: _Optional[int] = ...) -> None: ...

class Genre(_message.Message):
    __slots__ = ("name", "num_movies")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUM_MOVIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    num_movies: int
    def __init__(self, name: _Optional[str] = ..., num_movies: _Optional[int] = ...) -> None: ...

class ListUserMoviesRequest(_message.Message):
    __slots__ = ("user_id", "user_key", "limit", "release", "page_token")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_KEY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    user_key: str
    limit: int
    release: int
    page_token: str
    def __init__(self, user_id: _Optional[int] = ..., user_key: _Optional[str] = ..., limit: _Optional[int] = ..., release: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListUserMoviesResponse(_message.Message):
    __slots__ = ("movies", "num_liked", "num_watched", "num_hidden", "release", "degraded_reason", "next_page_token")
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_LIKED_FIELD_NUMBER: _ClassVar[int]
    NUM_WATCHED_FIELD_NUMBER: _ClassVar[int]
    NUM_HIDDEN_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_REASON_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    movies: _containers.RepeatedCompositeFieldContainer[UserMovie]
    num_liked: int
    num_watched: int
    num_hidden: int
    release: int
    degraded_reason: str
    next_page_token: str
    def __init__(self, movies: _Optional[_Iterable[_Union[UserMovie, _Mapping]]] = ..., num_liked: _Optional[int] = ..., num_watched: _Optional[int] = ..., num_hidden: _Optional[int] = ..., release: _Optional[int] = ..., degraded_reason: _Optional[str] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UserMovie(_message.Message):
    __slots__ = ("movie", "liked", "watched", "hidden")
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    LIKED_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    movie: Movie
    liked: bool
    watched: bool
    hidden: bool
    def __init__(self, movie: _Optional[_Union[Movie, _Mapping]] = ..., liked: _Optional[bool] = ..., watched: _Optional[bool] = ..., hidden: _Optional[bool] = ...) -> None: ...

class Movie(_message.Message):
    __slots__ = ("movie_id", "title", "genres", "year", "key", "from_content")
    MOVIE_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    YEAR_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    FROM_CONTENT_FIELD_NUMBER: _ClassVar[int]
    movie_id: int
    title: str
    genres: _containers.RepeatedScalarFieldContainer[str]
    year: int
    key: str
    from_content: bool
    def __init__(self, movie_id: _Optional[int] = ..., title: _Optional[str] = ..., genres: _Optional[_Iterable[str]] = ..., year: _Optional[int] = ..., key: _Optional[str] = ..., from_content: _Optional[bool] = ...) -> None: ...

class ScoredMovie(_message.Message):
    __slots__ = ("movie", "score", "reasons")
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    movie: Movie
    score: float
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    def __init__(self, movie: _Optional[_Union[Movie, _Mapping]] = ..., score: _Optional[float] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("because", "similarity")
    BECAUSE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    because: Movie
    similarity: float
    def __init__(self, because: _Optional[_Union[Movie, _Mapping]] = ..., similarity: _Optional[float] = ...) -> None: ...

class RecordEventsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("event_id", "user_id", "user_key", "movie_id", "movie_key", "kind", "rating", "event_time")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_KEY_FIELD_NUMBER: _ClassVar[int]
    MOVIE_ID_FIELD_NUMBER: _ClassVar[int]
    MOVIE_KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    user_id: int
    user_key: str
    movie_id: int
    movie_key: str
    kind: EventKind
    rating: float
    event_time: _timestamp_pb2.Timestamp
    def __init__(self, event_id: _Optional[str] = ..., user_id: _Optional[int] = ..., user_key: _Optional[str] = ..., movie_id: _Optional[int] = ..., movie_key: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., rating: _Optional[float] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RecordEventsResponse(_message.Message):
    __slots__ = ("recorded", "duplicates", "rejected")
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    recorded: int
    duplicates: int
    rejected: _containers.RepeatedCompositeFieldContainer[RejectedEvent]
    def __init__(self, recorded: _Optional[int] = ..., duplicates: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[RejectedEvent, _Mapping]]] = ...) -> None: ...

class RejectedEvent(_message.Message):
    __slots__ = ("index", "field", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    field: str
    reason: str
    def __init__(self, index: _Optional[int] = ..., field: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetServingStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServingStatusResponse(_message.Message):
    __slots__ = ("release", "waiting_for", "dataset", "metrics", "releases", "model_server", "uptime_s", "users_have_keys", "movies_have_keys", "events", "previous_release", "uptime", "canary")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    MODEL_SERVER_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    USERS_HAVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    MOVIES_HAVE_KEYS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_RELEASE_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    release: int
    waiting_for: str
    dataset: str
    metrics: _containers.ScalarMap[str, float]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseStatus]
    model_server: ModelServerStatus
    uptime_s: float
    users_have_keys: bool
    movies_have_keys: bool
    events: EventsStatus
    previous_release: int
    uptime: _duration_pb2.Duration
    canary: CanaryStatus
    def __init__(self, release: _Optional[int] = ..., waiting_for: _Optional[str] = ..., dataset: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., releases: _Optional[_Iterable[_Union[ReleaseStatus, _Mapping]]] = ..., model_server: _Optional[_Union[ModelServerStatus, _Mapping]] = ..., uptime_s: _Optional[float] = ..., users_have_keys: _Optional[bool] = ..., movies_have_keys: _Optional[bool] = ..., events: _Optional[_Union[EventsStatus, _Mapping]] = ..., previous_release: _Optional[int] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., canary: _Optional[_Union[CanaryStatus, _Mapping]] = ...) -> None: ...

class CanaryStatus(_message.Message):
    __slots__ = ("release", "share", "running", "problem")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    release: int
    share: float
    running: bool
    problem: str
    def __init__(self, release: _Optional[int] = ..., share: _Optional[float] = ..., running: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class EventsStatus(_message.Message):
    __slots__ = ("last_event", "release_last_event", "held_events", "problem")
    LAST_EVENT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_LAST_EVENT_FIELD_NUMBER: _ClassVar[int]
    HELD_EVENTS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    last_event: int
    release_last_event: int
    held_events: int
    problem: str
    def __init__(self, last_event: _Optional[int] = ..., release_last_event: _Optional[int] = ..., held_events: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class ReleaseStatus(_message.Message):
    __slots__ = ("release", "state", "reason")
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    release: int
    state: ReleaseState
    reason: str
    def __init__(self, release: _Optional[int] = ..., state: _Optional[_Union[ReleaseState, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class ModelServerStatus(_message.Message):
    __slots__ = ("address", "reachable", "error", "available_versions")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    address: str
    reachable: bool
    error: str
    available_versions: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, address: _Optional[str] = ..., reachable: _Optional[bool] = ..., error: _Optional[str] = ..., available_versions: _Optional[_Iterable[int]] = ...) -> None: ...

class ListReleasesRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class ListReleasesResponse(_message.Message):
    __slots__ = ("releases", "num_releases")
    RELEASES_FIELD_NUMBER: _ClassVar[int]
    NUM_RELEASES_FIELD_NUMBER: _ClassVar[int]
    releases: _containers.RepeatedCompositeFieldContainer[ReleaseDetails]
    num_releases: int
    def __init__(self, releases: _Optional[_Iterable[_Union[ReleaseDetails, _Mapping]]] = ..., num_releases: _Optional[int] = ...) -> None: ...

class ReleaseDetails(_message.Message):
    __slots__ = ("status", "published", "problem", "dataset", "num_users", "num_movies", "num_trained_movies", "num_ratings", "embedding_dim", "num_bytes", "evaluations", "searches", "forced_despite")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    NUM_USERS_FIELD_NUMBER: _ClassVar[int]
    NUM_MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_TRAINED_MOVIES_FIELD_NUMBER: _ClassVar[int]
    NUM_RATINGS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_DIM_FIELD_NUMBER: _ClassVar[int]
    NUM_BYTES_FIELD_NUMBER: _ClassVar[int]
    EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    FORCED_DESPITE_FIELD_NUMBER: _ClassVar[int]
    status: ReleaseStatus
    published: _timestamp_pb2.Timestamp
    problem: str
    dataset: str
    num_users: int
    num_movies: int
    num_trained_movies: int
    num_ratings: int
    embedding_dim: int
    num_bytes: int
    evaluations: _containers.RepeatedCompositeFieldContainer[OfflineEvaluation]
    searches: _containers.RepeatedCompositeFieldContainer[SearchCurve]
    forced_despite: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, status: _Optional[_Union[ReleaseStatus, _Mapping]] = ..., published: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., problem: _Optional[str] = ..., dataset: _Optional[str] = ..., num_users: _Optional[int] = ..., num_movies: _Optional[int] = ..., num_trained_movies: _Optional[int] = ..., num_ratings: _Optional[int] = ..., embedding_dim: _Optional[int] = ..., num_bytes: _Optional[int] = ..., evaluations: _Optional[_Iterable[_Union[OfflineEvaluation, _Mapping]]] = ..., searches: _Optional[_Iterable[_Union[SearchCurve, _Mapping]]] = ..., forced_despite: _Optional[_Iterable[str]] = ...) -> None: ...

class OfflineEvaluation(_message.Message):
    __slots__ = ("ranking", "metrics", "standard_errors", "num_users")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class StandardErrorsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RANKING_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    STANDARD_ERRORS_FIELD_NUMBER: _ClassVar[int]
    NUM_USERS_FIELD_NUMBER: _ClassVar[int]
    ranking: str
    metrics: _containers.ScalarMap[str, float]
    standard_errors: _containers.ScalarMap[str, float]
    num_users: int
    def __init__(self, ranking: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., standard_errors: _Optional[_Mapping[str, float]] = ..., num_users: _Optional[int] = ...) -> None: ...

class SearchCurve(_message.Message):
    __slots__ = ("queries", "engine", "served", "points")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    SERVED_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    queries: str
    engine: str
    served: SearchPoint
    points: _containers.RepeatedCompositeFieldContainer[SearchPoint]
    def __init__(self, queries: _Optional[str] = ..., engine: _Optional[str] = ..., served: _Optional[_Union[SearchPoint, _Mapping]] = ..., points: _Optional[_Iterable[_Union[SearchPoint, _Mapping]]] = ...) -> None: ...

class SearchPoint(_message.Message):
    __slots__ = ("engine", "recall", "latency_us")
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    engine: str
    recall: float
    latency_us: float
    def __init__(self, engine: _Optional[str] = ..., recall: _Optional[float] = ..., latency_us: _Optional[float] = ...) -> None: ...
