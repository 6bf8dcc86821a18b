"""The model: two embedding tables on the unit sphere, trained so that cosine ranks.

The score of a movie for a user is the cosine of their embeddings divided by the user's temperature; the loss is the
softmax cross-entropy of the user's history over the whole catalogue (a multinomial likelihood, Liang et al. 2018,
sec. 2). Cosine is the metric the Annoy index searches, so what is trained is what is served.

The users' table serves only to train the movies' table. Each user's final embedding is folded in from their history,
in which later ratings count more, because people tend to watch next what is like the movies they watched last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from trainer.data.interactions import Interactions
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.tensorflow_quietly import keras, tf
from trainer.model.vectors import unit_rows


@dataclass(frozen=True)
class Embeddings:
    """The fitted model.

    users: float32[num_users, embedding_dim], unit rows; zeros for a user without positives.
    movies: float32[num_trained_movies, embedding_dim], unit rows.
    temperature: the typical user's during training.
    """

    users: np.ndarray
    movies: np.ndarray
    temperature: float


class CosineSoftmax(keras.Model):
    """The network that is trained: it gives the logits of every movie for a batch of users."""

    def __init__(
        self, num_users: int, num_movies: int, temperatures: np.ndarray, hyperparameters: Hyperparameters
    ) -> None:
        """Create both tables with random directions.  temperatures: float32[num_users]."""
        super().__init__()
        # Only a row's direction is used; its length decides how far one Adam step turns it.
        initializer = keras.initializers.RandomNormal(stddev=0.05, seed=hyperparameters.seed)
        self.user_table = self.add_weight(
            name="users", shape=(num_users, hyperparameters.embedding_dim), initializer=initializer
        )
        self.movie_table = self.add_weight(
            name="movies",
            shape=(num_movies, hyperparameters.embedding_dim),
            initializer=keras.initializers.RandomNormal(stddev=0.05, seed=hyperparameters.seed + 1),
        )
        self.temperatures = tf.constant(temperatures[:, None])

    def call(self, user_rows: tf.Tensor) -> tf.Tensor:
        """Return the logits float32[B, num_movies] of these users.  user_rows: int32[B]."""
        users = tf.math.l2_normalize(tf.gather(self.user_table, user_rows), axis=1)
        movies = tf.math.l2_normalize(self.movie_table, axis=1)
        return tf.matmul(users, movies, transpose_b=True) / tf.gather(self.temperatures, user_rows)


def multinomial_loss(history: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the mean over users of −Σ weight · log softmax, summed over each user's history.

    history, logits: float32[B, num_movies].
    """
    return -tf.reduce_mean(tf.reduce_sum(history * tf.nn.log_softmax(logits), axis=1))


def fit(
    known: Interactions,
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> Embeddings:
    """Fit the movies, then fold in the users; the same seed gives the same embeddings.

    on_epoch: called after each pass over the users with the epoch's number, from 1, and the mean loss per liked movie.
    """
    temperature = hyperparameters.temperature_for(known.num_trained_movies)
    movies = _fit_movies(known.history(0.0, hyperparameters.watched_weight), temperature, hyperparameters, on_epoch)
    history = known.history(hyperparameters.recency, hyperparameters.watched_weight)
    users = fold_in(history, movies, user_temperatures(temperature, history))
    return Embeddings(users, movies, temperature)


def _fit_movies(
    history: sparse.csr_matrix,
    temperature: float,
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[int, float], None],
) -> np.ndarray:
    """Return float32[num_movies, embedding_dim] with unit rows, trained on the users who have a history.

    history: CSR float32[num_users, num_movies], how much each movie counts.
    """
    histories = history[np.flatnonzero(np.diff(history.indptr))]  # CSR float32[U, num_movies]
    num_users, num_movies = histories.shape
    batch_size = min(hyperparameters.batch_size, num_users)
    steps = -(-num_users // batch_size) * hyperparameters.epochs

    model = CosineSoftmax(num_users, num_movies, user_temperatures(temperature, histories), hyperparameters)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(hyperparameters.learning_rate, steps))
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(user_rows: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = multinomial_loss(batch, model(user_rows))
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    rng = np.random.default_rng(hyperparameters.seed)
    for epoch in range(1, hyperparameters.epochs + 1):
        order = rng.permutation(num_users)
        total = 0.0
        for start in range(0, num_users, batch_size):
            rows = order[start : start + batch_size]
            batch = histories[rows].toarray()  # float32[B, num_movies]
            total += float(step(tf.constant(rows, tf.int32), tf.constant(batch))) * len(rows)
        on_epoch(epoch, total / histories.sum())
    return unit_rows(model.movie_table.numpy())
