"""Milvus as the watcher of releases sees it: whether it holds a release, and what calls search the release with."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from pymilvus import MilvusClient, MilvusException

from protos.release.v1 import manifest_pb2 as pb
from recommender_service.logs import silence
from recommender_service.milvus.answers import MilvusAnswers
from recommender_service.milvus.client import Milvus
from recommender_service.milvus.loading import Loader
from recommender_service.milvus.search import MilvusSearch
from recommender_service.probe import NotYet
from recommender_service.release import Release
from recommender_service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from recommender_service.tracing import Tracing


class MilvusStore:
    """Milvus, or milvus-lite over a file.

    A file can be open in one process only, so this one loads releases itself. Else milvus_loader.py does.
    """

    def __init__(self, settings: Settings, tracing: Tracing | None) -> None:
        """tracing: makes spans of searches, if it is not None.  Raises SettingsError if a file cannot be opened."""
        uri, self._loader = settings.milvus_uri, None
        if settings.milvus_is_file:
            uri = _opened(uri)
            self._loader = Loader(MilvusClient(uri), settings.releases_dir, settings.verify_key_file)
        self._milvus = Milvus(uri, settings.milvus_token, settings.predict_timeout_ms / 1000, tracing)
        self._degraded_answers = settings.degraded_answers

    async def expect_loaded(self, manifest: pb.Manifest) -> None:
        """Raise NotYet unless the release can be searched. Raises ReleaseError if it cannot be loaded into a file."""
        if self._loader is not None:
            try:
                if await asyncio.to_thread(self._loader.ensure, manifest):
                    await asyncio.to_thread(self._loader.look)  # for the alias, and what is old
            except MilvusException as error:
                raise NotYet(f"milvus-lite: {error.message}") from error
        await self._milvus.expect_loaded(manifest)

    async def has_lost(self, manifest: pb.Manifest) -> bool:
        """Whether Milvus answers that it does not hold the release, or not any more."""
        return await self._milvus.has_lost(manifest)

    async def close(self) -> None:
        await self._milvus.close()

    def answers_of(self, release: Release) -> MilvusAnswers:
        """What answers calls from the release."""
        return MilvusAnswers(MilvusSearch(self._milvus, release), self._degraded_answers)


def _opened(path: str) -> str:
    """http://host:port of milvus-lite over the file, in a thread of this process. Raises SettingsError."""
    for package in ("milvus_lite", "faiss", "grpc._server"):
        silence(package)
    manager = import_module("milvus_lite.server_manager").server_manager_instance
    uri = manager.start_and_get_uri(path)
    if uri is None:
        problem = "expected a file of milvus-lite that no other process has open"
        raise SettingsError(f"MILVUS_URI: {problem}, got {path[:40]!r}")
    return str(uri)
