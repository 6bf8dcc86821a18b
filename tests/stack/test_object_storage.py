"""Releases published to a bucket of a real S3 server, which fails meanwhile."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from object_storage.bucket import Bucket, ObjectStorageError
from tests.support.learning import SMALL, write_tastes
from tests.support.object_store import (
    SECRET,
    ObjectStore,
    mirror_of,
    needs_versitygw,
    put,
    whole_versions,
)
from tools.processes import wait_for
from trainer.cli.main import main
from trainer.release.bucket_catalogue import ABANDONED_AFTER
from trainer.release.catalogue import versions_in
from trainer.release.keys import USERS, ids_of_keys
from trainer.release.staging import claimed_version, staging_folder
from trainer.release.upload import claim

pytestmark = needs_versitygw

MIDDLE = 40_000  # bytes, of the 100,000 that a release and its model take
TRAINERS = 4


@pytest.mark.slow
def test_a_server_killed_while_publishing_shows_nothing(
    store: ObjectStore, bucket: Bucket, two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload ends with one line. Nothing is visible, and the number stays taken."""
    monkeypatch.setattr("trainer.release.upload.PATIENCE_S", 0.5)
    store.wire.after(MIDDLE, store.kill)
    with pytest.raises(ObjectStorageError, match=r"^ARTIFACTS=s3://\S+: expected .*, got ") as caught:
        put(bucket, two_releases, 0)
    assert SECRET not in str(caught.value)
    wait_for(lambda: store.server.process.poll() is not None, "the server is gone")
    store.heal()
    (claimed,) = bucket.objects("claims")
    assert bucket.objects("models")
    assert bucket.releases() == []
    assert not claim(bucket, int(claimed))
    assert mirror_of(bucket, tmp_path).look()
    assert whole_versions(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["killed", "stopped", "slow"])
