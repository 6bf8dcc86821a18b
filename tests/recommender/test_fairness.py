"""A heavy request that is allowed does not keep other calls waiting. Answers are counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.recommender.v1.recommender_pb2 import BatchRecommendRequest, RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from protos.release.v1.calibrations import SCAN
from tests.support.releases import publish_random
from tools.servers import model_server, recommender, wait_until_serving

HEAVY_USER, LIGHT_USER = 1, 3
FEW = 5  # a loop that is held up answers two at most: one before the batch begins and one after it


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a recommender of 3,000 random movies, whose calls are answered by scans."""
    folder = tmp_path_factory.mktemp("fairness")
    publish_random(folder, num_movies=3000, heavy=2000, engine=SCAN)
    with (
        model_server(folder, folder / "models.log") as (_, models),
        recommender(folder, models, folder / "log") as (_, address),
    ):
        wait_until_serving(address)
        yield address


@pytest.mark.slow
def test_health_is_checked_while_a_batch_is_answered(address: str) -> None:
    """Health checks and small calls of another client are answered while a heavy batch is in progress.

    There are several batches, because the other client may not get a processor while one of them is.
    """
    heavy = RecommendRequest(user_id=HEAVY_USER, limit=100, explain=True)
    batch = BatchRecommendRequest(requests=[heavy] * 100)
    with grpc.insecure_channel(address) as channel, grpc.insecure_channel(address, [("other", 1)]) as other:
        health, stub = health_pb2_grpc.HealthStub(other), RecommenderServiceStub(other)
        stub.Recommend(RecommendRequest(user_id=LIGHT_USER))  # the connection is open

        def enough_meanwhile() -> bool:
            answer = RecommenderServiceStub(channel).BatchRecommend.future(batch)
            checks = calls = 0
            while not answer.done():
                health.Check(health_pb2.HealthCheckRequest())
                checks += not answer.done()
                stub.Recommend(RecommendRequest(user_id=LIGHT_USER))
                calls += not answer.done()
            assert len(answer.result().results) == 100
            return min(checks, calls) >= FEW

        assert any(enough_meanwhile() for _ in range(5))


@pytest.mark.slow
def test_scans_that_begin_together_answer_as_single_calls(address: str) -> None:
    """A batch, and calls at the same time, find the same movies with the same scores as calls one by one."""
    requests = [RecommendRequest(user_id=user_id, limit=1 + user_id % 40) for user_id in range(61)]
    with grpc.insecure_channel(address) as channel:
        stub = RecommenderServiceStub(channel)
        batch = stub.BatchRecommend(BatchRecommendRequest(requests=requests)).results
        at_once = [stub.Recommend.future(request) for request in requests]
        for request, result, future in zip(requests, batch, at_once, strict=True):
            single = stub.Recommend(request).movies
            for together in (result.response.movies, future.result().movies):
                assert [movie.movie for movie in together] == [movie.movie for movie in single]
                assert [movie.score for movie in together] == pytest.approx([m.score for m in single], abs=1e-6)
