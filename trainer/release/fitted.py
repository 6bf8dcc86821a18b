"""What a training run hands over to be published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.data.dataset import Dataset
from trainer.data.interactions import Interactions
from trainer.evaluation.evaluate import Evaluation
from trainer.model.cosine_softmax import Embeddings
from trainer.model.hyperparameters import Hyperparameters


@dataclass(frozen=True)
class Fitted:
    """One training run, ready to publish.

    known: all ratings, with a row for every movie of the data set, rated or not.
    embeddings: fitted on `known`.
    evaluation: of the same hyperparameters on a split of the data set; None if nothing was evaluated.
    forced_despite: the reasons not to publish it, if it is published all the same.
    """

    dataset: Dataset
    known: Interactions
    embeddings: Embeddings
    hyperparameters: Hyperparameters
    evaluation: Evaluation | None
    forced_despite: Sequence[str] = ()
