"""What a training run hands over to be published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.dataset import Dataset
from trainer.data.interactions import Interactions
from trainer.evaluation.evaluate import Evaluation
from trainer.model.cosine_softmax import Embeddings
from trainer.model.hyperparameters import Hyperparameters
from trainer.release.keys import Keys


@dataclass(frozen=True)
class Fitted:
    """One training run, ready to publish.

    known: all ratings, with a row for every movie of the data set, rated or not.
    embeddings: fitted on `known`; after the trained movies come those with an embedding from their content, if any.
    evaluation: of the same hyperparameters on a split of the data set; None if nothing was evaluated.
    user_keys, movie_keys: the keys of the ids; None where ids are numbers.
    cheapest: whether the fastest engine searches, or the Annoy index wherever it is nearly as fast.
    forced_despite: the reasons not to publish it, if it is published all the same.
    """

    dataset: Dataset
    known: Interactions
    embeddings: Embeddings
    hyperparameters: Hyperparameters
    evaluation: Evaluation | None
    forced_despite: Sequence[str] = ()
    user_keys: Keys | None = None
    movie_keys: Keys | None = None
    cheapest: bool = False

    @property
    def num_content_movies(self) -> int:
        """How many movies that nobody liked have an embedding from their content."""
        return len(self.embeddings.movies) - self.known.num_trained_movies

    @property
    def trained_movies(self) -> np.ndarray:
        """float32[num_trained_movies, d]: the embeddings of the trained movies."""
        movies: np.ndarray = self.embeddings.movies[: self.known.num_trained_movies]
        return movies
