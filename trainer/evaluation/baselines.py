"""The baselines. Each takes a task and k and returns int32[num_users, k] rows, best first."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from scipy import sparse

from trainer.evaluation.task import Task
from trainer.index.ranking import scored_ranking

Baseline = Callable[[Task, int], np.ndarray]

MAX_DENSE_MOVIES = 20_000  # a matrix of movies × movies in float64 then takes 3.2 GB
EASE_REGULARIZATION = 200.0
ALS_FACTORS, ALS_CONFIDENCE, ALS_REGULARIZATION = 128, 5.0, 30.0
TUTORIAL_DIM, TUTORIAL_EPOCHS, TUTORIAL_BATCH = 64, 5, 64


def baselines(task: Task) -> tuple[dict[str, Baseline], dict[str, str]]:
    """Return the baselines by name, and the reason for each that is left out, by name."""
    found: dict[str, Baseline] = {"popularity": lambda task, k: task.popularity_ranking(k)}
    left_out = {}
    if task.known.num_trained_movies <= MAX_DENSE_MOVIES:
        found["item-kNN (cosine)"] = item_knn
        found["EASE"] = ease
    else:
        left_out["item-kNN, EASE"] = f"more than {MAX_DENSE_MOVIES:,} movies"
    if importlib.util.find_spec("implicit") is not None:
        found["implicit ALS"] = implicit_als
    else:
        left_out["implicit ALS"] = "the package `implicit` is not installed"
    found["dot product, squared error"] = dot_product
    return found, left_out


def item_knn(task: Task, k: int) -> np.ndarray:
    """Score each movie by the sum of its cosines to the user's positives; movies are columns of the positives."""
    return _by_item_weights(task, cosine_similarities(task.known.positives), k)


def ease(task: Task, k: int) -> np.ndarray:
    """Rank by EASE, in closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""
    return _by_item_weights(task, ease_weights(task.known.positives), k)


def implicit_als(task: Task, k: int) -> np.ndarray:
    """Rank by ALS for implicit feedback from the package `implicit`, with exact search (Hu, Koren, Volinsky 2008)."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=ALS_FACTORS, alpha=ALS_CONFIDENCE, regularization=ALS_REGULARIZATION, random_state=0
    )
    model.fit(task.known.positives, show_progress=False)
    users, movies = task.of_users(np.asarray(model.user_factors)), np.asarray(model.item_factors)
    return scored_ranking(lambda rows: users[rows] @ movies.T, task.watched, k)


def dot_product(task: Task, k: int) -> np.ndarray:
    """Rank by the model of a well-known tutorial: a dot product clipped to [0, 5] and trained on squared error.

    Here it has dense rows and exact search, which gives better figures than the tutorial's angular index over every id.
    """
    from trainer.model.tensorflow_quietly import tf  # isort: split
    import keras

    keras.utils.set_random_seed(0)
    watched = task.known.watched_trained.tocoo()
    user, movie = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_table = keras.layers.Embedding(watched.shape[0], TUTORIAL_DIM)
    movie_table = keras.layers.Embedding(watched.shape[1], TUTORIAL_DIM)
    dot = keras.layers.Dot(axes=1)([user_table(user), movie_table(movie)])
    model = keras.Model([user, movie], keras.layers.Lambda(lambda x: tf.clip_by_value(x, 0.0, 5.0))(dot))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    inputs = [watched.row.astype(np.int32), watched.col.astype(np.int32)]
    model.fit(inputs, task.known.stars_of_trained, batch_size=TUTORIAL_BATCH, epochs=TUTORIAL_EPOCHS, verbose=0)
    users, movies = task.of_users(user_table.get_weights()[0]), movie_table.get_weights()[0]
    return scored_ranking(lambda rows: users[rows] @ movies.T, task.watched, k)


def cosine_similarities(positives: sparse.csr_matrix) -> np.ndarray:
    """Return float32[num_movies, num_movies]: cosines between columns of the positives, with a diagonal of zeros."""
    counts = (positives.T @ positives).toarray()
    norms = np.sqrt(np.diag(counts))
    similarities: np.ndarray = counts / np.maximum(norms[:, None] * norms, 1e-9)
    np.fill_diagonal(similarities, 0)
    return similarities.astype(np.float32)


def ease_weights(positives: sparse.csr_matrix) -> np.ndarray:
    """Return float32[num_movies, num_movies]: the weights of EASE, with a diagonal of zeros."""
    gram = (positives.T @ positives).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += EASE_REGULARIZATION
    inverse = np.linalg.inv(gram)
    weights: np.ndarray = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


def _by_item_weights(task: Task, weights: np.ndarray, k: int) -> np.ndarray:
    """Rank by the sum of the weights of the user's positives.  weights: float32[num_movies, num_movies]."""
    unknown = sparse.csr_matrix((1, task.known.num_trained_movies), dtype=np.float32)  # the row −1, of unknown users
    positives = sparse.csr_matrix(sparse.vstack([task.known.positives, unknown]))[task.user_rows]
    return scored_ranking(lambda rows: np.asarray(positives[rows] @ weights), task.watched, k)
