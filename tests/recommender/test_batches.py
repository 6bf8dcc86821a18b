"""BatchRecommend through the wire, on the checkerboard."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    SOURCE_POPULAR,
    BatchRecommendRequest,
    RecommendRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import undegraded
from tests.support.errors import failure_of
from tests.support.faulty_model_server import faulty_model_server
from tests.support.releases import EVEN_USER, ODD_USER, UNKNOWN_USER, USER_WITHOUT_LIKES, publish_checkerboard
from tools.servers import recommender, wait_until_serving


def test_a_batch_answers_as_recommend_would_in_order(stub: RecommenderServiceStub) -> None:
    """Each result of a batch equals what Recommend answers to the same request."""
    requests = [
        RecommendRequest(user_id=ODD_USER, limit=3),
        RecommendRequest(user_id=UNKNOWN_USER),
        RecommendRequest(user_id=EVEN_USER, limit=2, explain=True),
        RecommendRequest(liked_movie_ids=[1, 3]),
        RecommendRequest(user_id=ODD_USER, limit=5),
    ]
    results = stub.BatchRecommend(BatchRecommendRequest(requests=requests)).results
    assert [result.response for result in results] == [stub.Recommend(request) for request in requests]
    sources = [SOURCE_PERSONALIZED, SOURCE_POPULAR, SOURCE_PERSONALIZED, SOURCE_FOLDED_IN, SOURCE_PERSONALIZED]
    assert [result.response.source for result in results] == sources


def test_a_bad_request_fails_in_its_place_only(stub: RecommenderServiceStub) -> None:
    """The results of wrong requests are errors with details, and the other requests are answered."""
    requests = [
        RecommendRequest(user_id=EVEN_USER, limit=1),
        RecommendRequest(user_id=-5),
        RecommendRequest(user_id=ODD_USER, limit=501),
        RecommendRequest(user_id=ODD_USER, limit=1),
    ]
    results = stub.BatchRecommend(BatchRecommendRequest(requests=requests)).results
    assert [result.WhichOneof("result") for result in results] == ["response", "error", "error", "response"]
    error, violation = results[1].error, error_details_pb2.BadRequest()
    assert (error.code, error.message) == (3, "user_id: expected an id of 0 or more, got -5")
    assert error.details[1].Unpack(violation)
    assert violation.field_violations[0].field == "user_id"


def test_an_empty_batch_has_no_results(stub: RecommenderServiceStub) -> None:
    """A batch without requests is answered without results."""
    assert not stub.BatchRecommend(BatchRecommendRequest()).results


@pytest.mark.parametrize(
    ("requests", "problem"),
    [
        ([RecommendRequest(user_id=1)] * 101, "expected at most 100, got 101"),
        (
            [RecommendRequest(user_id=1, limit=500)] * 20
            + [RecommendRequest(user_id=1, limit=-1)] * 2
            + [RecommendRequest(user_id=1)],
            "expected limits that sum to at most 10000, got 10010",
        ),
    ],
)
def test_a_batch_that_is_too_large_is_refused(
    stub: RecommenderServiceStub, requests: list[RecommendRequest], problem: str
) -> None:
    """Too many requests, or limits with too large a sum, are an error of the field `requests`."""
    failure = failure_of(lambda: stub.BatchRecommend(BatchRecommendRequest(requests=requests)))
    assert failure.code == "INVALID_ARGUMENT"
    assert failure.violations == {"requests": problem}


def test_a_batch_takes_two_predicts(tmp_path: Path) -> None:
    """One Predict looks up all users of a batch, and one folds in all lists of liked movies."""
    release = tmp_path / "releases" / str(publish_checkerboard(tmp_path))
    with (
        faulty_model_server(release, tmp_path / "models.log") as (models, model_server_address, _),
        recommender(tmp_path, model_server_address, tmp_path / "log", USER_CACHE_SIZE="0") as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        wait_until_serving(address)
        before = len(re.findall("predict", models.text()))
        users = [RecommendRequest(user_id=user) for user in (10, 11, 20, 21, 10, UNKNOWN_USER, USER_WITHOUT_LIKES)]
        likes = [RecommendRequest(liked_movie_ids=liked) for liked in ([1], [2, 3], [4, 6, 8])]
        stub = RecommenderServiceStub(channel)
        batch = undegraded(lambda: stub.BatchRecommend(BatchRecommendRequest(requests=[*users, *likes])))
        assert all(result.response.movies for result in batch.results)
        predicts = set(re.findall("predict .*", models.text())[before:])  # on a busy machine gRPC may repeat one
        assert predicts == {"predict movie_id × 3", "predict user_id × 4"}
