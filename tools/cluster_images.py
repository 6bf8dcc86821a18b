"""Images for a cluster that reaches no registry: built by Docker, and handed to the cluster's containerd."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.cluster_programs import PROGRAMS
from tools.cluster_settings import CONTAINERD_SOCKET, PAUSE_IMAGE

ROOT = Path(__file__).resolve().parent.parent
# Tag in Docker, apart from those that people use → Dockerfile.
DOCKERFILES = {
    "movie-recommender-cluster": "deploy/recommender.Dockerfile",
    "movie-recommender-cluster-trainer": "deploy/trainer.Dockerfile",
    "movie-recommender-cluster-model-server": "deploy/model-server-stand-in.Dockerfile",
}
DNS, PAUSE = "cluster-dns", "cluster-pause"
# Name in the manifests → tag in Docker.
IMAGES = {
    "docker.io/library/movie-recommender:latest": "movie-recommender-cluster",
    "docker.io/library/movie-recommender-trainer:latest": "movie-recommender-cluster-trainer",
    "docker.io/tensorflow/serving:2.21.0": "movie-recommender-cluster-model-server",
    "docker.io/library/cluster-dns:latest": DNS,
    PAUSE_IMAGE: PAUSE,
}


def missing_engine() -> list[str]:
    """What is missing to build images, as words for a message."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        return ["a container engine that answers to docker"]
    return []


def build_images() -> None:
    """Raises subprocess.CalledProcessError, after Docker has said why."""
    for tag, dockerfile in DOCKERFILES.items():
        _build(tag, "--file", dockerfile, ".")
    _build(DNS, "--file", "-", str(PROGRAMS), dockerfile='FROM scratch\nCOPY coredns /\nENTRYPOINT ["/coredns"]\n')
    # It holds the namespaces of a pod, and does nothing.
    _build(PAUSE, "-", dockerfile='FROM python:3.11-slim\nCMD ["sleep", "infinity"]\n')


def load_images() -> None:
    """Hand the images to containerd, under the names that the manifests use."""
    ctr = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images"]
    with subprocess.Popen(["docker", "save", *IMAGES.values()], stdout=subprocess.PIPE) as save:
        subprocess.run([*ctr, "import", "-"], stdin=save.stdout, check=True, stdout=subprocess.DEVNULL)
    assert save.returncode == 0, f"docker save ended with status {save.returncode}"
    for name, tag in IMAGES.items():
        subprocess.run([*ctr, "tag", "--force", f"docker.io/library/{tag}:latest", name], check=True, stdout=subprocess.DEVNULL)


def _build(tag: str, *arguments: str, dockerfile: str = "") -> None:
    print(f"image {tag}", flush=True)
    command = ["docker", "build", "--quiet", "--tag", tag, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, input=dockerfile.encode(), stdout=subprocess.DEVNULL)
