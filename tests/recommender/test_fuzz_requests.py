"""Fuzz tests of requests: none can crash the service or make it answer INTERNAL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from protos.recommender.v1.recommender_pb2 import (
    DESCRIPTOR,
    BatchRecommendRequest,
    Event,
    EventKind,
    ListUserMoviesRequest,
    MovieFilter,
    RecommendRequest,
    RecordEventsRequest,
    SearchMoviesRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.page_tokens import Cursor, token_of
from tests.support.errors import failure_of
from tests.support.events import events_status
from tests.support.fuzzing import FUZZ
from tools.servers import health_status, recommender, wait_until_serving

pytestmark = pytest.mark.slow

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 100)
INT32 = st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 502)
IDS = st.lists(INT64, max_size=30)
KEYS = st.lists(st.sampled_from(["", "B0001", "x" * 300]), max_size=3)
METHODS = [method.name for method in DESCRIPTOR.services_by_name["RecommenderService"].methods]
EXPECTED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
GONE_OR_EXPECTED = {"UNAVAILABLE", *EXPECTED}  # if a request may name a release that is not held


@pytest.fixture(scope="module")
def address(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a recommender for this module alone, whose memory must not have grown by the end of it."""
    folder = tmp_path_factory.mktemp("fuzz")
    settings = {"EVENTS_URL": f"sqlite:///{folder / 'events.db'}"}
    with recommender(checkerboard_artifacts, model_server_address, folder / "log", **settings) as (server, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            stub = RecommenderServiceStub(channel)
            events_status(stub)
            for _ in range(200):
                stub.Recommend(RecommendRequest(user_id=1, limit=500), timeout=60)
        before = server.resident_kb()
        yield address
        assert server.resident_kb() < 1.2 * before
        assert not server.events("bug")


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[RecommenderServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield RecommenderServiceStub(channel)


def code_of(call: Any, request: Any) -> str:
    """Make the call and return the name of its status code."""
    try:
        call(request, timeout=60)
    except grpc.RpcError as error:
        return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
    return "OK"


FILTERS = st.builds(
    MovieFilter,
    genres=st.lists(st.sampled_from(["Drama", "comedy", "WESTERN", "x", ""]), max_size=3),
    exclude_genres=st.lists(st.sampled_from(["Drama", "Romance", "\x00"]), max_size=3),
    min_year=INT32 | st.integers(1990, 2003),
    max_year=INT32 | st.integers(1990, 2003),
)
REQUESTS = st.builds(
    RecommendRequest,
    user_id=st.none() | INT64,
    limit=INT32,
    liked_movie_ids=IDS,
    exclude_movie_ids=IDS,
    user_key=st.sampled_from(["", "", "", "ann", "\x00"]),
    liked_movie_keys=KEYS,
    exclude_movie_keys=KEYS,
    include_watched=st.booleans(),
    filter=st.none() | FILTERS,
    explain=st.booleans(),
)


@FUZZ
@given(request=REQUESTS)
def test_any_recommend_request_is_answered_or_refused(stub: RecommenderServiceStub, request: RecommendRequest) -> None:
    """Recommend answers OK or INVALID_ARGUMENT, whatever the request holds."""
    code = code_of(stub.Recommend, request)
    nobody = not (
        request.HasField("user_id") or request.user_key or request.liked_movie_ids or request.liked_movie_keys
    )
    if nobody or request.user_key or request.user_id < 0 or not 0 <= request.limit <= 500:
        assert code == "INVALID_ARGUMENT"
    elif not request.HasField("filter"):
        assert code == "OK"
    assert code in EXPECTED


@FUZZ
@given(requests=st.lists(REQUESTS, max_size=12))
def test_any_batch_has_a_result_for_each_request(
    stub: RecommenderServiceStub, requests: list[RecommendRequest]
) -> None:
    """BatchRecommend gives each request an answer or INVALID_ARGUMENT."""
    results = stub.BatchRecommend(BatchRecommendRequest(requests=requests), timeout=60).results
    assert len(results) == len(requests)
    assert {result.error.code for result in results if result.HasField("error")} <= {3}  # INVALID_ARGUMENT


@FUZZ
@given(movie_id=INT64, limit=INT32, exclude=IDS, filter_=st.none() | FILTERS)
def test_any_similar_movies_request_is_answered_or_refused(
    stub: RecommenderServiceStub, movie_id: int, limit: int, exclude: list[int], filter_: MovieFilter | None
) -> None:
    """SimilarMovies answers OK, INVALID_ARGUMENT or NOT_FOUND, whatever the request holds."""
    request = SimilarMoviesRequest(movie_id=movie_id, limit=limit, exclude_movie_ids=exclude, filter=filter_)
    assert code_of(stub.SimilarMovies, request) in EXPECTED


@FUZZ
@given(query=st.text(max_size=210), limit=INT32)
def test_any_search_is_answered_or_refused(stub: RecommenderServiceStub, query: str, limit: int) -> None:
    """SearchMovies answers OK or INVALID_ARGUMENT, whatever the query is."""
    try:
        request = SearchMoviesRequest(query=query, limit=limit)
    except (ValueError, UnicodeEncodeError):
        return  # protobuf does not send text with a lone surrogate
    assert code_of(stub.SearchMovies, request) in EXPECTED


CURSORS = st.builds(
    Cursor,
    release=st.sampled_from([0, 0, -1, 20200101000000]),
    source=st.integers(-1, 5),
    is_degraded=st.booleans(),
    row=INT32,
    score=st.floats(width=32),
    embedding=st.lists(st.floats(width=32) | st.floats(-1, 1, width=32), max_size=3).map(
        lambda values: np.array(values, np.float32)
    ),
)


@FUZZ
@given(cursor=CURSORS)
def test_any_page_token_is_answered_or_refused(stub: RecommenderServiceStub, cursor: Cursor) -> None:
    """A token that somebody has made up with the right digest is answered or refused, by each RPC that takes one."""
    recommend, similar, search = RecommendRequest(user_id=10), SimilarMoviesRequest(movie_id=2), SearchMoviesRequest()
    search.query = "movie"
    methods = (stub.Recommend, recommend), (stub.SimilarMovies, similar), (stub.SearchMovies, search)
    for method, request in (*methods, (stub.ListUserMovies, ListUserMoviesRequest(user_id=10))):
        request.page_token = token_of(request, cursor)
        assert code_of(method, request) in GONE_OR_EXPECTED


EVENTS = st.builds(
    Event,
    event_id=st.sampled_from(["", "a", "b", "é" * 32, "x" * 65, "\x00"]),
    user_id=st.none() | INT64,
    user_key=st.sampled_from(["", "", "", "ann"]),
    movie_id=st.none() | INT64,
    movie_key=st.sampled_from(["", "", "", "B0001"]),
    kind=st.sampled_from([*EventKind.values(), 17]),
    rating=st.none() | st.floats(width=64),
    event_time=st.none() | st.builds(Timestamp, seconds=INT64, nanos=INT32),
)


@FUZZ
@given(events=st.lists(EVENTS, max_size=12))
def test_any_event_is_recorded_or_rejected(stub: RecommenderServiceStub, events: list[Event]) -> None:
    """RecordEvents accounts for each event, whatever it holds, and its user is answered afterwards."""
    response = stub.RecordEvents(RecordEventsRequest(events=events), timeout=60)
    assert response.recorded + response.duplicates + len(response.rejected) == len(events)
    for user_id in {event.user_id for event in events if event.user_id >= 0}:
        assert code_of(stub.Recommend, RecommendRequest(user_id=user_id, limit=500, explain=True)) == "OK"


@pytest.mark.parametrize("method", METHODS)
def test_any_bytes_are_answered_or_refused(address: str, method: str) -> None:
    """Any bytes are answered or refused as the caller's fault, and the service stays SERVING."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(f"/recommender.v1.RecommenderService/{method}")

        @FUZZ
        @given(content=st.binary(max_size=200))
        def run(content: bytes) -> None:
            assert code_of(call, content) in GONE_OR_EXPECTED

        run()
    assert health_status(address) == "SERVING"


def test_a_request_beyond_a_mebibyte_is_refused(address: str) -> None:
    """A request above one mebibyte is RESOURCE_EXHAUSTED, and the service stays SERVING."""
    with grpc.insecure_channel(address) as channel:
        call: Any = channel.unary_unary("/recommender.v1.RecommenderService/Recommend")
        failure = failure_of(lambda: call(b"\x00" * ((1 << 20) + 1), timeout=60))
    assert failure.code == "RESOURCE_EXHAUSTED"
    assert health_status(address) == "SERVING"
