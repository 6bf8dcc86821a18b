"""Loads what a report is about: a published release, and the data set that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.data.dataset import Dataset
from trainer.data.records import DataError
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import published_releases, releases_folder


@dataclass(frozen=True)
class LoadedRelease:
    """A published release, and the data set that it was made of.

    embeddings: float32[num_trained_movies, d].  similar: float32[num_movies, s], the vectors of similar_movies.npy.
    movies: the table of movies.csv, in row order.
    hyperparameters: with which the release was evaluated and fitted.
    """

    manifest: pb.Manifest
    embeddings: np.ndarray
    similar: np.ndarray
    movies: pd.DataFrame
    dataset: Dataset
    hyperparameters: Hyperparameters

    @property
    def positive_threshold(self) -> float:
        return self.manifest.hyperparameters.positive_threshold

    @property
    def num_likes(self) -> np.ndarray:
        """int64[num_movies]: how many users liked each movie."""
        num_likes: np.ndarray = self.movies["popularity"].to_numpy()
        return num_likes


def load(artifacts: Path, version: int | None, dataset: Dataset) -> LoadedRelease:
    """Load a release, the newest if version is None. Raises DataError if there is none, or if it has other data."""
    found = [release for release in published_releases(artifacts) if version in (None, release.version)]
    if not found:
        raise DataError(f"{artifacts}: expected release {version or 'of any version'}, found none (see `releases`)")
    folder, manifest = releases_folder(artifacts) / str(found[-1].version), found[-1].manifest
    if manifest is None:
        raise DataError(f"{folder}: its manifest cannot be read")
    if manifest.dataset.fingerprint != dataset.fingerprint:
        raise DataError(
            f"{folder}: was trained on {manifest.dataset.name} with fingerprint {manifest.dataset.fingerprint[:12]}…, "
            f"got {dataset.name} with {dataset.fingerprint[:12]}…: name its own data with --dataset or --data"
        )
    movies = pd.read_csv(folder / layout.MOVIES, keep_default_na=False)
    return LoadedRelease(
        manifest=manifest,
        embeddings=np.load(folder / layout.EMBEDDINGS)[: manifest.num_trained_movies],
        similar=np.load(folder / layout.SIMILAR_MOVIES),
        movies=movies,
        dataset=dataset,
        hyperparameters=_hyperparameters(manifest),
    )


def _hyperparameters(manifest: pb.Manifest) -> Hyperparameters:
    """Return the hyperparameters that the release was evaluated and fitted with."""
    fitted = manifest.hyperparameters
    return Hyperparameters(
        embedding_dim=manifest.embedding_dim - (manifest.num_content_movies > 0),
        epochs=fitted.epochs,
        batch_size=fitted.batch_size,
        learning_rate=fitted.learning_rate,
        temperature=fitted.temperature,
        watched_weight=fitted.watched_weight,
        recency=fitted.recency,
        seed=fitted.seed,
    )
