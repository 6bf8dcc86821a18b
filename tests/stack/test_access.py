"""The credentials of `make dev-certs` in use: the whole stack, the command-line client, grpcurl, the model server."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    SOURCE_FOLDED_IN,
    SOURCE_PERSONALIZED,
    GetServingStatusRequest,
    RecommendRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.client.channel import Access, AccessError, connect
from tests.support.access import write
from tests.support.answers import first_answer
from tests.support.grpcurl import grpcurl, needs_grpcurl
from tests.support.releases import ODD_USER
from tools import dev_certs
from tools.processes import wait_for
from tools.servers import model_server, recommender
from tools.stack import Stack, running_stack

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access") / "certs"
    assert dev_certs.main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def stack(certs: Path, checkerboard_artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make serve CERTS=…` runs."""
    artifacts = tmp_path_factory.mktemp("stack")
    for name in ("models", "releases"):
        (artifacts / name).symlink_to(checkerboard_artifacts / name)
    with running_stack(artifacts, certs=certs) as running:
        yield running


def client(stack: Stack, *arguments: str | Path, token: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recommender_service.client", "--address", stack.recommender, *arguments]
    environment = {**os.environ, "RECOMMENDER_TOKEN": token}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)


def tls(certs: Path) -> list[str | Path]:
    flags = {"--tls-ca": "ca.pem", "--tls-cert": "client.pem", "--tls-key": "client.key"}
    return [part for flag, name in flags.items() for part in (flag, certs / name)]


def test_only_their_owner_can_read_the_files(certs: Path) -> None:
    """The folder has the mode 700, and each file 600."""
    assert stat.S_IMODE(certs.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in certs.iterdir()} == {0o600}


def test_the_stack_answers_with_tls_and_a_token(certs: Path, stack: Stack) -> None:
    """The stack has mutual TLS on both legs, and the command-line client gets a personal answer."""
    first_answer(
        lambda: client(stack, *tls(certs), "--token-file", certs / "token", "recommend", str(ODD_USER)),
        lambda run: f"user {ODD_USER}: personal recommendations" in run.stdout,
        "a personal answer",
    )


def test_the_client_takes_the_token_from_a_variable(certs: Path, stack: Stack) -> None:
    """RECOMMENDER_TOKEN stands for --token-file. Without both, the error says what is missing."""
    token = (certs / "token").read_text()
    assert client(stack, *tls(certs), "status", token=token).returncode == 0
    run = client(stack, *tls(certs), "status")
    assert run.returncode == 1
    assert run.stderr.startswith("error: UNAUTHENTICATED: expected one header")


def test_the_client_says_why_it_gets_no_connection(certs: Path, stack: Stack) -> None:
    """Without a certificate the exit status is 3, and with half of one it is 2, each after one line."""
    run = client(stack, "--tls-ca", certs / "ca.pem", "status")
    assert run.returncode == 3
    assert run.stderr.startswith(f"error: no recommender answers at {stack.recommender}")
    half = client(stack, "--tls-cert", certs / "client.pem", "status")
    assert (half.returncode, half.stderr.count("\n")) == (2, 1)


def test_a_token_does_not_leave_the_machine_in_plaintext() -> None:
    """The client refuses to send one to another host without TLS."""
    with pytest.raises(AccessError, match=r"a token is not sent to recommender\.example:50051 in plaintext"):
        connect("recommender.example:50051", Access(token="secret"))


@needs_grpcurl
def test_grpcurl_uses_tls_and_a_token(certs: Path, stack: Stack) -> None:
    """grpcurl finds the method by reflection and calls it; without the token it is told what is missing."""
    flags: list[str | Path] = ["-cacert", certs / "ca.pem", "-cert", certs / "client.pem", "-key", certs / "client.key"]
    header: list[str | Path] = ["-H", f"authorization: Bearer {(certs / 'token').read_text().strip()}"]
    method = [stack.recommender, "recommender.v1.RecommenderService/Recommend"]
    request = ["-d", json.dumps({"user_id": ODD_USER, "limit": 2})]
    first_answer(
        lambda: grpcurl(*flags, *header, *request, *method),
        lambda run: '"source": "SOURCE_PERSONALIZED"' in run.stdout,
        "a personal answer",
    )
    assert "Unauthenticated" in grpcurl(*flags, *request, *method).stderr


@contextmanager
def over_tls(certs: Path, artifacts: Path, folder: Path) -> Iterator[RecommenderServiceStub]:
    """A recommender without a cache, which trusts `folder`/ca.pem, beside a model server with TLS."""
    config = f"--ssl_config_file={certs / dev_certs.SSL_CONFIG}"
    names = {"MODEL_SERVER_CA": "ca.pem", "MODEL_SERVER_CERTIFICATE": "client.pem", "MODEL_SERVER_KEY": "client.key"}
    settings = {variable: str(folder / name) for variable, name in names.items()}
    with (
        model_server(artifacts, folder / "models.log", config) as (_, models),
        recommender(artifacts, models, folder / "log", USER_CACHE_SIZE="0", **settings) as (_, address),
        grpc.insecure_channel(address) as channel,
    ):
        yield RecommenderServiceStub(channel)


@pytest.fixture
def copied(certs: Path, tmp_path: Path) -> Path:
    """A folder with copies of the credentials."""
    for path in certs.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


def source(stub: RecommenderServiceStub) -> int:
    try:
        return int(stub.Recommend(RecommendRequest(user_id=ODD_USER), timeout=60).source)
    except grpc.RpcError:
        return -1


def test_a_wrong_authority_is_named_and_a_right_one_taken(
    certs: Path, copied: Path, checkerboard_artifacts: Path
) -> None:
    """A service that does not trust the model server says so in its status, and goes on when its file is right."""
    dev_certs.make(copied / "other")
    right = (copied / "ca.pem").read_bytes()
    write(copied / "ca.pem", (copied / "other" / "ca.pem").read_bytes())
    with over_tls(certs, checkerboard_artifacts, copied) as stub:

        def error() -> str:
            return stub.GetServingStatus(GetServingStatusRequest()).model_server.error

        wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in error() or "certificate" in error(), "the status says why")
        write(copied / "ca.pem", right)
        wait_for(lambda: source(stub) == SOURCE_PERSONALIZED, "the right authority is trusted")


def test_a_withdrawn_authority_leads_to_degraded_answers(
    certs: Path, copied: Path, checkerboard_artifacts: Path
) -> None:
    """When the service trusts the model server no more, answers are degraded and say why."""
    with over_tls(certs, checkerboard_artifacts, copied) as stub:
        wait_for(lambda: source(stub) == SOURCE_PERSONALIZED, "answers are personal")
        dev_certs.make(copied / "other")
        write(copied / "ca.pem", (copied / "other" / "ca.pem").read_bytes())
        response = first_answer(
            lambda: stub.Recommend(RecommendRequest(user_id=ODD_USER), timeout=60),
            lambda answer: answer.source == SOURCE_FOLDED_IN,
            "a degraded answer",
        )
        assert response.degraded_reason
        wait_for(
            lambda: (
                "ertificate" in stub.GetServingStatus(GetServingStatusRequest()).model_server.error.lower()
                or "CERTIFICATE" in stub.GetServingStatus(GetServingStatusRequest()).model_server.error
            ),
            "the status says why",
        )
