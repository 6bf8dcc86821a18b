"""What is published already."""

from __future__ import annotations

from pathlib import Path


def published_versions(artifacts: Path) -> list[int]:
    """Versions of the complete releases, ascending."""
    manifests = (artifacts / "releases").glob("[0-9]*/manifest.json")
    return sorted(int(path.parent.name) for path in manifests if path.parent.name.isdecimal())
