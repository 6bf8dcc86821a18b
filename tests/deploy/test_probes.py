"""The probes of the manifests, asked of real processes that run with the manifests' flags and variables."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import SOURCE_PERSONALIZED, RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.settings import Settings
from tests.deploy.manifests import NEEDS_KUSTOMIZE, of_kind, workloads
from tests.support.answers import undegraded
from tests.support.releases import ODD_USER, publish_checkerboard
from tools.processes import served, wait_for
from tools.servers import HOST, STAND_IN, free_port, health_status, recommender, wait_until_serving
from trainer.release.catalogue import models_folder

pytestmark = [NEEDS_KUSTOMIZE, pytest.mark.slow]


@contextmanager
def model_server(artifacts: Path) -> Iterator[tuple[str, str]]:
    """(gRPC address, URL of the readiness probe) of the stand-in with the flags and files of the manifest."""
    workload, ports = workloads("local")["tf-serving"], {"8500": free_port(), "8501": free_port()}
    (config,) = of_kind("local", "ConfigMap").values()
    for name, content in config["data"].items():
        (artifacts / name).write_text(content.replace("/artifacts/", f"{artifacts}/"), encoding="utf-8")
    flags = [flag.replace("/config/", f"{artifacts}/") for flag in workload.container["args"]]
    for theirs, ours in ports.items():
        flags = [flag.replace(f"port={theirs}", f"port={ours}") for flag in flags]
    path = workload.container["readinessProbe"]["httpGet"]["path"]
    with served([*STAND_IN, *flags], artifacts / "model_server.log", {}, "the model server"):
        yield f"{HOST}:{ports['8500']}", f"http://{HOST}:{ports['8501']}{path}"


def is_ready(url: str) -> bool:
    """Whether a GET is answered as the kubelet wants it."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bool(200 <= answer.status < 400)
    except OSError:  # such as urllib's own errors
        return False


def test_a_model_server_is_ready_while_it_has_a_version(tmp_path: Path) -> None:
    """It starts up with the first version. When the last one is gone, it is alive but not ready."""
    artifacts = tmp_path.resolve()
    models_folder(artifacts).mkdir(parents=True)
    with model_server(artifacts) as (address, url):
        assert health_status(address) == "UNAVAILABLE", "no version, so the start-up probe fails"
        version = publish_checkerboard(artifacts)
        wait_until_serving(address)  # the start-up probe passes
        wait_for(lambda: is_ready(url), "the readiness probe passes")
        (models_folder(artifacts) / str(version)).rename(artifacts / "withdrawn")
        wait_for(lambda: not is_ready(url), "the readiness probe fails")
        assert health_status(address) == "SERVING", "the liveness probe passes"


def test_a_recommender_is_ready_from_its_first_release(tmp_path: Path) -> None:
    """It starts without a release, is ready with one, and finds the model server through dns:///."""
    artifacts = tmp_path.resolve()
    models_folder(artifacts).mkdir(parents=True)
    environment = workloads("local")["recommender"].environment
    health = f"{HOST}:{free_port()}"
    settings = {"HEALTH_ADDRESS": health, "METRICS_ADDRESS": f"{HOST}:0"}
    assert settings.keys() | {"TF_SERVING_ADDRESS", "RELEASES_DIR"} == environment.keys()
    port = Settings.from_environment(environment).tf_serving_address.removeprefix("dns:///tf-serving:")
    with model_server(artifacts) as (address, _):
        target = environment["TF_SERVING_ADDRESS"].replace(f"tf-serving:{port}", address.replace(HOST, "localhost"))
        with recommender(artifacts, target, artifacts / "recommender.log", **settings) as (_, calls):
            assert health_status(health) == "NOT_SERVING"
            publish_checkerboard(artifacts)
            wait_until_serving(health)
            with grpc.insecure_channel(calls) as channel:
                stub = RecommenderServiceStub(channel)
                answer = undegraded(lambda: stub.Recommend(RecommendRequest(user_id=ODD_USER), timeout=60))
            assert answer.source == SOURCE_PERSONALIZED
