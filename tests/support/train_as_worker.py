"""The trainer's command line with a checkpoint after each epoch: `… tests.support.train_as_worker FLAGS`.

With IS_HELD in its environment it waits after the first one until it is killed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np

from trainer.cli.main import main
from trainer.model import checkpoints
from trainer.model.checkpoints import Checkpoint

IS_HELD = "IS_HELD"

save = Checkpoint.save


def save_and_wait(checkpoint: Checkpoint, epoch: int, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
    save(checkpoint, epoch, state)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    checkpoints.EVERY_S = 0.0
    if IS_HELD in os.environ:
        Checkpoint.save = save_and_wait  # type: ignore[assignment, method-assign]
    sys.exit(main(sys.argv[1:]))
