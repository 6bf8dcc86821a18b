"""Lets calls that arrive together take the steps of their answers together.

A search reads a megabyte of vectors, which drives the code and the data of gRPC out of the processor's caches, and the
next call drives out the vectors. Calls that take each step one after the other share these losses: with 32 calls in
flight an answer costs less than half. A client who makes one call at a time need not wait for others.
"""

from __future__ import annotations

import asyncio
import time

from recommender_service.futures import succeed

MAX_CALLS = 32
# Of calls that wait in gRPC, one reaches Python about every four turns, because each passes through a thread of gRPC's
# own. A turn in which nothing happens takes two microseconds.
QUIET_TURNS = 8
# After so many calls in a row that met no other, calls begin at once. One of so many still waits, to see whether others
# come by now: a call that begins at once is answered before gRPC hands over the next, so they would never meet.
LONE_CALLS = 8
# A turn ends after so long, and whatever else the loop has to do comes first: health checks above all.
MAX_HOLD_S = 0.003


class Turns:
    """The turns of an event loop in which calls take their steps. All calls in progress share one object."""

    def __init__(self) -> None:
        self.in_progress = 0
        """Calls that have arrived and not ended."""
        self._lone_calls = 0  # calls in a row that met no other
        self._arrived: list[asyncio.Future[None]] = []  # calls that have not begun
        self._quiet_turns = 0  # turns since the last call arrived
        self._ends = 0.0  # when this turn ends, by perf_counter
        self._next_is_scheduled = False

    async def begin(self) -> None:
        """Wait until no more calls arrive, or MAX_CALLS have. The calls that waited then begin in the same turn.

        A call does not wait if it is the only one and those before it were. Whoever calls this calls `end` too.
        """
        self.in_progress += 1
        if self._is_alone() and self._lone_calls % LONE_CALLS:
            self._lone_calls += 1
            self._start()
            return
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._let_begin)
        future = asyncio.get_running_loop().create_future()
        self._arrived.append(future)
        self._quiet_turns = 0
        await future
        if time.perf_counter() >= self._ends:
            await self._next_turn()

    def end(self) -> None:
        """Count a call as ended that has begun, or was given up before."""
        self.in_progress -= 1

    async def step(self) -> None:
        """Let the other calls, if any, finish the step that they are at, and wait for a turn that has time left."""
        if not self._is_alone() or time.perf_counter() >= self._ends:
            await self._next_turn()

    async def pause(self) -> None:
        """If this turn has no time left, wait for as many turns as another call needs to be answered."""
        if time.perf_counter() >= self._ends:
            for _ in range(QUIET_TURNS):
                await self._next_turn()

    def _is_alone(self) -> bool:
        """Whether the call in progress is the only one, and those before it were."""
        return self.in_progress == 1 and self._lone_calls >= LONE_CALLS

    async def _next_turn(self) -> None:
        while True:
            if not self._next_is_scheduled:
                self._next_is_scheduled = True
                asyncio.get_running_loop().call_soon(self._start)  # runs before those that wait for the next turn
            await asyncio.sleep(0)
            if time.perf_counter() < self._ends:
                return

    def _start(self) -> None:
        self._next_is_scheduled = False
        self._ends = time.perf_counter() + MAX_HOLD_S

    def _let_begin(self) -> None:
        if self._quiet_turns < QUIET_TURNS and len(self._arrived) < MAX_CALLS:
            self._quiet_turns += 1
            asyncio.get_running_loop().call_soon(self._let_begin)
            return
        arrived, self._arrived = self._arrived, []
        self._lone_calls = self._lone_calls + 1 if self.in_progress == 1 else 0
        self._start()
        for future in arrived:
            succeed(future, None)
