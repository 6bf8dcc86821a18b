"""How the model is fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """Chosen on inner splits of ml-latest-small and ml-100k, in time and at random; neighbouring values of each differ
    by less than a standard error of the metrics."""

    embedding_dim: int = 256
    epochs: int = 40
    batch_size: int = 128  # users per step
    learning_rate: float = 0.01  # Adam's, at the first step; decays to 0 along a cosine
    temperature: float = 0.0  # what cosines are divided by before the softmax; 0: see default_temperature
    watched_weight: float = 0.15  # of a movie that was watched but not liked, against 1 for a liked one
    recency: float = 3.0  # a user's oldest rating counts exp(−recency) of the newest: see Interactions.history
    seed: int = 0


def default_temperature(num_movies: int) -> float:
    """Fewer movies need a softer softmax: best were 0.2 for 1,400 (ml-100k), 0.15 for 3,500 (ml-1m, as published with
    the loss) and 0.12 for 7,400 (ml-latest-small)."""
    best: float = 0.2 * (1500 / num_movies) ** 0.33
    return min(max(best, 0.07), 0.3)
