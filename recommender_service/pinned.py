"""Calls that name a release other than the active one."""

from __future__ import annotations

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from recommender_service.hidden_movies import rows_to_leave_out
from recommender_service.release import Release
from recommender_service.resolved_request import ResolvedRequest, user_id_of


def without_watched_since(
    request: api.RecommendRequest, resolved: ResolvedRequest, release: Release, active: Release
) -> ResolvedRequest:
    """A request that leaves out, too, what the active release knows the user to have watched or hidden.

    resolved: the request, resolved against `release`.
    Events leave memory once the active release holds them, so nothing else would tell.
    """
    if (active.user_keys is None, active.rows_by_key is None) != (
        release.user_keys is None,
        release.rows_by_key is None,
    ):
        return resolved  # numbers of the one say nothing to the other
    user_id = user_id_of(active, request)
    rows = rows_to_leave_out(active, request, active.watched.find(user_id) if user_id is not None else -1)
    found = [release.movie_rows.get(movie_id, -1) for movie_id in active.movie_ids[rows].tolist()]
    known = np.array([row for row in found if row >= 0], np.int32)
    return resolved._replace(excluded_rows=np.concatenate([resolved.excluded_rows, known]))
