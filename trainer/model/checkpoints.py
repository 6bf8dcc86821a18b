"""What a long fit leaves on disk, so that it goes on where it was if it is killed."""

from __future__ import annotations

import hashlib
import logging
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy import sparse

from trainer.model.hyperparameters import Hyperparameters

EVERY_S = 120.0  # a fit that takes less is not worth a file of hundreds of megabytes
EPOCH = "epoch"  # the name of its number among the arrays

log = logging.getLogger(__name__)


class Checkpoint:
    """The state after an epoch of one fit, in a file whose name tells the histories and the hyperparameters apart."""

    def __init__(self, folder: Path, histories: sparse.csr_matrix, hyperparameters: Hyperparameters) -> None:
        """histories: CSR float32[num_users, num_movies], what the fit learns from."""
        digest = hashlib.sha256(repr((histories.shape, sorted(asdict(hyperparameters).items()))).encode())
        for values in (histories.indptr, histories.indices, histories.data):
            digest.update(np.ascontiguousarray(values).data)
        self._path = folder / f"{digest.hexdigest()[:32]}.npz"
        self._saved_at = time.monotonic()

    def load(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """Return (the number of epochs that are done, the arrays of the state by name); None if there is no file."""
        try:
            with np.load(self._path, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s cannot be read, so the fit starts anew: %s", self._path, error)
            return None
        return int(state.pop(EPOCH)), state

    def save(self, epoch: int, state: Mapping[str, np.ndarray]) -> None:
        """Write the state after this epoch, unless little time has passed since it was last written."""
        if time.monotonic() - self._saved_at < EVERY_S:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            # its signature takes every keyword but `allow_pickle` for an array
            np.savez(file, **{EPOCH: np.int64(epoch), **state})  # type: ignore[arg-type]
        unfinished.replace(self._path)
        self._saved_at = time.monotonic()
