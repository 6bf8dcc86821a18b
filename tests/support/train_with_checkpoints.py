"""Trains with a checkpoint after each epoch: `… tests.support.train_with_checkpoints ARTIFACTS EPOCHS`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tests.support.tastes import dataset_of, tastes
from trainer.model import checkpoints
from trainer.model.hyperparameters import Hyperparameters
from trainer.training import train

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    checkpoints.EVERY_S = 0.0
    hyperparameters = Hyperparameters(embedding_dim=16, epochs=int(sys.argv[2]))
    train(dataset_of(tastes(users=80, movies=60)), 3.5, hyperparameters, Path(sys.argv[1]), force=True)
