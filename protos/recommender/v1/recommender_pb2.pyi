from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_UNSPECIFIED: _ClassVar[Source]
    SOURCE_PERSONALIZED: _ClassVar[Source]
    SOURCE_POPULAR: _ClassVar[Source]
SOURCE_UNSPECIFIED: Source
SOURCE_PERSONALIZED: Source
SOURCE_POPULAR: Source

class RecommendRequest(_message.Message):
    __slots__ = ("user_id", "limit", "exclude_movie_ids", "include_watched")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_WATCHED_FIELD_NUMBER: _ClassVar[int]
    user_id: int
    limit: int
    exclude_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    include_watched: bool
    def __init__(self, user_id: _Optional[int] = ..., limit: _Optional[int] = ..., exclude_movie_ids: _Optional[_Iterable[int]] = ..., include_watched: _Optional[bool] = ...) -> None: ...

class RecommendResponse(_message.Message):
    __slots__ = ("movies", "source", "release", "ignored_movie_ids")
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    IGNORED_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    movies: _containers.RepeatedCompositeFieldContainer[ScoredMovie]
    source: Source
    release: int
    ignored_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, movies: _Optional[_Iterable[_Union[ScoredMovie, _Mapping]]] = ..., source: _Optional[_Union[Source, str]] = ..., release: _Optional[int] = ..., ignored_movie_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class SimilarMoviesRequest(_message.Message):
    __slots__ = ("movie_id", "limit", "exclude_movie_ids")
    MOVIE_ID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_MOVIE_IDS_FIELD_NUMBER: _ClassVar[int]
    movie_id: int
    limit: int
    exclude_movie_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, movie_id: _Optional[int] = ..., limit: _Optional[int] = ..., exclude_movie_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class SimilarMoviesResponse(_message.Message):
    __slots__ = ("movie", "movies", "release")
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    MOVIES_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    movie: Movie
    movies: _containers.RepeatedCompositeFieldContainer[ScoredMovie]
    release: int
    def __init__(self, movie: _Optional[_Union[Movie, _Mapping]] = ..., movies: _Optional[_Iterable[_Union[ScoredMovie, _Mapping]]] = ..., release: _Optional[int] = ...) -> None: ...

class Movie(_message.Message):
    __slots__ = ("movie_id", "title", "genres", "year")
    MOVIE_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    GENRES_FIELD_NUMBER: _ClassVar[int]
    YEAR_FIELD_NUMBER: _ClassVar[int]
    movie_id: int
    title: str
    genres: _containers.RepeatedScalarFieldContainer[str]
    year: int
    def __init__(self, movie_id: _Optional[int] = ..., title: _Optional[str] = ..., genres: _Optional[_Iterable[str]] = ..., year: _Optional[int] = ...) -> None: ...

class ScoredMovie(_message.Message):
    __slots__ = ("movie", "score")
    MOVIE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    movie: Movie
    score: float
    def __init__(self, movie: _Optional[_Union[Movie, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...
