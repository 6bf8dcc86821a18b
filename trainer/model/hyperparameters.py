"""The hyperparameters of the model, and the rules for those that follow the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

USER_VISITS = 300_000  # a fit sees so many histories, one user's several times: more visits gain little
MIN_EPOCHS, MAX_EPOCHS = 3, 10
MIN_USERS_OF_TWO_FITS = 1_000  # with fewer, a second fit gains less than chance
MAX_USERS_OF_TWO_FITS = 8_000  # more would take twice the time for it, or rank worse after half the epochs each
VISITS_OF_TWO_FITS = 45_000  # of each of the two, so that both together take little longer than one did
STEPS_PER_EPOCH = 5  # at least, so that a few hundred users train as well as many


@dataclass(frozen=True)
class Hyperparameters:
    """How the model is fitted.

    The defaults were chosen on inner splits of several data sets. Neighbouring values of each change the metrics by
    less than a standard error.
    """

    embedding_dim: int = 256
    epochs: int | None = None  # passes over the users; None: see `epochs_for`
    batch_size: int = 256  # users per step, but at most one in STEPS_PER_EPOCH
    learning_rate: float = 0.007  # Adam's, at the first step; it decays to 0 along a cosine
    temperature: float | None = None  # divides cosines before the softmax; None: see `trainer.model.temperature`
    watched_weight: float = 0.15  # how much a movie counts that was watched but not liked; a liked one counts 1
    recency: float = 3.0  # a user's oldest rating counts exp(−recency) of the newest: see Interactions.history
    seed: int = 0

    def epochs_for(self, num_users: int) -> int:
        """Return the chosen number of epochs, or the default for that many users if none was chosen."""
        if self.epochs is not None:
            return self.epochs
        visits = VISITS_OF_TWO_FITS if self.num_fits_for(num_users) == 2 else USER_VISITS
        return min(max(visits // num_users, MIN_EPOCHS), MAX_EPOCHS)

    def num_fits_for(self, num_users: int) -> int:
        """Return how many times the tables of that many users are trained, each time from another seed: see `fit`."""
        return 2 if MIN_USERS_OF_TWO_FITS <= num_users <= MAX_USERS_OF_TWO_FITS else 1

    def batch_size_for(self, num_users: int) -> int:
        """Return how many of that many users are in a step."""
        return min(self.batch_size, -(-num_users // STEPS_PER_EPOCH))


def default_temperature(num_likes: np.ndarray) -> float:
    """Return the temperature for a catalogue: the fewer movies the likes are spread over, the softer the softmax.

    What counts is the effective number of movies, 1 / Σ share² (the inverse of Simpson's index): as many equally
    popular movies would meet as often in two likes drawn at random. A long tail of rare movies hardly raises it. The
    power law passes near the best temperatures of data sets of movies, of artists and of places.

    num_likes: int64[num_movies], at least 1 each.
    """
    share = num_likes / num_likes.sum()
    effective_movies = 1 / np.square(share).sum()
    return float(min(max(0.95 * effective_movies**-0.27, 0.05), 0.3))
