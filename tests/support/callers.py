"""Clients that call from threads until they are told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from protos.recommender.v1.recommender_pb2_grpc import RecommenderServiceStub
from recommender_service.client.channel import PLAINTEXT, Access, connect


class Callers:
    """Threads that call over and over. Each has a connection of its own and one call in flight."""

    def __init__(
        self,
        address: str,
        count: int,
        call: Callable[[RecommenderServiceStub], None],
        options: Sequence[tuple[str, object]] = (),
        access: Access = PLAINTEXT,
        pause_s: float = 0.0,
    ) -> None:
        """Start `count` threads.  call: what each of them does.  options, access: of their channels.

        pause_s: after each call, where the load is not the point and others need the processor.
        """
        self.stopping = threading.Event()
        self._pause_s = pause_s
        self._address = address
        self._call = call
        self._options = [*options, ("grpc.use_local_subchannel_pool", 1)]
        self._access = access
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads, and return once the calls in flight have ended."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with connect(self._address, self._access, self._options) as channel:
            stub = RecommenderServiceStub(channel)
            while not self.stopping.wait(self._pause_s):
                self._call(stub)
