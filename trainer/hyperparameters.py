"""How the model is fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """On ml-latest-small, neighbouring values of each differ by less than a standard error of the metrics."""

    embedding_dim: int = 256
    epochs: int = 40
    batch_size: int = 128  # users per step
    learning_rate: float = 0.01  # Adam's, at the first step; decays to 0 along a cosine
    temperature: float = 0.12  # what cosines are divided by before the softmax
    seed: int = 0
