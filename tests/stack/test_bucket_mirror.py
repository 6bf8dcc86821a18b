"""Local folders that follow a bucket of a real S3 server: verified, resumed, repaired, and left alone in doubt."""

from __future__ import annotations

import fcntl
import logging
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from object_storage.bucket import Bucket, ObjectStorageError
from object_storage.folder import MARKER
from object_storage.mirror import Mirror
from protos.release.v1.layout import MANIFEST
from tests.support.object_store import ObjectStore, mirror_of, needs_versitygw, put, whole_versions
from tests.support.releases import publish_checkerboard
from tools.processes import wait_for
from trainer.release.catalogue import models_folder, releases_folder, versions_in
from trainer.release.upload import claim

pytestmark = [pytest.mark.slow, needs_versitygw]

MIDDLE = 40_000  # bytes, of the 100,000 that a release and its model take


def files_below(folder: Path) -> dict[Path, bytes]:
    """The content of each file below a folder but the mirror's own, by its path relative to that."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {path.relative_to(folder): path.read_bytes() for path in paths}


def synchronised(caplog: pytest.LogCaptureFixture) -> dict[str, int]:
    """The bytes that each folder of a version took, by the last two parts of its path."""
    fields = [record.__dict__["fields"] for record in caplog.records if record.message == "synchronised"]
    return {"/".join(Path(of["path"]).parts[-2:]): of["bytes"] for of in fields}


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why releases were not synchronised."""
    records = [record for record in caplog.records if record.message == "release not synchronised"]
    return [record.__dict__["fields"]["reason"] for record in records]


