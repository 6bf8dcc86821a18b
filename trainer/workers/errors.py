"""Why workers cannot train together. The command line prints these errors.

WorkersError
├── ClusterError    TF_CONFIG is wrong, or a worker was started with other data or flags: exit status 1
├── ChiefFailed     the chief has published nothing, and says why: exit status 1
└── WorkerLost      a worker did not start, has ended or cannot be reached: exit status 138
"""

from __future__ import annotations


class WorkersError(Exception):
    """The workers do not train; nothing was published."""


class ClusterError(WorkersError):
    """The workers cannot train together as they were started; the message says what was expected."""


class ChiefFailed(WorkersError):
    """The chief gave up; the message is the chief's."""


class WorkerLost(WorkersError):
    """The same commands, started again, may succeed; the message names the worker if it is known."""
