"""One model that several trainers fit together under tf.distribute: real processes, gRPC, SIGKILL."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protos.release.v1.layout import EMBEDDINGS, USER_IDS
from tests.support.tastes import tastes
from tests.support.training_workers import TrainingWorkers
from tools.processes import wait_for

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(2400)]

SMALL = ["--embedding-dim", "16", "--force"]
EPOCHS = 20
CHECKPOINT_S = 600
OF_THE_RATINGS = ("user_ids.npy", "watched_indptr.npy", "watched_rows.npy", "watched_positive.npy", "movies.csv")
PUBLISHED = (*OF_THE_RATINGS, "embeddings.npy", "movies.ann", "similar_movies.npy")


def folder_of(path: Path, ratings: pd.DataFrame) -> Path:
    """Write ratings as Parquet in many groups of rows, in an order that mixes the users."""
    path.mkdir()
    mixed = ratings.sample(frac=1, random_state=0)
    pq.write_table(pa.Table.from_pandas(mixed, preserve_index=False), path / "ratings.parquet", row_group_size=100)
    return path


def trained(folder: Path, flags: Sequence[Sequence[str]]) -> Path:
    """Run workers to their end, and return the release that the chief has published."""
    workers = TrainingWorkers(folder, flags)
    assert workers.statuses() == [0] * len(flags), workers.logs()
    (release,) = (workers.artifacts[0] / "releases").glob("[0-9]*")
    for artifacts in workers.artifacts[1:]:
        assert not list(artifacts.glob("releases/[0-9]*"))
        assert not (artifacts / "checkpoints").exists()
    assert "histories in" in workers.log(0)
    return release


def contents(release: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: (release / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("ratings") / "data", tastes(users=80, movies=60))


def test_two_workers_publish_one_release(data: Path, tmp_path: Path) -> None:
    """The chief's release has all users' ratings, as a single trainer writes them, and has learnt the tastes."""
    flags = ["--data", str(data), *SMALL]
    together = trained(tmp_path / "two", [flags, flags])
    alone = trained_alone(tmp_path / "one", flags)
    assert contents(together, OF_THE_RATINGS) == contents(alone, OF_THE_RATINGS)
    of_movies = np.load(together / EMBEDDINGS)
    parity = np.arange(1, len(of_movies) + 1) % 2  # every movie is liked; ids begin at 1
    cosines = of_movies @ of_movies.T - 2 * np.eye(len(of_movies))
    assert (parity[cosines.argmax(axis=1)] == parity).mean() > 0.8  # of the nearest other movies


def trained_alone(folder: Path, flags: Sequence[str]) -> Path:
    workers = TrainingWorkers(folder, [flags])
    assert workers.statuses() == [0], workers.logs()
    (release,) = (workers.artifacts[0] / "releases").glob("[0-9]*")
    return release


def test_three_workers_with_unequal_shares(tmp_path: Path) -> None:
    """Users with text ids, most of whom fall to one of three workers: all take the same steps and end with 0."""
    ratings = tastes(users=60, movies=30)
    names = [f"user-{number}@example" for number in range(2_000)]
    shares = pd.util.hash_array(np.array(names, object), categorize=False) % np.uint64(3)
    chosen = [*np.flatnonzero(shares == 0)[:55], *np.flatnonzero(shares == 1)[:3], *np.flatnonzero(shares == 2)[:2]]
    by_number = {number: names[at] for number, at in enumerate(chosen, start=1)}
    data = folder_of(tmp_path / "data", ratings.assign(user_id=ratings["user_id"].map(by_number)))
    flags = ["--data", str(data), *SMALL]
    release = trained(tmp_path / "three", [flags, flags, flags])
    assert len(np.load(release / USER_IDS)) == 60


@pytest.mark.parametrize("killed", [0, 1], ids=["the chief", "another"])
def test_a_killed_worker_is_named_and_training_resumes(
    killed: int, undisturbed: Path, data: Path, tmp_path: Path
) -> None:
    """The others end with 138 and its address. Started again, all go on and publish the bytes of a calm run."""
    flags = ["--data", str(data), "--epochs", str(EPOCHS), *SMALL]
    workers = TrainingWorkers(tmp_path, [flags, flags], held=killed)
    wait_for(lambda: workers.has_checkpoint(killed), "the worker has left a checkpoint", CHECKPOINT_S)
    workers.processes[killed].send_signal(signal.SIGKILL)
    statuses = workers.statuses()
    assert statuses[killed] == -signal.SIGKILL
    assert statuses[1 - killed] == 138, workers.logs()
    *_, line = workers.log(1 - killed).splitlines()
    expected = f"worker {killed} at {workers.addresses[killed]} has ended or cannot be reached: start all workers again"
    assert line == f"error: {expected}"
    assert not list(workers.artifacts[0].glob("releases/[0-9]*"))

    again = TrainingWorkers(tmp_path, [flags, flags])
    assert again.statuses() == [0, 0], again.logs()
    assert f"of {EPOCHS}, where it was killed" in again.log(0)
    (release,) = (again.artifacts[0] / "releases").glob("[0-9]*")
    assert contents(release, PUBLISHED) == contents(undisturbed, PUBLISHED)


@pytest.mark.parametrize("silent", [0, 1], ids=["the chief", "another"])
def test_a_silent_worker_is_named(silent: int, data: Path, tmp_path: Path) -> None:
    """A worker whose host says nothing more is as good as killed: the other names it and ends with 138."""
    flags = ["--data", str(data), "--epochs", "600", *SMALL]
    workers = TrainingWorkers(tmp_path, [flags, flags])
    wait_for(lambda: workers.has_checkpoint(silent), "the worker has left a checkpoint", CHECKPOINT_S)
    workers.processes[silent].send_signal(signal.SIGSTOP)
    try:
        assert workers.processes[1 - silent].wait(400) == 138, workers.logs()
        *_, line = workers.log(1 - silent).splitlines()
        expected = f"worker {silent} at {workers.addresses[silent]} has ended or cannot be reached"
        assert line == f"error: {expected}: start all workers again"
    finally:
        workers.processes[silent].send_signal(signal.SIGCONT)
        workers.statuses()


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = ["--data", str(data), "--epochs", str(EPOCHS), *SMALL]
    return trained(tmp_path_factory.mktemp("undisturbed") / "run", [flags, flags])


@pytest.mark.parametrize("what", ["flag", "file"])
def test_a_worker_with_other_flags_or_data_is_refused(what: str, data: Path, tmp_path: Path) -> None:
    """All workers end with status 1, and say which of them differs in what."""
    chief = ["--data", str(data), *SMALL]
    other = [*chief, "--epochs", "7"] if what == "flag" else list(chief)
    if what == "file":
        other[1] = str(folder_of(tmp_path / "other", tastes(users=79, movies=60)))
    workers = TrainingWorkers(tmp_path / "run", [chief, other])
    assert workers.statuses() == [1, 1], workers.logs()
    expected = {
        "flag": "--epochs: expected what worker 0 has, 'None', got '7'",
        "file": "the files' checksum: expected what worker 0 has, ",
    }
    for rank in (0, 1):
        assert f"worker 1 at {workers.addresses[1]}: {expected[what]}" in workers.log(rank)


def test_what_the_chief_refuses_ends_all(data: Path, tmp_path: Path) -> None:
    """The gate stops the chief; the others give its reason, and end with status 1 too."""
    flags = ["--data", str(data), "--embedding-dim", "1", "--epochs", "1", "--learning-rate", "1e-9"]
    workers = TrainingWorkers(tmp_path, [flags, flags])
    assert workers.statuses() == [1, 1], workers.logs()
    assert f"worker 0 at {workers.addresses[0]}: not published: " in workers.log(1)
