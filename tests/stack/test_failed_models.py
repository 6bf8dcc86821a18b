"""A model that the model server cannot load keeps back its own release, and no other."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RELEASE_STATE_WAITING, GetServingStatusRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.releases import publish_checkerboard
from tests.support.saved_models import write_warmup
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow


def test_a_status_that_is_not_utf8_keeps_no_later_release_back(tmp_path: Path) -> None:
    """The model server reports the failed version in bytes that are no text, and the next release is served."""
    first = publish_checkerboard(tmp_path)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, address),
        recommender(tmp_path, address, tmp_path / "recommender.log") as (server, service),
        grpc.insecure_channel(service) as channel,
    ):
        wait_until_serving(service)
        stub = RecommenderServiceStub(channel)

        def release() -> int:
            return stub.GetServingStatus(GetServingStatusRequest(), timeout=60).release

        scratch = tmp_path / "scratch"
        failed = publish_checkerboard(scratch)
        model = scratch / "models" / "user_embedding" / str(failed)
        write_warmup(model, b"\xff\xff")
        (scratch / "releases" / str(failed)).rename(tmp_path / "releases" / str(failed))
        model.rename(tmp_path / "models" / "user_embedding" / str(failed))

        def waits() -> bool:
            states = {s.release: s.state for s in stub.GetServingStatus(GetServingStatusRequest()).releases}
            return states.get(failed) == RELEASE_STATE_WAITING

        wait_for(waits, "the release of the failed model waits")
        assert release() == first
        newest = publish_checkerboard(tmp_path)
        wait_for(lambda: release() == newest, "the newest release is served")
        assert server.events("bug") == []
