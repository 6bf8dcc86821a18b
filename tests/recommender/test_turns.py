"""When calls begin and go on: a lone one at once, several together."""

from __future__ import annotations

import asyncio

import pytest

from recommender_service import turns as module
from recommender_service.turns import LONE_CALLS, MAX_HOLD_S, Turns


@pytest.fixture
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn ends because other programs have the processor."""
    monkeypatch.setattr(module, "MAX_HOLD_S", 60)


async def has_waited(turns: Turns) -> bool:
    """Whether a call of two steps let the loop do something else meanwhile."""
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "ran")
    await turns.begin()
    await turns.step()
    turns.end()
    return bool(others)


@pytest.mark.usefixtures("long_turns")
def test_a_lone_client_waits_for_nobody() -> None:
    """After some calls that met no other, calls begin and go on at once; one in a while waits for others after all."""

    async def waits() -> list[bool]:
        turns = Turns()
        return [await has_waited(turns) for _ in range(3 * LONE_CALLS)]

    now_and_then = [True, *[False] * (LONE_CALLS - 1)]
    assert asyncio.run(waits()) == [True] * LONE_CALLS + 2 * now_and_then


@pytest.mark.usefixtures("long_turns")
def test_calls_meet_again_after_a_lone_client() -> None:
    """When it is a lone client's turn to wait, calls that arrive together begin before any of them goes on."""
    order: list[str] = []

    async def call(turns: Turns, name: str) -> None:
        await turns.begin()
        order.append(f"{name} begins")
        await turns.step()
        order.append(f"{name} goes on")
        turns.end()

    async def calls() -> None:
        turns = Turns()
        for _ in range(2 * LONE_CALLS):
            await has_waited(turns)
        await asyncio.gather(call(turns, "a"), call(turns, "b"), call(turns, "c"))

    asyncio.run(calls())
    assert order == [f"{name} {step}" for step in ("begins", "goes on") for name in "abc"]


def test_a_lone_call_makes_room_when_its_turn_is_over() -> None:
    """A call that holds the loop for longer than a turn lets others run before its next step."""

    async def ran() -> list[str]:
        turns, others = Turns(), list[str]()
        for _ in range(LONE_CALLS + 1):
            await has_waited(turns)
        await turns.begin()
        end = asyncio.get_running_loop().time() + 2 * MAX_HOLD_S
        while asyncio.get_running_loop().time() < end:
            pass
        asyncio.get_running_loop().call_soon(others.append, "ran")
        await turns.step()
        return others

    assert asyncio.run(ran()) == ["ran"]
