"""Writes the files of a release and its model; `protos/release/v1/manifest.proto` says what each file holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from protos.release.v1 import layout
from trainer.data.interactions import Interactions, rows_of
from trainer.index.annoy_index import build_index
from trainer.index.calibration import Calibration, calibrate_recommend, calibrate_similar_movies
from trainer.model.similar_movies import similar_movie_vectors
from trainer.model.user_tower import UserTower, save_user_tower
from trainer.release.fitted import Fitted

NUM_HISTORIES = 500  # users whose likes warm-up requests are drawn from


@dataclass(frozen=True)
class Calibrations:
    """The calibrations of the two indexes, by the call that searches them."""

    recommend: Calibration
    similar_movies: Calibration


def write_model(fitted: Fitted, folder: Path) -> None:
    """Write the user tower as a SavedModel, with warm-up requests from some users' likes."""
    known, embeddings = fitted.known, fitted.embeddings
    trained = known.movie_ids[: known.num_trained_movies]
    tower = UserTower(known.user_ids, embeddings.users, trained, embeddings.movies, embeddings.temperature)
    save_user_tower(tower, layout.MODEL_NAME, folder, known.user_ids, _some_histories(known))


def write_files(fitted: Fitted, folder: Path) -> Calibrations:
    """Write every file of the release but the manifest, and return how its indexes are calibrated."""
    known, embeddings, watched = fitted.known, fitted.embeddings, fitted.known.watched
    index = build_index(embeddings.movies, folder / layout.EMBEDDINGS_INDEX)
    np.save(folder / layout.EMBEDDINGS, embeddings.movies)
    table = _movie_table(fitted)
    similar = similar_movie_vectors(embeddings.movies, table)
    similar_trained = similar[: known.num_trained_movies]
    similar_index = build_index(similar_trained, folder / layout.SIMILAR_MOVIES_INDEX)
    np.save(folder / layout.SIMILAR_MOVIES, similar)
    table.to_csv(folder / layout.MOVIES, index=False, encoding="utf-8", lineterminator="\n")
    np.save(folder / layout.USER_IDS, known.user_ids)
    np.save(folder / layout.WATCHED_INDPTR, watched.indptr.astype(np.int64))
    np.save(folder / layout.WATCHED_ROWS, watched.indices.astype(np.int32))
    np.save(folder / layout.WATCHED_POSITIVE, known.liked)
    return Calibrations(
        recommend=calibrate_recommend(index, embeddings, known),
        similar_movies=calibrate_similar_movies(similar_index, similar_trained, known),
    )


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
    return table.assign(popularity=fitted.known.popularity)[list(layout.MOVIE_COLUMNS)]
