"""File systems without file locks, and NFS, whose locks are different: everything works, and prune is careful."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.flock import flock_environment, needs_shim
from tests.support.releases import publish_checkerboard
from tools.servers import model_server, recommender, wait_until_serving
from trainer.release.catalogue import served_versions

pytestmark = [pytest.mark.slow, needs_shim]

MODES = ["enolck", "nfs4"]
PUBLISH = "from tests.support.releases import publish_checkerboard; import pathlib, sys; "
PUBLISH += "publish_checkerboard(pathlib.Path(sys.argv[1]))"


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=200
    )


@pytest.mark.parametrize("mode", MODES)
def test_the_service_serves_all_the_same(tmp_path: Path, mode: str) -> None:
    """A release is served without a lock, and one line says so where there is none."""
    publish_checkerboard(tmp_path)
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, address),
        recommender(tmp_path, address, tmp_path / "log", **flock_environment(mode, tmp_path)) as (server, service),
    ):
        wait_until_serving(service)
        time.sleep(1.3)  # one more look at the folder
        assert len(server.events("release not locked")) == (1 if mode == "enolck" else 0)
        assert server.events("bug") == server.events("release refused") == []


def test_without_locks_prune_keeps_what_may_be_in_use(tmp_path: Path) -> None:
    """`prune` removes nothing, says which versions stay and why, and removes them with --force."""
    versions = [publish_checkerboard(tmp_path) for _ in range(3)]
    (tmp_path / "releases" / ".staging-20260101000000").mkdir()
    (tmp_path / "releases" / ".staging-20260101000000" / ".claim").touch()
    environment = flock_environment("enolck", tmp_path)
    prune = ("-m", "trainer", "releases", "prune", "--keep=1", "--artifacts", str(tmp_path))
    kept = run(environment, *prune)
    listed = ", ".join(map(str, [20260101000000, *versions[:-1]]))
    assert kept.stdout.splitlines() == [
        "removed: nothing",
        f"kept, because they may be in use (no file locks, or no permission): {listed}",
        "--force removes them too",
    ]
    assert served_versions(tmp_path) == versions
    forced = run(environment, *prune, "--force")
    assert forced.stdout == f"removed: {versions[0]}, {versions[1]}\n"
    assert served_versions(tmp_path) == versions[-1:]
    assert list((tmp_path / "releases").glob(".*")) == []


def test_on_nfs_prune_spares_what_is_in_use(tmp_path: Path) -> None:
    """A release that is served stays, and so does what another trainer is writing. The rest goes."""
    versions = [publish_checkerboard(tmp_path) for _ in range(3)]
    environment = flock_environment("nfs4", tmp_path)
    view = tmp_path / "view"
    (view / "releases").mkdir(parents=True)
    (view / "releases" / str(versions[1])).symlink_to(tmp_path / "releases" / str(versions[1]))
    writes = "from trainer.release.staging import claimed_version; import pathlib, sys, time; "
    writes += "releases, models = map(pathlib.Path, sys.argv[1:]); "
    writes += "claim = claimed_version(models, releases); print(claim.__enter__(), flush=True); time.sleep(250)"
    folders = (str(tmp_path / "releases"), str(tmp_path / "models" / "user_embedding"))
    with (
        model_server(tmp_path, tmp_path / "model_server.log") as (_, address),
        recommender(view, address, tmp_path / "recommender.log", **environment) as (_, service),
        subprocess.Popen(
            [sys.executable, "-c", writes, *folders], env={**os.environ, **environment}, stdout=subprocess.PIPE
        ) as trainer,
    ):
        wait_until_serving(service)
        assert trainer.stdout is not None
        writing = int(trainer.stdout.readline())
        pruned = run(environment, "-m", "trainer", "releases", "prune", "--keep=1", "--artifacts", str(tmp_path))
        trainer.kill()
    assert pruned.stdout.splitlines() == [
        f"removed: {versions[0]}",
        f"kept, because in use: {versions[1]}, {writing}",
    ]
    assert (tmp_path / "releases" / f".staging-{writing}").is_dir()


@pytest.mark.parametrize("mode", MODES)
def test_trainers_publish_all_the_same(tmp_path: Path, mode: str) -> None:
    """Two trainers at once publish two releases, and leave nothing else behind."""
    environment = flock_environment(mode, tmp_path)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: run(environment, "-c", PUBLISH, str(tmp_path)), range(2)))
    assert [done.returncode for done in runs] == [0, 0], runs
    assert len(served_versions(tmp_path)) == 2
    assert list((tmp_path / "releases").rglob(".*")) == []


KEYS = "from trainer.release import keys; import numpy, pathlib, sys\n"
KEYS += "for n in range(20):\n"
KEYS += "    new = numpy.array([f'{sys.argv[2]} {n}', f'both {n}'], object)\n"
KEYS += "    print(*keys.ids_of_keys(pathlib.Path(sys.argv[1]), keys.USERS, new))"


@pytest.mark.parametrize("mode", MODES)
def test_keys_get_one_id_each(tmp_path: Path, mode: str) -> None:
    """Two trainers that add text keys at once give each key one id of its own."""
    environment = flock_environment(mode, tmp_path)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda name: run(environment, "-c", KEYS, str(tmp_path), name), "ab"))
    assert [done.returncode for done in runs] == [0, 0], runs
    first, second = ([tuple(map(int, line.split())) for line in done.stdout.splitlines()] for done in runs)
    assert [both for _, both in first] == [both for _, both in second]
    assert sorted([*(own for own, _ in first + second), *(both for _, both in first)]) == list(range(60))
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["users.txt"]


def test_without_locks_a_dead_trainers_lock_file_is_named(tmp_path: Path) -> None:
    """The error names the file that a dead trainer left, and says when to remove it."""
    (tmp_path / "keys").mkdir()
    lock = tmp_path / "keys" / "users.txt.lock"
    lock.touch()
    impatient = KEYS.replace("\n", "; keys.LOCK_TIMEOUT_S = 2.0\n", 1)
    ended = run(flock_environment("enolck", tmp_path), "-c", impatient, str(tmp_path), "a")
    assert f"KeyTableError: {lock}: expected that another trainer removes it within 2 s" in ended.stderr
    assert ended.stderr.endswith("remove it if no trainer runs\n")
