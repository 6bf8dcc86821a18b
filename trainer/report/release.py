"""Loads what a report is about: a published release, the one before it, and the ratings that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from protos.release.v1 import layout
from protos.release.v1 import manifest_pb2 as pb
from trainer.data.dataset import Dataset
from trainer.data.records import DataError
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.catalogue import PublishedRelease, models_folder, published_releases, releases_folder
from trainer.release.keys import with_lasting_ids


@dataclass(frozen=True)
class LoadedRelease:
    """A published release, and the ratings that it was made of.

    found: its manifest and size.  previous: the release before it, whose manifest can be read; None if there is none.
    model: the folder of its SavedModel; None if that was removed.
    embeddings: float32[n, d], of the movies that may be recommended.  similar: float32[num_movies, s], the vectors of
    similar_movies.npy.  movies: the table of movies.csv, in row order.
    user_ids: int64[num_users].  user_names: object[num_users], their keys, or their ids as text.
    watched: CSR bool[num_users, num_movies], true where liked.
    hidden: CSR bool[num_users, num_movies], what is never to be recommended to each user.
    dataset: the ratings, with the ids of the release.  hyperparameters: with which it was evaluated and fitted.
    difference: why the data set's ratings are not all of the release's; empty if they are.
    """

    found: PublishedRelease
    manifest: pb.Manifest
    previous: PublishedRelease | None
    model: Path | None
    embeddings: np.ndarray
    similar: np.ndarray
    movies: pd.DataFrame
    user_ids: np.ndarray
    user_names: np.ndarray
    watched: sparse.csr_matrix
    hidden: sparse.csr_matrix
    dataset: Dataset
    hyperparameters: Hyperparameters
    difference: str

    @property
    def positive_threshold(self) -> float:
        return self.manifest.hyperparameters.positive_threshold

    @property
    def num_likes(self) -> np.ndarray:
        """int64[num_movies]: how many users liked each movie."""
        num_likes: np.ndarray = self.movies["popularity"].to_numpy()
        return num_likes


def manifest_of(artifacts: Path, version: int | None) -> pb.Manifest:
    """Return the manifest of a release, the newest if version is None. Raises DataError if it cannot be read."""
    return _find(artifacts, version)[1]


def load(artifacts: Path, version: int | None, dataset: Dataset) -> LoadedRelease:
    """Load a release, the newest if version is None.

    dataset: of the files that the release was trained on, with its events if it has any.
    Raises DataError if there is no such release, or if it was trained on other files.
    """
    found, manifest = _find(artifacts, version)
    folder = releases_folder(artifacts) / str(found.version)
    if manifest.dataset.fingerprint != dataset.fingerprint:
        raise DataError(
            f"{folder}: was trained on {manifest.dataset.name} with fingerprint {manifest.dataset.fingerprint[:12]}…, "
            f"got {dataset.name} with {dataset.fingerprint[:12]}…: name its own data with --dataset or --data"
        )
    dataset, _, _ = with_lasting_ids(dataset, artifacts)
    movies = pd.read_csv(folder / layout.MOVIES, keep_default_na=False)
    user_ids, watched = np.load(folder / layout.USER_IDS), _watched(folder, len(movies))
    older = [release for release in published_releases(artifacts) if release.version < found.version]
    return LoadedRelease(
        found=found,
        manifest=manifest,
        previous=next((release for release in reversed(older) if release.manifest is not None), None),
        model=models_folder(artifacts) / str(found.version) if found.has_model else None,
        embeddings=np.load(folder / layout.EMBEDDINGS),
        similar=np.load(folder / layout.SIMILAR_MOVIES),
        movies=movies,
        user_ids=user_ids,
        user_names=_user_names(folder, user_ids, manifest),
        watched=watched,
        hidden=_hidden(folder, user_ids, manifest, watched.shape),
        dataset=dataset,
        hyperparameters=_hyperparameters(manifest),
        difference=_difference(manifest, dataset, user_ids, movies["movie_id"].to_numpy(), watched),
    )


def _find(artifacts: Path, version: int | None) -> tuple[PublishedRelease, pb.Manifest]:
    found = [release for release in published_releases(artifacts) if version in (None, release.version)]
    if not found:
        raise DataError(f"{artifacts}: expected release {version or 'of any version'}, found none (see `releases`)")
    manifest = found[-1].manifest
    if manifest is None:
        raise DataError(f"{releases_folder(artifacts) / str(found[-1].version)}: its manifest cannot be read")
    return found[-1], manifest


def _watched(folder: Path, num_movies: int) -> sparse.csr_matrix:
    indptr = np.load(folder / layout.WATCHED_INDPTR)
    entries = (np.load(folder / layout.WATCHED_POSITIVE), np.load(folder / layout.WATCHED_ROWS), indptr)
    return sparse.csr_matrix(entries, shape=(len(indptr) - 1, num_movies))


def _user_names(folder: Path, user_ids: np.ndarray, manifest: pb.Manifest) -> np.ndarray:
    if not manifest.users_have_keys:
        return user_ids.astype(str).astype(object)
    keys = np.load(folder / layout.USER_KEYS)[np.argsort(np.load(folder / layout.USER_KEYS_IDS))]
    return np.array([key.decode("utf-8") for key in keys.tolist()], object)


def _hidden(folder: Path, user_ids: np.ndarray, manifest: pb.Manifest, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Return what `LoadedRelease.hidden` describes; empty for format 2, which has none."""
    if not (folder / layout.HIDDEN_USERS).exists():
        return sparse.csr_matrix(shape, dtype=bool)
    numbers = user_ids
    if manifest.users_have_keys:
        from events.event import number_of_key  # not at the top: releases without keys need no package for events

        numbers = np.array([number_of_key(name) for name in _user_names(folder, user_ids, manifest)], np.int64)
    users, movies = np.load(folder / layout.HIDDEN_USERS), np.load(folder / layout.HIDDEN_ROWS)
    order = np.argsort(numbers)
    rows = order[np.minimum(np.searchsorted(numbers, users, sorter=order), len(numbers) - 1)]
    known = numbers[rows] == users
    return sparse.csr_matrix((np.ones(int(known.sum()), bool), (rows[known], movies[known])), shape=shape)