def test_publishing_outlasts_a_fault(
    fault: str, store: ObjectStore, bucket: Bucket, two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed and started again, hangs for a while, or is slow costs time and nothing else."""
    monkeypatch.setattr("object_storage.bucket.TIMEOUT_S", 2.0)
    is_hurt = threading.Event()

    def hurt() -> None:
        if fault == "slow":
            store.wire.pause_s = 0.005
        else:
            store.server.process.send_signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        is_hurt.set()

    store.wire.after(MIDDLE, hurt)
    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(put, Bucket(bucket.url), two_releases, 0)
        assert is_hurt.wait(100)
        if fault == "killed":
            wait_for(lambda: store.server.process.poll() is not None, "the server is gone")
        if fault != "slow":
            store.heal()
        expected = uploading.result(200)
    assert mirror_of(bucket, tmp_path).look()
    assert whole_versions(tmp_path) == expected


@pytest.mark.slow
def test_a_claim_whose_answers_are_lost_is_kept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that a trainer has claimed, without hearing of it, is the trainer's when it asks again."""
    create, lost = Bucket.create, iter([True, False, True, False])

    def create_unheard(self: Bucket, path: str, content: bytes) -> bool:
        created = create(self, path, content)
        if next(lost):
            raise ObjectStorageError("the answer was lost")
        return created

    monkeypatch.setattr(Bucket, "create", create_unheard)
    assert claim(bucket, 1)


@pytest.mark.slow
def test_trainers_at_once_never_share_a_number(bucket: Bucket, tmp_path: Path) -> None:
    """Trainers on hosts of their own claim different numbers, above the highest that was ever claimed."""
    highest = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S")) + 10_000_000_000  # by a clock that is a year ahead
    assert claim(bucket, highest)
    all_claim = threading.Barrier(TRAINERS)

    def number_of(trainer: int) -> int:
        folder = tmp_path / str(trainer)
        all_claim.wait(30)
        with claimed_version(folder / "models", folder / "releases", Bucket(bucket.url)) as version:
            staging_folder(folder / "releases", version).rename(folder / "releases" / str(version))
        return version

    with ThreadPoolExecutor(TRAINERS) as pool:
        numbers = sorted(pool.map(number_of, range(TRAINERS)))
    assert numbers == [highest + 1 + trainer for trainer in range(TRAINERS)]


@pytest.mark.slow
def test_trainers_at_once_give_text_keys_the_same_ids(bucket: Bucket, tmp_path: Path) -> None:
    """A key has one id whichever trainer asks, and each trainer's table is the first part of the bucket's."""

    def ids_for(trainer: int) -> dict[str, int]:
        keys = np.array(sorted({"everybody's", *(f"{trainer + step}'s" for step in range(3))}), object)
        ids = ids_of_keys(tmp_path / str(trainer), USERS, keys, Bucket(bucket.url))
        return dict(zip(keys.tolist(), ids.tolist(), strict=True))

    with ThreadPoolExecutor(TRAINERS) as pool:
        answers = list(pool.map(ids_for, range(TRAINERS)))
    merged = {key: number for answer in answers for key, number in answer.items()}
    assert all(answer.items() <= merged.items() for answer in answers)
    assert sorted(merged.values()) == list(range(len(merged)))
    assert ids_for(0).items() <= merged.items()
    tables = sorted((tmp_path / str(trainer) / "keys" / USERS).read_bytes() for trainer in range(TRAINERS))
    assert all(tables[-1].startswith(table) or len(table) == len(tables[-1]) for table in tables)


@pytest.mark.slow
def test_a_bucket_is_listed_rolled_back_and_pruned(
    store: ObjectStore,
    bucket: Bucket,
    two_releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The commands act on the bucket and on the local folder. What nobody finished goes after a day."""
    monkeypatch.setenv("ARTIFACTS", bucket.url)
    older, newer = put(bucket, two_releases, 0, 1)

    def releases(*arguments: str) -> str:
        assert main(["releases", *arguments, "--artifacts", str(tmp_path)]) == 0
        return capsys.readouterr().out

    listed = releases("list")
    assert f"\n{older}" in listed
    assert f"\n{newer}" in listed
    assert releases("rollback") == f"withdrew {newer}; the newest release is {older}\n"
    assert bucket.releases() == versions_in(tmp_path / "releases") == [older]
    assert main(["releases", "rollback", "--artifacts", str(tmp_path)]) == 1
    assert releases("prune", "--keep=1").startswith(f"removed from {bucket.url}: nothing\n")
    claimed_at = (datetime.now(UTC) - 2 * ABANDONED_AFTER).timestamp()
    os.utime(store.path_of(bucket) / "claims" / str(newer), (claimed_at, claimed_at))
    assert releases("prune", "--keep=1").startswith(f"removed from {bucket.url}: {newer}\n")
    assert {path.partition("/")[0] for path in bucket.objects("releases")} == {str(older)}
    assert set(bucket.objects("claims")) == {str(older), str(newer)}


@pytest.mark.parametrize(
    ("value", "status", "line"),
    [
        ("https://host/bucket", 1, "ARTIFACTS: expected s3://bucket/prefix, gs://bucket/prefix or file:///folder"),
        ("s3://key:secret@bucket/x", 1, "without credentials, got something else"),
        ("gs://bucket/x", 1, "ARTIFACTS: expected none, because gcsfs is not installed, got 'gs://bucket/x'"),
        ("s3://nobody/x", 4, "ARTIFACTS=s3://nobody/x: expected a list of releases/, got FileNotFoundError: "),
    ],
    ids=["no bucket", "with a password", "not installed", "not there"],
)
def test_a_wrong_bucket_is_named_by_its_setting(
    value: str,
    status: int,
    line: str,
    store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The trainer ends with one line and a status that tells whether a repetition may help, before it reads data."""
    store.heal()
    monkeypatch.setenv("ARTIFACTS", value)
    assert main(["train", "--data", str(tmp_path / "none"), "--artifacts", str(tmp_path)]) == status
    (shown,) = capsys.readouterr().err.splitlines()
    assert line in shown
    assert "secret" not in shown


def test_no_line_holds_the_credentials(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the server refuses the key, the trainer says so and shows nothing of it."""
    monkeypatch.setenv("ARTIFACTS", bucket.url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-of-the-tests")
    monkeypatch.setattr("object_storage.bucket.TIMEOUT_S", 14.0)  # so that there is no client with the right one
    assert main(["releases", "list", "--artifacts", str(tmp_path)]) == 4
    (shown,) = capsys.readouterr().err.splitlines()
    assert "PermissionError" in shown
    assert "of-the-tests" not in shown


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_trainer_elsewhere_goes_on_from_the_bucket(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training publishes to the bucket and into the local folder. A trainer with an empty folder finds the release."""
    monkeypatch.setenv("ARTIFACTS", bucket.url)
    write_tastes(tmp_path / "data")

    def train(folder: str, *flags: str) -> int:
        return main(["train", f"--data={tmp_path / 'data'}", f"--artifacts={tmp_path / folder}", *SMALL, *flags])

    assert train("here") == 0
    assert whole_versions(tmp_path / "here") == bucket.releases()
    assert train("there", "--if-none") == 0
    assert whole_versions(tmp_path / "there") == bucket.releases()
    assert len(bucket.objects("claims")) == 1
