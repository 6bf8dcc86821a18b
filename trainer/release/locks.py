"""Locks that tell whether a folder of artifacts is in use. The operating system releases those of a dead process.

A trainer holds the claim file in the folder that it writes, and a recommender shares the manifest of the release that
it serves. Files are locked and not folders, whose locks do not reach other hosts on NFS, and they are opened for
writing, because NFS grants no exclusive lock otherwise.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from protos.release.v1 import layout
from trainer.release.errors import TrainerRunning

CLAIM = ".claim"
TRAINER = ".trainer.lock"  # beside the releases; it stays, and says nothing unless it is locked

log = logging.getLogger(__name__)


class Use(Enum):
    """Whether another process has locked something."""

    FREE = "free"
    IN_USE = "in use"
    UNKNOWN = "its file system has no locks"


@contextmanager
def locked(path: Path) -> Iterator[Use]:
    """Try to lock a file for this process alone, and yield whether it was free. If it was, it is locked."""
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            use = Use.IN_USE
        except OSError:
            use = Use.UNKNOWN
        else:
            use = Use.FREE
        yield use
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)
    except OSError:  # this process may only read it
        return os.open(path, os.O_RDONLY)


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
