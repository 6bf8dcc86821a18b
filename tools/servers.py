"""Model server, recommender, Milvus, page and Envoy as child processes on the loopback interface, and their health."""

from __future__ import annotations

import fcntl
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.release.v1.layout import MODEL_NAME
from recommender_service.client.channel import PLAINTEXT, Access, connect
from tools.processes import START_TIMEOUT_S, Server, served, wait_for
from trainer.release.catalogue import models_folder, releases_folder

HOST = "127.0.0.1"
HEALTH_TIMEOUT_S = 30  # on a busy machine, a process may not get a processor for seconds
NOT_EPHEMERAL = range(10_000, 32_768)  # ports; Linux gives those from 32,768 on to outgoing connections
STAND_IN = (sys.executable, "-m", "serving")
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30)"
ENVOY_CONFIG = Path(__file__).parents[1] / "deploy" / "envoy.yaml"
_LOCKS: list[BinaryIO] = []  # of the ports that `free_port` has returned, held until this process ends


@contextmanager
def model_server(
    artifacts: Path, log: Path, *flags: str, port: int = 0, program: Sequence[str] = STAND_IN
) -> Iterator[tuple[Server, str]]:
    """(server, host:port) of a model server over the models in `artifacts`, once its port is open.

    port: 0 takes a free one, which only the stand-in can do.  program: takes the flags of tensorflow_model_server.
    """
    config = log.with_suffix(".config")
    config.write_text(
        f'model_config_list {{ config {{ name: "{MODEL_NAME}" base_path: "{models_folder(artifacts).absolute()}" '
        'model_platform: "tensorflow" model_version_policy { latest { num_versions: 2 } } } }\n',
        encoding="utf-8",
    )
    command = [*program, f"--port={port}", f"--model_config_file={config}", "--max_num_load_retries=0", *flags]
    with served(command, log, {}, _named("the model server", port)) as server:
        listening = server.wait_for_line(r"Running gRPC ModelServer at \S+:(\d+) \.\.\.")
        yield server, f"{HOST}:{listening[1]}"


@contextmanager
def recommender(
    artifacts: Path, tf_serving_address: str, log: Path, prefix: Sequence[str] = (), **settings: str
) -> Iterator[tuple[Server, str]]:
    """(server, host:port) of a recommender over the releases in `artifacts`, once its port is open.

    It may not be SERVING yet.  prefix: a command that runs the one after it.
    settings: environment variables; LISTEN_ADDRESS is a free port by default.
    """
    environment = {
        "LISTEN_ADDRESS": f"{HOST}:0",
        "RELEASES_DIR": str(releases_folder(artifacts)),
        "TF_SERVING_ADDRESS": tf_serving_address,
        **settings,
    }
    port = int(environment["LISTEN_ADDRESS"].rpartition(":")[2])
    command = [*prefix, sys.executable, "-m", "recommender_service"]
    with served(command, log, environment, _named("the recommender", port)) as server:
        yield server, server.wait_for_line(r'"event": "listening", "address": "([^"]+)"')[1]


@contextmanager
def milvus_lite(folder: Path, port: int) -> Iterator[Server]:
    """milvus-lite over `folder`, once its port is open."""
    command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(folder), "--host", HOST]
    log = folder.with_suffix(".log")
    with served([*command, "--port", str(port)], log, {"PYTHONUNBUFFERED": "1"}, "milvus-lite") as server:
        server.wait_for_line("gRPC server listening")
        yield server


@contextmanager
def milvus_loader(artifacts: Path, uri: str, log: Path) -> Iterator[Server]:
    """What loads the releases in `artifacts` into Milvus.  uri: http://host:port."""
    environment = {"ANN": "milvus", "MILVUS_URI": uri, "RELEASES_DIR": str(releases_folder(artifacts))}
    with served([sys.executable, "-m", "recommender_service.milvus_loader"], log, environment, "the loader") as server:
        yield server


@contextmanager
def page(recommender_address: str, log: Path, **settings: str) -> Iterator[tuple[Server, str]]:
    """(server, http://host:port) of the page over a recommender, once its port is open.

    settings: environment variables; WEB_ADDRESS is a free port by default.
    """
    environment = {"WEB_ADDRESS": f"{HOST}:0", "RECOMMENDER_ADDRESS": recommender_address, **settings}
    port = int(environment["WEB_ADDRESS"].rpartition(":")[2])
    with served([sys.executable, "-m", "web"], log, environment, _named("the page", port)) as server:
        yield server, server.wait_for_line(r"page on (http://\S+)")[1]


@contextmanager
def proxy(recommender_address: str, folder: Path, prefix: Sequence[str] = ()) -> Iterator[str]:
    """host:port of Envoy in front of one or more recommenders, configured by deploy/envoy.yaml with other ports.

    `envoy` must be on the PATH.  prefix: a command that runs the one after it.
    """
    port, (host, _, behind) = free_port(), recommender_address.rpartition(":")
    config = ENVOY_CONFIG.read_text(encoding="utf-8")
    for theirs, ours in (
        ("address: recommender, port_value: 50051", f"address: {host}, port_value: {behind}"),
        ("address: 0.0.0.0, port_value: 50052", f"address: {HOST}, port_value: {port}"),
        ("port_value: 9901", "port_value: 0"),
    ):
        assert theirs in config, f"{ENVOY_CONFIG}: expected {theirs!r}"
        config = config.replace(theirs, ours)
    (folder / "envoy.yaml").write_text(config, encoding="utf-8")
    flags = ["--config-path", str(folder / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
    with served([*prefix, "envoy", *flags], folder / "envoy.log", {}, "Envoy") as server:
        server.wait_for_line("starting workers")  # the first health checks are over
        wait_for(lambda: _listens(port, prefix), f"Envoy listens on port {port}")
        yield f"{HOST}:{port}"


def _listens(port: int, prefix: Sequence[str]) -> bool:
    command = [*prefix, sys.executable, "-c", CONNECT, HOST, str(port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _named(name: str, port: int) -> str:
    return f"{name} on port {port}" if port else name


def health_status(address: str, service: str = "", access: Access = PLAINTEXT) -> str:
    """SERVING, NOT_SERVING, …, or the name of the status code if the health check fails."""
    with connect(address, access) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=HEALTH_TIMEOUT_S
            )
        except grpc.RpcError as error:
            return str(error.code().name) if isinstance(error, grpc.Call) else "UNKNOWN"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def wait_until_serving(address: str) -> None:
    """Raises TimeoutError if the health check does not say SERVING within START_TIMEOUT_S."""
    wait_for(lambda: health_status(address) == "SERVING", f"{address} is SERVING", START_TIMEOUT_S)


def free_port() -> int:
    """A port that nobody listens on at the moment, and that no outgoing connection is given.

    No other call of this function returns it while this process lives: the server that is to have it may open it late,
    and may be away for a while.
    """
    while True:
        port = random.SystemRandom().choice(NOT_EPHEMERAL)
        lock = _locked(port)
        if lock is None:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            _LOCKS.append(lock)
            return port
        lock.close()


def _locked(port: int) -> BinaryIO | None:
    """The locked file that stands for a port; None if `free_port` has returned the port in a process that lives."""
    try:
        file = (Path(tempfile.gettempdir()) / f"recommender-port-{port}.lock").open("wb")
    except PermissionError:  # it is another user's
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
