"""Signed manifests: whoever can write to the volume, but has no key, cannot get a release served."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from protos.recommender.v1.recommender_pb2 import GetServingStatusRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from tests.support.folders import folder_with
from tests.support.releases import publish_checkerboard
from tools.processes import wait_for
from tools.servers import model_server, recommender, wait_until_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OLD_KEY, NEW_KEY = "0123456789abcdef" * 4, "fedcba9876543210" * 4
SIGNATURE = "manifest.json.hmac"


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Yield (artifacts with two releases signed with OLD_KEY, address of a model server that serves both)."""
    artifacts = tmp_path_factory.mktemp("signed")
    publish_checkerboard(artifacts, signing_key=OLD_KEY.encode())
    publish_checkerboard(artifacts, rotate_degrees=45, signing_key=OLD_KEY.encode())
    with model_server(artifacts, artifacts / "model_server.log") as (_, address):
        yield artifacts, address


def _remove_signature(newer: Path, older: Path) -> None:
    (newer / SIGNATURE).unlink()


def _copy_signature(newer: Path, older: Path) -> None:
    shutil.copy(older / SIGNATURE, newer / SIGNATURE)


def _change_manifest(newer: Path, older: Path) -> None:
    manifest = newer / "manifest.json"
    manifest.write_text(manifest.read_text().replace("hand-made", "hand-mad3"))


def _rename_older(newer: Path, older: Path) -> None:
    """Offer the older release, signature and all, as the newer one."""
    shutil.rmtree(newer)
    shutil.copytree(older, newer)


def _garble_signature(newer: Path, older: Path) -> None:
    (newer / SIGNATURE).write_bytes(b"\xff" * 1000)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (_remove_signature, f"{SIGNATURE}: expected a signature of the manifest, got no such file"),
        (_copy_signature, f"{SIGNATURE}: expected a signature with a key of"),
        (_change_manifest, f"{SIGNATURE}: expected a signature with a key of"),
        (_garble_signature, f"{SIGNATURE}: expected a signature with a key of"),
        (_rename_older, "manifest.json: expected version"),
    ],
)
def test_a_release_without_the_right_signature_is_refused(
    signed: tuple[Path, str], tmp_path: Path, spoil: Callable[[Path, Path], None], complaint: str
) -> None:
    """It is refused by name, and the older release is served, which is signed."""
    artifacts, address = signed
    shutil.copytree(artifacts / "releases", tmp_path / "releases")
    older, newer = sorted((tmp_path / "releases").iterdir())
    spoil(newer, older)
    (tmp_path / "keys").write_text(OLD_KEY)
    settings = {"VERIFY_KEY_FILE": str(tmp_path / "keys")}
    with recommender(tmp_path, address, tmp_path / "log", **settings) as (server, _):
        wait_for(lambda: server.events("release active"), "a release is active")
        (refusal,) = server.events("release refused")
        assert (refusal["release"], complaint in str(refusal["reason"])) == (int(newer.name), True), refusal
        assert server.events("release active")[0]["release"] == int(older.name)
        assert OLD_KEY not in server.text()


def test_a_new_key_takes_an_old_ones_place_without_a_restart(signed: tuple[Path, str], tmp_path: Path) -> None:
    """The service reads the key file for each new release. The active release serves on when its key is removed."""
    artifacts, _ = signed
    shutil.copytree(artifacts, tmp_path / "artifacts")
    keys = tmp_path / "keys"
    keys.write_text(f"{NEW_KEY}\n{OLD_KEY}\n")
    with (
        model_server(tmp_path / "artifacts", tmp_path / "model_server.log") as (_, address),
        recommender(tmp_path / "artifacts", address, tmp_path / "log", VERIFY_KEY_FILE=str(keys)) as (_, service),
        grpc.insecure_channel(service) as channel,
    ):
        wait_until_serving(service)
        stub = RecommenderServiceStub(channel)
        keys.write_text(f"{NEW_KEY}\n")
        newest = publish_checkerboard(tmp_path / "artifacts", signing_key=NEW_KEY.encode())
        wait_for(lambda: stub.GetServingStatus(GetServingStatusRequest()).release == newest, "the newest is active")


def test_signed_releases_need_no_key_to_be_served(signed: tuple[Path, str], tmp_path: Path) -> None:
    """A service without VERIFY_KEY_FILE takes signed releases too, so that trainers can begin first."""
    artifacts, address = signed
    with recommender(artifacts, address, tmp_path / "log") as (_, service):
        wait_until_serving(service)


@pytest.mark.parametrize("content", [None, "", "short\n", f"{OLD_KEY}\nshort\n"])
def test_a_key_file_without_keys_stops_the_start(tmp_path: Path, content: str | None) -> None:
    """One line names the variable and the file, and not what the file holds. The exit status is 2."""
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    run = subprocess.run(
        [sys.executable, "-m", "recommender_service"],
        env={"PATH": "", "VERIFY_KEY_FILE": str(path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: VERIFY_KEY_FILE: expected a file with keys")
    assert str(path) in line
    assert OLD_KEY not in line


def train(tmp_path: Path, key_file: Path) -> subprocess.CompletedProcess[str]:
    ratings = "userId,movieId,rating,timestamp\n"
    ratings += "".join(f"{u},{m},{5 if (u + m) % 2 else 1},{m}\n" for u in range(1, 21) for m in range(1, 21))
    movies = "movieId,title,genres\n" + "".join(f"{m},Movie {m} (2000),Drama\n" for m in range(1, 21))
    flags = ("--artifacts", str(tmp_path / "artifacts"), "--epochs", "1", "--force", "--embedding-dim", "4")
    return subprocess.run(
        [sys.executable, "-m", "trainer", "--data", str(folder_with(tmp_path, ratings, movies)), *flags],
        env={**os.environ, "SIGNING_KEY_FILE": str(key_file)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.long
def test_a_trained_release_is_signed_and_served(tmp_path: Path) -> None:
    """The trainer signs with the first key of SIGNING_KEY_FILE, and the service verifies that."""
    (tmp_path / "keys").write_text(f"{NEW_KEY}\n{OLD_KEY}\n")
    (tmp_path / "new key").write_text(NEW_KEY)
    trained = train(tmp_path, tmp_path / "keys")
    assert trained.returncode == 0, trained.stderr
    settings = {"VERIFY_KEY_FILE": str(tmp_path / "new key")}
    with (
        model_server(tmp_path / "artifacts", tmp_path / "model_server.log") as (_, address),
        recommender(tmp_path / "artifacts", address, tmp_path / "log", **settings) as (_, service),
    ):
        wait_until_serving(service)


def test_a_wrong_signing_key_ends_a_run_before_it_trains(tmp_path: Path) -> None:
    """One line names the variable and the file, and nothing is published."""
    trained = train(tmp_path, tmp_path / "none")
    assert trained.returncode == 1
    assert trained.stderr.startswith("error: SIGNING_KEY_FILE: ")
    assert str(tmp_path / "none") in trained.stderr
    assert len(trained.stderr.splitlines()) == 1
    assert not (tmp_path / "artifacts").exists()
