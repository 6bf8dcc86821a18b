"""Lets calls that arrive together take the steps of their answers together.

A search reads a megabyte of vectors, which drives the code and the data of gRPC out of the processor's caches, and the
next call drives out the vectors. Calls that take each step one after the other share these losses: with 32 calls in
flight an answer costs less than half.
"""

from __future__ import annotations

import asyncio
import time

MAX_CALLS = 32
# Of calls that wait in gRPC, one reaches Python about every four turns, because each passes through a thread of gRPC's
# own. A turn in which nothing happens takes two microseconds.
QUIET_TURNS = 8
# A turn ends after so long, and whatever else the loop has to do comes first: health checks above all.
MAX_HOLD_S = 0.003


class Turns:
    """The turns of an event loop in which calls take their steps. All calls in progress share one object."""

    def __init__(self) -> None:
        self._arrived: list[asyncio.Future[None]] = []  # calls that have not begun
        self._quiet_turns = 0  # turns since the last call arrived
        self._ends = 0.0  # when this turn ends, by perf_counter
        self._next_is_scheduled = False

    async def begin(self) -> None:
        """Wait until no more calls arrive, or MAX_CALLS have. The calls that waited then begin in the same turn."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._let_begin)
        future = asyncio.get_running_loop().create_future()
        self._arrived.append(future)
        self._quiet_turns = 0
        await future
        if time.perf_counter() >= self._ends:
            await self.step()

    async def step(self) -> None:
        """Let the other calls finish the step that they are at, and wait for a turn that has time left."""
        while True:
            if not self._next_is_scheduled:
                self._next_is_scheduled = True
                asyncio.get_running_loop().call_soon(self._start)  # runs before those that wait for the next turn
            await asyncio.sleep(0)
            if time.perf_counter() < self._ends:
                return

    async def pause(self) -> None:
        """If this turn has no time left, wait for as many turns as another call needs to be answered."""
        if time.perf_counter() >= self._ends:
            for _ in range(QUIET_TURNS):
                await self.step()

    def _start(self) -> None:
        self._next_is_scheduled = False
        self._ends = time.perf_counter() + MAX_HOLD_S

    def _let_begin(self) -> None:
        if self._quiet_turns < QUIET_TURNS and len(self._arrived) < MAX_CALLS:
            self._quiet_turns += 1
            asyncio.get_running_loop().call_soon(self._let_begin)
            return
        arrived, self._arrived = self._arrived, []
        self._start()
        for future in arrived:
            if not future.done():  # the caller may have left
                future.set_result(None)
