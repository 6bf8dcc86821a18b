"""Locks that tell whether a folder of artifacts is in use.

A trainer holds the claim file in the folder that it writes, and a recommender shares the manifest of the release that
it serves.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protos.release.v1 import layout
from protos.release.v1.locks import Use, locked
from trainer.release.errors import TrainerRunning

CLAIM = ".claim"
TRAINER = ".trainer.lock"  # beside the releases; it stays, and says nothing unless it is locked

log = logging.getLogger(__name__)


@contextmanager
def sole_trainer(artifacts: Path) -> Iterator[None]:
    """Keep other trainers from training for this folder. A trainer that dies holds no lock.

    Where the file system has no locks, it only warns. Raises TrainerRunning if another one is training.
    """
    path = artifacts / TRAINER
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with locked(path) as use:
        if use == Use.IN_USE:
            raise TrainerRunning(f"another trainer is training for {artifacts}: this one did nothing")
        if use == Use.UNKNOWN:
            log.warning("%s has no file locks: make sure that no other trainer runs", artifacts)
        yield


def use_of(folder: Path) -> Use:
    """Whether a trainer writes into this folder of a release or a recommender serves it. If it is gone, it is free."""
    uses = []
    for path in (folder / CLAIM, folder / layout.MANIFEST):
        try:
            with locked(path) as use:
                uses.append(use)
        except FileNotFoundError:
            continue
        except OSError:  # this process may not look into it
            uses.append(Use.UNKNOWN)
    return next((use for use in (Use.IN_USE, Use.UNKNOWN) if use in uses), Use.FREE)
