"""The servers under test, each shared by the whole suite.

Each is the stand-in, or the TensorFlow Serving that an environment variable names: TF_SERVING_ADDRESS,
TF_SERVING_BATCHING_ADDRESS, TF_SERVING_EXPENDABLE_ADDRESS. `python -m tests.conformance prepare FOLDER` prints how to
start those. They can be used again after the suite, but for the expendable one, which then refuses every
configuration until it is restarted.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.conformance.moving import Moving
from tests.conformance.prepared import flags, models_config, prepare
from tests.conformance.target import Target
from tools.processes import served
from tools.servers import free_port

# If TF_SERVING_ARTIFACTS is set too, the address is that of a server for the API tests, which serves other models.
GIVEN = "TF_SERVING_ADDRESS" in os.environ and "TF_SERVING_ARTIFACTS" not in os.environ
POLL_S = 0.1


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The folder that the servers serve; None if it is not known."""
    if GIVEN:
        return Path(os.environ["TF_SERVING_FOLDER"]) if "TF_SERVING_FOLDER" in os.environ else None
    folder = tmp_path_factory.mktemp("conformance")
    prepare(folder)
    return folder


@pytest.fixture(scope="session")
def target(prepared: Path | None) -> Iterator[Target]:
    """The server that most tests ask; it serves the models of the table, with their labels."""
    with _target(prepared, "TF_SERVING_ADDRESS", has_rest=True) as target:
        if prepared is not None:
            target.reload(*models_config(prepared, with_labels=False))  # a server that was asked before may have more
            target.reload(*models_config(prepared))
        yield target


@pytest.fixture(scope="session")
def batching(prepared: Path | None) -> Iterator[Target]:
    """A server that runs requests in batches."""
    with _target(prepared, "TF_SERVING_BATCHING_ADDRESS", batching=True) as target:
        yield target


@pytest.fixture(scope="session")
def expendable(prepared: Path | None) -> Iterator[Target]:
    """A server for one test, which leaves it unable to take another configuration."""
    if prepared is None:
        pytest.skip("TF_SERVING_FOLDER does not name the folder that the server serves")
    with _target(prepared, "TF_SERVING_EXPENDABLE_ADDRESS") as target:
        yield target


@pytest.fixture(scope="session")
def rest(target: Target) -> str:
    """The URL of the server's REST port."""
    if target.rest is None:
        pytest.skip("TF_SERVING_REST_ADDRESS names no REST port")
    return f"http://{target.rest}"


@pytest.fixture(scope="session")
def folder(target: Target) -> Path:
    """The folder that the server serves."""
    if target.folder is None:
        pytest.skip("TF_SERVING_FOLDER does not name the folder that the server serves")
    return target.folder


@pytest.fixture
def moving(target: Target, folder: Path) -> Iterator[Moving]:
    """A model with an empty base path, which the server does not serve yet."""
    model = Moving(target, folder, f"moving-{uuid.uuid4().hex}")
    model.base.mkdir(parents=True)
    yield model
    target.reload(*models_config(folder))
    shutil.rmtree(model.base, ignore_errors=True)


@contextmanager
def _target(folder: Path | None, variable: str, batching: bool = False, has_rest: bool = False) -> Iterator[Target]:
    """The server at the address in the environment variable; a stand-in if no server is given at all."""
    if GIVEN:
        address = os.environ.get(variable)
        if address is None:
            pytest.skip(f"{variable} names no server")
        rest = os.environ.get("TF_SERVING_REST_ADDRESS") if has_rest else None
        with grpc.insecure_channel(address) as channel:
            yield Target(address, channel, rest, folder, poll_s=1.0)
        return
    assert folder is not None
    ports = ["--port=0", f"--rest_api_port={free_port()}"] if has_rest else ["--port=0"]
    command = [sys.executable, "-m", "serving", *ports, *flags(folder, batching)]
    command.append(f"--file_system_poll_wait_seconds={POLL_S}")
    with served(command, folder / f"{variable}.log", {}) as server:
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        rest = server.wait_for_line(r"Exporting HTTP/REST API at:(\S+) \.\.\.")[1] if has_rest else None
        with grpc.insecure_channel(address) as channel:
            yield Target(address, channel, rest, folder, POLL_S)
