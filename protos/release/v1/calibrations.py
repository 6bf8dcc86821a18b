"""How a manifest's calibrations are read."""

from __future__ import annotations

from protos.release.v1 import manifest_pb2 as pb

ANNOY, SCAN = "annoy", "scan"  # the engines


def is_chosen(calibration: pb.Calibration, point: pb.CurvePoint) -> bool:
    """Whether a point of the curve was measured with the setting at which the release is searched."""
    if calibration.engine == SCAN:
        settings = calibration.scan_dims, calibration.scan_candidates
        return not point.search_k and (point.scan_dims, point.scan_candidates) == settings
    return point.search_k == calibration.search_k
