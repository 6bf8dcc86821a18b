"""A recommender and a model server that follow a bucket, each with a folder of its own, while the store goes away."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from object_storage.bucket import Bucket
from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.metrics import metric
from tests.support.object_store import SECRET, ObjectStore, needs_versitygw, put
from tests.support.releases import EVEN_USER
from tests.support.workers import supervised, wait_for_workers
from tools.processes import Server, served, wait_for
from tools.servers import model_server, recommender, wait_until_serving
from trainer.release.bucket_catalogue import roll_back_bucket
from trainer.release.catalogue import models_folder

pytestmark = [needs_versitygw, pytest.mark.slow]

REACHED = "recommender_object_storage_reached_timestamp_seconds"


@contextmanager
def following_model_server(artifacts: Path, folder: Path, settings: dict[str, str]) -> Iterator[str]:
    """The address of a model server over a folder that the stand-alone command keeps at what the bucket holds."""
    command = [sys.executable, "-m", "recommender_service.synchronise", "--models", str(models_folder(artifacts))]
    with (
        served(command, folder / "synchronise.log", settings) as synchroniser,
        model_server(artifacts, folder / "models.log", "--file_system_poll_wait_seconds=1") as (_, address),
    ):
        yield address
        assert synchroniser.stop() == 0


def release_of(stub: RecommenderServiceStub) -> int:
    return stub.Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60).release


def reasons(server: Server, event: str) -> list[object]:
    return [line["reason"] for line in server.events(event)]


def test_servers_follow_a_bucket_and_outlast_it(
    store: ObjectStore, bucket: Bucket, two_releases: Path, tmp_path: Path
) -> None:
    """Workers share one download. New releases and rollbacks arrive. Without the store, and after a restart, the cache
    serves; log and metric tell that the bucket is not reached.
    """
    settings = {**store.environment, "ARTIFACTS": bucket.url, "ARTIFACTS_EVERY_S": "0.2"}
    serving = {**settings, "METRICS_ADDRESS": "127.0.0.1:0"}
    (older,) = put(bucket, two_releases, 0)
    with following_model_server(tmp_path / "models", tmp_path, settings) as address:
        with (
            supervised(tmp_path, address, tmp_path / "log", **serving) as (server, service),
            grpc.insecure_channel(service) as channel,
        ):
            stub = RecommenderServiceStub(channel)
            assert release_of(stub) == older
            wait_for(lambda: len(server.events("synchronised")) == 1, "the log tells of the older release")
            (newer,) = put(bucket, two_releases, 1)
            wait_for_workers(server, 2)
            wait_for(lambda: len(server.events("release active")) == 4, "both workers serve the newer release")
            assert release_of(stub) == newer
            store.kill()
            wait_for(lambda: reasons(server, "object storage not reached"), "the log tells of the store")
            wait_for(
                lambda: metric(server, REACHED) == metric(server, REACHED) > 0, "both workers tell, and look in vain"
            )
            assert release_of(stub) == newer
        with (
            recommender(tmp_path, address, tmp_path / "again.log", **serving) as (server, service),
            grpc.insecure_channel(service) as channel,
        ):
            stub = RecommenderServiceStub(channel)
            wait_until_serving(service)
            assert release_of(stub) == newer
            stopped_at = metric(server, REACHED)
            store.heal()
            wait_for(lambda: metric(server, REACHED) > stopped_at, "the bucket is reached again")
            roll_back_bucket(bucket)
            wait_for(lambda: release_of(stub) == older, "the older release serves")
            assert server.stop() == 0
    logs = "".join(path.read_text() for path in tmp_path.rglob("*log"))
    assert "object storage reached again" in logs
    assert SECRET not in logs
