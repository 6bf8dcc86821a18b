"""Scans that begin together, in one multiplication, which reads the leading components of all movies once for all."""

from __future__ import annotations

import numpy as np

from protos.release.v1.search import is_scanned, leading_scores
from recommender_service.recommendation import Embedding
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest

MAX_TOGETHER = 16  # with more, 60,000 movies would take longer than calls should hold each other up


class Scan:
    """The scan for one query.

    query: float32[embedding_dim].  scores: float32[num_trained_movies], once it has begun.
    """

    def __init__(self, query: np.ndarray) -> None:
        self.query = query
        self.scores: np.ndarray | None = None


class JointScans:
    """The scans of one release that have not begun. Calls add theirs, and then wait for their turn."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._waiting: list[Scan] = []

    def add(self, request: ResolvedRequest, embedding: Embedding, num_together: int = 1) -> Scan | None:
        """The scan that answers a request; None if something else answers it, or a scan of few movies.

        num_together: how many requests the call makes.
        """
        effort = self._release.newcomer_effort if request.fold_in_key else self._release.effort
        if not isinstance(embedding, np.ndarray) or request.qualifying is not None:
            return None
        num_excluded = len(request.excluded_rows)
        if not is_scanned(self._release.movie_embeddings, effort, request.limit, num_excluded, num_together):
            return None
        scan = Scan(embedding)
        self._waiting.append(scan)
        return scan

    def begin(self, scan: Scan | None) -> np.ndarray | None:
        """The scores that `rank` takes; None for None.

        If they are not there yet, up to MAX_TOGETHER scans that wait begin too. Each is asked for once.
        """
        if scan is not None and scan.scores is None:
            self._waiting.remove(scan)
            together = [scan, *self._waiting[: MAX_TOGETHER - 1]]
            del self._waiting[: MAX_TOGETHER - 1]
            scores = leading_scores(self._release.movie_embeddings, np.array([one.query for one in together]))
            for one, its_scores in zip(together, scores, strict=True):
                one.scores = its_scores
        return scan.scores if scan is not None else None
