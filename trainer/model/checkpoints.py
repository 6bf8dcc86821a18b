"""What a long fit leaves on disk, so that it goes on where it was if it is killed."""

from __future__ import annotations

import hashlib
import logging
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy import sparse

from trainer.model.hyperparameters import Hyperparameters
from trainer.workers.workers import ALONE, Workers

EVERY_S = 120.0  # a fit that takes less is not worth a file of hundreds of megabytes
EPOCH = "epoch"  # the name of its number among the arrays

log = logging.getLogger(__name__)


class Checkpoint:
    """The state after an epoch of one fit, in a file whose name tells the histories and the hyperparameters apart.

    Of several workers, each has a file of its own state. Its last file stays until all have written the next one, so
    that there is always an epoch of which all have the state.
    """

    def __init__(
        self, folder: Path, histories: sparse.csr_matrix, hyperparameters: Hyperparameters, workers: Workers = ALONE
    ) -> None:
        """histories: CSR float32[num_users, num_movies], what the fit learns from, on this worker."""
        digest = hashlib.sha256(repr((histories.shape, sorted(asdict(hyperparameters).items()))).encode())
        for values in (histories.indptr, histories.indices, histories.data):
            digest.update(np.ascontiguousarray(values).data)
        of_worker = f".worker-{workers.rank}-of-{workers.count}" if workers.count > 1 else ""
        self._folder, self._stem = folder, f"{digest.hexdigest()[:32]}{of_worker}"
        self._workers = workers
        self._saved_at = time.monotonic()

    def load(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """Return (the number of epochs that are done, the arrays of the state by name); None if there is no state.

        It is the newest of which every worker has the state.
        """
        states = {path: state for path in self._paths() if (state := _read(path)) is not None}
        epochs = np.array([int(state[EPOCH]) for state in states.values()], np.int64)
        everywhere = set.intersection(*(set(own.tolist()) for own in self._workers.gather(epochs)))
        if not everywhere:
            return None
        state = next(state for state in states.values() if int(state[EPOCH]) == max(everywhere))
        return int(state.pop(EPOCH)), state

    def save(self, epoch: int, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Write the state after this epoch, unless little time has passed since it was last written."""
        is_due = time.monotonic() - self._saved_at >= EVERY_S
        if not self._workers.from_chief(np.array([is_due], np.int32))[0]:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        older = self._paths()
        path = self._folder / f"{self._stem}.{epoch}.npz"
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            # its signature takes every keyword but `allow_pickle` for an array
            np.savez(file, **{EPOCH: np.int64(epoch), **state()})  # type: ignore[arg-type]
        unfinished.replace(path)
        self._workers.sum(np.zeros(1, np.int64))  # all have written theirs
        for old in set(older) - {path}:
            old.unlink()
        self._saved_at = time.monotonic()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._stem}.*.npz"))


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s cannot be read, so the fit does not go on from it: %s", path, error)
        return None
