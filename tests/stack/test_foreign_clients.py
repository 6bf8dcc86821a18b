"""Clients in other languages, which learn the API by reflection or from the descriptor set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from google.api.field_behavior_pb2 import REQUIRED, field_behavior
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.answers import first_answer
from tests.support.grpcurl import grpcurl, needs_grpcurl
from tests.support.releases import EVEN_USER, TITLES

SERVICE = "recommender.v1.RecommenderService"
DESCRIPTORS = Path(__file__).parents[2] / "protos/recommender/v1/recommender.binpb"


@needs_grpcurl
@pytest.mark.parametrize("descriptors", [[], ["-protoset", str(DESCRIPTORS)]], ids=["reflection", "descriptor set"])
def test_grpcurl_gets_titles(recommender_address: str, descriptors: list[str]) -> None:
    """grpcurl calls Recommend by reflection and by the descriptor set."""
    request = json.dumps({"user_id": EVEN_USER, "limit": 2})
    run = first_answer(
        lambda: grpcurl("-plaintext", *descriptors, "-d", request, recommender_address, f"{SERVICE}/Recommend"),
        lambda run: '"source": "SOURCE_PERSONALIZED"' in run.stdout,
        "a personal answer",
    )
    assert run.returncode == 0, run.stderr
    assert [m["movie"]["title"] for m in json.loads(run.stdout)["movies"]] == [TITLES[4], TITLES[6]]


@needs_grpcurl
def test_grpcurl_shows_which_field_was_wrong(recommender_address: str) -> None:
    """grpcurl decodes the error details, which name the field."""
    request = '{"movie_id": 2, "limit": 501}'
    run = grpcurl("-plaintext", "-d", request, recommender_address, f"{SERVICE}/SimilarMovies")
    assert run.returncode != 0
    assert "InvalidArgument" in run.stderr
    assert '"field": "limit"' in run.stderr


needs_buf = pytest.mark.skipif(
    shutil.which("buf") is None, reason="buf is not on the PATH (npm install -g @bufbuild/buf)"
)


def buf_curl(address: str, method: str, request: str, *schema: str) -> subprocess.CompletedProcess[str]:
    command = ["buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge", *schema, "-d", request]
    return subprocess.run(
        [*command, f"http://{address}/{SERVICE}/{method}"], capture_output=True, text=True, timeout=100
    )


@needs_buf
@pytest.mark.parametrize("schema", [["--reflect"], ["--schema", str(DESCRIPTORS)]], ids=["reflection", "descriptors"])
def test_buf_curl_finds_a_title(recommender_address: str, schema: list[str]) -> None:
    """buf curl calls SearchMovies by reflection and by the descriptor set."""
    run = buf_curl(recommender_address, "SearchMovies", '{"query": "amelie"}', *schema)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["movies"][0]["title"] == TITLES[4]


@needs_buf
def test_buf_curl_shows_the_code_and_the_reason(recommender_address: str) -> None:
    """buf curl shows the status code and the message of an error."""
    run = buf_curl(recommender_address, "SimilarMovies", '{"movie_id": 12345}', "--schema", str(DESCRIPTORS))
    assert run.returncode != 0
    assert json.loads(run.stderr)["code"] == "not_found"
    assert "movie 12345 is not in release" in run.stderr


NODE_MODULES = next(
    (path for path in map(Path, os.environ.get("NODE_PATH", "").split(":")) if (path / "@grpc/grpc-js").is_dir()), None
)


@pytest.mark.skipif(
    shutil.which("node") is None or NODE_MODULES is None,
    reason="node, or @grpc/grpc-js and @grpc/proto-loader in NODE_PATH, are missing (npm install @grpc/grpc-js …)",
)
def test_grpc_js_gets_an_answer_and_an_error_with_details(recommender_address: str) -> None:
    """A Node client gets an answer, an error with its details, and short errors that do not end its connection."""
    script = Path(__file__).parents[1] / "support" / "client.js"
    command = ["node", str(script), str(DESCRIPTORS), recommender_address, str(EVEN_USER)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    answer, failure, long = map(json.loads, run.stdout.splitlines())
    assert [movie["movie"]["title"] for movie in answer["movies"]] == [TITLES[4], TITLES[6]]
    assert answer["movies"][0]["reasons"][0]["because"]["movie_id"] == "2"
    assert failure["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert failure["details"] == "user_id: expected an id or user_key, or else movies that the user likes; got none"
    assert failure["has_status_details"]
    assert long["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_reflection_lists_the_services(recommender_address: str) -> None:
    """Reflection lists our service and the health service."""
    with grpc.insecure_channel(recommender_address) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


def test_reflection_tells_what_may_be_repeated(recommender_address: str) -> None:
    """Clients learn by reflection that every RPC only reads, but RecordEvents, and which fields a request needs."""
    with grpc.insecure_channel(recommender_address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        methods = pool.FindServiceByName(SERVICE).methods
        event_id = pool.FindFieldByName("recommender.v1.Event.event_id").GetOptions()
    levels = {method.name: method.GetOptions().idempotency_level for method in methods}
    assert levels.pop("RecordEvents") == descriptor_pb2.MethodOptions.IDEMPOTENT
    assert set(levels.values()) == {descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS}
    assert list(event_id.Extensions[field_behavior]) == [REQUIRED]


def test_the_descriptor_set_holds_the_service_and_all_it_needs() -> None:
    """The descriptor set holds our service and every file that it imports."""
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    names = {file.name for file in files}
    assert any(service.name == "RecommenderService" for file in files for service in file.service)
    assert all(dependency in names for file in files for dependency in file.dependency)
