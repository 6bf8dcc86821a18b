"""Releases that say that they were trained on events."""

from __future__ import annotations

import shutil
from pathlib import Path

from protos.release.v1 import layout
from tests.support.crafted import change_manifest
from tests.support.releases import publish_checkerboard


def publish_with_events(artifacts: Path, store_id: str, last_event: int) -> int:
    """Publish the checkerboard, turned by 45°, with a manifest that names a store and an event. Returns the version.

    The release and its model appear whole, by a rename each, as the trainer publishes them.
    """
    scratch = artifacts / ".with-events"
    version = publish_checkerboard(scratch, rotate_degrees=45)
    held = {"store_id": store_id, "last_event": str(last_event)}
    change_manifest(scratch / layout.RELEASES / str(version), lambda manifest: manifest.update(events=held))
    for folder in (Path(layout.MODELS) / layout.MODEL_NAME, Path(layout.RELEASES)):
        (artifacts / folder).mkdir(parents=True, exist_ok=True)
        (scratch / folder / str(version)).rename(artifacts / folder / str(version))
    shutil.rmtree(scratch)
    return version


def withdraw(artifacts: Path, version: int) -> None:
    """Remove a release; its model may stay."""
    shutil.rmtree(artifacts / layout.RELEASES / str(version))
