"""Fixtures of the tests of object storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from object_storage.bucket import Bucket
from tests.support.object_store import ObjectStore, object_store
from tests.support.releases import publish_checkerboard


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A server that the environment variables of this process lead to."""
    with object_store(tmp_path_factory.mktemp("store")) as running, pytest.MonkeyPatch.context() as patch:
        for variable, value in running.environment.items():
            patch.setenv(variable, value)
        pytest.importorskip(
            "s3fs"
        ).S3FileSystem.clear_instance_cache()  # its clients keep the variables that they were made with
        yield running


@pytest.fixture
def bucket(store: ObjectStore) -> Bucket:
    """An empty bucket of a healthy server."""
    store.heal()
    name = f"bucket-{len(list(store.buckets.iterdir()))}"
    (store.buckets / name).mkdir()
    return Bucket(f"s3://{name}/movies")


@pytest.fixture(scope="session")
def two_releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts with two releases that are alike in some files."""
    artifacts = tmp_path_factory.mktemp("published")
    for degrees in (0, 5):
        publish_checkerboard(artifacts, rotate_degrees=degrees)
    return artifacts
