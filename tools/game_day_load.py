"""Calls to a recommender, from threads with a connection each."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import grpc
import numpy as np

from protos.recommender.v1.recommender_pb2 import RecommendRequest
from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from trainer.release.catalogue import releases_folder


class Load:
    """Calls Recommend for users of the release, while the block runs. Failures are part of a game day."""

    def __init__(self, address: str, artifacts: Path, callers: int, pause_s: float) -> None:
        """artifacts: with a release, whose users are called for.  pause_s: of each caller between calls."""
        (user_ids, *_) = sorted(releases_folder(artifacts).glob("[0-9]*/user_ids.npy"))
        self._users = np.load(user_ids).tolist()
        self._address, self._pause_s = address, pause_s
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(self._address, options=options) as channel:
            stub = RecommenderServiceStub(channel)
            while not self._stopping.wait(self._pause_s):
                with suppress(grpc.RpcError):
                    stub.Recommend(RecommendRequest(user_id=random.choice(self._users)), timeout=5)
