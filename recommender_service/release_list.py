"""ListReleases: the releases in the folder, with the figures that their manifests hold.

No other call waits for it: a thread reads the manifests, each once for as long as it does not change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.timestamp_pb2 import Timestamp

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.calibrations import ANNOY, SCAN, is_chosen
from protos.release.v1.layout import MANIFEST, published_at
from recommender_service.errors import InvalidArgument
from recommender_service.release_files import ReleaseError, read_manifest
from recommender_service.user_embeddings.lru_cache import LruCache

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
MAX_DETAILS_BYTES = 32_000  # ten times what a release takes; so many of MAX_LIMIT releases fit into an answer
MAX_REASON = 1_000  # characters

Fingerprint = tuple[Path, int, int]


class ReleaseList:
    """Describes the releases of a folder."""

    def __init__(self, releases: Path, verify_key_file: Path | None) -> None:
        """verify_key_file: if there is one, manifests must be signed with one of its keys."""
        self._releases = releases
        self._verify_key_file = verify_key_file
        self._described: LruCache[Fingerprint, api.ReleaseDetails] = LruCache(MAX_LIMIT)
        self._reading = asyncio.Lock()  # however many calls wait, each manifest is read once

    async def answer(self, request: api.ListReleasesRequest, states: Sequence[api.ReleaseStatus]) -> bytes:
        """Answer a request: an encoded ListReleasesResponse. Raises InvalidArgument.

        states: of all releases, newest first.
        """
        if not 0 <= request.limit <= MAX_LIMIT:
            problem = f"expected 1 to {MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}; got {request.limit}"
            raise InvalidArgument("limit", problem)
        listed = states[: request.limit or DEFAULT_LIMIT]
        response = api.ListReleasesResponse(num_releases=len(states))
        async with self._reading:
            described = await asyncio.to_thread(lambda: [self._details(state.release) for state in listed])
        for state, details in zip(listed, described, strict=True):
            response.releases.append(details)
            response.releases[-1].status.CopyFrom(state)
            response.releases[-1].status.reason = state.reason[:MAX_REASON]
        return response.SerializeToString()

    def _details(self, version: int) -> api.ReleaseDetails:
        """What the manifest says, or why it says nothing."""
        folder = self._releases / str(version)
        try:
            stat = (folder / MANIFEST).stat()
        except OSError as error:
            return api.ReleaseDetails(problem=f"{folder / MANIFEST}: cannot be read: {error.strerror}"[:MAX_REASON])
        fingerprint = folder, stat.st_mtime_ns, stat.st_size
        details = self._described.get(fingerprint)
        if details is None:
            details = _described(folder, self._verify_key_file)
            self._described.put(fingerprint, details)
        return details


def _described(folder: Path, verify_key_file: Path | None) -> api.ReleaseDetails:
    try:
        details = _of_manifest(read_manifest(folder, verify_key_file))
    except ReleaseError as error:
        return api.ReleaseDetails(problem=str(error)[:MAX_REASON])
    if details.ByteSize() > MAX_DETAILS_BYTES:
        problem = f"expected figures of at most {MAX_DETAILS_BYTES:,} bytes, got {details.ByteSize():,}"
        return api.ReleaseDetails(problem=f"{folder / MANIFEST}: {problem}"[:MAX_REASON])
    return details


def _of_manifest(manifest: pb.Manifest) -> api.ReleaseDetails:
    published = published_at(manifest.version)
    kinds = [("recommend", manifest.index.recommend), ("similar_movies", manifest.index.similar_movies)]
    if manifest.index.HasField("newcomers"):
        kinds.insert(1, ("newcomers", manifest.index.newcomers))
    return api.ReleaseDetails(
        published=Timestamp(seconds=int(published.timestamp())) if published is not None else None,
        dataset=manifest.dataset.name,
        num_users=manifest.num_users,
        num_movies=manifest.num_movies,
        num_trained_movies=manifest.num_trained_movies,
        num_ratings=manifest.num_ratings,
        embedding_dim=manifest.embedding_dim,
        num_bytes=sum(file.size for file in manifest.files),
        evaluations=[
            api.OfflineEvaluation(
                ranking=one.ranking,
                metrics=one.metrics,
                standard_errors=one.standard_errors,
                num_users=one.num_users,
            )
            for one in manifest.evaluations
        ],
        searches=[_search(queries, calibration) for queries, calibration in kinds],
        forced_despite=manifest.forced_despite,
    )


def _search(queries: str, calibration: pb.Calibration) -> api.SearchCurve:
    engine = calibration.engine or ANNOY
    measured = [point.latency_us for point in calibration.curve if is_chosen(calibration, point)]
    return api.SearchCurve(
        queries=queries,
        engine=engine,
        served=api.SearchPoint(engine=engine, recall=calibration.recall, latency_us=measured[-1] if measured else 0.0),
        points=[
            api.SearchPoint(engine=ANNOY if point.search_k else SCAN, recall=point.recall, latency_us=point.latency_us)
            for point in calibration.curve
        ],
    )
