"""What the operator last said of a canary, and why it is not served."""

from __future__ import annotations

import logging
from pathlib import Path

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1.canary import Canary, CanaryFileError, read_canary

log = logging.getLogger(__name__)


class CanarySetting:
    """The canary that the file beside the releases names. A file that cannot be used changes nothing.

    canary: None if there is none.
    is_known: false if the file could never be used, so that nobody can tell which release all users may get.
    problem: why the file cannot be used; empty if it can, or if there is none.
    """

    def __init__(self, releases: Path) -> None:
        self.canary: Canary | None = None
        self.is_known = False
        self.problem = ""
        self._releases = releases

    def read(self) -> None:
        """Read the file. A problem is logged when it is new."""
        try:
            self.canary, self.is_known, problem = read_canary(self._releases), True, ""
        except CanaryFileError as error:
            problem = str(error)
            if problem != self.problem:
                log.error("canary refused", extra={"fields": {"reason": problem}})
        self.problem = problem

    def keeps_back(self, version: int) -> str:
        """Why a release may not become active; empty if it may."""
        if not self.is_known:
            return f"a canary file that can be used: {self.problem}"
        if self.canary is not None and version > self.canary.release:
            return f"the canary {self.canary.release} to be promoted or withdrawn"
        if self.canary is not None and version == self.canary.release:
            return "an older release to become active, because it is the canary"
        return ""

    def status(self, running: Canary | None) -> api.CanaryStatus | None:
        """What GetServingStatus says.  running: the canary that serves.  None if there is nothing to say."""
        shown = running or self.canary
        if shown is None:
            return api.CanaryStatus(problem=self.problem) if self.problem else None
        return api.CanaryStatus(
            release=shown.release, share=shown.share, running=running is not None, problem=self.problem
        )
