"""The model: two embedding tables on the unit sphere, trained so that cosine ranks.

The score of a movie for a user is the cosine of their embeddings divided by the user's temperature; the loss is the
softmax cross-entropy of the user's history over the catalogue (a multinomial likelihood, Liang et al. 2018, sec. 2).
Cosine is the metric that the index searches, so what is trained is what is served.

Training starts at the singular vectors of the histories. Where users are few, the tables are trained twice, from two
seeds, and what both have in common is kept. Each user's final embedding is then folded in from their
history, in which later ratings count more, because people tend to watch next what is like the movies they watched last.
Beside such tastes, an embedding tells of the order in which movies are watched, and of popularity: see `Parts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trainer.data.interactions import Interactions
from trainer.model.decompositions import principal_axes, qr
from trainer.model.fold_in import fold_in, user_temperatures
from trainer.model.hyperparameters import Hyperparameters
from trainer.model.partition import Partition
from trainer.model.parts import Parts, beside
from trainer.model.popularity import popularity_weight, with_popularity
from trainer.model.progress import OnProgress
from trainer.model.side_by_side import train_side_by_side
from trainer.model.temperature import temperature_for
from trainer.model.vectors import unit_rows
from trainer.model.watching_order import order_vectors, recent_order
from trainer.workers.workers import ALONE, Workers, total

ALL = slice(None)


@dataclass(frozen=True)
class Embeddings:
    """The fitted model.

    users: float32[num_users, d], unit rows; zeros for a user without positives.
    movies: float32[num_movies, d], unit rows: the trained ones, and those with an embedding from their content, if any.
    temperature: what cosines of tastes are divided by, for the typical user.
    parts: what the embeddings are made of. If one tells of popularity, d is embedding_dim and NUM_COMPONENTS.
    """

    users: np.ndarray
    movies: np.ndarray
    temperature: float
    parts: Parts


def fit(
    known: Interactions,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress = lambda progress: None,
    checkpoints: Path | None = None,
    folded: np.ndarray | slice = ALL,
    workers: Workers = ALONE,
) -> Embeddings:
    """Fit the movies, then fold in the users; the same seed gives the same embeddings.

    Of two fits side by side, what only one of them found is in the last components, which are left out. Beside the
    tastes comes the order of watching. Both are rotated so that the leading components tell most of how much a user
    likes a movie: see `principal_axes`.

    on_progress: called after each step.  checkpoints: a folder in which a long fit leaves its state. If the fit is
    killed, the same call goes on from there, with the same result as without the interruption.
    folded: int rows of the users who are folded in; the others keep the embedding that they were trained with.
    workers: each fits its users, and all of them the movies together; each has all movies in the end.
    """
    num_likes = known.likes
    training_history = known.history(0.0, hyperparameters.watched_weight)
    temperature = hyperparameters.temperature
    if temperature is None:
        temperature = temperature_for(num_likes, training_history, hyperparameters, on_progress, workers)
        hyperparameters = replace(hyperparameters, temperature=temperature)
    partition = Partition(num_likes, popularity_weight(temperature, num_likes))
    users, movies = train_side_by_side(training_history, partition, hyperparameters, on_progress, checkpoints, workers)
    del training_history  # it may take gigabytes, and so does the next
    axes = _leading_axes(users, movies, num_likes, hyperparameters.embedding_dim, workers)
    users, tastes = unit_rows(users @ axes), unit_rows(movies @ axes)
    history = known.history(hyperparameters.recency, hyperparameters.watched_weight)
    temperatures = user_temperatures(temperature, history)
    plain = Partition(num_likes)  # popularity is added afterwards
    users[folded] = fold_in(history[folded], tastes, temperatures[folded], users[folded], plain, on_progress)
    del history
    order = order_vectors(known, workers)
    told = order if hyperparameters.recency else order[:, :0]  # without recency, what comes next is not asked for
    users, movies = beside(users, recent_order(known, told)), beside(tastes, told)
    axes = _leading_axes(users, movies, num_likes, hyperparameters.embedding_dim, workers)
    users, movies = users @ axes, movies @ axes
    axes = np.pad(axes, ((0, order.shape[1] - told.shape[1]), (0, 0)))  # what is not told counts nothing
    users, movies, component = with_popularity(users, movies, temperatures, partition.popularity, temperature)
    return Embeddings(users, movies, temperature, Parts(tastes, order, axes, component))


def _leading_axes(
    users: np.ndarray, movies: np.ndarray, num_likes: np.ndarray, count: int, workers: Workers
) -> np.ndarray:
    """Return float32[d, at most count], the same on all workers.  users, movies: float32[any, d]."""
    axes = workers.from_chief(principal_axes(_alike(users, workers), _as_often_as_liked(movies, num_likes)))
    return axes[:, :count]


def _alike(users: np.ndarray, workers: Workers) -> np.ndarray:
    """Return float32[any, d] whose second moment is that of all workers' users.  users: float32[num_users, d]."""
    if workers.count == 1:
        return users
    _, triangle = qr(users)  # triangleᵀ · triangle = usersᵀ · users
    triangles = np.concatenate(workers.gather(triangle))
    alike: np.ndarray = triangles * np.float32(np.sqrt(len(triangles) / total(workers, len(users))))
    return alike


def _as_often_as_liked(movies: np.ndarray, num_likes: np.ndarray) -> np.ndarray:
    """Return float32[num_movies, d] whose second moment is that of all likes' movies.  num_likes: int64[num_movies]."""
    weighted: np.ndarray = movies * np.sqrt(num_likes / num_likes.mean()).astype(np.float32)[:, None]
    return weighted