def _difference(
    manifest: pb.Manifest, dataset: Dataset, user_ids: np.ndarray, movie_ids: np.ndarray, watched: sparse.csr_matrix
) -> str:
    """Return what `LoadedRelease.difference` describes."""
    ratings, threshold = dataset.ratings, manifest.hyperparameters.positive_threshold
    columns = [ratings["user_id"], ratings["movie_id"], ratings["rating"] >= threshold]
    given = _sorted(*(column.to_numpy() for column in columns))
    own = _sorted(np.repeat(user_ids, np.diff(watched.indptr)), movie_ids[watched.indices], watched.data)
    if all(np.array_equal(one, other) for one, other in zip(given, own, strict=True)):
        return ""
    if manifest.events.store_id and dataset.events is None:
        return f"the release also holds {manifest.events.num_events:,} events of a store; name it with --events"
    return "the ratings that were read are not all of the release's: flags, the store of events or the trainer differ"


def _sorted(users: np.ndarray, movies: np.ndarray, liked: np.ndarray) -> list[np.ndarray]:
    order = np.lexsort((movies, users))
    return [column[order] for column in (users, movies, liked)]


def fitted_dim(manifest: pb.Manifest) -> int:
    """Return the length of an embedding as it was fitted."""
    return manifest.hyperparameters.embedding_dim or manifest.embedding_dim - (manifest.num_content_movies > 0)


def _hyperparameters(manifest: pb.Manifest) -> Hyperparameters:
    """Return the hyperparameters that the release was evaluated and fitted with."""
    fitted = manifest.hyperparameters
    return Hyperparameters(
        embedding_dim=fitted_dim(manifest),
        epochs=fitted.epochs,
        batch_size=fitted.batch_size,
        learning_rate=fitted.learning_rate,
        temperature=fitted.temperature,
        watched_weight=fitted.watched_weight,
        recency=fitted.recency,
        seed=fitted.seed,
    )
