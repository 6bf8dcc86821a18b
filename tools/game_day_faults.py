"""The eight ways in which a game day breaks a stack, and the alert that each must raise."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tools.certificates import Authority
from tools.game_day_load import Load
from tools.processes import Server
from tools.prometheus import Prometheus, prometheus
from tools.servers import free_port, model_server, recommender
from trainer.release.catalogue import releases_folder

STOPPED_S, RUNNING_S = 0.4, 0.05  # of a model server that is slow: most Predict calls fall into a stop
CERTIFICATE_S = 40  # after which it has expired; the service and Prometheus take some seconds to start


class Stage:
    """The stack of a game day."""

    prometheus: Prometheus
    supervisor: int
    address: str

    def __init__(self, folder: Path, disk: Path) -> None:
        """folder: for logs.  disk: a small file system with the artifacts."""
        self.folder, self.disk = folder, disk
        self._port = free_port()
        self._models = ExitStack()
        self.model_server_address = f"127.0.0.1:{self._port}"
        self.models: Server

    def start_model_server(self) -> None:
        log = self.folder / "model_server.log"
        self.models, _ = self._models.enter_context(model_server(self.disk, log, port=self._port))

    def stop(self) -> None:
        self._models.close()


@dataclass(frozen=True)
class Fault:
    """Something that breaks.

    alert: what must fire.  during: breaks it while the block runs, and yields the Prometheus that knows, if it is not
    that of the stack.
    """

    name: str
    alert: str
    during: Callable[[Stage], AbstractContextManager[Prometheus | None]]


@contextmanager
def _killed(stage: Stage) -> Iterator[None]:
    stage.models.stop(signal.SIGKILL)
    yield
    stage.start_model_server()


@contextmanager
def _hung(stage: Stage) -> Iterator[None]:
    stage.models.send(signal.SIGSTOP)
    yield
    stage.models.send(signal.SIGCONT)


@contextmanager
def _slow(stage: Stage) -> Iterator[None]:
    over = threading.Event()

    def stop_and_go() -> None:
        while not over.wait(RUNNING_S):
            stage.models.process.send_signal(signal.SIGSTOP)
            over.wait(STOPPED_S)
            stage.models.process.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _refused(stage: Stage) -> Iterator[None]:
    broken = releases_folder(stage.disk) / "29990101000000"
    broken.mkdir()
    (broken / "manifest.json").write_text("{}", encoding="utf-8")
    yield
    shutil.rmtree(broken)


@contextmanager
def _expired(stage: Stage) -> Iterator[Prometheus]:
    folder = stage.folder / "tls"
    folder.mkdir()
    expires = time.monotonic() + CERTIFICATE_S
    pair = Authority("game day", timedelta(hours=1)).server(timedelta(seconds=CERTIFICATE_S))
    settings = {"TLS_CERTIFICATE": pair.certificate, "TLS_KEY": pair.key}
    for name, content in settings.items():
        (folder / name).write_bytes(content)
    paths = {name: str(folder / name) for name in settings}
    with recommender(
        stage.disk, stage.model_server_address, folder / "log", METRICS_ADDRESS="127.0.0.1:0", **paths
    ) as (server, _):
        server.wait_for_line("release active")
        with prometheus(str(server.events("listening")[0]["metrics"]), folder) as running:
            time.sleep(max(0.0, expires - time.monotonic()))
            yield running


@contextmanager
def _overload(stage: Stage) -> Iterator[None]:
    with Load(stage.address, stage.disk, callers=100, pause_s=0):
        yield


@contextmanager
def _worker_killed(stage: Stage) -> Iterator[None]:
    children = Path(f"/proc/{stage.supervisor}/task/{stage.supervisor}/children").read_text(encoding="ascii")
    os.kill(int(children.split()[0]), signal.SIGKILL)
    yield


@contextmanager
def _disk_full(stage: Stage) -> Iterator[None]:
    ballast = stage.disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    yield
    ballast.unlink()


FAULTS = (
    Fault("model server killed", "RecommenderModelServerAway", _killed),
    Fault("model server hangs", "RecommenderModelServerAway", _hung),
    Fault("model server slow", "RecommenderModelServerSlow", _slow),
    Fault("release refused", "RecommenderReleaseRefused", _refused),
    Fault("certificate expired", "RecommenderCertificateExpired", _expired),
    Fault("overload", "RecommenderOverload", _overload),
    Fault("disk full", "RecommenderVolumeFull", _disk_full),
    Fault("worker killed", "RecommenderWorkerReplaced", _worker_killed),
)
