"""Releases are published whole or not at all, by any number of trainers, and are removed only if not in use."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recommender_service.release_files import complete_versions
from recommender_service.release_loading import load_release
from tests.support.releases import publish_checkerboard
from tools.servers import model_server, recommender, wait_until_serving
from trainer.release.catalogue import published_releases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = "from tests.support.releases import publish_checkerboard; from pathlib import Path; import sys; "


def releases(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainer", "releases", *arguments], capture_output=True, text=True, timeout=250
    )


def versions(artifacts: Path) -> list[int]:
    return sorted(complete_versions(artifacts / "releases"))


def check_whole(artifacts: Path) -> None:
    """Check that every published release loads and that every published model has all its files."""
    for version in versions(artifacts):
        load_release(artifacts / "releases" / str(version))
    for model in (artifacts / "models" / "user_embedding").glob("[0-9]*"):
        files = {path.name for path in model.rglob("*") if path.is_file()}
        assert {"saved_model.pb", "variables.index", "tf_serving_warmup_requests"} <= files


@pytest.mark.long
def test_a_killed_trainer_leaves_only_whole_releases(tmp_path: Path) -> None:
    """Killed at any moment, a trainer leaves the old releases or the old and the new, and `prune` removes the rest."""
    publish_checkerboard(tmp_path)
    (before,) = versions(tmp_path)
    delays = [str(0.08 * step) for step in range(1, 17)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.publish_and_die", str(tmp_path), *delays],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("killed") >= 3, run.stdout
    assert before in versions(tmp_path)
    check_whole(tmp_path)
    assert releases("prune", "--keep=1", "--artifacts", str(tmp_path)).returncode == 0
    check_whole(tmp_path)
    assert list((tmp_path / "releases").glob(".*")) == list((tmp_path / "models" / "user_embedding").glob(".*")) == []
    newest = publish_checkerboard(tmp_path)
    assert versions(tmp_path)[-1] == newest


@pytest.mark.long
def test_two_trainers_in_one_second_publish_two_releases(tmp_path: Path) -> None:
    """Two trainers that publish at once get two versions."""
    command = [sys.executable, "-c", SCRIPT + "publish_checkerboard(Path(sys.argv[1]))", str(tmp_path)]
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: subprocess.run(command, capture_output=True, timeout=250), range(2)))
    assert [run.returncode for run in runs] == [0, 0]
    assert len(versions(tmp_path)) == 2
    check_whole(tmp_path)


def test_versions_ascend_when_the_clock_goes_backwards(tmp_path: Path) -> None:
    """After a version from the future, the next version is one more."""
    from_the_future = 29991231235959
    (tmp_path / "models" / "user_embedding" / str(from_the_future)).mkdir(parents=True)
    assert publish_checkerboard(tmp_path) == from_the_future + 1


def test_a_full_disk_leaves_nothing_and_is_reported(tmp_path: Path) -> None:
    """If a file cannot be written, the trainer fails with the reason and the folders are as before."""
    publish_checkerboard(tmp_path)
    before = versions(tmp_path)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); import signal; "
    limit += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "  # such writes then fail as on a full disk
    command = [sys.executable, "-c", SCRIPT + limit + "publish_checkerboard(Path(sys.argv[1]))", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert run.returncode != 0
    assert "File too large" in run.stderr
    assert versions(tmp_path) == before
    assert [p.name for p in (tmp_path / "releases").iterdir()] == [str(before[0])]
    assert [p.name for p in (tmp_path / "models" / "user_embedding").iterdir()] == [str(before[0])]


@pytest.fixture(scope="module")
def four_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four releases."""
    artifacts = tmp_path_factory.mktemp("four")
    for _ in range(4):
        publish_checkerboard(artifacts)
    return artifacts


def test_releases_are_listed_with_data_and_size(four_releases: Path) -> None:
    """`releases list` prints a line per release, oldest first, with the name of its data set."""
    run = releases("list", "--artifacts", str(four_releases))
    header, *lines = run.stdout.splitlines()
    assert header.split() == ["release", "dataset", "recall@20", "ndcg@20", "MB", "note"]
    assert [int(line.split()[0]) for line in lines] == versions(four_releases)
    assert all("hand-made" in line for line in lines)


def test_prune_and_rollback_spare_releases_in_use(four_releases: Path) -> None:
    """`prune` keeps the release that a service is serving; `rollback` needs an older release to go back to."""
    oldest, _, third, newest = versions(four_releases)
    with model_server(four_releases, four_releases / "model_server.log") as (_, address):
        # This service sees only the third release, as if the newest had been withdrawn.
        view = four_releases / "view"
        (view / "releases").mkdir(parents=True)
        (view / "releases" / str(third)).symlink_to(four_releases / "releases" / str(third))
        with recommender(view, address, four_releases / "recommender.log") as (_, service):
            wait_until_serving(service)
            run = releases("prune", "--keep=1", "--artifacts", str(four_releases))
            assert f"kept, because in use: {third}\n" in run.stdout
            assert versions(four_releases) == [third, newest]
            assert [r.has_model for r in published_releases(four_releases)] == [True, True]
            assert oldest not in versions(four_releases)
        run = releases("rollback", "--artifacts", str(four_releases))
        assert run.stdout == f"withdrew {newest}; the newest release is {third}\n"
        assert versions(four_releases) == [third]
        run = releases("rollback", "--artifacts", str(four_releases))
        assert run.returncode == 1
        assert "expected an older release" in run.stderr
        assert publish_checkerboard(four_releases) > newest  # a version is never used twice
