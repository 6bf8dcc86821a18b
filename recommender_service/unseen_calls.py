"""Counts the calls that end before Python sees them: those that gRPC refuses, or that their clients give up early."""

from __future__ import annotations

import asyncio
import logging

from grpc_channelz.v1 import channelz, channelz_pb2

from recommender_service.metrics import UNSEEN_CALLS
from recommender_service.receiver import Receiver

log = logging.getLogger(__name__)

SAMPLE_S = 0.25
EQUAL_SAMPLES = 3


class UnseenCalls:
    """Compares how many calls gRPC has counted with how many the receiver has seen.

    The difference holds calls that still wait in gRPC, up to a known number. They do not wait for long. If several
    samples are equal, none waits.
    """

    def __init__(self, receiver: Receiver, max_waiting: int) -> None:
        """max_waiting: how many calls may wait in gRPC."""
        self._receiver = receiver
        self._max_waiting = max_waiting
        self._counted = 0
        self._samples = [0] * EQUAL_SAMPLES  # the last ones

    async def run(self) -> None:
        """Count and log, for ever."""
        while True:
            await asyncio.sleep(SAMPLE_S)
            unseen = _started_calls() - self._receiver.num_calls
            self._samples = [*self._samples[1:], unseen]
            if self._samples.count(unseen) < EQUAL_SAMPLES:
                unseen -= self._max_waiting
            if unseen > self._counted:
                fields = {
                    "refused": unseen - self._counted,
                    "message": "gRPC refused calls before the service saw them, or clients gave them up",
                }
                log.warning("overload", extra={"fields": fields})
                UNSEEN_CALLS.inc(unseen - self._counted)
                self._counted = unseen


def _started_calls() -> int:
    """How many calls have arrived at the servers of this process."""
    answer = channelz.ChannelzServicer.GetServers(channelz_pb2.GetServersRequest(start_server_id=0), None)
    return sum(server.data.calls_started for server in answer.server)
