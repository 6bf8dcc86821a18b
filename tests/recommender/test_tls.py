"""TLS on the service's port: who gets in, and certificates that change while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.access import DAY, Identity, identity, secure_channel, write
from tests.support.releases import EVEN_USER
from tests.support.workers import wait_for_workers, workers_of
from tools.certificates import Pair
from tools.processes import Server, served, wait_for
from tools.servers import health_status, recommender, wait_until_serving

pytestmark = pytest.mark.slow

ANSWERED, REFUSED = "OK", "UNAVAILABLE"


@pytest.fixture(scope="module")
def ours() -> Identity:
    return identity()


@pytest.fixture(scope="module")
def other() -> Identity:
    return identity()


@pytest.fixture
def mutual(
    ours: Identity, checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> Iterator[tuple[Server, str]]:
    """A service that clients must show a certificate to; health is answered on a port of its own."""
    settings = {**ours.write(tmp_path, client_ca=True), "HEALTH_ADDRESS": "127.0.0.1:0"}
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        wait_until_serving(health_address(server))
        yield server, address


def health_address(server: Server) -> str:
    return server.wait_for_line(r'"health": "([^"]+)"')[1]


def outcome(address: str, ca: bytes, client: Pair | None = None) -> str:
    """The status of a Recommend on a new connection."""
    with secure_channel(address, ca, client) as channel:
        return call(channel)


def call(channel: grpc.Channel) -> str:
    try:
        movies = RecommenderServiceStub(channel).Recommend(RecommendRequest(user_id=EVEN_USER), timeout=60).movies
    except grpc.RpcError as error:
        return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
    assert movies
    return ANSWERED


def test_clients_that_trust_the_authority_are_answered(
    ours: Identity, other: Identity, checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """With TLS, clients that trust another authority or speak plaintext get no answer, and no line in the log."""
    settings = {**ours.write(tmp_path), "HEALTH_ADDRESS": "127.0.0.1:0"}
    with recommender(checkerboard_artifacts, model_server_address, tmp_path / "log", **settings) as (server, address):
        wait_until_serving(health_address(server))
        assert outcome(address, ours.authority.certificate) == ANSWERED
        assert outcome(address, other.authority.certificate) == REFUSED
        with grpc.insecure_channel(address) as channel:
            assert call(channel) == REFUSED
        assert "Handshake failed" not in server.text()


def test_a_client_needs_a_certificate_of_the_authority(
    ours: Identity, other: Identity, mutual: tuple[Server, str]
) -> None:
    """With TLS_CLIENT_CA, clients without a certificate, with an expired or with another's one are not let in."""
    ca = ours.authority.certificate
    assert outcome(mutual[1], ca, ours.authority.client(DAY)) == ANSWERED
    assert outcome(mutual[1], ca) == REFUSED
    assert outcome(mutual[1], ca, other.authority.client(DAY)) == REFUSED
    assert outcome(mutual[1], ca, ours.authority.client(timedelta(hours=-1))) == REFUSED


def test_new_certificates_are_used_without_a_restart(
    ours: Identity, other: Identity, mutual: tuple[Server, str], tmp_path: Path
) -> None:
    """After the files are replaced, clients of the old authority get in no more; open connections go on."""
    server, address = mutual
    old_client, new_client = ours.authority.client(DAY), other.authority.client(DAY)
    with secure_channel(address, ours.authority.certificate, old_client) as channel:
        assert call(channel) == ANSWERED
        other.write(tmp_path, client_ca=True)
        wait_for(lambda: outcome(address, other.authority.certificate, new_client) == ANSWERED, "the new one is used")
        assert call(channel) == ANSWERED
    assert outcome(address, other.authority.certificate, old_client) == REFUSED
    assert outcome(address, ours.authority.certificate, old_client) == REFUSED
    assert server.events("credentials reloaded")[-1]["what"] == "certificates"


