"""ARTIFACTS, right and wrong, and what is imported without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recommender_service.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", ""),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/some/prefix/", "s3://bucket/some/prefix"),
        ("file:///mnt/artifacts", "file:///mnt/artifacts"),
    ],
)
def test_urls_of_buckets_are_accepted(url: str, expected: str) -> None:
    """A bucket with or without a prefix, or a folder; empty turns object storage off."""
    assert Settings.from_environment({"ARTIFACTS": url}).artifacts == expected


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("artifacts", "'artifacts'"),
        ("https://host/bucket", "'https://host/bucket'"),
        ("s3:///prefix", "'s3:///prefix'"),
        ("file://relative", "'file://relative'"),
        ("s3://key:secret@bucket", "something else"),
    ],
)
def test_other_urls_are_refused(url: str, shown: str) -> None:
    """The message says what was expected, and shows nothing that may be a password."""
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({"ARTIFACTS": url})
    expected = "s3://bucket/prefix, gs://bucket/prefix or file:///folder, without credentials"
    assert str(error.value) == f"ARTIFACTS: expected {expected}, got {shown}"


def test_without_a_bucket_nothing_of_it_is_imported() -> None:
    """A service without ARTIFACTS loads nothing that talks to a store."""
    code = "import recommender_service.__main__, recommender_service.server, sys; "
    code += "print([m for m in sys.modules if m.split('.')[0] in {'fsspec', 's3fs', 'botocore', 'aiohttp'}])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
