"""Searches one release in Milvus. Every search names the collection of the release, so no answer mixes two."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.errors import MilvusUnavailable
from recommender_service.milvus import collection as names
from recommender_service.milvus.client import Found, Milvus
from recommender_service.page_tokens import Cursor
from recommender_service.pages import Page, exact_scores, page_of
from recommender_service.release import Release

MAX_EXACT = 16_384  # movies whose vectors are fetched to rank them exactly; Milvus gives no longer answers
MAX_DEPTH = 16_384  # of a list that is asked for page by page, for the same reason
MAX_TOGETHER = 1_000  # movies for each list that is searched for together with others
MAX_SEARCHES = 8  # of a batch at once
ROUNDING = 1e-5  # by which Milvus' scores may differ from exact ones

Ranked = tuple[list[int], list[float]]
"""(rows, cosines), best first"""


class Wanted(NamedTuple):
    """A list that is asked for.

    limit, excluded_rows, qualifying: as for `nearest`.  movie_filter: what `qualifying` was made of.
    """

    query: np.ndarray
    limit: int
    excluded_rows: np.ndarray
    qualifying: np.ndarray | None
    movie_filter: api.MovieFilter | None


class MilvusSearch:
    """Finds the movies of one release that are nearest to vectors of the same release.

    Each method takes the deadline of what it asks Milvus, in monotonic seconds.
    """

    def __init__(self, milvus: Milvus, release: Release) -> None:
        self.release = release
        self._milvus = milvus
        self._collection = names.collection_of(release.manifest)
        manifest = release.manifest
        # The rows that have the vector which is searched come first.
        self._rows = {
            names.EMBEDDING: manifest.num_trained_movies + manifest.num_content_movies,
            names.SIMILARITY: manifest.num_trained_movies,
        }

    def deadline(self, time_remaining_s: float | None) -> float:
        """Until when Milvus may be asked in a call.  time_remaining_s: as gRPC tells it."""
        return self._milvus.deadline(time_remaining_s)

    async def vectors(self, field: str, rows: np.ndarray, deadline: float) -> np.ndarray:
        """float32[len(rows), dim] of these movies. Raises MilvusUnavailable.  rows: int, any."""
        if not len(rows):
            return np.empty((0, 1), np.float32)
        return await self._milvus.vectors(self._collection, field, self.release.movie_ids[rows], deadline)

    async def nearest(self, field: str, wanted: Wanted, deadline: float) -> Ranked:
        """The movies nearest to a vector that qualify and are not excluded; fewer than `limit` only if fewer do.

        Raises MilvusUnavailable.
        """
        effort = names.effort_for(wanted.limit, self._share(field, wanted))
        found = await self._search(field, wanted, wanted.limit, effort, deadline)
        if len(found) == wanted.limit:
            return self._ranked(found)
        left = self._left(field, wanted)
        if len(found) == len(left):
            return self._ranked(found)
        if len(left) > MAX_EXACT:  # the graph led to too few
            return self._ranked(await self._search(field, wanted, wanted.limit, names.MAX_EFFORT, deadline))
        scores = (await self.vectors(field, left, deadline)) @ wanted.query
        best = np.lexsort((left, -scores))[: wanted.limit]
        return left[best].tolist(), scores[best].tolist()

    async def nearest_of_many(self, wanted: Sequence[Wanted], deadline: float) -> list[Ranked | BaseException]:
        """For each list, what `nearest` gives by embeddings, or the error in its place.

        Lists without a filter are searched for together, and what is excluded is dropped afterwards, because a search
        has one condition.
        """
        answers: list[Ranked | BaseException | None] = [None] * len(wanted)
        together = [at for at, one in enumerate(wanted) if one.movie_filter is None and _depth(one) <= MAX_TOGETHER]
        if len(together) > 1:
            found = await self._together([wanted[at] for at in together], deadline)
            for at, ranked in zip(together, found, strict=True):
                answers[at] = ranked
        at_once = asyncio.Semaphore(MAX_SEARCHES)

        async def alone(one: Wanted) -> Ranked:
            async with at_once:
                return await self.nearest(names.EMBEDDING, one, deadline)

        rest = (alone(one) for one, answer in zip(wanted, answers, strict=True) if answer is None)
        alone_ones = iter(await asyncio.gather(*rest, return_exceptions=True))
        return [next(alone_ones) if answer is None else answer for answer in answers]

    async def _together(self, wanted: Sequence[Wanted], deadline: float) -> list[Ranked | BaseException | None]:
        """What one search finds for lists without a filter; None for those that it finds too few movies for."""
        limit = max(map(_depth, wanted))
        condition = names.first_rows(self._rows[names.EMBEDDING], len(self.release.movies))
        effort, queries = names.effort_for(limit, 1.0), [one.query for one in wanted]
        try:
            answers = await self._milvus.search(
                self._collection, names.EMBEDDING, queries, limit, effort, condition, deadline
            )
        except MilvusUnavailable as error:
            return [error] * len(wanted)
        ranked: list[Ranked | BaseException | None] = []
        for one, found in zip(wanted, answers, strict=True):
            excluded = set(self.release.movie_ids[one.excluded_rows].tolist())
            kept = [hit for hit in found if hit[0] not in excluded][: one.limit]
            ranked.append(self._ranked(kept) if len(kept) == one.limit else None)
        return ranked

    async def page(self, field: str, wanted: Wanted, after: Cursor | None, deadline: float) -> Page:
        """The movies that follow where the page before ended, by exact scores.  after: None for the first page.

        Searches go deeper until enough movies follow. Raises MilvusUnavailable.
        """
        begin = after.score + ROUNDING if after is not None else math.inf
        depth, more_than = 2 * wanted.limit, wanted.limit
        while True:
            rows, scores = await self.nearest(field, wanted._replace(limit=depth), deadline)
            at = [place for place, score in enumerate(scores) if score <= begin]
            if after is not None:
                more_than = wanted.limit + sum(scores[place] >= after.score - ROUNDING for place in at)
            if len(at) > more_than or len(rows) < depth or depth == MAX_DEPTH:
                break
            depth = min(4 * depth, MAX_DEPTH)
        least = scores[at[more_than]] - ROUNDING if len(at) > more_than else -math.inf
        following = np.array([rows[place] for place in at if scores[place] >= least], np.int64)
        vectors = await self.vectors(field, following, deadline)
        exact = exact_scores(vectors, wanted.query) if len(following) else np.empty(0)
        return page_of(following, exact, wanted.limit, after)

    async def _search(self, field: str, wanted: Wanted, limit: int, effort: int, deadline: float) -> Found:
        condition = names.all_of(
            names.first_rows(self._rows[field], len(self.release.movies)),
            names.passing(wanted.movie_filter, list(self.release.genres)) if wanted.movie_filter is not None else "",
            names.without_movies(self.release.movie_ids[np.unique(wanted.excluded_rows)].tolist()),
        )
        (found,) = await self._milvus.search(
            self._collection, field, [wanted.query], limit, effort, condition, deadline
        )
        return found

    def _ranked(self, found: Found) -> Ranked:
        rows_of = self.release.movie_rows
        return [rows_of[movie_id] for movie_id, _ in found], [score for _, score in found]

    def _share(self, field: str, wanted: Wanted) -> float:
        """About which share of the movies a search may find."""
        num_rows = self._rows[field]
        qualifying = num_rows if wanted.qualifying is None else np.count_nonzero(wanted.qualifying[:num_rows])
        return max(float(qualifying) - len(wanted.excluded_rows), 0.0) / num_rows

    def _left(self, field: str, wanted: Wanted) -> np.ndarray:
        """int64 rows of all movies that a search may find."""
        num_rows = self._rows[field]
        left = np.ones(num_rows, np.bool_) if wanted.qualifying is None else wanted.qualifying[:num_rows].copy()
        left[wanted.excluded_rows[wanted.excluded_rows < num_rows]] = False
        return np.flatnonzero(left)


def _depth(wanted: Wanted) -> int:
    """How many movies a search must find so that enough are left without the excluded ones."""
    return wanted.limit + len(wanted.excluded_rows)
