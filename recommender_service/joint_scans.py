"""Scans that begin together, in one multiplication, which reads the leading components of all movies once for all."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import numpy as np

from protos.release.v1.effort import scan_depth
from protos.release.v1.scans import StartedScan, start_scans
from protos.release.v1.search import is_scanned
from recommender_service.recommendation import Embedding
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest

MAX_TOGETHER = 50  # the largest batch begins in two halves
MAX_SCORES = 1_000_000  # of movies, for all scans together; more would take longer than calls should hold each other up
SCORES_PER_EXCLUDED = 5  # to leave out a movie takes as long as so many scores


class Scan:
    """The scan for one query.

    query: float32[embedding_dim].  excluded_rows: as for `nearest`.
    depth: how many movies it scores by their whole vectors.  started: None until it has begun.
    """

    def __init__(self, query: np.ndarray, excluded_rows: np.ndarray, depth: int) -> None:
        self.query, self.excluded_rows, self.depth = query, excluded_rows, depth
        self.started: StartedScan | None = None


class JointScans:
    """The scans of one release that have not begun. Calls add theirs, and then wait for their turn."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._waiting: list[Scan] = []

    def add(self, request: ResolvedRequest, embedding: Embedding, num_together: int = 1) -> Scan | None:
        """The scan that answers a request; None if something else answers it, or a scan of few movies.

        num_together: how many requests the call makes.
        """
        movies = self._release.movie_embeddings
        effort = self._release.newcomer_effort if request.fold_in_key else self._release.effort
        if not isinstance(embedding, np.ndarray) or request.qualifying is not None:
            return None
        if not is_scanned(movies, effort, request.limit, len(request.excluded_rows), num_together):
            return None
        depth = scan_depth(effort.scan_candidates, movies.recall_k, request.limit)
        scan = Scan(embedding, request.excluded_rows, depth)
        self._waiting.append(scan)
        return scan

    def begin(self, scan: Scan | None) -> StartedScan | None:
        """The scan that `rank` takes; None for None.

        If it has not begun yet, others that wait begin with it. Each is asked for once.
        """
        if scan is not None and scan.started is None:
            together = self._take(scan)
            queries, excluded_rows = np.array([one.query for one in together]), [one.excluded_rows for one in together]
            depth = max(one.depth for one in together)
            started = start_scans(self._release.movie_embeddings, queries, excluded_rows, depth)
            for one, its_start in zip(together, started, strict=True):
                one.started = its_start
        return scan.started if scan is not None else None

    def _take(self, scan: Scan) -> list[Scan]:
        """Take this scan off those that wait, and with it the first others, as far as the bounds above allow."""
        self._waiting.remove(scan)
        together = [scan, *self._waiting[: MAX_TOGETHER - 1]]
        num_movies = self._release.num_trained_movies
        costs = accumulate(num_movies + SCORES_PER_EXCLUDED * len(one.excluded_rows) for one in together)
        together = together[: max(1, bisect_right(list(costs), MAX_SCORES))]
        del self._waiting[: len(together) - 1]
        return together
