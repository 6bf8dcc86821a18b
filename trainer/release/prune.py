"""Removes old releases, and clears up after trainers that were killed. It spares what another process uses."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from protos.release.v1.locks import Use
from trainer.release.canary import canary_of
from trainer.release.catalogue import (
    REMOVING,
    STAGING,
    WITHDRAWN,
    has_manifest,
    models_folder,
    releases_folder,
    remove_folder,
    served_versions,
    version_of,
    versions_in,
)
from trainer.release.locks import CLAIM, use_of


@dataclass
class Pruned:
    """What was done, each by versions.

    removed: releases.  in_use: what stays because another process uses it.
    unknown: what stays because nobody can tell whether another process uses it.
    """

    removed: list[int] = field(default_factory=list)
    in_use: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)


def prune(artifacts: Path, keep: int, force: bool = False) -> Pruned:
    """Remove all but the newest `keep` releases that have a model, and everything that dead trainers left behind.

    Of a canary and the release that serves the other users, none is removed. Raises CanaryError if the file that names
    the canary cannot be used.

    force: also remove what nobody can tell to be unused.
    """
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    pruned = Pruned()
    spared = set(served_versions(artifacts)[-(keep if canary_of(artifacts) is None else max(keep, 2)) :])
    for version in sorted({*versions_in(releases), *versions_in(models)} - spared):
        if _may_go(pruned, version, [releases / str(version)], force):
            for parent in (releases, models):
                remove_folder(parent / str(version))
            pruned.removed.append(version)
    for parent in (releases, models):
        for leftover in (folder for prefix in (STAGING, WITHDRAWN, REMOVING) for folder in parent.glob(f"{prefix}*")):
            version = version_of(leftover) or 0
            users = [leftover, releases / f"{STAGING}{version}", releases / str(version)]
            if _may_go(pruned, version, users, force):
                shutil.rmtree(leftover, ignore_errors=True)
    return pruned


def complete_publishing(artifacts: Path) -> list[int]:
    """Give its model to each release whose trainer was killed between its two renames, and return the versions.

    The model waits complete under its staging name, because it was flushed to disk before the first rename.
    """
    releases, models = releases_folder(artifacts), models_folder(artifacts)
    completed = []
    for version in versions_in(releases):
        staged, model = models / f"{STAGING}{version}", models / str(version)
        release = releases / str(version)
        if staged.is_dir() and not model.exists() and has_manifest(release) and use_of(release) == Use.FREE:
            with suppress(FileNotFoundError):  # another process was faster
                staged.rename(model)
                (release / CLAIM).unlink(missing_ok=True)
                completed.append(version)
    return completed


def _may_go(pruned: Pruned, version: int, users: list[Path], force: bool) -> bool:
    """Return whether nobody uses any of these folders, and record the version if somebody does or may."""
    uses = [use_of(folder) for folder in users]
    if Use.IN_USE in uses:
        pruned.in_use.add(version)
    elif Use.UNKNOWN in uses and not force:
        pruned.unknown.add(version)
    else:
        return True
    return False
