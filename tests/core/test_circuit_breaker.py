"""A dead tool costs two requests their budget, and is found again within a second."""

import asyncio

import pytest

from proxy.core.circuit_breaker import RETRY_DELAY_SECONDS, CircuitBreaker
from proxy.core.errors import ToolUnavailable


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def answer(value: int = 7) -> int:
    return value


async def fail() -> int:
    raise ToolUnavailable("tool", "gone")


async def hang() -> int:
    await asyncio.sleep(60)
    return 0


async def opened() -> tuple[CircuitBreaker, Clock]:
    clock = Clock()
    breaker = CircuitBreaker("tool", clock)
    for _ in range(2):
        with pytest.raises(ToolUnavailable):
            await breaker.run(fail(), seconds=1)
    return breaker, clock


async def test_an_open_breaker_refuses_at_once_and_says_why() -> None:
    breaker, _ = await opened()
    with pytest.raises(ToolUnavailable, match="gone"):
        await breaker.run(answer(), seconds=1)


async def test_one_success_closes_it_again() -> None:
    breaker, clock = await opened()
    clock.now += RETRY_DELAY_SECONDS
    assert await breaker.run(answer(), seconds=1) == 7
    assert await breaker.run(answer(), seconds=1) == 7


async def test_only_one_call_probes() -> None:
    breaker, clock = await opened()
    clock.now += RETRY_DELAY_SECONDS
    probe = asyncio.create_task(breaker.run(asyncio.sleep(0.01, 7), seconds=1))
    await asyncio.sleep(0)
    with pytest.raises(ToolUnavailable):
        await breaker.run(answer(), seconds=1)
    assert await probe == 7


async def test_a_late_answer_is_a_failure() -> None:
    breaker = CircuitBreaker("tool")
    for _ in range(2):
        with pytest.raises(ToolUnavailable, match="50 ms"):
            await breaker.run(hang(), seconds=0.05)
    assert breaker.is_open


async def test_no_time_left_is_not_the_tools_fault() -> None:
    breaker = CircuitBreaker("tool")
    for seconds in (0.0, -1.0, 0.001, 0.001, 0.001):
        with pytest.raises(ToolUnavailable):
            await breaker.run(hang(), seconds=seconds)
    assert not breaker.is_open


async def test_a_cancelled_request_says_nothing_about_the_tool() -> None:
    breaker = CircuitBreaker("tool")
    for _ in range(3):
        task = asyncio.create_task(breaker.run(hang(), seconds=10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not breaker.is_open


async def test_a_tool_that_answers_others_meanwhile_is_busy_and_stays_in_use() -> None:
    breaker = CircuitBreaker("tool")
    waiting = [asyncio.create_task(breaker.run(hang(), seconds=0.05)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert await breaker.run(answer(), seconds=1) == 7
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, ToolUnavailable) for outcome in outcomes)
    assert not breaker.is_open


async def test_a_tool_that_answers_nobody_is_left_alone_though_it_answered_before() -> None:
    breaker = CircuitBreaker("tool")
    assert await breaker.run(answer(), seconds=1) == 7
    for _ in range(2):
        with pytest.raises(ToolUnavailable):
            await breaker.run(hang(), seconds=0.05)
    assert breaker.is_open
