"""Build the images, run docker-compose.yml, check the answers of its containers, and remove everything again.

If the image of TensorFlow Serving or of Envoy is missing, an image with the stand-in or with Envoy's Python wheel gets
its tag during the test, and a line says so. The trainer reads MOVIELENS_DIR if it is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import grpc

from protos.recommender.v1 import recommender_pb2 as api
from protos.recommender.v1 import recommender_pb2_grpc
from recommender_service.client.channel import connect
from recommender_service.client.table import movie_table
from tools.servers import free_port

ROOT = Path(__file__).resolve().parent.parent
BUILT_IF_MISSING = {
    "tensorflow/serving:2.21.0": "deploy/model-server-stand-in.Dockerfile",
    "envoyproxy/envoy:v1.40.0": "deploy/envoy-from-wheel.Dockerfile",
}
UP_TIMEOUT_S = 300


def main() -> int:
    """Returns the exit status: 0 too if no container engine runs, after a line that says so."""
    compose = _compose_command()
    if compose is None:
        print("compose-test: SKIPPED, no container engine answers here (docker and docker-compose are needed)")
        return 0
    with ExitStack() as images:
        for image, dockerfile in BUILT_IF_MISSING.items():
            images.enter_context(_image(image, dockerfile))
        with _stack(compose) as (address, proxied):
            _check_answers(address)
            _check_recommender_container(compose)
            with urlopen(f"http://localhost:{os.environ['WEB_PORT']}/user?user=1", timeout=10) as page:
                assert b"What they get" in page.read()
            print("the page: answered")
            _check_watch()
            with connect(proxied) as channel:
                recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
                assert recommender.Recommend(api.RecommendRequest(user_id=1), timeout=10, wait_for_ready=True).movies
                print("Recommend through Envoy: answered")
    print("\ncompose-test: passed")
    return 0


def _compose_command() -> list[str] | None:
    """The command of Docker Compose, with a project name of its own; None if no container engine answers."""
    if shutil.which("docker") is None or _quiet("docker", "info").returncode != 0:
        return None
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and _quiet(*command, "version").returncode == 0:
            return [*command, "--project-name", f"movie-recommender-test-{os.getpid()}"]
    return None


@contextmanager
def _image(tag: str, dockerfile: str) -> Iterator[None]:
    """Have an image with that tag while the block runs: the one that is there, or one built from the Dockerfile."""
    if _quiet("docker", "image", "inspect", tag).returncode == 0:
        print(f"{tag}: found on this machine")
        yield
        return
    print(f"{tag}: not found on this machine; an image of {dockerfile} gets this tag during the test")
    _run("docker", "build", "--quiet", "--tag", tag, "--file", dockerfile, ".")
    try:
        yield
    finally:
        _quiet("docker", "rmi", tag)


@contextmanager
def _stack(compose: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(host:port of the recommender, of the proxy) while the containers run.  Prints their logs if the block fails."""
    variables = ("RECOMMENDER_PORT", "PROXY_PORT", "METRICS_PORT", "WEB_PORT", "WATCH_METRICS_PORT")
    ports = [str(free_port()) for _ in variables]
    os.environ.update(zip(variables, ports, strict=True))
    compose = [*compose, "--profile", "proxy", "--profile", "watch"]
    try:
        _run(*compose, "build")
        _run(*compose, "up", "--detach")
        try:
            yield f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"
        except BaseException:
            subprocess.run([*compose, "logs", "--tail=20"], cwd=ROOT, check=False)
            raise
    finally:
        _run(*compose, "down", "--volumes", "--timeout", "5")


def _check_answers(address: str) -> None:
    """A known user gets personal recommendations, and a movie has similar ones."""
    with connect(address) as channel:
        recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
        response = _first_answer(recommender)
        print(f"\nRecommend from containers: {api.Source.Name(response.source)}, release {response.release}")
        print(movie_table(response.movies))
        assert response.source == api.SOURCE_PERSONALIZED
        assert recommender.SimilarMovies(api.SimilarMoviesRequest(movie_id=1, limit=3), timeout=10).movies


def _first_answer(recommender: recommender_pb2_grpc.RecommenderServiceStub) -> api.RecommendResponse:
    """The answer to the first Recommend that succeeds; until then, print each new reason why it does not.

    Raises grpc.RpcError if none succeeds within UP_TIMEOUT_S.
    """
    deadline, shown = time.monotonic() + UP_TIMEOUT_S, ""
    while True:
        try:
            return recommender.Recommend(api.RecommendRequest(user_id=1, limit=5), timeout=5)
        except grpc.RpcError as error:
            reason = str(error.details()) if isinstance(error, grpc.Call) else str(error)
            if time.monotonic() > deadline:
                raise
        if reason != shown:
            print(f"… {reason}", flush=True)
            shown = reason
        time.sleep(1)


def _check_watch() -> None:
    """The service that retrains has looked at the events and found too few, and says so by its metrics."""
    deadline, looked = time.monotonic() + UP_TIMEOUT_S, b'trainer_looks_total{result="nothing"} 1.0'
    while True:
        try:
            with urlopen(f"http://localhost:{os.environ['WATCH_METRICS_PORT']}/metrics", timeout=10) as metrics:
                found = metrics.read()
        except OSError:  # it is starting
            found = b""
        if looked in found:
            break
        assert time.monotonic() < deadline, f"watch: expected {looked!r} among its metrics, got {found[:1000]!r}"
        time.sleep(1)
    print("watch: looked at the events, and found nothing to do")


def _check_recommender_container(compose: Sequence[str]) -> None:
    """The container does not run as root, has no writable folder and no TensorFlow, and its health check passes."""
    container = subprocess.run(
        [*compose, "ps", "--quiet", "recommender"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()
    script = """
import importlib.util, json, os
def writable(path):
    try:
        open(os.path.join(path, "probe"), "w").close()
    except OSError:
        return False
    return True
print(json.dumps({
    "uid": os.getuid(),
    "tensorflow": importlib.util.find_spec("tensorflow") is not None,
    "writable": [p for p in ("/", "/opt", "/artifacts", "/events", os.path.expanduser("~")) if writable(p)],
}))
"""
    inside = json.loads(
        subprocess.run(
            ["docker", "exec", container, "python", "-c", script], check=True, capture_output=True, text=True
        ).stdout
    )
    assert inside["uid"] != 0, inside
    assert not inside["tensorflow"], inside
    assert inside["writable"] == ["/events"], inside
    deadline = time.monotonic() + 60
    while (health := _health(container)) != "healthy":
        assert time.monotonic() < deadline, f"the container's health check says {health}"
        time.sleep(1)
    print(f"recommender container: uid {inside['uid']}, read-only, without TensorFlow, {health}")


def _health(container: str) -> str:
    inspected = subprocess.run(["docker", "inspect", container], check=True, capture_output=True, text=True).stdout
    return str(json.loads(inspected)[0]["State"]["Health"]["Status"])


def _run(*command: str) -> None:
    print(f"$ {' '.join(command)}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def _quiet(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
