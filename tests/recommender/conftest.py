"""A client that bears stalls of the model server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import BatchRecommendResponse, RecommendResponse
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import first_answer, is_degraded


class AsksAgain(grpc.UnaryUnaryClientInterceptor):
    """Repeats calls until their answers are not degraded, or they fail.

    On a busy machine the model server may stall for seconds. The recommender then drops its connection for a moment.
    """

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        return first_answer(
            lambda: continuation(details, request), lambda call: not _is_degraded(call), "an answer is not degraded"
        )


def _is_degraded(call: Any) -> bool:
    answer = call.result() if call.code() == grpc.StatusCode.OK else None
    return isinstance(answer, RecommendResponse | BatchRecommendResponse) and is_degraded(answer)


@pytest.fixture(scope="session")
def stub(recommender_address: str) -> Iterator[RecommenderServiceStub]:
    """A client of the recommender that serves the checkerboard; no answer that it gives is degraded."""
    with grpc.insecure_channel(recommender_address) as channel:
        yield RecommenderServiceStub(grpc.intercept_channel(channel, AsksAgain()))
