"""Seconds to fit our model against the notebook's: a dot product clipped to [0, 5], trained on squared error.

    MOVIELENS_DIR=… python -m benchmarks.training_time

Both on the same ratings, dense ids, in alternating runs; the ratio of medians is the figure. The notebook's settings
are the customary ones: 64 dimensions, Adam 0.001, five epochs of batches of 64 ratings.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from trainer.datasets import CACHE, DEFAULT_DATASET, find_dataset
from trainer.hyperparameters import Hyperparameters
from trainer.interactions import default_positive_threshold, interactions_of, split_by_time
from trainer.model import fit
from trainer.ratings_reader import FIVE_STARS
from trainer.tensorflow_quietly import keras, tf

RUNS = 3
NOTEBOOK_DIM, NOTEBOOK_EPOCHS, NOTEBOOK_BATCH = 64, 5, 64


def main() -> None:
    dataset = find_dataset(DEFAULT_DATASET, None, CACHE)
    train, _ = split_by_time(dataset.ratings)
    known = interactions_of(train, default_positive_threshold(train, FIVE_STARS.highest))
    users = np.searchsorted(known.user_ids, train["user_id"]).astype(np.int32)
    movies = np.unique(train["movie_id"], return_inverse=True)[1].astype(np.int32)
    stars = train["rating"].to_numpy()
    ours, notebook = [], []
    for run in range(RUNS):
        ours.append(_seconds(partial(fit, known.positives, Hyperparameters(seed=run))))
        notebook.append(_seconds(partial(_fit_notebook, users, movies, stars)))
        print(f"run {run + 1} of {RUNS}: ours {ours[-1]:.1f} s, notebook {notebook[-1]:.1f} s", flush=True)
    ratio = statistics.median(ours) / statistics.median(notebook)
    print(f"\n{'model':<42}{'median s':>10}")
    print(f"{'cosine softmax, d = 256, 40 epochs':<42}{statistics.median(ours):>10.1f}")
    print(f"{'notebook, d = 64, 5 epochs':<42}{statistics.median(notebook):>10.1f}")
    print(f"{'ratio':<42}{ratio:>10.2f}")


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _fit_notebook(users: np.ndarray, movies: np.ndarray, stars: np.ndarray) -> None:
    user, movie = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
    user_embedding = keras.layers.Embedding(int(users.max()) + 1, NOTEBOOK_DIM)(user)
    movie_embedding = keras.layers.Embedding(int(movies.max()) + 1, NOTEBOOK_DIM)(movie)
    dot = keras.layers.Dot(axes=1)([user_embedding, movie_embedding])
    clipped = keras.layers.Lambda(lambda x: tf.clip_by_value(x, 0.0, 5.0))(dot)
    model = keras.Model([user, movie], clipped)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    model.fit([users, movies], stars, batch_size=NOTEBOOK_BATCH, epochs=NOTEBOOK_EPOCHS, verbose=0)


if __name__ == "__main__":
    main()
