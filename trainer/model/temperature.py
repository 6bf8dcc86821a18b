"""The temperature: by rule where users have long histories, and by a quick search where they have short ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse, special

from trainer.model.fold_in import user_temperatures
from trainer.model.hyperparameters import Hyperparameters, default_temperature
from trainer.model.partition import Partition
from trainer.model.progress import OnProgress
from trainer.model.train_tables import train_tables
from trainer.workers.matrices import matrix_to_chief
from trainer.workers.workers import ALONE, Workers, total

LONG_HISTORY = 50  # likes a user, on average: from here on the rule is as good as a search, and costs nothing
FEW_USERS = 200  # fewer tell one temperature from another by chance only
MAX_USERS = 20_000  # who take part in the search
HELD_OUT = 0.2  # the share of each history that the search predicts
RATIO = 1.4  # between the temperatures that are tried
MAX_STEPS = 4  # of this ratio, away from the rule
EPOCHS = 1
MAX_SCORED_USERS, MAX_SCORES = 800, 10_000_000  # for the loss on what was held out
TINY = 1e-9  # of the curvature
SHARPER = np.geomspace(0.4, 1.2, 12)  # the temperature that predicts best is mostly below the one that trains best


def temperature_for(
    num_likes: np.ndarray,
    history: sparse.csr_matrix,
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
    workers: Workers = ALONE,
) -> float:
    """Return the temperature for a data set.

    num_likes: int64[num_movies], at least 1 each.  history: CSR float32[num_users, num_movies], what is learnt from.
    workers: each draws its share of the users, and the chief searches.
    """
    rule = default_temperature(num_likes)
    with_history = np.flatnonzero(np.diff(history.indptr))
    num_users = total(workers, len(with_history))
    if num_users < FEW_USERS or num_likes.sum() >= LONG_HISTORY * num_users:
        return rule
    rng = np.random.default_rng(hyperparameters.seed)
    count = min(MAX_USERS * len(with_history) // num_users, len(with_history))
    users = rng.choice(with_history, count, replace=False)
    sample = matrix_to_chief(workers, history[np.sort(users)])
    found = workers.on_chief(lambda: _search(rule, _parts(sample, rng), hyperparameters, on_progress))
    return float(workers.from_chief(np.array([rule if found is None else found]))[0])


def _search(
    rule: float,
    parts: tuple[sparse.csr_matrix, sparse.csr_matrix],
    hyperparameters: Hyperparameters,
    on_progress: OnProgress,
) -> float:
    """Return the temperature whose short fit best predicts a held-out part, found by walking from the rule downhill.

    Between neighbours that were tried, it is the vertex of the parabola through their losses.

    parts: what is learnt from and what is held out: see `_parts`.
    """
    losses: dict[int, float] = {}

    def loss(step: int) -> float:
        if step not in losses:
            tried = replace(hyperparameters, temperature=rule * RATIO**step, epochs=EPOCHS)
            losses[step] = _held_out_loss(*parts, tried, on_progress)
        return losses[step]

    best = 0
    while abs(best) < MAX_STEPS:
        nearby = min(best - 1, best + 1, key=loss)
        if loss(nearby) >= loss(best):
            lower, higher = loss(best - 1) - loss(best), loss(best + 1) - loss(best)
            vertex = (lower - higher) / (2 * max(lower + higher, TINY))
            return float(rule * RATIO ** (best + vertex))
        best = nearby
    return float(rule * RATIO**best)


def _parts(history: sparse.csr_matrix, rng: np.random.Generator) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Split each user's history at random into what is learnt from and what is held out.

    Both are CSR float32[num_users, n], where n counts the movies that are left to learn from.
    """
    is_held_out = rng.random(history.nnz) < HELD_OUT
    parts = []
    for kept in (~is_held_out, is_held_out):
        part = history.copy()
        part.data[~kept] = 0
        part.eliminate_zeros()
        parts.append(part)
    with_history = np.flatnonzero(np.asarray(parts[0].sum(axis=0)).ravel())
    learnt, held_out = (sparse.csr_matrix(part[:, with_history]) for part in parts)
    return learnt, held_out


def _held_out_loss(
    learnt: sparse.csr_matrix, held_out: sparse.csr_matrix, hyperparameters: Hyperparameters, on_progress: OnProgress
) -> float:
    """Return the mean negative log-likelihood of held-out movies among those that a user's learnt history lacks.

    The likelihood is the highest over several scoring temperatures, so that only the ranking and its confidence count.
    """
    temperature = hyperparameters.temperature
    assert temperature is not None
    trying = f"trying the temperature {temperature:.3f}"
    users, movies = train_tables(
        learnt,
        Partition(np.diff(learnt.tocsc().indptr)),
        hyperparameters,
        lambda progress: on_progress(replace(progress, doing=trying, epoch_done=None)),
    )
    scored = np.flatnonzero((np.diff(learnt.indptr) > 0) & (np.diff(held_out.indptr) > 0))
    scored = scored[: min(MAX_SCORED_USERS, MAX_SCORES // len(movies))]
    hidden, expected = learnt[scored], held_out[scored].tocoo()
    cosines = users[scored] @ movies.T
    cosines[np.repeat(np.arange(len(scored)), np.diff(hidden.indptr)), hidden.indices] = -np.inf
    own = user_temperatures(temperature, learnt)[scored, None]
    losses = []
    for sharper in SHARPER:
        logits = cosines / (own * np.float32(sharper))
        partition = special.logsumexp(logits, axis=1)
        losses.append(np.average(partition[expected.row] - logits[expected.row, expected.col], weights=expected.data))
    return float(min(losses))
