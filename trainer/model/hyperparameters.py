"""The hyperparameters of the model and the rule for its temperature."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """How the model is fitted.

    The defaults were chosen on inner splits of ml-latest-small and ml-100k, in time and at random. Neighbouring values
    of each change the metrics by less than a standard error.
    """

    embedding_dim: int = 256
    epochs: int = 40
    batch_size: int = 128  # users per step
    learning_rate: float = 0.01  # Adam's, at the first step; it decays to 0 along a cosine
    temperature: float | None = None  # cosines are divided by it before the softmax; None: see `temperature_for`
    watched_weight: float = 0.15  # how much a movie counts that was watched but not liked; a liked one counts 1
    recency: float = 3.0  # a user's oldest rating counts exp(−recency) of the newest: see Interactions.history
    seed: int = 0

    def temperature_for(self, num_movies: int) -> float:
        """Return the chosen temperature, or the default for that many trained movies if none was chosen."""
        return default_temperature(num_movies) if self.temperature is None else self.temperature


def default_temperature(num_movies: int) -> float:
    """Return the temperature for that many trained movies: the fewer there are, the softer the softmax must be.

    The power law passes near the best temperatures of ml-100k, ml-1m and ml-latest-small.
    """
    best: float = 0.2 * (1500 / num_movies) ** 0.33
    return min(max(best, 0.07), 0.3)
