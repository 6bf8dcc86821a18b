"""Proves that the model server serves the user tower of a release.

It must offer the version of the release, and must return the probe embeddings that the release's manifest holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from protos.recommender.v1 import recommender_pb2 as api
from protos.release.v1 import manifest_pb2 as pb
from protos.release.v1.layout import MANIFEST
from recommender_service.metrics import MODEL_SERVER_REACHABLE
from recommender_service.model_server import ModelServer, ModelServerError
from recommender_service.release_files import ReleaseError

if TYPE_CHECKING:  # it is not imported unless ANN=milvus
    from recommender_service.milvus.store import MilvusStore

STATUS_TIMEOUT_S = 2.0
PROBE_TIMEOUT_S = 10.0  # the first Predict after a model was loaded may be slow
PROBE_TOLERANCE = 1e-4


class NotYet(Exception):
    """A release cannot become active now but may later. The message says what the service waits for."""


class ModelServerProbe:
    """Compares what the model server offers and answers with what a release needs."""

    def __init__(self, model_server: ModelServer, milvus: MilvusStore | None = None) -> None:
        """milvus: must have what belongs to a release, too; None if memory is searched."""
        self.status = api.ModelServerStatus(address=model_server.address, error="not asked yet")
        self._model_server, self._milvus = model_server, milvus
        self._available: set[int] | None = None  # versions, as answered; None to ask again

    def begin_look(self) -> None:
        """Forget which versions the model server offered, so that the next `expect_available` asks it once more."""
        self._available = None

    async def expect_available(self, manifest: pb.Manifest) -> None:
        """Raise NotYet unless the model server offers the release's version of the model, and Milvus its movies.

        Of several servers, the one that told its versions may lack this one for a moment, so the others are asked too.
        """
        if self._available is None:
            self._available = await self._available_versions(manifest.model_name)
        if manifest.version not in self._available and not await self._is_available(manifest):
            wanted = f"{manifest.model_name} {manifest.version}"
            raise NotYet(f"the model server at {self._model_server.address} to load {wanted}")
        if self._milvus is not None:
            await self._milvus.expect_loaded(manifest)

    async def lost(self, manifest: pb.Manifest) -> str:
        """Why the release cannot be served any more; empty if it can be, or if nobody answered in this look."""
        if self._milvus is not None and await self._milvus.has_lost(manifest):
            return "Milvus has dropped its collection"
        if self._available is None or manifest.version in self._available:
            return ""
        try:
            if await self._model_server.is_available(manifest.model_name, manifest.version, STATUS_TIMEOUT_S):
                return ""
        except ModelServerError:
            return ""
        return "the model server has dropped its model"

    async def expect_probe_embeddings(self, folder: Path, manifest: pb.Manifest) -> None:
        """Raise ReleaseError if the model server's embeddings of the probe users are not those of the manifest.

        Raises NotYet if it gives none.  folder: of the release, for the error message.
        """
        user_ids = [probe.user_id for probe in manifest.probes]
        expected = np.array([probe.embedding for probe in manifest.probes], np.float32)
        try:
            got = await self._model_server.user_embeddings(
                manifest.model_name, manifest.version, user_ids, manifest.embedding_dim, PROBE_TIMEOUT_S
            )
        except ModelServerError as error:
            raise NotYet(f"probe embeddings of {manifest.model_name} {manifest.version}: {error}") from error
        differences = np.abs(got - expected).max(axis=1)  # float32[num_probes]
        if not differences.max() <= PROBE_TOLERANCE:  # nor is NaN
            user_id = user_ids[int(differences.argmax())]
            raise ReleaseError(
                f"{folder / MANIFEST}: model {manifest.model_name} {manifest.version} of the model server at "
                f"{self._model_server.address} is not the one of this release: user {user_id}'s embedding differs by "
                f"{differences.max():.3g}"
            )

    async def _is_available(self, manifest: pb.Manifest) -> bool:
        try:
            return await self._model_server.is_available(manifest.model_name, manifest.version, STATUS_TIMEOUT_S)
        except ModelServerError as error:
            raise NotYet(f"the model server at {self._model_server.address}: {error}") from error

    async def _available_versions(self, model_name: str) -> set[int]:
        """Ask the model server for its versions, and record in `status` whether it answered. Raises NotYet."""
        status = api.ModelServerStatus(address=self._model_server.address)
        try:
            versions = await self._model_server.available_versions(model_name, STATUS_TIMEOUT_S)
        except ModelServerError as error:
            status.error = str(error)
            raise NotYet(f"the model server at {self._model_server.address}: {error}") from error
        else:
            status.reachable = True
            status.available_versions.extend(sorted(versions, reverse=True))
            return versions
        finally:
            self.status = status
            MODEL_SERVER_REACHABLE.set(status.reachable)
