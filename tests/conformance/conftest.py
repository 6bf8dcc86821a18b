"""One server for the whole suite: the stand-in, or what TF_SERVING_ADDRESS names.

A TensorFlow Serving of yours is prepared by `python -m tests.conformance prepare FOLDER`, which prints how.
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
from tools.processes import free_port, served

# With TF_SERVING_ARTIFACTS besides, the address is meant for the API tests, and serves other models.
GIVEN = "TF_SERVING_ADDRESS" in os.environ and "TF_SERVING_ARTIFACTS" not in os.environ
POLL_S = 0.1


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    if GIVEN:
        return Path(os.environ["TF_SERVING_FOLDER"]) if "TF_SERVING_FOLDER" in os.environ else None
    folder = tmp_path_factory.mktemp("conformance")
    prepare(folder)
    return folder


@pytest.fixture(scope="session")
def target(prepared: Path | None) -> Iterator[Target]:
    with _target(prepared, "TF_SERVING_ADDRESS", batching=False) as target:
        if prepared is not None:
            target.reload(*models_config(prepared, with_labels=False))  # a server that was asked before may have more
            target.reload(*models_config(prepared))
        yield target


@pytest.fixture(scope="session")
def batching(prepared: Path | None) -> Iterator[Target]:
    with _target(prepared, "TF_SERVING_BATCHING_ADDRESS", batching=True) as target:
        yield target


@pytest.fixture(scope="session")
def rest(target: Target) -> str:
    if target.rest is None:
        pytest.skip("TF_SERVING_REST_ADDRESS names no REST port")
    return f"http://{target.rest}"


@pytest.fixture(scope="session")
def folder(target: Target) -> Path:
    if target.folder is None:
        pytest.skip("TF_SERVING_FOLDER does not name the folder that the server serves")
    return target.folder


@pytest.fixture
def moving(target: Target, folder: Path) -> Iterator[Moving]:
    """A model that nobody serves yet, with an empty base path."""
    model = Moving(target, folder, f"moving-{uuid.uuid4().hex}")
    model.base.mkdir(parents=True)
    yield model
    target.reload(*models_config(folder))
    shutil.rmtree(model.base, ignore_errors=True)


@contextmanager
def _target(folder: Path | None, variable: str, batching: bool) -> Iterator[Target]:
    if GIVEN:
        address = os.environ.get(variable)
        if address is None:
            pytest.skip(f"{variable} names no server")
        with grpc.insecure_channel(address) as channel:
            yield Target(address, channel, os.environ.get("TF_SERVING_REST_ADDRESS"), folder, poll_s=1.0)
        return
    assert folder is not None
    ports = ["--port=0"] if batching else ["--port=0", f"--rest_api_port={free_port()}"]
    command = [sys.executable, "-m", "serving", *ports, *flags(folder, batching)]
    command.append(f"--file_system_poll_wait_seconds={POLL_S}")
    with served(command, folder / f"{variable}.log", {}) as server:
        address = server.wait_for_line(r"Running gRPC ModelServer at (\S+) \.\.\.")[1]
        rest = None if batching else server.wait_for_line(r"Exporting HTTP/REST API at:(\S+) \.\.\.")[1]
        with grpc.insecure_channel(address) as channel:
            yield Target(address, channel, rest, folder, POLL_S)
