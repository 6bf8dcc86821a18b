"""Clients in other languages, by reflection and by the shipped descriptor set."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.support.releases import EVEN_USER, TITLES

SERVICE = "recommender.v1.RecommenderService"
DESCRIPTORS = Path(__file__).parent.parent / "protos/recommender/v1/recommender.binpb"

needs_grpcurl = pytest.mark.skipif(
    shutil.which("grpcurl") is None,
    reason="grpcurl is not on the PATH (go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest)",
)


def grpcurl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["grpcurl", "-plaintext", *arguments], capture_output=True, text=True, timeout=30)


@needs_grpcurl
@pytest.mark.parametrize("descriptors", [[], ["-protoset", str(DESCRIPTORS)]], ids=["reflection", "descriptor set"])
def test_grpcurl_gets_titles(recommender_address: str, descriptors: list[str]) -> None:
    request = json.dumps({"user_id": EVEN_USER, "limit": 2})
    run = grpcurl(*descriptors, "-d", request, recommender_address, f"{SERVICE}/Recommend")
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert [m["movie"]["title"] for m in answer["movies"]] == [TITLES[4], TITLES[6]]
    assert answer["source"] == "SOURCE_PERSONALIZED"


@needs_grpcurl
def test_grpcurl_shows_which_field_was_wrong(recommender_address: str) -> None:
    run = grpcurl("-d", '{"movie_id": 2, "limit": 501}', recommender_address, f"{SERVICE}/SimilarMovies")
    assert run.returncode != 0
    assert "InvalidArgument" in run.stderr
    assert '"field": "limit"' in run.stderr


def test_reflection_lists_the_services(recommender_address: str) -> None:
    with grpc.insecure_channel(recommender_address) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)


def test_the_descriptor_set_holds_the_service_and_all_it_needs() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
    names = {file.name for file in files}
    assert any(service.name == "RecommenderService" for file in files for service in file.service)
    assert all(dependency in names for file in files for dependency in file.dependency)
