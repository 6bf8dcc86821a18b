"""Writes the files of a release and its model; `protos/release/v1/manifest.proto` says what each file holds."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from protos.release.v1 import layout
from trainer.data.interactions import Interactions, rows_of
from trainer.index.calibration import Calibration, calibrate
from trainer.index.queries import of_movies, of_newcomers, of_users, some_users
from trainer.index.similar_lists import similar_lists
from trainer.model.similar_movies import similar_movie_vectors
from trainer.model.user_tower import UserTower, save_user_tower
from trainer.release.fitted import Fitted
from trainer.release.keys import Keys

NUM_HISTORIES = 500  # users whose likes warm-up requests are drawn from


@dataclass(frozen=True)
class Calibrations:
    """How the vectors are searched, by the kind of query."""

    recommend: Calibration
    newcomers: Calibration
    similar_movies: Calibration


def write_model(fitted: Fitted, folder: Path) -> None:
    """Write the user tower as a SavedModel, with warm-up requests from some users' likes."""
    known, embeddings = fitted.known, fitted.embeddings
    trained = known.movie_ids[: known.num_trained_movies]
    order_tells = fitted.hyperparameters.recency > 0
    tower = UserTower(known.user_ids, embeddings.users, trained, embeddings.temperature, embeddings.parts, order_tells)
    save_user_tower(tower, layout.MODEL_NAME, folder, known.user_ids, _some_histories(known))


def write_files(fitted: Fitted, folder: Path) -> Calibrations:
    """Write every file of the release but the manifest, and return how its vectors are searched."""
    known, embeddings, watched = fitted.known, fitted.embeddings, fitted.known.watched
    table = _movie_table(fitted)
    np.save(folder / layout.EMBEDDINGS, embeddings.movies)
    recommend, newcomers = _write_index(fitted, folder / layout.EMBEDDINGS_INDEX)
    vectors = similar_movie_vectors(embeddings.parts.tastes, embeddings.parts.order, table)
    similar_movies = _write_similar_movies(vectors, fitted, folder)
    write_movie_table(table, folder / layout.MOVIES)
    np.save(folder / layout.USER_IDS, known.user_ids)
    _write_user_keys(fitted.user_keys, folder)
    np.save(folder / layout.WATCHED_INDPTR, watched.indptr.astype(np.int64))
    np.save(folder / layout.WATCHED_ROWS, watched.indices.astype(np.int32))
    np.save(folder / layout.WATCHED_POSITIVE, known.liked)
    np.save(folder / layout.WATCHED_NEWER, _newer_ratings(known))
    _write_hidden_movies(fitted, folder)
    return Calibrations(recommend, newcomers, similar_movies)


def _newer_ratings(known: Interactions) -> np.ndarray:
    """Return uint8[num_ratings]: how many of the user's ratings are newer, and half of those of the same time.

    At most 255, because what is older hardly counts.
    """
    per_user = np.diff(known.watched.indptr)
    newer = (1 - known.freshness) * np.repeat(per_user, per_user) + 0.25  # all are n or n + ½, and hardly less
    result: np.ndarray = np.minimum(newer, np.iinfo(np.uint8).max).astype(np.uint8)
    return result


def write_movie_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table of movies so that any title comes back as it is.  table: the columns of the current format."""
    columns = list(layout.CURRENT.movie_columns)
    table[columns].to_csv(path, index=False, encoding="utf-8", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)


def _write_index(fitted: Fitted, path: Path) -> list[Calibration]:
    """Write the index over the embeddings, and return the calibrations for users and for newcomers.

    Nothing cheaper is tried than what sufficed on the held-out part. The losses are those measured there.
    """
    known, embeddings = fitted.known, fitted.embeddings
    evaluated = fitted.evaluation.calibrations if fitted.evaluation is not None else []
    users = some_users(embeddings)
    kinds = [of_users(embeddings, known, users), of_newcomers(embeddings, known, users)]
    _, calibrations = calibrate(embeddings.movies, path, kinds, fitted.cheapest, evaluated)
    for number, before in enumerate(evaluated):
        calibrations[number] = replace(calibrations[number], recall_loss=before.recall_loss, ndcg_loss=before.ndcg_loss)
    return calibrations


def _write_similar_movies(vectors: np.ndarray, fitted: Fitted, folder: Path) -> Calibration:
    """Write the vectors, their index and each movie's list, and return how the index is searched.

    vectors: float32[num_movies, s].
    """
    num_trained = fitted.known.num_trained_movies
    trained = vectors[:num_trained]
    np.save(folder / layout.SIMILAR_MOVIES, vectors)
    queries = of_movies(trained, fitted.known.popularity[:num_trained])
    movies, (calibration,) = calibrate(trained, folder / layout.SIMILAR_MOVIES_INDEX, [queries], fitted.cheapest)
    rows, cosines = similar_lists(vectors, movies, calibration.effort)
    np.save(folder / layout.SIMILAR_ROWS, rows)
    np.save(folder / layout.SIMILAR_COSINES, cosines)
    return calibration


def _write_user_keys(user_keys: Keys | None, folder: Path) -> None:
    """Write the keys in the order of their bytes, and their ids; empty files where user ids are numbers."""
    keys = user_keys.keys.tolist() if user_keys is not None else []
    ids = user_keys.ids if user_keys is not None else np.empty(0, np.int64)
    in_bytes = np.array([key.encode("utf-8") for key in keys], np.bytes_)
    order = np.argsort(in_bytes)
    np.save(folder / layout.USER_KEYS, in_bytes[order])
    np.save(folder / layout.USER_KEYS_IDS, ids[order])


def _write_hidden_movies(fitted: Fitted, folder: Path) -> None:
    """Write who is never to be recommended what; empty files if no events were merged."""
    events = fitted.dataset.events
    users = events.hidden_users if events is not None else np.empty(0, np.int64)
    movie_ids = events.hidden_movies if events is not None else np.empty(0, np.int64)
    rows = rows_of(fitted.known.movie_ids, movie_ids)
    order = np.lexsort((rows, users))
    np.save(folder / layout.HIDDEN_USERS, users[order])
    np.save(folder / layout.HIDDEN_ROWS, rows[order].astype(np.int32))


def _some_histories(known: Interactions) -> list[np.ndarray]:
    """Return int64 ids of the movies that each of some users likes."""
    liked = known.positives
    with_likes = np.flatnonzero(np.diff(liked.indptr))
    rows = np.random.default_rng(0).choice(with_likes, min(NUM_HISTORIES, len(with_likes)), replace=False)
    return [known.movie_ids[liked.indices[liked.indptr[row] : liked.indptr[row + 1]]] for row in rows]


def _movie_table(fitted: Fitted) -> pd.DataFrame:
    """Return the table of movies.csv, in row order."""
    movies = fitted.dataset.movies
    table = movies.iloc[rows_of(movies["movie_id"].to_numpy(), fitted.known.movie_ids)]
    keys = fitted.movie_keys.of(fitted.known.movie_ids) if fitted.movie_keys else ""
    return table.assign(popularity=fitted.known.popularity, key=keys)
