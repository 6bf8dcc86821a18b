"""Why a release was not published or withdrawn. The command line prints these errors and exits with status 1.

ReleaseError
├── GateError          the figures of a training run are too bad to publish it
├── NotWritable        releases cannot be written to the folder
├── TrainerRunning     another trainer publishes to the same folder
├── SigningKeyError    the key that is to sign the release cannot be read
├── KeyTableError      the table of text keys cannot be read
├── ArtifactsError     the variable ARTIFACTS names no bucket
├── CanaryError        a canary cannot be named, promoted or withdrawn, or none may be there
└── NoOlderRelease     there is no release to go back to
"""

from __future__ import annotations


class ReleaseError(Exception):
    """The releases stay as they are; the message says why."""


class GateError(ReleaseError):
    """A training run was not published; the message names each figure that failed."""


class NotWritable(ReleaseError):
    """A training run was not started, because its release could not be written."""


class TrainerRunning(ReleaseError):
    """A training run was not started, because another one is in progress."""


class SigningKeyError(ReleaseError):
    """A training run was not started, because its release could not be signed."""


class KeyTableError(ReleaseError):
    """The table of text keys cannot be read; the message names the file and the line."""


class ArtifactsError(ReleaseError):
    """Nothing was done, because the variable ARTIFACTS is wrong."""


class CanaryError(ReleaseError):
    """The canary stays as it is, and nothing was published."""


class NoOlderRelease(ReleaseError):
    """The newest release was not withdrawn, because no older one could take its place."""
