"""Loads releases into Milvus: each as a collection that appears complete, by a rename; the newest gets the alias."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from pymilvus import MilvusClient, MilvusException
from pymilvus.client.types import LoadState

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.layout import MOVIES, WATCHED_INDPTR, WATCHED_POSITIVE, WATCHED_ROWS
from recommender_service.milvus import collection as names
from recommender_service.milvus.contents import batches, create, tastes
from recommender_service.release_files import ReleaseError, complete_versions, read_manifest
from recommender_service.release_vectors import (
    VECTOR_FILES,
    array_of,
    embedding_vectors,
    movies_of,
    similarity_vectors,
)
from recommender_service.verified_files import verified_files

log = logging.getLogger(__name__)

LOADED = 2  # releases: the one that is served, and the one to go back to or the canary
KEPT = 3  # one more, because a recommender may still answer from it
ABANDONED = timedelta(days=1)  # nobody can tell whether a loader lives that left a collection half loaded before that
TARGET_RECALL = 0.95
LOAD_TIMEOUT_S = 20.0  # a large collection goes on loading meanwhile


class Loader:
    """Keeps Milvus at what a folder of releases holds. Any number of loaders do no harm, but one is enough."""

    def __init__(self, client: MilvusClient, releases: Path, verify_key_file: Path | None) -> None:
        self._client, self._releases, self._verify_key_file = client, releases, verify_key_file
        self._problems: dict[int, str] = {}  # why a release is not loaded

    def look(self) -> None:
        """Load the newest releases that are not loaded, let the alias name the newest, and drop old ones.

        Raises MilvusException, and OSError if the folder cannot be listed.
        """
        manifests: list[pb.Manifest] = []
        for version in complete_versions(self._releases)[:KEPT]:
            try:
                manifest = read_manifest(self._releases / str(version), self._verify_key_file)
                if len(manifests) < LOADED and version not in self._problems:
                    self.ensure(manifest)
                manifests.append(manifest)
            except ReleaseError as error:
                if version not in self._problems:
                    log.error("not loaded into Milvus", extra={"fields": {"release": version, "reason": str(error)}})
                self._problems[version] = str(error)
        kept = [names.collection_of(manifest) for manifest in manifests]
        loaded = [name for name in kept if self._state(name) == LoadState.Loaded]
        if loaded:
            self._name_newest(loaded[0])
            self._drop_others(kept)

    def ensure(self, manifest: pb.Manifest) -> bool:
        """Load the release's collection, unless it is complete and in memory. Returns whether it was not.

        Raises ReleaseError and MilvusException.
        """
        name = names.collection_of(manifest)
        if self._state(name) == LoadState.Loaded:
            return False
        if self._state(name) == LoadState.NotExist:
            loading = names.loading_name(name)
            try:
                self._load(loading, manifest)
                if self._state(name) == LoadState.NotExist:
                    self._client.rename_collection(loading, name)
                    log.info("loaded into Milvus", extra={"fields": {"collection": name}})
            finally:
                if self._state(loading) != LoadState.NotExist:  # not complete, or another loader was faster
                    self._client.drop_collection(loading)
        # Into memory: after a restart, and milvus-lite after a rename. If it does not finish, the next look asks again.
        self._client.load_collection(name, timeout=LOAD_TIMEOUT_S)
        return True

    def _load(self, name: str, manifest: pb.Manifest) -> None:
        """Fill a new collection, and prove it."""
        folder = self._releases / str(manifest.version)
        unneeded = frozenset(file.name for file in manifest.files)
        unneeded -= {MOVIES, WATCHED_INDPTR, WATCHED_ROWS, WATCHED_POSITIVE} | VECTOR_FILES
        files = verified_files(folder, manifest, unneeded)
        movies, _ = movies_of(files, manifest)
        embeddings, similarity = embedding_vectors(files, manifest), similarity_vectors(files, manifest)
        create(self._client, name, movies, embeddings.shape[1], similarity.shape[1])
        for batch in batches(movies, embeddings, similarity):
            self._client.insert(name, batch)
        self._client.flush(name)
        indexes = self._client.prepare_index_params()
        for field in (names.EMBEDDING, names.SIMILARITY):
            indexes.add_index(field, index_type="HNSW", metric_type=names.METRIC, params=names.GRAPH)
        self._client.create_index(name, indexes)
        self._client.load_collection(name)
        (counted,) = self._client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        if counted["count(*)"] != len(movies):
            raise ReleaseError(f"{folder}: expected {len(movies)} movies in Milvus, got {counted['count(*)']}")
        indptr = array_of(files[WATCHED_INDPTR], np.int64, (manifest.num_users + 1,))
        rows = array_of(files[WATCHED_ROWS], np.int32, (manifest.num_ratings,))
        positive = array_of(files[WATCHED_POSITIVE], np.bool_, (manifest.num_ratings,))
        recall = self._recall(name, movies, embeddings, tastes(embeddings, indptr, rows, positive))
        if recall < TARGET_RECALL:
            raise ReleaseError(
                f"{folder}: expected Milvus to find {TARGET_RECALL} of the ten nearest, got {recall:.3f}"
            )

    def _recall(self, name: str, movies: list[api.Movie], embeddings: np.ndarray, queries: np.ndarray) -> float:
        """The share of the nearest movies that searches find."""
        k = min(names.RECALL_K, len(embeddings))
        parameters = {"metric_type": names.METRIC, "params": {"ef": names.effort_for(k, 1.0)}}
        condition = names.first_rows(len(embeddings), len(movies))
        answers = self._client.search(
            name,
            list(queries),
            condition,
            k,
            [names.ROW],
            parameters,
            anns_field=names.EMBEDDING,
            consistency_level="Strong",
        )
        shares = []
        for query, hits in zip(queries, answers, strict=True):
            scores = embeddings @ query
            least = np.partition(scores, len(scores) - k)[len(scores) - k] - 1e-6
            shares.append(sum(scores[hit["entity"][names.ROW]] >= least for hit in hits) / k)
        return float(np.mean(shares))

    def _state(self, name: str) -> LoadState:
        state: LoadState = self._client.get_load_state(name)["state"]
        return state

    def _name_newest(self, name: str) -> None:
        try:
            if self._client.describe_alias(names.ALIAS)["collection_name"] == name:
                return
        except MilvusException:
            self._client.create_alias(name, names.ALIAS)
        else:
            self._client.alter_alias(name, names.ALIAS)
        log.info("alias swapped", extra={"fields": {"alias": names.ALIAS, "collection": name}})

    def _drop_others(self, kept: list[str]) -> None:
        """Drop the collections of older releases, and what loaders left that died long ago."""
        newest = max(int(known["version"]) for known in map(names.COLLECTION.fullmatch, kept) if known is not None)
        for name in self._client.list_collections():
            known = names.COLLECTION.fullmatch(name)
            if known is None or name in kept:
                continue
            if known["begun"] is not None:
                begun = datetime.strptime(known["begun"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
                is_old = datetime.now(UTC) - begun > ABANDONED
            else:
                is_old = int(known["version"]) < newest
            if is_old:
                self._client.drop_collection(name)
                log.info("dropped from Milvus", extra={"fields": {"collection": name}})
