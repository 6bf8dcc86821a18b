"""Images for a cluster that reaches no registry: built by Docker, and handed to the cluster's containerd."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.cluster.programs import PROGRAMS
from tools.cluster.settings import CONTAINERD_SOCKET, PAUSE_IMAGE

ROOT = Path(__file__).resolve().parents[2]
# The tags are apart from those that people use.
RECOMMENDER, TRAINER, SERVICES = "cluster-recommender", "cluster-trainer", "cluster-services"
# One image for the trainer and the stand-in, because TensorFlow takes gigabytes in Docker, and twice as much in
# containerd. The trainer's has all that the stand-in needs but two small packages.
WITH_STAND_IN = f"""FROM {TRAINER}
USER root
COPY deploy/model-server-stand-in.lock /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check \\
        --require-hashes --requirement /tmp/model-server-stand-in.lock \\
    && printf '#!/bin/sh\\nPYTHONPATH=/opt/stand-in exec python -m serving --host=0.0.0.0 "$@"\\n' \\
        >/usr/local/bin/tensorflow_model_server \\
    && chmod +x /usr/local/bin/tensorflow_model_server
COPY serving /opt/stand-in/serving
USER recommender
"""
BOTH = "cluster-trainer-and-stand-in"
PAUSE = PAUSE_IMAGE.split("/")[-1].partition(":")[0]
# Name in the manifests → tag in Docker.
IMAGES = {
    "docker.io/library/movie-recommender:latest": RECOMMENDER,
    "docker.io/library/movie-recommender-trainer:latest": BOTH,
    "docker.io/tensorflow/serving:2.21.0": BOTH,
    f"docker.io/library/{SERVICES}:latest": SERVICES,
    PAUSE_IMAGE: PAUSE,
}


def missing_engine() -> list[str]:
    """What is missing to build images, as words for a message."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return ["a container engine that answers to `docker`"]
    return []


def build_images() -> None:
    """Raises subprocess.CalledProcessError, after Docker has said why."""
    _build(RECOMMENDER, "--file", "deploy/recommender.Dockerfile", ".")
    _build(TRAINER, "--file", "deploy/trainer.Dockerfile", ".")
    _build(BOTH, "--file", "-", ".", dockerfile=WITH_STAND_IN)
    with tempfile.TemporaryDirectory() as folder:  # Docker gets all files of the folder
        for name in ("coredns", "metrics-server"):
            shutil.copy(PROGRAMS / name, folder)
        _build(SERVICES, "--file", "-", folder, dockerfile="FROM scratch\nCOPY . /\n")
    # It holds the namespaces of a pod, and does nothing.
    _build(PAUSE, "-", dockerfile='FROM python:3.11-slim\nCMD ["sleep", "infinity"]\n')


def _build(tag: str, *arguments: str, dockerfile: str = "") -> None:
    print(f"image {tag}", flush=True)
    command = ["docker", "build", "--quiet", "--tag", tag, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, input=dockerfile.encode(), stdout=subprocess.DEVNULL)


@contextmanager
def saved_images() -> Iterator[IO[bytes]]:
    """The images as a stream, for `load_images`, which may run where Docker cannot be reached."""
    with subprocess.Popen(["docker", "save", *sorted(set(IMAGES.values()))], stdout=subprocess.PIPE) as save:
        assert save.stdout is not None
        yield save.stdout
        save.stdout.close()  # then it ends, even if nobody has read all


def load_images(stream: IO[bytes]) -> None:
    """Hand the images to containerd, under the names that the manifests use.  Raises subprocess.CalledProcessError."""
    ctr = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images"]
    subprocess.run([*ctr, "import", "-"], stdin=stream, check=True, stdout=subprocess.DEVNULL)
    for name, tag in IMAGES.items():
        command = [*ctr, "tag", "--force", f"docker.io/library/{tag}:latest", name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
