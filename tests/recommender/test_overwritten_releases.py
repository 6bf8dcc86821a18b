"""A release that is overwritten or cut short in place while it is served: its answers stay what they were."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np
import pytest

from protos.recommender.v1.recommender_pb2 import (
    RecommendRequest,
    SearchMoviesRequest,
    SimilarMoviesRequest,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.callers import Callers
from tests.support.releases import publish_random
from tests.support.workers import Outcomes, supervised, wait_for_workers, workers_of
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = pytest.mark.slow

USERS = [1, 2, *range(3, 30)]
COPIES = 10


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield (artifacts with a release of 3,000 movies, address of its model server)."""
    artifacts = tmp_path_factory.mktemp("random")
    publish_random(artifacts)
    with model_server(artifacts, artifacts / "model_server.log") as (_, address):
        yield artifacts, address


@pytest.fixture
def spoilable(published: tuple[Path, str], tmp_path: Path) -> tuple[Path, Path, str]:
    """(artifacts, the folder of its only release, address of the model server): a copy that a test may spoil."""
    artifacts, address = published
    shutil.copytree(artifacts / "releases", tmp_path / "releases")
    (release,) = (tmp_path / "releases").iterdir()
    return tmp_path, release, address


def answers(stub: RecommenderServiceStub) -> list[object]:
    """What some users and movies are answered, without what the cache holds."""
    recommended = [
        stub.Recommend(RecommendRequest(user_id=user, limit=limit, explain=True), timeout=60)
        for user in USERS
        for limit in (5, 500)
    ]
    movies = [scored.movie.movie_id for scored in recommended[0].movies]
    similar = [stub.SimilarMovies(SimilarMoviesRequest(movie_id=movie, limit=20), timeout=60) for movie in movies]
    found = [stub.SearchMovies(SearchMoviesRequest(query=f"movie {movie}"), timeout=60) for movie in movies]
    return [*recommended, *similar, *found]


def _copy_over(release: Path) -> None:
    """Copy other bytes of the same length over every file, in place."""
    for path in release.iterdir():
        content = np.frombuffer(path.read_bytes(), np.uint8)
        with path.open("r+b") as file:
            file.write((content ^ 0x55).tobytes())


def _cut_short(release: Path) -> None:
    for path in release.iterdir():
        os.truncate(path, 0)


def _fill_with_one_file(release: Path) -> None:
    """Copy the longest file over all others, as a copy into the wrong folder does."""
    longest = max(release.iterdir(), key=lambda path: path.stat().st_size)
    for path in release.iterdir():
        if path != longest:
            with path.open("r+b") as file:
                shutil.copyfileobj(longest.open("rb"), file)


@pytest.mark.parametrize("spoil", [_copy_over, _cut_short, _fill_with_one_file])
def test_an_overwritten_release_is_answered_from_as_before(
    spoilable: tuple[Path, Path, str], spoil: Callable[[Path], None]
) -> None:
    """All answers are those from before, because the service has a copy of the bytes that it verified."""
    artifacts, release, address = spoilable
    log = artifacts / "recommender.log"
    with (
        recommender(artifacts, address, log, USER_CACHE_SIZE="0") as (server, service),
        grpc.insecure_channel(service) as channel,
    ):
        wait_until_serving(service)
        stub = RecommenderServiceStub(channel)
        before = answers(stub)
        spoil(release)
        assert answers(stub) == before
        assert server.process.poll() is None


def test_copying_a_release_over_itself_harms_no_call(spoilable: tuple[Path, Path, str], tmp_path: Path) -> None:
    """`cp -rf` empties each file and writes it anew. Calls meanwhile get the right answers, and the process lives."""
    artifacts, release, address = spoilable
    shutil.copytree(release, tmp_path / "kept" / release.name)
    outcomes = Outcomes()
    with recommender(artifacts, address, artifacts / "log", USER_CACHE_SIZE="0") as (server, service):
        wait_until_serving(service)
        callers = Callers(service, 2, lambda stub: outcomes.call(stub, user_id=3))
        try:
            wait_for(lambda: outcomes.answers, "calls are answered")
            for _ in range(COPIES):
                subprocess.run(["cp", "-rf", tmp_path / "kept" / release.name, artifacts / "releases"], check=True)
        finally:
            callers.stop()
        assert (outcomes.problems, len(outcomes.answers), server.process.poll()) == ([], 1, None)


def memory_files(pid: int) -> set[int]:
    """The inodes of the files in memory that a process has open.  Linux only."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed meanwhile
            if str(link.readlink()).startswith("/memfd:movie-recommender-"):
                inodes.add(link.stat().st_ino)
    return inodes


def test_workers_share_one_copy_and_hand_it_on(spoilable: tuple[Path, Path, str]) -> None:
    """Both workers have the same files in memory, and so has one that replaces a worker, if the originals are lost."""
    artifacts, release, address = spoilable
    with supervised(artifacts, address, artifacts / "log") as (server, _):
        first, second = map(memory_files, workers_of(server))
        assert first == second
        # Files with the same bytes, such as two empty arrays, share a copy.
        assert len(first) == len({path.read_bytes() for path in release.iterdir() if path.name != "manifest.json"})
        for path in release.iterdir():
            if path.name != "manifest.json":
                path.unlink()
        os.kill(workers_of(server)[0], signal.SIGKILL)
        wait_for_workers(server, 3)
        assert [memory_files(pid) for pid in workers_of(server)] == [first, first]