def test_only_what_changed_is_downloaded(
    bucket: Bucket, two_releases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What arrives is what was published. Files that an older release has too are copied from there."""
    caplog.set_level(logging.INFO, "object_storage")
    mirror = mirror_of(bucket, tmp_path)
    older, newer = put(bucket, two_releases, 0)[0], versions_in(releases_folder(two_releases))[1]
    assert mirror.look()
    put(bucket, two_releases, 1)
    assert mirror.look()
    assert whole_versions(tmp_path) == [older, newer]
    for kind in (releases_folder, models_folder):
        assert files_below(kind(tmp_path)) == files_below(kind(two_releases))
    old, new = (files_below(releases_folder(two_releases) / str(version)) for version in (older, newer))
    changed = [len(content) for path, content in new.items() if content != old[path] and path.name != MANIFEST]
    assert len(changed) < len(new) - 1
    assert synchronised(caplog)[f"releases/{newer}"] == sum(changed)
    caplog.clear()
    assert mirror.look()
    assert not caplog.records


def test_an_interrupted_download_goes_on(
    store: ObjectStore, bucket: Bucket, two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle, the server is asked afterwards only for what is missing, in the middle of a file too."""
    monkeypatch.setattr("object_storage.download.CHUNK_BYTES", 4096)
    (version,) = put(bucket, two_releases, 0)
    store.wire.reset()
    assert mirror_of(bucket, tmp_path / "all").look()
    everything = store.wire.passed
    for share in (0.5, 0.55, 0.6, 0.65):  # until it dies within a file, and not between two
        half = tmp_path / str(share)
        store.wire.reset()
        store.wire.after(int(share * everything), store.kill)
        mirror = mirror_of(bucket, half)
        with pytest.raises(ObjectStorageError):
            mirror.look()
        if list(half.rglob("*.partial")):
            break
        store.heal()
    assert versions_in(models_folder(half)) == []
    assert list(half.rglob("*.partial"))
    store.heal()
    assert mirror.look()
    assert whole_versions(half) == [version]
    assert store.wire.passed < (1.25 - share) * everything


def test_only_a_release_that_was_pruned_stays_while_it_is_served(bucket: Bucket, tmp_path: Path) -> None:
    """What is older than all releases of the bucket was pruned; what lies between them was withdrawn, and goes."""
    published, followed = tmp_path / "published", tmp_path / "followed"
    pruned, older, withdrawn, newer = (publish_checkerboard(published) for _ in range(4))
    put(bucket, published, 1, 3)
    mirror = mirror_of(bucket, followed)
    assert mirror.look()
    releases = releases_folder(followed)
    with ExitStack() as stack:
        for version in (pruned, withdrawn):
            shutil.copytree(releases_folder(published) / str(version), releases / str(version))
            fcntl.flock(stack.enter_context((releases / str(version) / MANIFEST).open("rb")), fcntl.LOCK_SH)
        assert mirror.look()
        assert versions_in(releases) == [pruned, older, newer]
    assert mirror.look()
    assert versions_in(releases) == [older, newer]


@pytest.mark.parametrize("damage", ["cut short", "altered", "missing", "manifest cut short"])
def test_a_damaged_object_is_refused_by_name(
    damage: str,
    store: ObjectStore,
    bucket: Bucket,
    two_releases: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The older release stays, and one line names the object. A new look at the repaired bucket brings the release."""
    older, newer = put(bucket, two_releases, 0, 1)
    name = MANIFEST if damage == "manifest cut short" else "movies.csv"
    path = store.path_of(bucket) / "releases" / str(newer) / name
    content = path.read_bytes()
    wrong = {"altered": content.replace(b"Drama", b"Trauma"[:5]), "missing": b""}.get(damage, content[:-9])
    path.write_bytes(wrong)
    if damage == "missing":
        path.unlink()
    mirror = mirror_of(bucket, tmp_path)
    assert mirror.look()
    assert mirror.look()
    assert whole_versions(tmp_path) == [older]
    (reason,) = refusals(caplog)
    assert reason.startswith(f"{bucket.url}/releases/{newer}/{name}: ")
    put_back(store, path, content)
    assert mirror_of(bucket, tmp_path).look()
    assert whole_versions(tmp_path) == [older, newer]


def put_back(store: ObjectStore, path: Path, content: bytes) -> None:
    """Write an object as it was, by way of the server."""
    bucket, _, name = str(path.relative_to(store.buckets)).partition("/movies/")
    (store.buckets.parent / "back").write_bytes(content)
    Bucket(f"s3://{bucket}/movies").upload(store.buckets.parent / "back", name)


def test_a_damaged_cache_is_repaired(bucket: Bucket, two_releases: Path, tmp_path: Path) -> None:
    """At its start a mirror compares what is there with the manifest, and downloads what is wrong or missing."""
    (version,) = put(bucket, two_releases, 0)
    assert mirror_of(bucket, tmp_path).look()
    release, model = releases_folder(tmp_path) / str(version), models_folder(tmp_path) / str(version)
    (release / "movies.csv").write_text("movie_id\n")
    (model / "saved_model.pb").unlink()
    assert mirror_of(bucket, tmp_path).look()
    assert files_below(release) == files_below(releases_folder(two_releases) / str(version))
    assert files_below(model) == files_below(models_folder(two_releases) / str(version))


def test_a_server_that_hangs_is_named_in_time(
    store: ObjectStore, bucket: Bucket, two_releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look ends with one line instead of waiting; what is there stays; later looks go on."""
    expected = put(bucket, two_releases, 0)
    assert mirror_of(bucket, tmp_path).look()
    monkeypatch.setattr("object_storage.bucket.TIMEOUT_S", 0.5)
    mirror = mirror_of(Bucket(bucket.url), tmp_path)
    store.server.send(signal.SIGSTOP)
    with pytest.raises(ObjectStorageError, match=r"^ARTIFACTS=s3://\S+: expected a list of releases/, got .*Timeout"):
        mirror.look()
    assert whole_versions(tmp_path) == expected
    store.heal()
    expected += put(bucket, two_releases, 1)
    store.wire.pause_s = 0.003

    def is_reached() -> bool:
        with suppress(ObjectStorageError):  # on a busy machine some answers take longer than half a second
            return mirror.look()
        return False

    wait_for(is_reached, "a look succeeds", 120)
    assert whole_versions(tmp_path) == expected


def test_an_empty_bucket_takes_nothing_away(bucket: Bucket, two_releases: Path, tmp_path: Path) -> None:
    """Local releases stay if the bucket has lost all of its own."""
    expected = put(bucket, two_releases, 0)
    mirror = mirror_of(bucket, tmp_path)
    assert mirror.look()
    bucket.remove([f"releases/{name}" for name in bucket.objects("releases")])
    assert mirror.look()
    assert whole_versions(tmp_path) == expected


def test_a_folder_of_another_origin_is_refused(bucket: Bucket, two_releases: Path, tmp_path: Path) -> None:
    """A mirror would remove what the bucket does not have, so it does not begin."""
    before = files_below(two_releases)
    with pytest.raises(ObjectStorageError, match="to be empty or to come from there, got releases of another origin"):
        mirror_of(bucket, two_releases)
    assert mirror_of(bucket, tmp_path).look()
    with pytest.raises(ObjectStorageError, match=f"got releases of {bucket.url}"):
        mirror_of(Bucket(f"{bucket.url}-2"), tmp_path)
    assert files_below(two_releases) == before


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text.replace('"saved_model.pb"', '"../../x"')])
def test_a_model_comes_only_with_a_right_manifest(
    change: Callable[[str], str],
    store: ObjectStore,
    bucket: Bucket,
    two_releases: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A model is a program: without the signature, or with names that lead elsewhere, it is not brought."""
    (version,) = put(bucket, two_releases, 0)
    path = store.path_of(bucket) / "releases" / str(version) / MANIFEST
    text = path.read_text()
    put_back(store, path, change(text).encode())
    keys = tmp_path / "keys"
    keys.write_text("k" * 32)
    assert Mirror(bucket, None, tmp_path / "models", keys if change(text) == text else None).look()
    assert versions_in(tmp_path / "models") == []
    (reason,) = refusals(caplog)
    assert "expected a signature" in reason or "expected the name of a file" in reason


def test_one_process_synchronises_a_folder_at_a_time(bucket: Bucket, two_releases: Path, tmp_path: Path) -> None:
    """A second mirror of the same folder leaves the download to the first."""
    put(bucket, two_releases, 0)
    mirror = mirror_of(bucket, tmp_path)
    with (releases_folder(tmp_path) / MARKER).open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert not mirror.look()
        assert versions_in(releases_folder(tmp_path)) == []
    assert mirror.look()
    assert len(whole_versions(tmp_path)) == 1


def test_a_folder_may_stand_for_a_bucket(two_releases: Path, tmp_path: Path) -> None:
    """With file:///folder all is the same, without a server."""
    bucket = Bucket(f"file://{tmp_path}/bucket")
    expected = put(bucket, two_releases, 0, 1)
    assert not claim(bucket, expected[0])
    assert mirror_of(bucket, tmp_path / "local").look()
    assert whole_versions(tmp_path / "local") == expected
