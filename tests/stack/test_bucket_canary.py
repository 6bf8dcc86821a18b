"""A canary that is named in a bucket of a real S3 server, and what follows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from object_storage.bucket import Bucket
from protos.release.v1.canary import Canary, read_canary, write_canary
from tests.support.object_store import mirror_of, needs_versitygw, put, whole_versions
from tests.support.releases import publish_checkerboard
from trainer.cli.main import main
from trainer.release.bucket_catalogue import roll_back_bucket
from trainer.release.catalogue import models_folder, releases_folder, versions_in
from trainer.release.upload import upload

pytestmark = [pytest.mark.slow, needs_versitygw]


def test_a_canary_is_named_in_the_bucket(
    bucket: Bucket,
    two_releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A host that follows the bucket names the canary before it holds it, and no canary once it is promoted."""
    monkeypatch.setenv("ARTIFACTS", bucket.url)
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    followed = releases_folder(elsewhere)
    older, newer = put(bucket, two_releases, 0, 1)

    def releases(*arguments: str, status: int = 0) -> str:
        assert main(["releases", *arguments, "--artifacts", str(here)]) == status
        return capsys.readouterr().out

    assert releases("canary", str(newer), "--share=5%") == f"release {newer} serves 5% of the users\n"
    mirror = mirror_of(bucket, elsewhere)
    assert mirror.look()
    assert read_canary(followed) == read_canary(releases_folder(here)) == Canary(newer, 0.05)
    assert "removed from" in releases("prune", "--keep=1")
    assert bucket.releases() == [newer, older]
    assert releases("promote") == f"promoted {newer}: it serves all users\n"
    assert mirror.look()
    assert read_canary(followed) is None
    assert whole_versions(elsewhere) == [older, newer]
    releases("canary", str(newer), "--share=5%")
    assert mirror.look()
    assert releases("withdraw") == f"withdrew {newer}: the release before it serves all users\n"
    assert mirror.look()
    assert read_canary(followed) is None
    assert versions_in(followed) == bucket.releases() == versions_in(releases_folder(here)) == [older]
    releases("promote", status=1)


def test_a_canary_is_published_with_its_share(bucket: Bucket, two_releases: Path, tmp_path: Path) -> None:
    """The canary is named before its release is complete, and is no canary if the next trainer publishes another."""
    older, newer = versions_in(releases_folder(two_releases))
    put(bucket, two_releases, 0)
    release, model = releases_folder(two_releases) / str(newer), models_folder(two_releases) / str(newer)
    upload(bucket, newer, release, model, Canary(newer, 0.2))
    assert mirror_of(bucket, tmp_path).look()
    assert read_canary(releases_folder(tmp_path)) == Canary(newer, 0.2)
    assert whole_versions(tmp_path) == [older, newer]
    upload(bucket, newer, release, model)
    assert bucket.canary() == b""


def test_a_withdrawn_canary_is_gone_before_the_next_is_named(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Withdrawn and followed by another between two looks, a canary never becomes the release that serves all users."""
    published, followed = tmp_path / "published", tmp_path / "followed"
    stable, withdrawn, newest = (publish_checkerboard(published) for _ in range(3))
    put(bucket, published, 0, 1)
    bucket.name_canary(Canary(withdrawn, 0.05).encoded())
    mirror = mirror_of(bucket, followed)
    assert mirror.look()
    bucket.forget_canary()
    roll_back_bucket(bucket)
    release, model = releases_folder(published) / str(newest), models_folder(published) / str(newest)
    upload(bucket, newest, release, model, Canary(newest, 0.2))
    there: list[list[int]] = []

    def named(releases: Path, content: bytes) -> None:
        there.append(versions_in(releases))
        write_canary(releases, content)

    monkeypatch.setattr("object_storage.mirror.write_canary", named)
    assert mirror.look()
    assert there == [[stable]]
    assert read_canary(releases_folder(followed)) == Canary(newest, 0.2)
    assert versions_in(releases_folder(followed)) == [stable, newest]
