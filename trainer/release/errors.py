"""Why a release was not published or withdrawn. The command line prints these errors and exits with status 1.

ReleaseError
├── GateError          the figures of a training run are too bad to publish it
└── NoOlderRelease     there is no release to go back to
"""

from __future__ import annotations


class ReleaseError(Exception):
    """The releases stay as they are; the message says why."""


class GateError(ReleaseError):
    """A training run was not published; the message names each figure that failed."""


class NoOlderRelease(ReleaseError):
    """The newest release was not withdrawn, because no older one could take its place."""
