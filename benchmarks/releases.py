"""The releases that `python -m benchmarks` serves: the same data, once with each choice of `--index`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.support import published
from recommender_service.release import Release
from recommender_service.release_loading import load_release

ANNOY, CHEAPEST = "annoy", "cheapest"  # what `python -m trainer --index` may be
FEW_MOVIES = 50


def release_artifacts(folder: Path, index: str) -> Path:
    """The artifacts folder of a release with this `--index`, below `folder`. Trains the release if there is none."""
    artifacts = folder / index
    if not published(artifacts):
        print(f"training a release with --index {index} into {artifacts}, once", flush=True)
        command = [sys.executable, "-m", "trainer", "train", "--index", index, "--artifacts", str(artifacts)]
        log = folder / f"{index}.log"
        with log.open("wb") as output:
            if subprocess.run([*command, "--sample-if-offline"], stdout=output, stderr=output).returncode:
                sys.exit(f"error: the trainer failed: see {log}")
    return artifacts


def newest(artifacts: Path) -> Release:
    """The newest release in `artifacts`."""
    return load_release(published(artifacts)[-1])


def heaviest_user(release: Release) -> tuple[int, int]:
    """(id of the user who watched most movies, how many they watched)"""
    counts = release.watched.indptr[1:] - release.watched.indptr[:-1]
    return int(release.watched.user_ids[counts.argmax()]), int(counts.max())


def rare_genre(release: Release) -> str:
    """The genre that the fewest movies have, of those that at least FEW_MOVIES have."""
    counts = {name: int(mask[: release.num_trained_movies].sum()) for name, mask in release.genres.items()}
    return min((name for name in counts if counts[name] >= FEW_MOVIES), key=lambda name: counts[name])
