"""What our model is compared with. Each takes a task and k and returns int32[num_users, k] rows, best first."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
from scipy import sparse

from trainer.evaluation.task import Task
from trainer.index.ranking import scored_ranking

Baseline = Callable[[Task, int], np.ndarray]

MAX_DENSE_MOVIES = 20_000  # movies × movies in float64 take 3.2 GB
EASE_REGULARIZATION = 200.0
ALS_FACTORS, ALS_CONFIDENCE, ALS_REGULARIZATION = 128, 5.0, 30.0
NOTEBOOK_DIM, NOTEBOOK_EPOCHS, NOTEBOOK_BATCH = 64, 5, 64


def baselines(task: Task) -> tuple[dict[str, Baseline], dict[str, str]]:
    """(name → baseline, name → why it is left out)"""
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
    """Sum of cosines of the columns of the user's positives."""
    return _by_item_weights(task, cosine_similarities(task.known.positives), k)


def ease(task: Task, k: int) -> np.ndarray:
    """Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data": closed form."""
    return _by_item_weights(task, ease_weights(task.known.positives), k)


def implicit_als(task: Task, k: int) -> np.ndarray:
    """Hu, Koren, Volinsky 2008, as in the `implicit` package; exact search over its dot products."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=ALS_FACTORS, alpha=ALS_CONFIDENCE, regularization=ALS_REGULARIZATION, random_state=0
    )
    model.fit(task.known.positives, show_progress=False)
    users, movies = task.of_users(np.asarray(model.user_factors)), np.asarray(model.item_factors)
    return scored_ranking(lambda rows: users[rows] @ movies.T, task.watched, k)


def dot_product(task: Task, k: int) -> np.ndarray:
    """The customary tutorial model: a dot product clipped to [0, 5], trained on squared error; d = 64, five epochs.

    With dense ids and exact search, which is kinder to it than the tutorial's angular index over every id.
    """
    from trainer.model.tensorflow_quietly import keras, tf

    keras.utils.set_random_seed(0)
    watched = task.known.watched_trained.tocoo()
    user, movie = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_table = keras.layers.Embedding(watched.shape[0], NOTEBOOK_DIM)
    movie_table = keras.layers.Embedding(watched.shape[1], NOTEBOOK_DIM)
    dot = keras.layers.Dot(axes=1)([user_table(user), movie_table(movie)])
    model = keras.Model([user, movie], keras.layers.Lambda(lambda x: tf.clip_by_value(x, 0.0, 5.0))(dot))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    inputs = [watched.row.astype(np.int32), watched.col.astype(np.int32)]
    model.fit(inputs, task.known.stars_of_trained, batch_size=NOTEBOOK_BATCH, epochs=NOTEBOOK_EPOCHS, verbose=0)
    users, movies = task.of_users(user_table.get_weights()[0]), movie_table.get_weights()[0]
    return scored_ranking(lambda rows: users[rows] @ movies.T, task.watched, k)


def cosine_similarities(positives: sparse.csr_matrix) -> np.ndarray:
    """float32[num_movies, num_movies] with zeros on the diagonal."""
    counts = (positives.T @ positives).toarray()
    norms = np.sqrt(np.diag(counts))
    similarities: np.ndarray = counts / np.maximum(norms[:, None] * norms, 1e-9)
    np.fill_diagonal(similarities, 0)
    return similarities.astype(np.float32)


def ease_weights(positives: sparse.csr_matrix) -> np.ndarray:
    """float32[num_movies, num_movies] with zeros on the diagonal."""
    gram = (positives.T @ positives).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += EASE_REGULARIZATION
    inverse = np.linalg.inv(gram)
    weights: np.ndarray = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)


def _by_item_weights(task: Task, weights: np.ndarray, k: int) -> np.ndarray:
    nobody = sparse.csr_matrix((1, task.known.num_trained_movies), dtype=np.float32)
    likes = sparse.csr_matrix(sparse.vstack([task.known.positives, nobody]))[task.user_rows]
    return scored_ranking(lambda rows: np.asarray(likes[rows] @ weights), task.watched, k)
