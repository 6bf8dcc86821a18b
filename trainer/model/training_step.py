"""One step of training: the loss of a batch of users, its gradient, and the update of the rows that took part."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import sparse

from trainer.model.partition import Candidates
from trainer.model.row_adam import RowAdam
from trainer.model.tensorflow_quietly import tf
from trainer.model.vectors import unit_rows
from trainer.workers.workers import ALONE, Workers, anywhere

_SPARSE = tf.SparseTensorSpec([None, None], tf.float32)
_ROWS, _VALUES = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)
_NUMBER = tf.TensorSpec([], tf.float32)


class TwoTables(tf.Module):
    """The trained tables, of users and of movies.

    A user's embedding is the normalised sum of two unit vectors: the user's row of the table, and the direction of the
    weighted sum of the movies in their history. The second half moves with the movies, so it is right from the start
    even for users who are seen a few times only.
    """

    def __init__(
        self, users: np.ndarray, movies: np.ndarray, all_are_candidates: bool, workers: Workers = ALONE
    ) -> None:
        """users: float32[num_users, d].  movies: float32[num_movies, d].  Their lengths set how fast they turn.

        all_are_candidates: whether the candidates of every step are all movies, in order.
        workers: each has the rows of its users, and all rows of movies.
        """
        super().__init__()
        self._workers = workers
        self._all_are_candidates = all_are_candidates
        self.users, self.movies = RowAdam(users), RowAdam(movies)

    @classmethod
    def resumed(cls, state: Mapping[str, np.ndarray], all_are_candidates: bool, workers: Workers = ALONE) -> TwoTables:
        """Return the tables as they were when `state` returned this."""
        tables = cls(state["users_table"], state["movies_table"], all_are_candidates, workers)
        for name, variable in tables._variables().items():
            variable.assign(state[name])
        return tables

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that later steps depend on, by name."""
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def embeddings(self, histories: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        """Return the embeddings of all users and of all movies, unit rows.

        histories: CSR float32[num_users, num_movies].
        """
        movies = unit_rows(self.movies.table.numpy())
        return unit_rows(unit_rows(self.users.table.numpy()) + unit_rows(histories @ movies)), movies

    def _variables(self) -> dict[str, tf.Variable]:
        both = {"users": self.users, "movies": self.movies}
        return {f"{of}_{name}": variable for of, table in both.items() for name, variable in table.state.items()}

    def take_step(
        self,
        user_rows: np.ndarray,
        histories: sparse.csr_matrix,
        temperatures: np.ndarray,
        candidates: Candidates,
        learning_rate: float,
        batch_size: int,
    ) -> float:
        """Take one step, together with the other workers, and return the sum of the losses of these users.

        user_rows: int[B], this worker's in the batch.  histories: CSR float32[B, num_movies].
        temperatures: float32[B].
        candidates, learning_rate: the same on all workers.  batch_size: the number of all workers' users in it.
        """
        is_used = np.zeros(histories.shape[1], np.bool_)
        is_used[candidates.rows] = is_used[histories.indices] = True
        if not self._all_are_candidates:
            is_used = anywhere(self._workers, is_used)
        used = np.flatnonzero(is_used)
        place = np.empty(len(is_used), np.int32)
        place[used] = np.arange(len(used))
        of_used = sparse.csr_matrix(
            (histories.data, place[histories.indices], histories.indptr), shape=(len(user_rows), len(used))
        )
        losses = self._step(
            tf.constant(user_rows, tf.int32),
            tf.constant(used, tf.int32),
            _sparse_tensor(of_used),
            _sparse_tensor(sparse.csr_matrix(of_used.T)),
            tf.constant(temperatures),
            tf.constant(place[candidates.rows]),
            tf.constant(candidates.log_weights),
            tf.constant(learning_rate, tf.float32),
            tf.constant(batch_size, tf.float32),
        )
        return float(losses)

    @tf.function(
        input_signature=[_ROWS, _ROWS, _SPARSE, _SPARSE, _VALUES, _ROWS, _VALUES, _NUMBER, _NUMBER], autograph=False
    )
    def _step(
        self,
        user_rows: tf.Tensor,
        movie_rows: tf.Tensor,
        histories: tf.SparseTensor,
        transposed: tf.SparseTensor,
        temperatures: tf.Tensor,
        candidates: tf.Tensor,
        log_weights: tf.Tensor,
        learning_rate: tf.Tensor,
        batch_size: tf.Tensor,
    ) -> tf.Tensor:
        """Take the step, and return the sum of the users' losses.

        user_rows: int32[B].  movie_rows: int32[M], those that take part.  histories, transposed: of these, [B, M] and
        [M, B].  temperatures: float32[B].  candidates: int32[C], places in movie_rows.  log_weights: float32[C].
        """

        def nobody() -> tuple[tf.Tensor, tf.Tensor]:
            return tf.constant(0.0), tf.zeros_like(self.movies.rows(movie_rows))

        def somebody() -> tuple[tf.Tensor, tf.Tensor]:
            return self._learn_users(
                user_rows,
                self.movies.rows(movie_rows),
                (histories, transposed),
                temperatures,
                (candidates, log_weights),
                learning_rate,
                batch_size,
            )

        if self._workers.count == 1:
            losses, of_movies = somebody()
        else:  # in a small last batch, a worker may have no user, which some of the operations cannot bear
            losses, of_movies = tf.cond(tf.size(user_rows) > 0, somebody, nobody)
        self.movies.update(movie_rows, self._workers.sum_tensor(of_movies), learning_rate)
        return losses

    def _learn_users(
        self,
        user_rows: tf.Tensor,
        movie_table: tf.Tensor,
        histories: tuple[tf.SparseTensor, tf.SparseTensor],
        temperatures: tf.Tensor,
        scored: tuple[tf.Tensor, tf.Tensor],
        learning_rate: tf.Tensor,
        batch_size: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Update these users; return the sum of their losses, and the movies' gradient float32[M, d].

        movie_table: float32[M, d].  histories: as they are, and transposed.  scored: candidates and log_weights.
        """
        user_table, (candidates, log_weights) = self.users.rows(user_rows), scored
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([user_table, movie_table])
            movies = tf.math.l2_normalize(movie_table, axis=1)
            sums = _product(*histories, movies)  # float32[B, d]: Σ weight · movie over the history
            users = tf.math.l2_normalize(user_table, axis=1) + tf.math.l2_normalize(sums, axis=1)
            users = tf.math.l2_normalize(users, axis=1) / temperatures[:, None]
            vectors = movies if self._all_are_candidates else tf.gather(movies, candidates)  # float32[C, d]
            logits = tf.matmul(users, vectors, transpose_b=True) + log_weights  # float32[B, C]
            weights = tf.sparse.reduce_sum(histories[0], axis=1)  # float32[B]
            # Σ weight · (log Σ exp(logits) − user · movie / temperature) over the history
            losses = weights * tf.reduce_logsumexp(logits, axis=1) - tf.reduce_sum(users * sums, axis=1)
            loss = tf.reduce_sum(losses) / batch_size  # these users' part of the mean over the batch
        of_users, of_movies = tape.gradient(loss, [user_table, movie_table])
        self.users.update(user_rows, of_users, learning_rate)
        return tf.reduce_sum(losses), tf.convert_to_tensor(of_movies)


def _product(matrix: tf.SparseTensor, transposed: tf.SparseTensor, dense: tf.Tensor) -> tf.Tensor:
    """Return matrix · dense.  TensorFlow's own sparse product takes ten times as long, and runs on one core."""

    @tf.custom_gradient
    def product(dense: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return _multiply(matrix, dense), lambda upstream: _multiply(transposed, upstream)

    return product(dense)


def _multiply(matrix: tf.SparseTensor, dense: tf.Tensor) -> tf.Tensor:
    compressed = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=matrix.indices, values=matrix.values, dense_shape=matrix.dense_shape
    )
    return tf.raw_ops.SparseMatrixMatMul(a=compressed, b=dense)


def _sparse_tensor(matrix: sparse.csr_matrix) -> tf.SparseTensor:
    """The same matrix, its entries in row order.  matrix: CSR float32, columns in any order within a row."""
    matrix.sort_indices()
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return tf.SparseTensor(np.stack([rows, matrix.indices], axis=1).astype(np.int64), matrix.data, matrix.shape)
