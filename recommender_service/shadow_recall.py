"""Measures on live queries how many of the truly nearest movies the answers hold.

Now and then a thread repeats a query of Recommend exactly. It takes at most SHARE of a core, however many calls there
are: after a query it waits for as long as makes up for the time that it took.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time

import numpy as np

from recommender_service.metrics import SHADOW_MOVIES, SHADOW_MOVIES_FOUND, SHADOW_QUERIES
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest

log = logging.getLogger(__name__)

SHARE = 0.01
MIN_PAUSE_S = 0.1  # where a query takes so little that starting a thread for it costs more
TOLERANCE = 1e-6  # a movie whose score is that of the last one, but for rounding, is as good


class ShadowRecall:
    """Repeats queries, one at a time."""

    def __init__(self) -> None:
        self._next_at = 0.0  # monotonic seconds; infinite while a query is being repeated

    def is_due(self) -> bool:
        """Whether the next query should be repeated."""
        return time.monotonic() >= self._next_at

    def repeat(self, release: Release, request: ResolvedRequest, embedding: np.ndarray, rows: list[int]) -> None:
        """Let a thread compare an answer with the exact one.

        embedding: float32[embedding_dim], what was searched for.  rows: of the movies in the answer.
        """
        self._next_at = math.inf
        asyncio.get_running_loop().run_in_executor(None, self._compare, release, request, embedding, rows)

    def _compare(self, release: Release, request: ResolvedRequest, embedding: np.ndarray, rows: list[int]) -> None:
        start = time.thread_time()
        try:
            wanted, found = exact_matches(release.movie_embeddings.vectors, request, embedding, rows)
            SHADOW_QUERIES.inc()
            SHADOW_MOVIES.inc(wanted)
            SHADOW_MOVIES_FOUND.inc(found)
        except Exception:
            log.exception("bug", extra={"fields": {"task": "shadow recall"}})
        finally:
            self._next_at = time.monotonic() + max(MIN_PAUSE_S, (time.thread_time() - start) / SHARE)


def exact_matches(
    vectors: np.ndarray, request: ResolvedRequest, embedding: np.ndarray, rows: list[int]
) -> tuple[int, int]:
    """(number of the nearest movies that an answer as long as this one holds, how many of them this one holds).

    vectors: float32[num_trained_movies, embedding_dim].
    """
    scores = vectors @ embedding  # float32[num_trained_movies]
    scores[request.excluded_rows[request.excluded_rows < len(scores)]] = -np.inf
    if request.qualifying is not None:
        scores[~request.qualifying[: len(scores)]] = -np.inf
    wanted = min(len(rows), int(np.count_nonzero(scores > -np.inf)))
    if not wanted:
        return 0, 0
    last = np.partition(scores, len(scores) - wanted)[len(scores) - wanted]
    return wanted, min(wanted, int(np.count_nonzero(scores[rows] >= last - TOLERANCE)))
