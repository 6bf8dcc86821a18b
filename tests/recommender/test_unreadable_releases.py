"""What the recommender does with what it may not read, and with what is no release, among the releases."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import (
    GetServingStatusRequest,
    GetServingStatusResponse,
    RecommendRequest,
    ReleaseState,
)
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.answers import movie_ids
from tests.support.privileges import UNPRIVILEGED, needs_unprivileged
from tests.support.releases import EVEN_USER, publish_checkerboard
from tools.processes import Server, wait_for
from tools.servers import model_server, recommender

pytestmark = [pytest.mark.slow, needs_unprivileged]

LOOK_S = 1.3  # a little more than the time between two looks at the folder


@dataclass(frozen=True)
class Running:
    """A recommender that may not read what its mode forbids."""

    server: Server
    stub: RecommenderServiceStub

    def status(self) -> GetServingStatusResponse:
        return self.stub.GetServingStatus(GetServingStatusRequest(), timeout=60)

    def states(self) -> dict[int, str]:
        return {status.release: ReleaseState.Name(status.state) for status in self.status().releases}

    def answer(self) -> list[int]:
        return movie_ids(self.stub.Recommend(RecommendRequest(user_id=EVEN_USER, limit=3), timeout=60))

    def lines(self, *events: str) -> list[str]:
        """The names of these events in the order of the log."""
        return [str(line["event"]) for event in events for line in self.server.events(event)]


@contextmanager
def running(artifacts: Path, model_server_address: str, log: Path) -> Iterator[Running]:
    with (
        recommender(artifacts, model_server_address, log, prefix=UNPRIVILEGED) as (server, address),
        grpc.insecure_channel(address) as channel,
    ):
        yield Running(server, RecommenderServiceStub(channel))


@pytest.fixture(scope="module")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield (artifacts with two releases, address of a model server that serves both)."""
    artifacts = tmp_path_factory.mktemp("two")
    publish_checkerboard(artifacts)
    publish_checkerboard(artifacts, rotate_degrees=45)
    with model_server(artifacts, artifacts / "model_server.log") as (_, address):
        yield artifacts, address


@pytest.fixture
def copied(two_releases: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[Path, str, int, int]]:
    """Yield (artifacts with a copy of both releases, address of the model server, older and newer version)."""
    artifacts, address = two_releases
    shutil.copytree(artifacts / "releases", tmp_path / "releases")
    older, newer = sorted(int(folder.name) for folder in (tmp_path / "releases").iterdir())
    yield tmp_path, address, older, newer
    for path in (tmp_path / "releases", *(tmp_path / "releases").iterdir()):
        if path.is_dir():
            path.chmod(0o755)  # so that pytest can remove it


def _mode_0(path: Path) -> None:
    path.chmod(0)


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        (".", _mode_0, "manifest.json: cannot be read: [Errno 13] Permission denied"),
        ("manifest.json", _mode_0, "manifest.json: cannot be read: [Errno 13] Permission denied"),
        ("embeddings.npy", _mode_0, "embeddings.npy: cannot be copied to memory: Permission denied"),
        ("movies.csv", _folder_instead, "movies.csv: listed in the manifest, but there is no such file"),
        ("user_ids.npy", _pipe_instead, "user_ids.npy: listed in the manifest, but there is no such file"),
    ],
)
def test_what_cannot_be_read_is_refused_once_and_by_name(
    copied: tuple[Path, str, int, int], name: str, spoil: Callable[[Path], None], complaint: str
) -> None:
    """A release that the service may not read is refused with one line, and the older one is served."""
    artifacts, address, older, newer = copied
    spoil(artifacts / "releases" / str(newer) / name)
    with running(artifacts, address, artifacts / "recommender.log") as service:
        wait_for(lambda: service.states().get(older) == "RELEASE_STATE_ACTIVE", "the older release serves")
        time.sleep(LOOK_S)
        assert service.answer() == [4, 6, 10]
        (refusal,) = service.server.events("release refused")
        assert (refusal["release"], complaint in str(refusal["reason"])) == (newer, True), refusal
        assert service.states()[newer] == "RELEASE_STATE_REFUSED"
        assert service.server.events("bug") == []


def test_what_is_no_release_is_skipped(copied: tuple[Path, str, int, int]) -> None:
    """Files, dangling and circular links, foreign folders and numbers that fit no int64 do not keep a release back."""
    artifacts, address, _, newer = copied
    releases = artifacts / "releases"
    (releases / str(newer + 1)).write_text("a file")
    (releases / str(newer + 2)).symlink_to("nowhere")
    (releases / str(newer + 3)).symlink_to(str(newer + 3))
    (releases / str(newer + 4)).mkdir()
    (releases / "lost+found").mkdir(mode=0)
    for name in ("9" * 20, f"0{newer + 5}", "٣", "0", "-1"):
        shutil.copytree(releases / str(newer), releases / name)
    with running(artifacts, address, artifacts / "recommender.log") as service:
        wait_for(lambda: service.status().release == newer, "the newest release serves")
        time.sleep(LOOK_S)
        assert newer in service.states()
        assert max(service.states()) == newer
        assert service.lines("bug", "release refused") == []


def test_the_active_release_serves_on_when_it_becomes_unreadable(copied: tuple[Path, str, int, int]) -> None:
    """The mode of the active release and that of the folder of releases may change: one line, and no other answer."""
    artifacts, address, _, newer = copied
    releases = artifacts / "releases"
    with running(artifacts, address, artifacts / "recommender.log") as service:
        wait_for(lambda: service.status().release == newer, "the newest release serves")
        (releases / str(newer)).chmod(0)
        time.sleep(LOOK_S)
        assert (service.status().release, service.answer()) == (newer, [4, 6, 10])
        releases.chmod(0)
        wait_for(lambda: service.server.events("releases not listed"), "the log tells")
        time.sleep(LOOK_S)
        assert (service.status().release, service.answer()) == (newer, [4, 6, 10])
        assert service.lines("release active", "releases not listed", "release refused", "bug") == [
            "release active",
            "releases not listed",
        ]
        releases.chmod(0o755)
        (releases / str(newer)).rename(artifacts / "withdrawn")
        wait_for(lambda: service.status().release < newer, "the service goes back to the older release")


def test_a_file_in_place_of_the_folder_of_releases_is_named(tmp_path: Path) -> None:
    """Health is NOT_SERVING, and the status says that the releases cannot be listed, and why."""
    (tmp_path / "releases").write_text("a file")
    with running(tmp_path, "127.0.0.1:1", tmp_path / "recommender.log") as service:
        expected = f"a complete release in {tmp_path / 'releases'}: cannot be listed: Not a directory"
        wait_for(lambda: service.status().waiting_for == expected, expected)
        (tmp_path / "releases").unlink()
        wait_for(lambda: service.status().waiting_for == f"a complete release in {tmp_path / 'releases'}", "it is gone")
        assert service.server.events("bug") == []