@pytest.mark.parametrize("name", ["garbage", "another key", "expired"])
def test_broken_new_files_change_nothing(
    ours: Identity, other: Identity, mutual: tuple[Server, str], tmp_path: Path, name: str
) -> None:
    """The certificates from before stay in use, and the log names the file once."""
    server, address = mutual
    if name == "garbage":
        path, content, complaint = "tls_client_ca.pem", b"no PEM", "expected certificates in PEM"
    elif name == "another key":
        path, content, complaint = "tls_key.pem", other.server.key, "expected the key of the certificate in"
    else:
        expired = ours.authority.server(timedelta(hours=-1))
        path, content, complaint = (
            "tls_certificate.pem",
            expired.certificate,
            "expected certificates that are valid now",
        )
    write(tmp_path / path, content)
    wait_for(lambda: server.events("credentials refused"), "the file is refused")
    assert outcome(address, ours.authority.certificate, ours.authority.client(DAY)) == ANSWERED
    (refusal,) = server.events("credentials refused")
    assert str(refusal["reason"]).startswith(f"{tmp_path / path}: {complaint}")
    assert "PRIVATE KEY" not in server.text()


def test_health_alone_is_answered_in_plaintext(mutual: tuple[Server, str]) -> None:
    """At HEALTH_ADDRESS a client without a certificate is told SERVING, and no RPC of the service is there."""
    address = health_address(mutual[0])
    assert health_status(address) == "SERVING"
    with grpc.insecure_channel(address) as channel:
        assert call(channel) == "UNIMPLEMENTED"


def test_workers_share_the_ports_and_replace_each_other(
    ours: Identity, checkerboard_artifacts: Path, model_server_address: str, tmp_path: Path
) -> None:
    """With several workers, TLS and health have one port each, and a killed worker is replaced on both."""
    environment = {
        **ours.write(tmp_path, client_ca=True),
        "WORKERS": "2",
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "HEALTH_ADDRESS": "127.0.0.1:0",
        "RELEASES_DIR": str(checkerboard_artifacts / "releases"),
        "TF_SERVING_ADDRESS": model_server_address,
    }
    with served([sys.executable, "-m", "recommender_service"], tmp_path / "log", environment) as server:
        address = server.wait_for_line(r'"event": "supervising", "address": "([^"]+)"')[1]
        wait_for_workers(server, 2)
        wait_until_serving(health_address(server))
        os.kill(workers_of(server)[0], 9)
        wait_for_workers(server, 3)
        for _ in range(8):
            assert outcome(address, ours.authority.certificate, ours.authority.client(DAY)) == ANSWERED
            assert health_status(health_address(server)) == "SERVING"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"TLS_KEY": ""}, "TLS_CERTIFICATE and TLS_KEY: expected both or neither"),
        ({"TLS_CERTIFICATE": "", "TLS_KEY": ""}, "TLS_CLIENT_CA: expected TLS_CERTIFICATE and TLS_KEY with it"),
        ({"TLS_CLIENT_CA": "none.pem"}, "No such file or directory: 'none.pem'"),
        ({"MODEL_SERVER_NAME": "models"}, "MODEL_SERVER_CA: expected a file"),
        ({"MODEL_SERVER_KEY": "key.pem"}, "MODEL_SERVER_CERTIFICATE and MODEL_SERVER_KEY: expected both"),
    ],
)
def test_incomplete_settings_stop_the_start(
    ours: Identity, tmp_path: Path, change: dict[str, str], complaint: str
) -> None:
    """One line names the variable. The exit status is 2."""
    assert complaint in refusal({**ours.write(tmp_path, client_ca=True), **change})


def test_an_expired_certificate_stops_the_start(ours: Identity, tmp_path: Path) -> None:
    """One line names the file and when the certificate was valid."""
    expired = Identity(ours.authority, ours.authority.server(timedelta(hours=-1)))
    assert "expected certificates that are valid now, got one" in refusal(expired.write(tmp_path))


def refusal(settings: dict[str, str]) -> str:
    """The one line with which the service refuses to start."""
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"],
        env={"PATH": "", **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    return line
