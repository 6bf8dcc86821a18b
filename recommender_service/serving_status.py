"""Builds the answer to GetServingStatus."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb

ReleaseStates = Mapping[int, tuple[api.ReleaseState, str]]
"""(state, why it is not active) by version, in the order of the answer."""


def serving_status(
    active: pb.Manifest | None,
    waiting_for: str,
    states: ReleaseStates,
    model_server: api.ModelServerStatus,
    uptime_s: float,
) -> api.GetServingStatusResponse:
    """Build the answer to GetServingStatus.

    active: the manifest of the active release.  waiting_for: goes into the answer only if no release is active.
    """
    response = api.GetServingStatusResponse(
        releases=[
            api.ReleaseStatus(release=version, state=state, reason=reason)
            for version, (state, reason) in states.items()
        ],
        model_server=model_server,
        uptime_s=uptime_s,
        uptime=timedelta(seconds=uptime_s),
    )
    if active is None:
        response.waiting_for = waiting_for
    else:
        response.release, response.dataset = active.version, active.dataset.name
        response.users_have_keys, response.movies_have_keys = active.users_have_keys, active.movies_have_keys
        for evaluation in active.evaluations:
            if evaluation.ranking == "index":
                response.metrics.update(evaluation.metrics)
    return response
