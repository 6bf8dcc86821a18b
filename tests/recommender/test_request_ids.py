"""Request ids: the caller's, or new ones, in the log and in the trailers of calls that fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.releases import EVEN_USER
from tools.processes import Server
from tools.servers import recommender, wait_until_serving


@pytest.fixture(scope="module")
def debugged(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, RecommenderServiceStub]]:
    """(server, client) of a recommender that logs every call."""
    log = tmp_path_factory.mktemp("log") / "recommender.log"
    with recommender(checkerboard_artifacts, model_server_address, log, LOG_LEVEL="DEBUG") as (server, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            yield server, RecommenderServiceStub(channel)


def failed_call_id(stub: RecommenderServiceStub, *sent: str) -> str:
    """The request id in the trailers of a call that fails, whose metadata hold these ids."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Recommend(RecommendRequest(user_id=-1), metadata=tuple(("x-request-id", one) for one in sent))
    error = caught.value
    assert isinstance(error, grpc.Call)
    return str(dict(error.trailing_metadata() or ())["x-request-id"])


def logged_ids(server: Server) -> list[object]:
    return [event["request_id"] for event in server.events("call")]


def test_a_failed_call_keeps_the_callers_id(debugged: tuple[Server, RecommenderServiceStub]) -> None:
    """The id that the caller sent is in the trailers and in the log."""
    server, stub = debugged
    assert failed_call_id(stub, "basket-7/42") == "basket-7/42"
    assert logged_ids(server)[-1] == "basket-7/42"


def test_a_failed_call_without_an_id_gets_one(debugged: tuple[Server, RecommenderServiceStub]) -> None:
    """Without an id, a new one is in the trailers and in the log."""
    server, stub = debugged
    made = failed_call_id(stub)
    assert re.fullmatch("[0-9a-f]{16}", made)
    assert logged_ids(server)[-1] == made
    assert failed_call_id(stub) != made


@pytest.mark.parametrize("odd", ["", "a b", "x" * 129, '","level":"'])
def test_an_odd_id_is_replaced(debugged: tuple[Server, RecommenderServiceStub], odd: str) -> None:
    """Ids that are empty, too long, or hold other characters than an id has, are not taken."""
    assert re.fullmatch("[0-9a-f]{16}", failed_call_id(debugged[1], odd))


def test_debug_logs_name_calls_that_succeed(debugged: tuple[Server, RecommenderServiceStub]) -> None:
    """With LOG_LEVEL=DEBUG, the line of a call that succeeds has the caller's id too."""
    server, stub = debugged
    stub.Recommend(RecommendRequest(user_id=EVEN_USER), metadata=(("x-request-id", "good-1"),))
    assert logged_ids(server)[-1] == "good-1"
