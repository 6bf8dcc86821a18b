"""Fixtures: servers that many tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import hypothesis
import pytest

from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.events import events_status
from tests.support.postgresql import PostgreSql, postgresql
from tests.support.releases import publish_checkerboard
from tools.servers import model_server, recommender, wait_until_serving

# Clients under test call servers on this machine, which a proxy for the web does not know.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"

# On a busy machine a Predict may take longer than a recommender waits by default. Its answer is then degraded, which
# most tests do not expect. Those of failing model servers set a time of their own.
os.environ.setdefault("PREDICT_TIMEOUT_MS", "20000")
os.environ.setdefault("RECOMMENDER_TIMEOUT_MS", "60000")  # nor does the page give up

# Nor does a test of Hypothesis fail because an example, or making examples, took long.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

# A TensorFlow Serving that is running already may stand in for ours. The base path of its model user_embedding must be
# $TF_SERVING_ARTIFACTS/models/user_embedding.
GIVEN_ADDRESS = os.environ.get("TF_SERVING_ADDRESS")
GIVEN_ARTIFACTS = os.environ.get("TF_SERVING_ARTIFACTS")


@pytest.fixture(scope="session")
def checkerboard_artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts folder of a published checkerboard."""
    if GIVEN_ADDRESS and not GIVEN_ARTIFACTS:
        pytest.exit("TF_SERVING_ADDRESS is set: expected TF_SERVING_ARTIFACTS too, the folder its models are under", 2)
    artifacts = Path(GIVEN_ARTIFACTS) if GIVEN_ARTIFACTS else tmp_path_factory.mktemp("checkerboard")
    publish_checkerboard(artifacts)
    return artifacts


@pytest.fixture(scope="session")
def model_server_address(checkerboard_artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a model server that serves the checkerboard."""
    if GIVEN_ADDRESS:
        yield GIVEN_ADDRESS
        return
    with model_server(checkerboard_artifacts, tmp_path_factory.mktemp("log") / "model_server.log") as (_, address):
        yield address


@pytest.fixture(scope="session")
def recommender_address(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a recommender that serves the checkerboard."""
    log = tmp_path_factory.mktemp("log") / "recommender.log"
    with recommender(checkerboard_artifacts, model_server_address, log) as (_, address):
        wait_until_serving(address)
        yield address


@pytest.fixture(scope="session")
def stub(recommender_address: str) -> Iterator[RecommenderServiceStub]:
    """A client of the recommender that serves the checkerboard."""
    with grpc.insecure_channel(recommender_address) as channel:
        yield RecommenderServiceStub(channel)


@pytest.fixture(scope="session")
def events_address(
    checkerboard_artifacts: Path, model_server_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a recommender that serves the checkerboard and records events."""
    folder = tmp_path_factory.mktemp("events")
    settings = {"EVENTS_URL": f"sqlite:///{folder / 'events.db'}"}
    with recommender(checkerboard_artifacts, model_server_address, folder / "log", **settings) as (_, address):
        wait_until_serving(address)
        with grpc.insecure_channel(address) as channel:
            events_status(RecommenderServiceStub(channel))
        yield address


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSql]:
    """A PostgreSQL server; tests that use it are marked `needs_postgresql`."""
    with postgresql() as server, server.running():
        yield server
